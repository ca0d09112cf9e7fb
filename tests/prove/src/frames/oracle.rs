//! What must never happen to a frame, from what it says ([`read`]), whose addresses are ([`Seats`]), what the definition
//! says ([`evaluate`]) and what passed before ([`Model`]).
//!
//! One-sided: the programs may be stricter, but for frames that are plainly valid ([`Oracle::must_pass`]).

use std::net::IpAddr;

use ringfence_agent::{
    bpf::Reason,
    engine::{
        DEVICE_MAC, GATEWAY_MAC,
        raw::{FAR, Sent, Target, Way},
    },
};
use ringfence_policy::evaluate::{End, evaluate, reply_passes};

use super::{
    answers,
    draft::ipv4_sum_holds,
    model::{First, Model, Opener},
    read::{Carried, ETHERNET, Frame, Packet, Says, read},
    seats::{Owner, Seats},
};
use crate::before::instead_of_policy;

/// What is wrong.
pub type Wrong = String;

/// Judges what became of frames.
#[derive(Debug)]
pub struct Oracle<'a> {
    /// Who sits where.
    pub seats: Seats<'a>,
    /// The moment.
    pub at: u64,
    /// What passed before.
    pub model: Model,
}

impl Oracle<'_> {
    /// Judges what became of a frame, and remembers what passed.
    ///
    /// # Errors
    /// What is wrong.
    pub fn check(&mut self, way: Way, frame: &[u8], sent: &Sent, plain: bool) -> Result<(), Wrong> {
        let target = match sent.went {
            Ok(target) => target,
            Err(None) => return Err("dropped without a reason".to_owned()),
            Err(Some(Reason::Internal)) => return Err("dropped for an internal reason".to_owned()),
            // Who has too many packets in parts under way is refused more, and others of its mutations did that.
            Err(Some(reason)) if plain && reason != Reason::FragmentBudget && self.must_pass(way, frame) => {
                return Err(format!("dropped as {}, and is plainly valid and allowed", reason.name()));
            }
            Err(Some(_)) if sent.told => return self.seats.check_told(way, frame, &sent.frame),
            Err(Some(_)) => return Ok(()),
        };
        let read = read(frame).map_err(|wrong| format!("passed, and is malformed: {wrong}"))?;
        let packet = match &read.carries {
            Carried::Ip(packet) if !answers::is_neighbour_discovery(packet) => packet,
            _ => return self.seats.check_neighbour(way, &read, target, &sent.frame),
        };
        if target == Target::Back {
            return self.seats.check_answer(way, &read, packet, &sent.frame);
        }
        self.check_source(way, &read, packet)?;
        let ends = self.ends(way, &read, packet, target)?;
        self.check_rewritten(way, frame, &read, target, &sent.frame)?;
        if !self.may_pass(way, packet, ends) {
            return Err(format!("passed to {target:?}, and nothing allows it: {packet:?}"));
        }
        self.remember(way, packet, ends);
        Ok(())
    }

    /// Whether the definition, a connection or a first fragment lets a packet pass.
    fn may_pass(&self, way: Way, packet: &Packet, ends: [End; 2]) -> bool {
        let Some(opener) = Opener::of(packet, ends) else {
            let offset = packet.fragment.map_or(0, |it| it.offset);
            let mut firsts = self.model.firsts_of(way, packet);
            return firsts.any(|first| offset >= first.judged && self.allows(&first.opener, first.stray));
        };
        match &packet.says {
            Says::Icmp { quote: Some(quote), .. } => {
                let quoted = Opener::quoted(&quote.says, [quote.src, quote.dst]);
                let mut flows = self
                    .model
                    .flows_of(&quoted)
                    .filter(|(flow, _)| evaluate(&self.seats.ground.domain, &flow.flow(), self.at).allows());
                let of_flow = quote.src == packet.dst && flows.any(|_| self.same_place(packet.src, quote.dst, ends));
                of_flow || self.afresh(&opener)
            }
            Says::Icmp { quote: None, .. } if is_error(packet) => false,
            _ => self.allows(&opener, is_stray(packet)),
        }
    }

    /// Whether a frame that is plainly valid has to pass: nothing but policy stands in its way.
    pub fn must_pass(&self, way: Way, frame: &[u8]) -> bool {
        let Ok(Frame { dst_mac, carries: Carried::Ip(packet), .. }) = read(frame) else { return false };
        let to_host = matches!(way, Way::Workload(_)) && dst_mac == DEVICE_MAC;
        let ends = [
            if matches!(way, Way::Host(_)) { End::Host } else { End::Address(packet.src) },
            if to_host { End::Host } else { End::Address(packet.dst) },
        ];
        let Some(opener) = Opener::of(&packet, ends) else { return self.may_pass(way, &packet, ends) };
        if self.model.flows_of(&opener).any(|(_, answers)| answers) {
            return self.may_pass(way, &packet, ends);
        }
        let ground = self.seats.ground;
        let afresh = evaluate(&ground.domain, &opener.flow(), self.at);
        !is_stray(&packet) && afresh.allows() && instead_of_policy(ground, &opener.flow(), &afresh).is_none()
    }

    fn afresh(&self, opener: &Opener) -> bool {
        evaluate(&self.seats.ground.domain, &opener.flow(), self.at).allows()
    }

    fn allows(&self, opener: &Opener, stray: bool) -> bool {
        let domain = &self.seats.ground.domain;
        let afresh = evaluate(domain, &opener.flow(), self.at);
        if afresh.allows() && !(stray && afresh.is_tracked()) {
            return true;
        }
        self.model.flows_of(opener).any(|(flow, answers)| {
            let turned = if answers { [flow.ends[1], flow.ends[0]] } else { flow.ends };
            let opened = evaluate(domain, &flow.flow(), self.at);
            turned == opener.ends
                && opened.allows()
                && (!answers || reply_passes(domain, &opened, &opener.flow(), self.at))
        })
    }

    /// Whether an error comes from where the packet that it quotes was going.
    fn same_place(&self, from: IpAddr, quoted: IpAddr, ends: [End; 2]) -> bool {
        let id = |address| match self.seats.owner(address) {
            Owner::Interface(interface, _) => Some(interface.id),
            _ => None,
        };
        ends[0] == End::Host || id(from) == id(quoted)
    }

    fn remember(&mut self, way: Way, packet: &Packet, ends: [End; 2]) {
        let Some(opener) = Opener::of(packet, ends) else { return };
        if opens(packet) && evaluate(&self.seats.ground.domain, &opener.flow(), self.at).is_tracked() {
            self.model.opened(opener);
        }
        if let Some(part) = packet.fragment {
            let addresses = [packet.src, packet.dst];
            let stray = is_stray(packet);
            let (id, next, judged) = (part.id, part.next, part.judged);
            self.model.began(First { way, addresses, id, next, judged, opener, stray });
        }
    }

    fn check_source(&self, way: Way, frame: &Frame, packet: &Packet) -> Result<(), Wrong> {
        let owner = self.seats.owner(packet.src);
        let right = match (way, owner) {
            (Way::Workload(id), Owner::Interface(interface, mac)) => {
                let macs = [interface.mac, mac];
                interface.id == id && (macs.contains(&frame.src_mac) || !interface.port_security)
            }
            (Way::Workload(id), Owner::OnLink | Owner::Outside) => {
                self.seats.interface(id).is_some_and(|interface| !interface.port_security)
            }
            (Way::Overlay { remote, .. }, Owner::Interface(interface, _)) => {
                remote == FAR && !self.seats.is_here(interface)
            }
            (Way::Uplink, Owner::Outside) => frame.dst_mac == DEVICE_MAC,
            (Way::Host(_), _) => true,
            _ => false,
        };
        let link_local =
            [packet.src, packet.dst].iter().any(|it| matches!(it, IpAddr::V6(v6) if v6.is_unicast_link_local()));
        let martian = [packet.src, packet.dst].into_iter().any(is_martian);
        if right && !link_local && !martian {
            return Ok(());
        }
        Err(format!("passed, and {} may not come by {way:?}: {owner:?}", packet.src))
    }

    /// Who the packet is from and to, by where it went; wrong if that is not where its destination is.
    fn ends(&self, way: Way, frame: &Frame, packet: &Packet, target: Target) -> Result<[End; 2], Wrong> {
        let source = if matches!(way, Way::Host(_)) { End::Host } else { End::Address(packet.src) };
        let owner = self.seats.owner(packet.dst);
        let right = match (way, target, owner) {
            (Way::Workload(_), Target::On, _) => {
                let ends = [source, End::Host];
                // To another MAC address, such as the gateway's, goes only what answers the host.
                let about = match &packet.says {
                    Says::Icmp { quote: Some(quote), .. } => Some(Opener::quoted(&quote.says, [quote.src, quote.dst])),
                    _ => Opener::of(packet, ends),
                };
                let answers = || about.is_none_or(|it| self.model.flows_of(&it).next().is_some());
                return if frame.dst_mac == DEVICE_MAC || answers() {
                    Ok(ends)
                } else {
                    Err("passed to the host's stack, and was not for it".to_owned())
                };
            }
            (Way::Host(id), Target::On, Owner::Interface(interface, mac)) => interface.id == id && frame.dst_mac == mac,
            // Behind an interface without port security by a connection, which `may_pass` asks for.
            (Way::Host(id), Target::On, Owner::OnLink | Owner::Outside) => {
                self.seats.interface(id).is_some_and(|interface| !interface.port_security)
            }
            (Way::Overlay { vni, .. }, Target::Interface(id), Owner::Interface(interface, _)) => {
                interface.id == id && self.seats.is_here(interface) && interface.vni == vni
            }
            (Way::Workload(_) | Way::Uplink, Target::Interface(id), Owner::Interface(interface, _)) => {
                interface.id == id && self.seats.is_here(interface)
            }
            (Way::Workload(_), Target::Interface(id), Owner::OnLink | Owner::Outside) => {
                self.seats.interface(id).is_some_and(|interface| !interface.port_security)
            }
            (Way::Workload(_) | Way::Uplink, Target::Remote { vni, host }, Owner::Interface(interface, _)) => {
                !self.seats.is_here(interface) && interface.vni == vni && host == Some(FAR)
            }
            (Way::Workload(_), Target::Uplink, Owner::Outside) => frame.dst_mac == GATEWAY_MAC,
            (Way::Overlay { vni, .. }, Target::Uplink, Owner::Outside) => {
                vni == self.seats.ground.bundle.topology.transit_vni && frame.dst_mac == GATEWAY_MAC
            }
            _ => false,
        };
        if right {
            return Ok([source, End::Address(packet.dst)]);
        }
        Err(format!("passed to {target:?}, and {} is of {owner:?}", packet.dst))
    }

    /// The packet leaves as it was judged: only what a router changes is changed.
    fn check_rewritten(
        &self,
        way: Way,
        before: &[u8],
        frame: &Frame,
        target: Target,
        left: &[u8],
    ) -> Result<(), Wrong> {
        let mut packet = before[frame.at..].to_vec();
        let (Some(after), Carried::Ip(ip)) = (left.get(ETHERNET..), &frame.carries) else {
            return Err("left without a packet".to_owned());
        };
        // Into the overlay a frame was routed where it came from.
        let to_gateway = frame.dst_mac == GATEWAY_MAC && !matches!(way, Way::Overlay { .. });
        let routed = target != Target::On && (way == Way::Uplink || to_gateway);
        if routed {
            let ttl = if ip.src.is_ipv4() { 8 } else { 7 };
            packet[ttl] = packet[ttl].wrapping_sub(1);
            if ip.ttl <= 1 {
                return Err("routed, and its time to live ran out".to_owned());
            }
        }
        if ip.src.is_ipv4() && routed {
            if ipv4_sum_holds(&before[frame.at..]) && !ipv4_sum_holds(after) {
                return Err("left with a header checksum that does not hold any more".to_owned());
            }
            packet[10..12].copy_from_slice(after.get(10..12).unwrap_or_default());
        }
        if packet != after {
            return Err(format!("left as another packet than was judged: {}", hex(left)));
        }
        let macs = match (target, self.seats.owner(ip.dst)) {
            (Target::Interface(_) | Target::Remote { .. }, Owner::Interface(_, mac)) => {
                [mac, if routed { GATEWAY_MAC } else { frame.src_mac }].concat()
            }
            (Target::On, _) => [frame.dst_mac, frame.src_mac].concat(),
            _ => left[..12].to_vec(),
        };
        if macs != left[..12] {
            return Err(format!("left with the MAC addresses of others: {}", hex(&left[..12])));
        }
        Ok(())
    }
}

