//! What the programs do before policy is asked, or after it allowed, from the words of docs/DROPS.md: kept apart from the
//! programs, so that a packet which never meets policy is expected, not excused.

use std::net::IpAddr;

use ringfence_agent::bpf::Reason;
use ringfence_policy::evaluate::{End, Flow, Traffic, Verdict};

use crate::ground::Ground;

/// What becomes of a packet that policy does not decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Instead {
    /// One of these reasons.
    Dropped(&'static [Reason]),
    /// A gateway answers.
    Answered,
}

/// What is expected of the first packet of a flow of which at least one end votes; `None`: policy decides.
pub fn instead_of_policy(ground: &Ground, flow: &Flow, verdict: &Verdict) -> Option<Instead> {
    let instead = by_reason(ground, flow, verdict)?;
    // What the host's stack sends is dropped for one reason, which is policy's, too.
    let of_host = flow.source == End::Host;
    let by_policy = is_stray(flow.traffic) && !verdict.allows();
    match instead {
        Instead::Dropped(_) if of_host && by_policy => None,
        Instead::Dropped(_) if of_host => Some(Instead::Dropped(&[Reason::FromHost])),
        other => Some(other),
    }
}

fn by_reason(ground: &Ground, flow: &Flow, verdict: &Verdict) -> Option<Instead> {
    let addresses = [flow.source, flow.destination].map(|end| match end {
        End::Address(address) => Some(address),
        End::Host => None,
    });
    let v6 = addresses.iter().flatten().any(IpAddr::is_ipv6);
    if addresses.iter().flatten().any(|address| is_martian(*address)) {
        return Some(Instead::Dropped(&[Reason::Martian]));
    }
    if let Some(reasons) = malformed(flow.traffic, v6) {
        return Some(Instead::Dropped(reasons));
    }
    let [source, destination] = addresses;
    if destination.is_some_and(is_not_unicast) {
        return Some(Instead::Dropped(&[Reason::Multicast]));
    }
    if addresses.iter().flatten().any(is_link_local) {
        return Some(Instead::Dropped(&[Reason::LinkLocal]));
    }
    let nobodys = |address: IpAddr| ground.subnet(address).is_some() || ground.is_gateway(address);
    if verdict.from.is_none() && source.is_some_and(|source| is_not_unicast(source) || nobodys(source)) {
        return Some(Instead::Dropped(&[Reason::Spoofed]));
    }
    if verdict.to.is_none()
        && let Some(destination) = destination
    {
        if ground.is_gateway(destination) {
            return Some(if is_echo_request(flow.traffic) {
                Instead::Answered
            } else {
                Instead::Dropped(&[Reason::GatewayService])
            });
        }
        if ground.subnet(destination).is_some() {
            return Some(Instead::Dropped(&[Reason::NoRoute]));
        }
    }
    // Without a connection an echo reply passes only where nobody wants one, and an error, which is about another flow,
    // where it is allowed.
    let stray = is_icmp_error(flow.traffic) && !verdict.allows()
        || is_echo_reply(flow.traffic) && (!verdict.allows() || verdict.is_tracked());
    stray.then_some(Instead::Dropped(&[Reason::NoConnection]))
}

/// Whether it is what answers an echo request. With another code than 0 neither is an echo.
pub fn is_echo_reply(traffic: Traffic) -> bool {
    matches!(traffic, Traffic::Icmp(0, 0) | Traffic::Icmp6(129, 0))
}

/// Whether it opens nothing.
fn is_stray(traffic: Traffic) -> bool {
    is_icmp_error(traffic) || is_echo_reply(traffic)
}

fn is_echo_request(traffic: Traffic) -> bool {
    matches!(traffic, Traffic::Icmp(8, 0) | Traffic::Icmp6(128, 0))
}

fn is_icmp_error(traffic: Traffic) -> bool {
    matches!(traffic, Traffic::Icmp(3 | 11 | 12, _) | Traffic::Icmp6(1..=4, _))
}

fn malformed(traffic: Traffic, v6: bool) -> Option<&'static [Reason]> {
    match traffic {
        Traffic::Icmp(..) if v6 => Some(&[Reason::UnsupportedProtocol]),
        Traffic::Icmp6(..) if !v6 => Some(&[Reason::UnsupportedProtocol]),
        Traffic::Icmp6(133..=137, _) => Some(&[Reason::UnansweredNeighbour, Reason::ArpSender, Reason::Malformed]),
        Traffic::Other(0 | 43 | 44 | 51 | 60) if v6 => Some(&[Reason::ExtensionHeader]),
        _ => None,
    }
}

fn is_martian(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => matches!(v4.octets(), [0 | 127, ..]),
        IpAddr::V6(v6) => v6.is_loopback() || v6.to_ipv4_mapped().is_some(),
    }
}

/// As routers see it: class E is nobody's, either.
fn is_not_unicast(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => v4.octets()[0] >= 224,
        IpAddr::V6(v6) => v6.is_multicast() || v6.is_unspecified(),
    }
}

fn is_link_local(address: &IpAddr) -> bool {
    matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local())
}
