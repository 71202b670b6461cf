//! Room prepared; see docs/design.md.
/// stub
#[derive(Clone, Debug)]
pub struct LabelSelector;
/// stub
#[derive(Debug, thiserror::Error)]
#[error("")]
pub struct InvalidSelector;
impl LabelSelector {
    /// stub
    pub fn validate(&self) -> Result<(), InvalidSelector> {
        Ok(())
    }
    /// stub
    pub fn matches(&self, _: &super::observation::Labels) -> bool {
        true
    }
}