/// Whether it opens nothing.
pub fn is_stray(packet: &Packet) -> bool {
    const FIN_SYN_RST_ACK: u8 = 0x17;
    match packet.says {
        Says::Tcp(_, _, flags) => flags & FIN_SYN_RST_ACK != 0x02,
        Says::Icmp { kind, code: 0, .. } => kind == if packet.src.is_ipv4() { 0 } else { 129 } || is_error(packet),
        Says::Icmp { .. } => is_error(packet),
        _ => false,
    }
}

/// Whether it may open a flow that has answers. Of ICMP that is an echo request (RFC 792, RFC 4443), no other message.
fn opens(packet: &Packet) -> bool {
    match packet.says {
        Says::Icmp { kind, code, .. } => code == 0 && kind == if packet.src.is_ipv4() { 8 } else { 128 },
        _ => !is_stray(packet),
    }
}

fn is_error(packet: &Packet) -> bool {
    match packet.says {
        Says::Icmp { kind, .. } if packet.src.is_ipv4() => matches!(kind, 3 | 11 | 12),
        Says::Icmp { kind, .. } => (1..=4).contains(&kind),
        _ => false,
    }
}

/// RFC 1122 3.2.1.3, RFC 4291 2.5.
fn is_martian(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => matches!(v4.octets(), [0 | 127, ..]),
        IpAddr::V6(v6) => v6.is_loopback() || v6.to_ipv4_mapped().is_some(),
    }
}

/// Bytes as a file keeps them.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
