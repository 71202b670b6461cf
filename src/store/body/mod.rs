//! How the bytes of an object are made small: as the difference to another version ([`delta`]), or by zstd with a
//! dictionary of its kind ([`compress`]). Numbers are varints ([`varint`]). Where the results are kept is the business
//! of [`super::versions`]. Many differences in a row are taken together by a [`recipe`].

#[cfg(feature = "bench")]
pub mod bench;
pub(crate) mod compress;
pub(crate) mod delta;
pub(crate) mod recipe;
pub(crate) mod varint;
