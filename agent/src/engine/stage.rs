//! A bundle as one host would have it that runs every workload and the uplink.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ipnet::IpNet;
use ringfence_policy::{
    bundle::{Bundle, CompiledHost, CompiledUplink},
    evaluate::{Decision, End, Flow, Verdict, Vote},
    model::{DEFAULT_ALLOW, DEFAULT_DENY},
};

use super::{
    GATEWAY_MAC,
    frame::Packet,
    raw::{self, FAR},
};
use crate::{
    bpf::{
        Hook, Run,
        consts::{
            RF_ALLOW_FROM, RF_ALLOW_TO, RF_LOG_FROM, RF_LOG_TO, RF_SHADOW_FROM, RF_SHADOW_TO, RF_STATEFUL_FROM,
            RF_STATEFUL_TO,
        },
    },
    lower::{LinkRef, Site, image::Image},
};

/// The host.
const HERE: &str = "here";
/// Its way out.
const UPLINK: &str = "uplink";
/// Number of the uplink's device; the interfaces' follow. 1 is the loopback device.
pub(super) const UPLINK_IFINDEX: u32 = 2;
/// Number of the VXLAN device, beyond those of interfaces.
pub(super) const OVERLAY_IFINDEX: u32 = 4000;
/// Bytes of L3 of every device.
const MTU: u32 = 1500;
/// What a host-side device of the engine has: all of them are the loopback device.
pub const DEVICE_MAC: [u8; 6] = [0; 6];
/// Of who sends by the uplink.
const NEXT_HOP_MAC: [u8; 6] = [0x02, 0xee, 0, 0, 0, 1];

/// The host, what it runs, and whose an address is.
#[derive(Debug)]
pub(super) struct Stage {
    bundle: Bundle,
    site: Site,
    own: BTreeMap<IpAddr, usize>,
    gateways: BTreeSet<IpAddr>,
    /// Prefix, its place among the interfaces, its MAC address.
    pairs: Vec<(IpNet, usize, [u8; 6])>,
    /// Name, stateful, log, by id.
    rules: BTreeMap<u32, (String, bool, bool)>,
}

/// Where a packet comes in, and with which addresses below IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The program.
    pub(crate) hook: Hook,
    /// The device's number on the stage.
    pub(crate) ifindex: u32,
    /// Of the frame.
    pub(crate) src_mac: [u8; 6],
    /// Of the frame.
    pub(crate) dst_mac: [u8; 6],
}

impl Stage {
    /// One host that runs every workload and has the uplink.
    pub(super) fn new(bundle: &Bundle) -> Self {
        let mut bundle = bundle.clone();
        let mut links = BTreeMap::from([(UPLINK.to_owned(), LinkRef { ifindex: UPLINK_IFINDEX, mtu: MTU })]);
        bundle.topology.hosts.clear();
        bundle.topology.uplink = Some(uplink());
        for (interface, ifindex) in bundle.interfaces.iter_mut().zip(UPLINK_IFINDEX + 1..) {
            interface.host = HERE.to_owned();
            interface.device = format!("i{}", interface.id);
            links.insert(interface.device.clone(), LinkRef { ifindex, mtu: MTU });
        }
        let site = Site { host: HERE.to_owned(), overlay_mtu: MTU, links, ..Site::default() };
        Self::over(bundle, site)
    }

