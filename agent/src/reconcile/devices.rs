//! Devices: what each should be, and the steps there. Pure.
//!
//! A device is closed before it is opened: programs first, then settings, then addresses, and up last.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnet::IpNet;
use ringfence_policy::bundle::Bundle;

use crate::{
    bpf::Hook,
    lower::{LinkRef, Site, desired::Role},
    netlink::{
        Link, LinkKind,
        sysctl::{self, Setting},
    },
};

/// How this host treats devices it was not told of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ownership {
    /// The host is given over to us: a device of a kind that workloads have is denied unless known.
    pub dedicated: bool,
    /// Patterns of such devices that are the host's own all the same.
    pub trusted: Vec<String>,
}

/// One step on a device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeviceAction {
    /// Runs a program there.
    Attach(Hook, u32),
    /// Takes a program away that the device's role does not have.
    Detach(Hook, u32),
    /// Writes a kernel setting.
    Set(Setting),
    /// Adds an address of ours.
    AddAddress(String, IpNet),
    /// Removes an address of ours.
    RemoveAddress(String, IpNet),
    /// Sets it up.
    SetUp(String),
}

/// What the steps start from.
pub struct Seen<'a> {
    /// By name.
    pub links: &'a BTreeMap<String, Link>,
    /// Where our programs run.
    pub attached: &'a BTreeSet<(Hook, u32)>,
    /// Whether a kernel setting has not the value it should.
    pub unset: fn(&Setting) -> bool,
    /// Interfaces that may come up, by id.
    pub may_come_up: &'a BTreeSet<u32>,
}

impl Ownership {
    /// Whether a device is the host's own, so that the guard lets it through.
    fn owns(&self, link: &Link, underlay: &[IpAddr]) -> bool {
        let workload_kind = matches!(link.kind, LinkKind::Veth | LinkKind::Tun);
        let bears_underlay = link.addresses.iter().any(|address| underlay.contains(&address.net.addr()));
        !workload_kind || bears_underlay || self.trusted.iter().any(|pattern| glob(pattern, &link.name))
    }
}

/// This host, for lowering.
pub fn site(
    host: &str,
    underlay: &[IpAddr],
    overlay: (u32, u32),
    links: &BTreeMap<String, Link>,
    ownership: &Ownership,
) -> Site {
    let (overlay_ifindex, overlay_mtu) = overlay;
    let own = links.values().filter(|link| ownership.dedicated && ownership.owns(link, underlay));
    Site {
        host: host.to_owned(),
        underlay: underlay.to_vec(),
        overlay_mtu,
        overlay_ifindex,
        links: links
            .iter()
            .map(|(name, link)| (name.clone(), LinkRef { ifindex: link.ifindex, mtu: link.mtu }))
            .collect(),
        own: own.map(|link| link.ifindex).collect(),
    }
}

/// Steps that close: programs on every device with a role, and on unknown ones of a host that is given over to us.
/// They come before a device is known in the maps, where its programs deny everything.
pub fn close(roles: &BTreeMap<u32, Role>, ownership: &Ownership, seen: &Seen<'_>) -> Vec<DeviceAction> {
    let mut steps = Vec::new();
    for link in seen.links.values() {
        let role = roles.get(&link.ifindex);
        let Some(wanted) = hooks(role, ownership) else { continue };
        let missing = wanted.iter().filter(|hook| !seen.attached.contains(&(**hook, link.ifindex)));
        steps.extend(missing.map(|hook| DeviceAction::Attach(*hook, link.ifindex)));
        if role.is_none() || matches!(role, Some(Role::Workload(_))) {
            steps.extend(sysctl::of_workload(&link.name).into_iter().filter(seen.unset).map(DeviceAction::Set));
        }
    }
    steps
}

/// Steps that open what is enforced by now: addresses, up, and programs of a former role taken away.
pub fn open(bundles: &[&Bundle], roles: &BTreeMap<u32, Role>, seen: &Seen<'_>) -> Vec<DeviceAction> {
    let uplinks: BTreeMap<u32, &[IpNet]> = bundles
        .iter()
        .filter_map(|bundle| Some((bundle.domain_id, bundle.topology.uplink.as_ref()?.addresses.as_slice())))
        .collect();
    let mut steps = Vec::new();
    for link in seen.links.values() {
        let role = roles.get(&link.ifindex);
        if let Some(role) = role {
            let wanted = hooks_of(*role);
            let former = Hook::ALL
                .iter()
                .filter(|hook| !wanted.contains(hook) && seen.attached.contains(&(**hook, link.ifindex)));
            steps.extend(former.map(|hook| DeviceAction::Detach(*hook, link.ifindex)));
        }
        let addresses = match role {
            Some(Role::Uplink(domain_id)) => uplinks.get(domain_id).copied().unwrap_or_default(),
            _ => &[],
        };
        if matches!(role, Some(Role::Uplink(_))) {
            let ipv6 = addresses.iter().any(|net| net.addr().is_ipv6());
            steps.extend(sysctl::of_uplink(&link.name, ipv6).into_iter().filter(seen.unset).map(DeviceAction::Set));
        }
        steps.extend(addresses_of(link, addresses));
        let up = match role {
            Some(Role::Workload(interface_id)) => seen.may_come_up.contains(interface_id),
            Some(Role::Uplink(_)) => true,
            // The overlay device was set up as it was made; all others are not ours to set.
            _ => false,
        };
        if up && !link.up {
            steps.push(DeviceAction::SetUp(link.name.clone()));
        }
    }
    steps
}

fn addresses_of(link: &Link, wanted: &[IpNet]) -> Vec<DeviceAction> {
    let held: BTreeMap<IpNet, bool> = link.addresses.iter().map(|address| (address.net, address.ours)).collect();
    let surplus = held.iter().filter(|(net, ours)| **ours && !wanted.contains(net));
    let missing = wanted.iter().filter(|net| !held.contains_key(net));
    surplus
        .map(|(net, _)| DeviceAction::RemoveAddress(link.name.clone(), *net))
        .chain(missing.map(|net| DeviceAction::AddAddress(link.name.clone(), *net)))
        .collect()
}

/// `None`: not ours to touch.
fn hooks(role: Option<&Role>, ownership: &Ownership) -> Option<&'static [Hook]> {
    match role {
        Some(role) => Some(hooks_of(*role)),
        None if ownership.dedicated => Some(hooks_of(Role::Workload(0))),
        None => None,
    }
}

fn hooks_of(role: Role) -> &'static [Hook] {
    match role {
        Role::Workload(_) => &[Hook::FromWorkload, Hook::ToWorkload],
        Role::Overlay => &[Hook::FromOverlay],
        Role::Uplink(_) => &[Hook::FromUplink, Hook::ToUplink],
        Role::Host => &[],
    }
}

/// Whether the programs of its role run on a device.
pub fn is_enforced(role: Role, ifindex: u32, attached: &BTreeSet<(Hook, u32)>) -> bool {
    hooks_of(role).iter().all(|hook| attached.contains(&(*hook, ifindex)))
}

/// `*` stands for any run of characters, `?` for one.
fn glob(pattern: &str, name: &str) -> bool {
    let mut rest = pattern.chars();
    match rest.next() {
        None => name.is_empty(),
        Some('*') => name
            .char_indices()
            .map(|(place, _)| place)
            .chain([name.len()])
            .any(|place| glob(rest.as_str(), &name[place..])),
        Some(wanted) => {
            let mut letters = name.chars();
            letters.next().is_some_and(|letter| wanted == '?' || wanted == letter)
                && glob(rest.as_str(), letters.as_str())
        }
    }
}
