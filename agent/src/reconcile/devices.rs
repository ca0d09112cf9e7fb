//! Devices: what each should be, and the steps there. Pure.
//!
//! A device is closed before it is opened: programs first, then settings, then addresses, and up last.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
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

/// The devices of this host.
#[derive(Clone, Copy, Debug)]
pub struct Around<'a> {
    /// By name.
    pub links: &'a BTreeMap<String, Link>,
    /// Those that bear an underlay address, or bore one.
    pub underlay: &'a BTreeSet<u32>,
    /// Those on which programs of ours run, but for a machine's NICs.
    pub bound: &'a BTreeSet<u32>,
    /// That by which the host reaches its controller; 0: unknown.
    pub toward_controller: u32,
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
    /// Devices of domains of which no state is here: they stay as they are.
    pub kept: &'a BTreeSet<u32>,
    /// Somebody rescued this machine: nothing runs on its NICs.
    pub rescued: bool,
}

impl fmt::Display for DeviceAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Attach(hook, ifindex) => write!(f, "attach {hook} to device {ifindex}"),
            Self::Detach(hook, ifindex) => write!(f, "detach {hook} from device {ifindex}"),
            Self::Set(setting) => write!(f, "set {} to {}", setting.path().display(), setting.value()),
            Self::AddAddress(name, net) => write!(f, "add address {net} to {name}"),
            Self::RemoveAddress(name, net) => write!(f, "remove address {net} from {name}"),
            Self::SetUp(name) => write!(f, "set {name} up"),
        }
    }
}

impl Ownership {
    /// Names of devices that no bundle may claim: losing one would cut the host off.
    pub fn reserved(&self, around: &Around<'_>) -> BTreeSet<String> {
        let keeps = |link: &&Link| {
            link.name == "lo"
                || around.underlay.contains(&link.ifindex)
                || link.ifindex == around.toward_controller
                || self.dedicated && is_of_workloads(link) && self.trusts(link)
        };
        around.links.values().filter(keeps).map(|link| link.name.clone()).collect()
    }

    fn trusts(&self, link: &Link) -> bool {
        self.trusted.iter().any(|pattern| glob(pattern, &link.name))
    }

    /// Whether a device is the host's own, so that the guard lets it through. One that was a workload's or an uplink's is
    /// not, whatever its kind: what is behind it has not changed with the objects.
    fn owns(&self, link: &Link, around: &Around<'_>) -> bool {
        let of_hosts = !is_of_workloads(link) && !around.bound.contains(&link.ifindex);
        of_hosts || around.underlay.contains(&link.ifindex) || self.trusts(link)
    }
}

fn is_of_workloads(link: &Link) -> bool {
    matches!(link.kind, LinkKind::Veth | LinkKind::Tun)
}

/// Devices of a kind that hosts have which stay closed, since they were a workload's or an uplink's.
pub fn former(roles: &BTreeMap<u32, Role>, around: &Around<'_>) -> BTreeSet<u32> {
    let links = around.links.values().filter(|link| !is_of_workloads(link));
    let former = links.filter(|link| around.bound.contains(&link.ifindex) && !roles.contains_key(&link.ifindex));
    former.map(|link| link.ifindex).collect()
}

/// This host, for lowering.
pub fn site(host: &str, underlay: &[IpAddr], overlay: (u32, u32), around: &Around<'_>, ownership: &Ownership) -> Site {
    let (overlay_ifindex, overlay_mtu) = overlay;
    let links = around.links;
    let own = links.values().filter(|link| ownership.dedicated && ownership.owns(link, around));
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
        ..Site::default()
    }
}

/// Steps that close: programs on every device with a role, and on unknown ones of a host that is given over to us.
/// They come before a device is known in the maps, where its programs deny everything; but for a machine's NIC, which was
/// open as long as nothing was known of it, and must not lose what policy will allow.
pub fn close(roles: &BTreeMap<u32, Role>, ownership: &Ownership, seen: &Seen<'_>) -> Vec<DeviceAction> {
    let mut steps = Vec::new();
    for link in seen.links.values().filter(|link| !seen.kept.contains(&link.ifindex)) {
        let role = roles.get(&link.ifindex);
        let Some(wanted) = hooks(role, ownership) else { continue };
        let missing = wanted.iter().filter(|hook| !seen.attached.contains(&(**hook, link.ifindex)));
        steps.extend(missing.map(|hook| DeviceAction::Attach(*hook, link.ifindex)));
        if role.is_none() || matches!(role, Some(Role::Workload(_))) {
            steps.extend(sysctl::of_workload(&link.name).into_iter().filter(seen.unset).map(DeviceAction::Set));
        }
    }
    // What goes out of a device must have come in by a program: all that mark come before any that asks for the mark.
    steps.sort_by_key(|step| match step {
        DeviceAction::Attach(hook, _) => u8::from(*hook == Hook::ToWorkload || *hook == Hook::ToUplink),
        _ => 2,
    });
    steps
}

