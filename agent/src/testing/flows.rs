//! Who may ask whom in the random states.

use std::net::IpAddr;

use ringfence_policy::{bundle::Bundle, evaluate::End};

use super::bundles::site;

/// Interfaces' addresses, those of pairs, on-link ones that are nobody's, and the outside.
pub(crate) const ADDRESSES: [&str; 12] = [
    "10.0.0.2",
    "10.0.0.3",
    "10.0.0.4",
    "10.0.0.5",
    "10.0.0.70",
    "10.0.9.9",
    "172.16.0.1",
    "172.16.0.2",
    "203.0.113.9",
    "198.51.100.9",
    "fd00::3",
    "2001:db8::9",
];

/// Whether an end's side votes, and whether it is this host that speaks for the end.
pub(crate) fn standing(bundle: &Bundle, end: End) -> (bool, bool) {
    let End::Address(address) = end else { return (false, false) };
    let own = bundle.interfaces.iter().find(|interface| interface.addresses.iter().any(|(own, _)| *own == address));
    let paired = || {
        let pairs = bundle.interfaces.iter().flat_map(|i| i.pairs.iter().map(move |pair| (i, pair.prefix)));
        let holding = pairs.filter(|(_, prefix)| prefix.contains(&address));
        holding.max_by_key(|(_, prefix)| prefix.prefix_len()).map(|(interface, _)| interface)
    };
    match own.or_else(paired) {
        Some(interface) => (true, interface.host == site().host),
        None => (false, bundle.topology.uplink.as_ref().is_some_and(|uplink| uplink.host == site().host)),
    }
}

/// Whether no packet is needed that is of two families.
pub(crate) fn same_family(one: End, other: End) -> bool {
    let is_v4 = |end| match end {
        End::Address(address) => Some(IpAddr::is_ipv4(&address)),
        End::Host => None,
    };
    is_v4(one).zip(is_v4(other)).is_none_or(|(one, other)| one == other)
}
