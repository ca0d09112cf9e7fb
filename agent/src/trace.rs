//! What this host's own programs would say of the first packet of a flow: which program sees it first, with which frame,
//! and what its decision means. Pure; [`Machine`](crate::reconcile) runs the dry build of the programs in between.

use std::{collections::BTreeMap, net::IpAddr};

use ringfence_policy::{
    bundle::{Bundle, CompiledInterface},
    evaluate::{End, Flow, Traffic},
};
use ringfence_proto::v1;

use crate::{
    bpf::{
        Action, Decision, Hook, Reason, TestContext,
        consts::{RF_ALLOW_FROM, RF_ALLOW_TO},
        from_be32,
    },
    engine::{
        Entry,
        frame::{self, Packet},
    },
    lower::image::Image,
    netlink::Link,
};

/// The port that questions come from.
const SOURCE_PORT: u16 = 40_000;
/// Who sends by an uplink's device; the programs do not look at it.
const NEXT_HOP_MAC: [u8; 6] = [0x02, 0, 0, 0, 0, 0xfe];

/// Why this host has no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unanswered {
    /// It does not take part in the domain.
    #[error("this host enforces no state of domain {0}; ask a host that runs one of its workloads, or its uplink's")]
    Domain(u32),
    /// The question is not well formed.
    #[error("{field}: {message}")]
    Question {
        /// Of the question.
        field: &'static str,
        /// What to send instead.
        message: &'static str,
    },
    /// Another host sees the packet first.
    #[error("its first packet is seen by host {host:?}, {why}; ask that one")]
    Elsewhere {
        /// Its name.
        host: String,
        /// Which end is there.
        why: String,
    },
    /// No host does.
    #[error("no program sees it: {0} is no interface's, and the domain has no uplink it could come in by")]
    Nowhere(String),
    /// A machine does not speak to itself by its NIC.
    #[error(
        "no program sees it: workload {0:?} is the host itself, and what a machine says to itself leaves by no device"
    )]
    Itself(String),
    /// The device is not there.
    #[error(
        "device {device:?} of {whose} is not on this host; start the workload, or name its device on the interface"
    )]
    Device {
        /// Its name.
        device: String,
        /// An interface, or the uplink.
        whose: String,
    },
    /// No packet stands for it.
    #[error("{0}")]
    Packet(String),
}

/// A frame for a program.
#[derive(Debug)]
pub(crate) struct Question {
    pub(crate) hook: Hook,
    pub(crate) frame: Vec<u8>,
    pub(crate) context: TestContext,
}

/// This host, as far as a packet's way in depends on it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Here<'a> {
    /// Its name.
    pub(crate) host: &'a str,
    /// Its devices by name.
    pub(crate) links: &'a BTreeMap<String, Link>,
    /// The MAC address of every gateway.
    pub(crate) gateway_mac: [u8; 6],
}

/// The flow that is asked about; an end without an address is the host's own stack.
pub(crate) fn flow(asked: Option<v1::TraceFlow>) -> Result<Flow, Unanswered> {
    let refused = |field, message| Unanswered::Question { field, message };
    let v1::TraceFlow { source, destination, protocol, number } = asked.ok_or(refused("flow", "is missing"))?;
    let number = u16::try_from(number).map_err(|_| refused("number", "is beyond 65535"))?;
    let [kind, code] = number.to_be_bytes();
    let traffic = match u8::try_from(protocol).map_err(|_| refused("protocol", "is beyond 255"))? {
        6 => Traffic::Tcp(number),
        17 => Traffic::Udp(number),
        132 => Traffic::Sctp(number),
        1 => Traffic::Icmp(kind, code),
        58 => Traffic::Icmp6(kind, code),
        other => Traffic::Other(other),
    };
    let wrong = "is neither 4 nor 16 bytes, nor none for the host's own stack";
    let source = end(&source).ok_or(refused("source", wrong))?;
    let destination = end(&destination).ok_or(refused("destination", wrong))?;
    Ok(Flow { source, destination, traffic })
}

fn end(bytes: &[u8]) -> Option<End> {
    match bytes.len() {
        0 => Some(End::Host),
        4 => <[u8; 4]>::try_from(bytes).ok().map(|octets| End::Address(octets.into())),
        16 => <[u8; 16]>::try_from(bytes).ok().map(|octets| End::Address(octets.into())),
        _ => None,
    }
}

/// The program that sees the flow's first packet, if that is on this host, and the packet.
pub(crate) fn question(bundle: &Bundle, flow: &Flow, here: Here<'_>) -> Result<Question, Unanswered> {
    let entry = entry(bundle, flow, here)?;
    let packet = Packet::opening(flow, SOURCE_PORT).map_err(|error| Unanswered::Packet(error.to_string()))?;
    let context = TestContext { ifindex: entry.ifindex, ..TestContext::default() };
    Ok(Question { hook: entry.hook, frame: frame::build(&packet, &entry), context })
}

