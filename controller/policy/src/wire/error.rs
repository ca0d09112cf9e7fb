//! The error of every conversion, and how it finds its path.

/// A message that cannot be what it claims.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("{field}: {message}")]
pub struct InvalidMessage {
    /// Path in the message.
    pub field: String,
    /// What is wrong.
    pub message: String,
}

impl InvalidMessage {
    pub(super) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }

    /// The same error, told by the message around it.
    pub(super) fn within(mut self, parent: &str) -> Self {
        let joint = if self.field.is_empty() || self.field.starts_with('[') { "" } else { "." };
        self.field = format!("{parent}{joint}{}", self.field);
        self
    }
}

/// A message field that must be there.
pub(super) fn required<T>(field: &str, value: Option<T>) -> Result<T, InvalidMessage> {
    value.ok_or_else(|| InvalidMessage::new(field, "is missing"))
}

/// Each element of a list, read.
pub(super) fn each<T, U>(
    field: &str,
    list: Vec<T>,
    mut read: impl FnMut(T) -> Result<U, InvalidMessage>,
) -> Result<Vec<U>, InvalidMessage> {
    let elements = list.into_iter().enumerate();
    elements.map(|(index, element)| read(element).map_err(|error| error.within(&format!("{field}[{index}]")))).collect()
}