    /// One of the hosts that the bundle names, with the uplink; whatever lives on another is at one address.
    pub(super) fn on(bundle: &Bundle, host: &str) -> Self {
        let mut bundle = bundle.clone();
        let mut links = BTreeMap::from([(UPLINK.to_owned(), LinkRef { ifindex: UPLINK_IFINDEX, mtu: MTU })]);
        let away = bundle.interfaces.iter().map(|it| it.host.clone()).filter(|other| other != host);
        let away: BTreeSet<String> = away.collect();
        let away = away.into_iter().map(|name| CompiledHost { name, underlay: vec![FAR] });
        bundle.topology.hosts =
            [CompiledHost { name: host.to_owned(), underlay: vec![raw::HERE] }].into_iter().chain(away).collect();
        bundle.topology.uplink = Some(CompiledUplink { host: host.to_owned(), ..uplink() });
        for (interface, ifindex) in bundle.interfaces.iter_mut().zip(UPLINK_IFINDEX + 1..) {
            interface.device = format!("i{}", interface.id);
            if interface.host == host {
                links.insert(interface.device.clone(), LinkRef { ifindex, mtu: MTU });
            }
        }
        let host = host.to_owned();
        let underlay = vec![raw::HERE];
        let site =
            Site { host, underlay, overlay_mtu: MTU, overlay_ifindex: OVERLAY_IFINDEX, links, ..Site::default() };
        Self::over(bundle, site)
    }

    /// The device of an interface that runs here.
    pub(super) fn ifindex(&self, interface: u32) -> Option<u32> {
        let interface = self.bundle.interfaces.iter().find(|it| it.id == interface)?;
        Some(self.site.links.get(&interface.device)?.ifindex)
    }

    /// The interface behind a device.
    pub(super) fn interface(&self, ifindex: u32) -> Option<u32> {
        let place = usize::try_from(ifindex.checked_sub(UPLINK_IFINDEX + 1)?).ok()?;
        self.bundle.interfaces.get(place).map(|interface| interface.id)
    }

    /// The bundle as it is, on one of its hosts.
    pub(super) fn over(bundle: Bundle, site: Site) -> Self {
        let subnets = bundle.topology.networks.iter().flat_map(|network| &network.subnets);
        let gateways = subnets.map(|subnet| subnet.gateway).collect();
        let numbered = || bundle.interfaces.iter().enumerate();
        let own = numbered().flat_map(|(place, i)| i.addresses.iter().map(move |(address, _)| (*address, place)));
        let pairs = numbered().flat_map(|(place, i)| i.pairs.iter().map(move |pair| (pair.prefix, place, pair.mac)));
        let rules = bundle.policy.rules.iter().skip(1);
        let rules = rules.map(|rule| (rule.id, (rule.name.clone(), !rule.stateless, rule.log))).collect();
        let (own, pairs) = (own.collect(), pairs.collect());
        Self { bundle, site, own, gateways, pairs, rules }
    }

    /// Whether the host has a workload at an end, or the uplink beyond which the end is.
    pub(super) fn has(&self, end: End) -> bool {
        match self.owner(end) {
            Some((place, _)) => self.bundle.interfaces.get(place).is_some_and(|it| it.host == self.site.host),
            None if end == End::Host => false,
            None => self.bundle.topology.uplink.as_ref().is_some_and(|uplink| uplink.host == self.site.host),
        }
    }

    pub(super) fn bundle(&self) -> &Bundle {
        &self.bundle
    }

    pub(super) fn site(&self) -> &Site {
        &self.site
    }

    /// The interface whose an end is, and the MAC address it uses there.
    pub(super) fn owner(&self, end: End) -> Option<(usize, [u8; 6])> {
        let End::Address(address) = end else { return None };
        if self.gateways.contains(&address) {
            return None;
        }
        if let Some(place) = self.own.get(&address) {
            return Some((*place, self.bundle.interfaces.get(*place)?.mac));
        }
        let holding = self.pairs.iter().filter(|(prefix, ..)| !is_group(address) && prefix.contains(&address));
        holding.max_by_key(|(prefix, ..)| prefix.prefix_len()).map(|(_, place, mac)| (*place, *mac))
    }

