//! Room prepared; see docs/design.md.
/// stub
#[derive(Clone, Debug)]
pub struct LabelSelector;
