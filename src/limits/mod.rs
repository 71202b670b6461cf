//! Every bound of this crate, with its unit, by what it bounds. All are used as `limits::NAME`.

mod benchmarks;
mod copies;
mod input;
mod reading;
mod recording;
mod retention;
mod serving;
mod storing;
mod watching;

pub use benchmarks::*;
pub use copies::*;
pub use input::*;
pub use reading::*;
pub use recording::*;
pub use retention::*;
pub use serving::*;
pub use storing::*;
pub use watching::*;