    /// Where a packet enters: by its source's device; from the host, by that of who is asked; else by the uplink.
    pub(super) fn entry(&self, packet: &Packet) -> Option<Entry> {
        let device = |(place, mac): (usize, [u8; 6])| {
            let is_nic = self.bundle.interfaces.get(place)?.bare_metal;
            Some((u32::try_from(place).ok()? + UPLINK_IFINDEX + 1, mac, is_nic))
        };
        if let Some((ifindex, src_mac, is_nic)) = self.owner(packet.source).and_then(device) {
            let hook = if is_nic { Hook::FromHost } else { Hook::FromWorkload };
            let dst_mac = if packet.destination == End::Host { DEVICE_MAC } else { GATEWAY_MAC };
            return Some(Entry { hook, ifindex, src_mac, dst_mac });
        }
        let (ifindex, dst_mac, is_nic) = self.owner(packet.destination).and_then(device)?;
        Some(match packet.source {
            // A machine has no host but itself.
            End::Host if is_nic => return None,
            End::Address(_) if is_nic => {
                Entry { hook: Hook::ToHost, ifindex, src_mac: NEXT_HOP_MAC, dst_mac: DEVICE_MAC }
            }
            End::Host => Entry { hook: Hook::ToWorkload, ifindex, src_mac: DEVICE_MAC, dst_mac },
            End::Address(_) => {
                Entry { hook: Hook::FromUplink, ifindex: UPLINK_IFINDEX, src_mac: NEXT_HOP_MAC, dst_mac: DEVICE_MAC }
            }
        })
    }

    /// Whether the side of the source and that of the destination vote.
    pub(super) fn votes(&self, flow: &Flow) -> [bool; 2] {
        [flow.source, flow.destination].map(|end| self.owner(end).is_some())
    }

    /// What maps say of a flow.
    pub(super) fn judge(&self, image: &Image, flow: &Flow) -> Verdict {
        self.verdict(&image.judge(self.bundle.domain_id, flow).run, self.votes(flow))
    }

    /// What a run says, in the words of the definition, given which sides vote.
    pub(super) fn verdict(&self, run: &Run, [from, to]: [bool; 2]) -> Verdict {
        let bit = |of: u8, bit: u32| u32::from(of) & bit != 0;
        let vote = |bits: [u32; 4], rule: u32, shadow_rule: u32| {
            let [allow, shadow, stateful, log] = bits;
            let allows = bit(run.verdict, allow);
            // A pair without a row has no notes; what denies it is the default, which is stateful.
            let stateful = bit(run.notes, stateful) || !allows && rule == 0;
            let enforced = Decision { allows, stateful, log: bit(run.notes, log), rule: self.rule(rule).0 };
            // Notes are of the enforced rule alone.
            let (rule, stateful, log) = self.rule(shadow_rule);
            Vote { enforced, shadow: Decision { allows: bit(run.verdict, shadow), rule, stateful, log } }
        };
        let from_bits = [RF_ALLOW_FROM, RF_SHADOW_FROM, RF_STATEFUL_FROM, RF_LOG_FROM];
        let to_bits = [RF_ALLOW_TO, RF_SHADOW_TO, RF_STATEFUL_TO, RF_LOG_TO];
        Verdict {
            from: from.then(|| vote(from_bits, run.from_rule, run.shadow_from_rule)),
            to: to.then(|| vote(to_bits, run.to_rule, run.shadow_to_rule)),
        }
    }

    /// Name, statefulness and log of a rule as the programs know it; 0 is the default.
    fn rule(&self, id: u32) -> (String, bool, bool) {
        let default = if self.bundle.policy.default_allows { DEFAULT_ALLOW } else { DEFAULT_DENY };
        match (id, self.rules.get(&id)) {
            (0, _) => (default.to_owned(), true, false),
            (_, Some(rule)) => rule.clone(),
            (_, None) => (format!("rule {id}, which the bundle lacks"), true, false),
        }
    }
}

/// One of both families: where a packet goes once it may is not what is asked.
fn uplink() -> CompiledUplink {
    let v4 = |last| IpAddr::from([192, 0, 2, last]);
    let v6 = |last| IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, last]);
    CompiledUplink {
        host: HERE.to_owned(),
        device: UPLINK.to_owned(),
        addresses: vec![IpNet::from(v4(2)), IpNet::from(v6(2))],
        next_hops: vec![v4(1), v6(1)],
    }
}

/// Multicast, or broadcast.
fn is_group(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast(),
        IpAddr::V6(v6) => v6.is_multicast(),
    }
}
