//! Objects and bundles ↔ `ringfence.v1`.
//!
//! What arrives is hostile until it is read here: every message is taken apart field by field, and
//! what cannot be is an [`InvalidMessage`] that names the field. Nothing here panics or trusts a
//! length, an index or an order.

mod bundle;
mod error;
mod object;
mod policy;
mod update;

pub use error::InvalidMessage;
pub use object::{key_from_wire, key_to_wire, kind_from_wire, kind_to_wire, object_from_wire, object_to_wire};
pub use update::{apply_update, change_update, digest, read_update, whole_update};

/// What an agent says in its hello that acks the removal of a domain, with generation 0.
pub const FEATURE_REMOVAL_ACK: &str = "removal-ack";
