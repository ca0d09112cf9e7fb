//! The devices by which a host reaches its controller and other hosts. Pure.

use std::collections::{BTreeMap, BTreeSet};

use super::devices::Around;
use crate::{lower::admit::Way, netlink::Link};

/// By name: those that bear underlay addresses, and that toward the controller.
pub(super) fn ways(around: &Around<'_>) -> BTreeMap<String, Way> {
    let is_way = |link: &&Link| around.underlay.contains(&link.ifindex) || link.ifindex == around.toward_controller;
    let links = around.links.values().filter(is_way).filter(|link| link.name != "lo");
    links.map(|link| (link.name.clone(), way(link, around.links))).collect()
}

fn way(link: &Link, links: &BTreeMap<String, Link>) -> Way {
    let mut below = BTreeSet::new();
    let mut found = vec![link];
    while let Some(upper) = found.pop() {
        for lower in links.values().filter(|lower| carries(lower, upper)) {
            if lower.ifindex != link.ifindex && below.insert(lower.name.clone()) {
                found.push(lower);
            }
        }
    }
    let addresses = link.addresses.iter().map(|held| held.net.addr()).collect();
    Way { mac: link.mac, addresses, below }
}

/// Whether what leaves by `upper` leaves by `lower` next: a VLAN's device, a bond's or a bridge's part.
fn carries(lower: &Link, upper: &Link) -> bool {
    upper.lower == Some(lower.ifindex) || lower.master == Some(upper.ifindex)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netlink::LinkKind;

    fn link(ifindex: u32, name: &str, lower: Option<u32>, master: Option<u32>) -> (String, Link) {
        let link = Link {
            ifindex,
            name: name.to_owned(),
            kind: LinkKind::Other,
            up: true,
            mtu: 1500,
            mac: [0; 6],
            addresses: Vec::new(),
            lower,
            master,
        };
        (name.to_owned(), link)
    }

    #[test]
    fn a_way_is_told_with_every_device_below_it() {
        let links = BTreeMap::from([
            link(1, "lo", None, None),
            link(2, "eno1", None, Some(4)),
            link(3, "eno2", None, Some(4)),
            link(4, "bond0", None, None),
            link(5, "bond0.7", Some(4), None),
            link(6, "eno3", None, None),
        ]);
        let (underlay, none) = (BTreeSet::from([5]), BTreeSet::new());
        let around = Around { links: &links, underlay: &underlay, bound: &none, toward_controller: 6 };
        let told: Vec<_> = ways(&around).into_iter().map(|(name, way)| (name, way.below)).collect();
        let below = ["bond0", "eno1", "eno2"].map(str::to_owned).into();
        assert_eq!(told, [("bond0.7".to_owned(), below), ("eno3".to_owned(), BTreeSet::new())]);
    }

    /// As a container's, which reaches its controller on its own machine.
    #[test]
    fn loopback_is_no_way() {
        let links = BTreeMap::from([link(1, "lo", None, None)]);
        let none = BTreeSet::new();
        let around = Around { links: &links, underlay: &none, bound: &none, toward_controller: 1 };
        assert!(ways(&around).is_empty());
    }
}