/// Steps that open what is enforced by now: addresses, up, and programs of a former role taken away; and those that close
/// a machine's NIC, of which nothing else is ever touched. A device whose programs could not be attached is left as it is.
pub fn open(bundles: &[&Bundle], roles: &BTreeMap<u32, Role>, seen: &Seen<'_>) -> Vec<DeviceAction> {
    let uplinks: BTreeMap<u32, &[IpNet]> = bundles
        .iter()
        .filter_map(|bundle| Some((bundle.domain_id, bundle.topology.uplink.as_ref()?.addresses.as_slice())))
        .collect();
    let mut steps = Vec::new();
    for link in seen.links.values().filter(|link| !seen.kept.contains(&link.ifindex)) {
        let role = roles.get(&link.ifindex);
        steps.extend(of_nic(role, link.ifindex, seen));
        if let Some(role) = role {
            let wanted = hooks_of(*role);
            let former = Hook::ALL.iter().filter(|hook| !wanted.contains(hook) && !Hook::OF_NICS.contains(hook));
            let former = former.filter(|hook| seen.attached.contains(&(**hook, link.ifindex)));
            steps.extend(former.map(|hook| DeviceAction::Detach(*hook, link.ifindex)));
        }
        let enforced = role.filter(|role| is_enforced(**role, link.ifindex, seen.attached));
        let mut up = false;
        let mut addresses: &[IpNet] = &[];
        match enforced {
            Some(Role::Uplink(domain_id)) => {
                addresses = uplinks.get(domain_id).copied().unwrap_or_default();
                let ipv6 = addresses.iter().any(|net| net.addr().is_ipv6());
                let settings = sysctl::of_uplink(&link.name, ipv6);
                steps.extend(settings.into_iter().filter(seen.unset).map(DeviceAction::Set));
                up = true;
            }
            Some(Role::Workload(interface_id)) => up = seen.may_come_up.contains(interface_id),
            // The overlay device was set up as it was made; all others are not ours to set.
            _ => {}
        }
        steps.extend(addresses_of(link, addresses));
        if up && !link.up {
            steps.push(DeviceAction::SetUp(link.name.clone()));
        }
    }
    steps
}

