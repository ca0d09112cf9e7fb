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
    EmptyList,
}

/// Kinds that are not supported yet.
pub(super) const KINDS: [&str; 2] = ["AddressSet", "Expectation"];

/// Of a Domain.
pub(super) const DOMAIN: [Later; 1] = [equal("default", "deny")];
/// Of a Network.
pub(super) const NETWORK: [Later; 1] = [never("multicast")];
/// Of a subnet.
pub(super) const SUBNET: [Later; 3] = [never("dns"), equal("dhcp", "false"), equal("ra", "false")];
/// Of a Workload.
pub(super) const WORKLOAD: [Later; 1] = [never("ports")];
/// Of an interface.
pub(super) const INTERFACE: [Later; 2] = [empty_list("addressPairs"), equal("portSecurity", "true")];
/// Of a Policy.
pub(super) const POLICY: [Later; 3] = [equal("tier", "tenant"), equal("mode", "enforce"), equal("stateless", "false")];
/// Of a rule.
pub(super) const RULE: [Later; 4] = [equal("log", "false"), never("side"), never("notBefore"), never("notAfter")];
/// Of a peer that is a mapping.
pub(super) const PEER: [Later; 2] = [never("except"), never("labels")];

const fn equal(name: &'static str, text: &'static str) -> Later {
    Later { name, accepted: Some(Accepted::Text(text)) }
}

const fn empty_list(name: &'static str) -> Later {
    Later { name, accepted: Some(Accepted::EmptyList) }
}

const fn never(name: &'static str) -> Later {
    Later { name, accepted: None }
}

impl Later {
    /// Whether the value says what this version does.
    pub(super) fn accepts(&self, value: &Node) -> bool {
        match (&self.accepted, &value.content) {
            (Some(Accepted::Text(wanted)), Content::Text(text)) => text == wanted,
            (Some(Accepted::EmptyList), Content::List(nodes)) => nodes.is_empty(),
            _ => false,
        }
    }

    /// What to do instead.
    pub(super) fn advice(&self) -> String {
        match &self.accepted {
            Some(Accepted::Text(text)) => format!("remove it, or write {text}"),
            Some(Accepted::EmptyList) => "remove it, or write []".into(),
            None => "remove it".into(),
        }
    }
}
