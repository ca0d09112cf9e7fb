//! What whole hosts are held by.

use super::Protection;

pub(super) const PROTECTIONS: &[Protection] = &[];