/// Programs put on a NIC, and taken off one that is no workload's any more or is rescued: the machine needs it.
fn of_nic(role: Option<&Role>, ifindex: u32, seen: &Seen<'_>) -> Vec<DeviceAction> {
    let runs = |hook: &Hook| seen.attached.contains(&(*hook, ifindex));
    if matches!(role, Some(Role::Nic(_))) && !seen.rescued {
        let missing = Hook::OF_NICS.into_iter().filter(|hook| !runs(hook));
        return missing.map(|hook| DeviceAction::Attach(hook, ifindex)).collect();
    }
    Hook::OF_NICS.into_iter().filter(runs).map(|hook| DeviceAction::Detach(hook, ifindex)).collect()
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

/// What closes a device; `None`: not ours to touch, or not yet.
fn hooks(role: Option<&Role>, ownership: &Ownership) -> Option<&'static [Hook]> {
    match role {
        Some(Role::Nic(_)) => None,
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
        Role::Nic(_) => &Hook::OF_NICS,
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ringfence_policy::bundle::{CompiledUplink, Topology};

    use super::*;
    use crate::netlink::Address;

    fn link(ifindex: u32, name: &str, kind: LinkKind) -> (String, Link) {
        (
            name.to_owned(),
            Link {
                ifindex,
                name: name.to_owned(),
                kind,
                up: false,
                mtu: 1500,
                mac: [0; 6],
                addresses: Vec::new(),
                lower: None,
                master: None,
            },
        )
    }

    fn dedicated() -> Ownership {
        Ownership { dedicated: true, trusted: vec!["mgmt*".to_owned()] }
    }

    fn attach(ifindex: u32) -> [DeviceAction; 2] {
        [Hook::FromWorkload, Hook::ToWorkload].map(|hook| DeviceAction::Attach(hook, ifindex))
    }

    /// Everything is set, nothing attached.
    fn seen<'a>(
        links: &'a BTreeMap<String, Link>,
        attached: &'a BTreeSet<(Hook, u32)>,
        may_come_up: &'a BTreeSet<u32>,
    ) -> Seen<'a> {
        Seen { links, attached, unset: |_| false, may_come_up, kept: &NONE, rescued: false }
    }

    static NONE: BTreeSet<u32> = BTreeSet::new();

    #[test]
    fn an_unknown_veth_is_closed_where_the_host_is_given_over_and_left_alone_elsewhere() {
        let links = BTreeMap::from([link(2, "veth1", LinkKind::Veth)]);
        let none = (BTreeSet::new(), BTreeSet::new());
        let seen = seen(&links, &none.0, &none.1);
        assert_eq!(close(&BTreeMap::new(), &dedicated(), &seen), attach(2));
        assert_eq!(close(&BTreeMap::new(), &Ownership::default(), &seen), []);
        assert_eq!(open(&[], &BTreeMap::new(), &seen), []);
    }

    #[test]
    fn the_hosts_own_devices_are_nics_trusted_ones_and_those_of_the_underlay() {
        let links = BTreeMap::from([
            link(1, "lo", LinkKind::Other),
            link(2, "veth1", LinkKind::Veth),
            link(3, "mgmt0", LinkKind::Tun),
            link(4, "under", LinkKind::Veth),
            // Of a domain that is gone.
            link(5, "uplink", LinkKind::Other),
        ]);
        let around = Around {
            links: &links,
            underlay: &BTreeSet::from([4]),
            bound: &BTreeSet::from([4, 5]),
            toward_controller: 0,
        };
        let own = |ownership: &Ownership| site("h1", &[], (9, 1450), &around, ownership).own;
        assert_eq!(own(&dedicated()), [1, 3, 4]);
        assert_eq!(own(&Ownership::default()), Vec::<u32>::new());
        assert_eq!(former(&BTreeMap::new(), &around), BTreeSet::from([5]));
        assert_eq!(former(&BTreeMap::from([(5, Role::Uplink(1))]), &around), BTreeSet::new());
    }

    #[test]
    fn devices_that_keep_the_host_reachable_are_reserved() {
        let links = BTreeMap::from([
            link(1, "lo", LinkKind::Other),
            link(2, "eth0", LinkKind::Other),
            link(3, "mgmt0", LinkKind::Veth),
            link(4, "under", LinkKind::Veth),
            link(5, "web-1", LinkKind::Veth),
        ]);
        let around =
            Around { links: &links, underlay: &BTreeSet::from([4]), bound: &BTreeSet::new(), toward_controller: 2 };
        let reserved = |ownership: &Ownership| ownership.reserved(&around).into_iter().collect::<Vec<_>>();
        assert_eq!(reserved(&dedicated()), ["eth0", "lo", "mgmt0", "under"]);
        assert_eq!(reserved(&Ownership::default()), ["eth0", "lo", "under"]);
    }

    #[test]
    fn a_workload_device_comes_up_only_when_it_may() {
        let links = BTreeMap::from([link(2, "tap1", LinkKind::Tun)]);
        let roles = BTreeMap::from([(2, Role::Workload(7))]);
        let attached = BTreeSet::from([(Hook::FromWorkload, 2), (Hook::ToWorkload, 2)]);
        let (admitted, none) = (BTreeSet::from([7]), BTreeSet::new());
        assert_eq!(open(&[], &roles, &seen(&links, &attached, &none)), []);
        assert_eq!(open(&[], &roles, &seen(&links, &attached, &admitted)), [DeviceAction::SetUp("tap1".to_owned())]);
    }

    #[test]
    fn a_nic_gets_its_programs_once_the_maps_know_it_and_nothing_else() {
        let links = BTreeMap::from([link(2, "eno1", LinkKind::Other), link(3, "eno2", LinkKind::Veth)]);
        let roles = BTreeMap::from([(2, Role::Nic(7)), (3, Role::Nic(8))]);
        let none = (BTreeSet::new(), BTreeSet::new());
        let unset = Seen { unset: |_| true, ..seen(&links, &none.0, &none.1) };
        assert_eq!(close(&roles, &dedicated(), &unset), []);
        let attach =
            |ifindex| [DeviceAction::Attach(Hook::FromHost, ifindex), DeviceAction::Attach(Hook::ToHost, ifindex)];
        assert_eq!(open(&[], &roles, &unset), [attach(2), attach(3)].concat());
    }

    #[test]
    fn a_nic_that_is_no_workloads_any_more_or_is_rescued_is_the_machines_again() {
        let links = BTreeMap::from([link(2, "eno1", LinkKind::Other)]);
        let attached = Hook::OF_NICS.map(|hook| (hook, 2)).into();
        let none = BTreeSet::new();
        let detach = Hook::OF_NICS.map(|hook| DeviceAction::Detach(hook, 2));
        let kept = seen(&links, &attached, &none);
        for role in [None, Some(Role::Host)] {
            let roles: BTreeMap<u32, Role> = role.map(|role| (2, role)).into_iter().collect();
            assert_eq!(open(&[], &roles, &kept), detach);
        }
        let roles = BTreeMap::from([(2, Role::Nic(7))]);
        assert_eq!(open(&[], &roles, &kept), []);
        let rescued = Seen { rescued: true, ..seen(&links, &attached, &none) };
        assert_eq!(open(&[], &roles, &rescued), detach);
        let off = Seen { attached: &BTreeSet::new(), ..rescued };
        assert_eq!(open(&[], &roles, &off), []);
    }

    #[test]
    fn a_device_that_lacks_a_program_stays_down() {
        let links = BTreeMap::from([link(2, "tap1", LinkKind::Tun), link(3, "out", LinkKind::Other)]);
        let roles = BTreeMap::from([(2, Role::Workload(7)), (3, Role::Uplink(1))]);
        let attached = BTreeSet::from([(Hook::FromWorkload, 2), (Hook::ToUplink, 3)]);
        assert_eq!(open(&[], &roles, &seen(&links, &attached, &BTreeSet::from([7]))), []);
    }

    #[test]
    fn an_uplink_gets_its_addresses_and_loses_only_ours() {
        let mut links = BTreeMap::from([link(2, "out", LinkKind::Veth)]);
        let address = |text: &str, ours| Address { net: text.parse().unwrap(), ours };
        let device = links.get_mut("out").unwrap();
        device.up = true;
        device.addresses = vec![address("198.51.100.9/24", true), address("203.0.113.1/24", false)];
        let wanted: IpNet = "198.51.100.2/24".parse().unwrap();
        let uplink = CompiledUplink {
            host: "h1".to_owned(),
            device: "out".to_owned(),
            addresses: vec![wanted],
            next_hops: Vec::new(),
        };
        let topology = Topology { uplink: Some(uplink), ..Topology::default() };
        let bundle = Bundle { domain_id: 1, topology: topology.into(), ..Bundle::default() };
        let attached = BTreeSet::from([(Hook::FromUplink, 2), (Hook::ToUplink, 2)]);
        let none = BTreeSet::new();
        let roles = BTreeMap::from([(2, Role::Uplink(1))]);
        let steps = open(&[&bundle], &roles, &seen(&links, &attached, &none));
        let out = || "out".to_owned();
        let removed = DeviceAction::RemoveAddress(out(), "198.51.100.9/24".parse().unwrap());
        assert_eq!(steps, [removed, DeviceAction::AddAddress(out(), wanted)]);
        // Once it is an uplink no longer, ours go and the device stays closed.
        let gone = open(&[], &BTreeMap::new(), &seen(&links, &attached, &none));
        assert_eq!(gone, [DeviceAction::RemoveAddress(out(), "198.51.100.9/24".parse().unwrap())]);
        // Of a domain of which only the programs know by now nothing is touched.
        let kept = BTreeSet::from([2]);
        assert_eq!(close(&BTreeMap::new(), &dedicated(), &Seen { kept: &kept, ..seen(&links, &attached, &none) }), []);
        assert_eq!(open(&[], &BTreeMap::new(), &Seen { kept: &kept, ..seen(&links, &attached, &none) }), []);
    }

    #[test]
    fn a_detached_program_is_put_back_and_one_of_a_former_role_taken_away() {
        let links = BTreeMap::from([link(2, "tap1", LinkKind::Tun)]);
        let roles = BTreeMap::from([(2, Role::Workload(7))]);
        let none = BTreeSet::new();
        let attached = BTreeSet::from([(Hook::ToWorkload, 2), (Hook::FromUplink, 2)]);
        let seen = seen(&links, &attached, &none);
        assert_eq!(close(&roles, &dedicated(), &seen), [DeviceAction::Attach(Hook::FromWorkload, 2)]);
        assert_eq!(open(&[], &roles, &seen), [DeviceAction::Detach(Hook::FromUplink, 2)]);
    }

    #[test]
    fn a_pattern_matches_the_whole_name() {
        for (pattern, name, fits) in [
            ("mgmt*", "mgmt0", true),
            ("*", "", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("a*b*c", "axbyc", true),
            ("a", "ab", false),
        ] {
            assert_eq!(glob(pattern, name), fits, "{pattern} {name}");
        }
    }

    #[test]
    fn a_step_reads_as_a_sentence() {
        let set = DeviceAction::Set(sysctl::of_workload("tap0").remove(0));
        assert_eq!(set.to_string(), "set /proc/sys/net/ipv6/conf/tap0/disable_ipv6 to 1");
        assert_eq!(attach(7)[0].to_string(), "attach from_workload to device 7");
    }
}