fn entry(bundle: &Bundle, flow: &Flow, here: Here<'_>) -> Result<Entry, Unanswered> {
    let device = |name: &str, whose: String| {
        let link = here.links.get(name);
        link.ok_or_else(|| Unanswered::Device { device: name.to_owned(), whose })
    };
    let on_this_host = |interface: &CompiledInterface| {
        let whose = format!("interface {}/{}", interface.workload, interface.name);
        if interface.host == here.host {
            return device(&interface.device, whose);
        }
        Err(Unanswered::Elsewhere { host: interface.host.clone(), why: format!("which runs {whose}") })
    };
    if let Some((interface, src_mac)) = owner(bundle, flow.source) {
        let link = on_this_host(interface)?;
        let hook = if interface.bare_metal { Hook::FromHost } else { Hook::FromWorkload };
        let dst_mac = if flow.destination == End::Host { link.mac } else { here.gateway_mac };
        return Ok(Entry { hook, ifindex: link.ifindex, src_mac, dst_mac });
    }
    if let Some((interface, _)) = owner(bundle, flow.destination).filter(|(interface, _)| interface.bare_metal) {
        let End::Address(_) = flow.source else { return Err(Unanswered::Itself(interface.workload.clone())) };
        let link = on_this_host(interface)?;
        return Ok(Entry { hook: Hook::ToHost, ifindex: link.ifindex, src_mac: NEXT_HOP_MAC, dst_mac: link.mac });
    }
    let End::Address(_) = flow.source else {
        let (interface, dst_mac) = owner(bundle, flow.destination).ok_or_else(|| nowhere(flow.destination))?;
        let link = on_this_host(interface)?;
        return Ok(Entry { hook: Hook::ToWorkload, ifindex: link.ifindex, src_mac: link.mac, dst_mac });
    };
    match &bundle.topology.uplink {
        Some(uplink) if uplink.host == here.host => {
            let link = device(&uplink.device, "the uplink".to_owned())?;
            Ok(Entry { hook: Hook::FromUplink, ifindex: link.ifindex, src_mac: NEXT_HOP_MAC, dst_mac: link.mac })
        }
        Some(uplink) => {
            Err(Unanswered::Elsewhere { host: uplink.host.clone(), why: "which has the uplink".to_owned() })
        }
        None => Err(nowhere(flow.source)),
    }
}

fn nowhere(end: End) -> Unanswered {
    Unanswered::Nowhere(match end {
        End::Address(address) => address.to_string(),
        End::Host => "the host's own stack".to_owned(),
    })
}

/// Whose an address is, and the MAC address that is used with it.
fn owner(bundle: &Bundle, end: End) -> Option<(&CompiledInterface, [u8; 6])> {
    let End::Address(address) = end else { return None };
    let mut subnets = bundle.topology.networks.iter().flat_map(|network| &network.subnets);
    if subnets.any(|subnet| subnet.gateway == address) {
        return None;
    }
    let interfaces = || bundle.interfaces.iter().map(|interface| &**interface);
    let own = interfaces().find(|interface| interface.addresses.iter().any(|(own, _)| *own == address));
    own.map(|interface| (interface, interface.mac)).or_else(|| {
        let pairs = interfaces().flat_map(|interface| interface.pairs.iter().map(move |pair| (interface, pair)));
        let holding = pairs.filter(|(_, pair)| pair.prefix.contains(&address));
        holding.max_by_key(|(_, pair)| pair.prefix.prefix_len()).map(|(interface, pair)| (interface, pair.mac))
    })
}

/// What the program decided, in the words of the controller.
pub(crate) fn verdict(
    bundle: &Bundle,
    image: &Image,
    here: Here<'_>,
    hook: Hook,
    decision: &Decision,
) -> v1::LiveVerdict {
    let judged = decision.judged != 0;
    let name = |id: u32| {
        let rule = bundle.policy.rules.iter().skip(1).find(|rule| judged && rule.id == id);
        rule.map(|rule| rule.name.clone()).unwrap_or_default()
    };
    let reason = Reason::from_number(decision.reason);
    v1::LiveVerdict {
        generation: bundle.generation,
        hook: hook.to_string(),
        passes: decision.reason == 0,
        reason: reason.map(|reason| reason.name().to_owned()).unwrap_or_default(),
        judged,
        from_allows: decision.allows & RF_ALLOW_FROM != 0,
        to_allows: decision.allows & RF_ALLOW_TO != 0,
        from_rule: decision.from_rule,
        to_rule: decision.to_rule,
        from_rule_name: name(decision.from_rule),
        to_rule_name: name(decision.to_rule),
        target: if decision.reason == 0 { target(bundle, image, here, hook, decision) } else { String::new() },
    }
}

fn target(bundle: &Bundle, image: &Image, here: Here<'_>, hook: Hook, decision: &Decision) -> String {
    let device = || {
        let link = here.links.values().find(|link| link.ifindex == decision.ifindex);
        link.map_or_else(|| format!("device {}", decision.ifindex), |link| link.name.clone())
    };
    let host = || {
        let held = image.hosts.get(&decision.remote_host).copied().unwrap_or_default();
        let addresses = [IpAddr::V4(from_be32(held.v4)), IpAddr::from(held.v6)];
        let mut hosts = bundle.topology.hosts.iter();
        let found = hosts.find(|host| host.underlay.iter().any(|address| addresses.contains(address)));
        found.map_or_else(|| format!("host {}", decision.remote_host), |host| host.name.clone())
    };
    match decision.action {
        Action::RF_ACTION_DELIVER if hook == Hook::FromHost => format!("the network of {}", device()),
        Action::RF_ACTION_DELIVER if hook == Hook::ToHost => "the machine itself".to_owned(),
        Action::RF_ACTION_LOCAL | Action::RF_ACTION_DELIVER => format!("local {}", device()),
        Action::RF_ACTION_OVERLAY => format!("overlay {}", host()),
        Action::RF_ACTION_UPLINK => format!("uplink {}", device()),
        Action::RF_ACTION_ANSWER => "answered by the gateway".to_owned(),
        _ => "the host's own stack".to_owned(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;
