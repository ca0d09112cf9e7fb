//! Objects and bundles ↔ `ringfence.v1`.

use ringfence_proto::v1;

use crate::{bundle::Bundle, object::Object};

/// A message that cannot be what it claims.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{field}: {message}")]
pub struct InvalidMessage {
    /// Path in the message.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

/// Reads an object.
pub fn object_from_wire(_message: v1::Object) -> Result<Object, InvalidMessage> {
    todo!()
}
/// Writes an object, without meta.
pub fn object_to_wire(_object: &Object) -> v1::Object {
    todo!()
}
/// Content digest (SHA-256) of a bundle: equal states have equal digests, whatever their history.
pub fn digest(_bundle: &Bundle) -> [u8; 32] {
    todo!()
}
/// The whole bundle.
pub fn whole_update(_bundle: &Bundle) -> v1::DomainUpdate {
    todo!()
}
/// What changed from `base` to `bundle`.
pub fn change_update(_base: &Bundle, _bundle: &Bundle) -> v1::DomainUpdate {
    todo!()
}
/// The bundle after an update; `base` is what is held of this domain.
pub fn apply_update(_base: Option<&Bundle>, _update: v1::DomainUpdate) -> Result<Bundle, InvalidMessage> {
    todo!()
}
