//! What the unit tests of lowering and planning share: small random bundles, and what maps mean.

pub(crate) mod bundles;
pub(crate) mod meaning;
