//! What the language will have and this version lacks (DESIGN 3).

use super::node::{Content, Node};

/// A field that is not supported yet.
pub(super) struct Later {
    pub(super) name: &'static str,
    /// The value that says exactly what this version does anyway; it alone is accepted.
    accepted: Option<Accepted>,
}

enum Accepted {
    Text(&'static str),
}

/// Of a Network.
pub(super) const NETWORK: [Later; 1] = [never("multicast")];
/// Of a subnet.
pub(super) const SUBNET: [Later; 3] = [never("dns"), equal("dhcp", "false"), equal("ra", "false")];
const fn equal(name: &'static str, text: &'static str) -> Later {
    Later { name, accepted: Some(Accepted::Text(text)) }
}

const fn never(name: &'static str) -> Later {
    Later { name, accepted: None }
}

impl Later {
    /// Whether the value says what this version does.
    pub(super) fn accepts(&self, value: &Node) -> bool {
        match (&self.accepted, &value.content) {
            (Some(Accepted::Text(wanted)), Content::Text(text)) => text == wanted,
            _ => false,
        }
    }

    /// What to do instead.
    pub(super) fn advice(&self) -> String {
        match &self.accepted {
            Some(Accepted::Text(text)) => format!("remove it, or write {text}"),
            None => "remove it".into(),
        }
    }
}
