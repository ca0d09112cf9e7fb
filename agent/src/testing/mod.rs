//! What the unit tests of lowering and planning share: small random bundles, who asks whom in them, and what maps mean.

pub(crate) mod bundles;
pub(crate) mod flows;
pub(crate) mod meaning;
