//! Frames that are answered on the spot, and messages to senders of what is too long.

use std::net::{IpAddr, Ipv6Addr};

use ringfence_agent::engine::{
    DEVICE_MAC, GATEWAY_MAC,
    raw::{Target, Way},
};
use ringfence_policy::bundle::CompiledInterface;

use super::{
    oracle::{Wrong, hex},
    read::{Carried, ETHERNET, Frame, Packet, Says, read},
    seats::{Owner, Seats},
};

const ALL_NODES: [u8; 6] = [0x33, 0x33, 0, 0, 0, 1];

/// Of any kind, of routers, too (RFC 4861).
pub fn is_neighbour_discovery(packet: &Packet) -> bool {
    packet.src.is_ipv6() && matches!(packet.says, Says::Icmp { kind: 133..=137, .. })
}

impl Seats<'_> {
    /// ARP and neighbour discovery that was let pass or answered.
    pub fn check_neighbour(&self, way: Way, asked: &Frame, target: Target, left: &[u8]) -> Result<(), Wrong> {
        match (way, target) {
            // The uplink's neighbours are the stack's to speak to.
            (Way::Uplink | Way::HostToUplink, Target::On) => Ok(()),
            (Way::Workload(id), Target::Back) => self.check_advertised(id, asked, left),
            (Way::Workload(id), Target::On) => self.check_to_stack(id, asked),
            (Way::Host(id), Target::On) => self.check_of_stack(id, asked),
            _ => Err(format!("neighbour discovery passed from {way:?} to {target:?}")),
        }
    }

    fn check_advertised(&self, id: u32, asked: &Frame, left: &[u8]) -> Result<(), Wrong> {
        let sender = self.interface(id).ok_or("from nobody")?;
        let (source, wanted) = match &asked.carries {
            Carried::Arp(None) => return Err("answered ARP that is none".to_owned()),
            Carried::Arp(Some(arp)) => {
                if arp.operation != 1 || !self.may_use(id, IpAddr::V4(arp.sender.1), arp.sender.0) {
                    return Err(format!("answered ARP of a stranger: {arp:?}"));
                }
                (IpAddr::V4(arp.sender.1), Some(IpAddr::V4(arp.target)))
            }
            Carried::Ip(packet) => {
                // RFC 4861 7.1.1, RFC 6980.
                let right = matches!(packet.says, Says::Icmp { kind: 133 | 135, code: 0, .. });
                if !right || packet.ttl != 255 || packet.fragment.is_some() {
                    return Err(format!("answered neighbour discovery that is none: {packet:?}"));
                }
                (packet.src, None)
            }
        };
        if !self.may_discover(sender, source, asked.src_mac) {
            return Err(format!("answered {source}, which is not the sender's"));
        }
        let answer = read(left).map_err(|wrong| format!("an answer that is malformed: {wrong}"))?;
        if answer.dst_mac != asked.src_mac && answer.dst_mac != ALL_NODES {
            return Err(format!("an answer to somebody else: {}", hex(left)));
        }
        // Who is said to have the address has it.
        if let (Some(wanted), Carried::Arp(Some(arp))) = (wanted, &answer.carries) {
            let mac = match self.owner(wanted) {
                Owner::Gateway => GATEWAY_MAC,
                Owner::Interface(other, mac) if other.id != id && other.vni == sender.vni => mac,
                other => return Err(format!("answered for {wanted}, which is of {other:?}")),
            };
            if arp.sender != (mac, arp.sender.1) || IpAddr::V4(arp.sender.1) != wanted || arp.operation != 2 {
                return Err(format!("a wrong answer: {arp:?}"));
            }
        }
        Ok(())
    }

    /// ARP for the stack of the host, a peer like any of whom it runs: about addresses of its own, which are nobody's here.
    fn check_to_stack(&self, id: u32, asked: &Frame) -> Result<(), Wrong> {
        let sender = self.interface(id).ok_or("from nobody")?;
        let Carried::Arp(Some(arp)) = &asked.carries else {
            return Err("neighbour discovery passed to the host's stack".to_owned());
        };
        let source = IpAddr::V4(arp.sender.1);
        let own = self.may_discover(sender, source, asked.src_mac) && self.may_use(id, source, arp.sender.0);
        let for_stack = arp.operation == 1 || asked.dst_mac == DEVICE_MAC;
        if own && for_stack && self.is_nobodys(IpAddr::V4(arp.target)) {
            return Ok(());
        }
        Err(format!("passed to the host's stack, which has no part in it: {arp:?}"))
    }

    /// ARP of the host's stack, to who has the address that it is about.
    fn check_of_stack(&self, id: u32, asked: &Frame) -> Result<(), Wrong> {
        let Carried::Arp(Some(arp)) = &asked.carries else {
            return Err("neighbour discovery of the host's stack passed".to_owned());
        };
        let target = self.owner(IpAddr::V4(arp.target));
        let for_it = matches!(target, Owner::Interface(interface, _) if interface.id == id);
        if for_it && self.is_nobodys(IpAddr::V4(arp.sender.1)) {
            return Ok(());
        }
        Err(format!("passed from the host's stack, and is not its to say: {arp:?}"))
    }

    /// Echo requests to gateways, answered.
    pub fn check_answer(&self, way: Way, asked: &Frame, packet: &Packet, left: &[u8]) -> Result<(), Wrong> {
        let Way::Workload(id) = way else { return Err(format!("answered what came by {way:?}")) };
        let echo = if packet.src.is_ipv4() { (8, 0) } else { (128, 129) };
        let asks =
            matches!(packet.says, Says::Icmp { kind, code: 0, .. } if kind == echo.0) && packet.fragment.is_none();
        let of_sender = match self.owner(packet.src) {
            Owner::Interface(interface, _) => interface.id == id,
            Owner::OnLink | Owner::Outside => self.interface(id).is_some_and(|it| !it.port_security),
            _ => false,
        };
        if !asks || !of_sender || !matches!(self.owner(packet.dst), Owner::Gateway) {
            return Err(format!("answered what no gateway answers: {packet:?}"));
        }
        let answer = read(left).map_err(|wrong| format!("an answer that is malformed: {wrong}"))?;
        let right = match &answer.carries {
            Carried::Ip(reply) => {
                let kind = matches!(reply.says, Says::Icmp { kind, code: 0, .. } if kind == echo.1);
                kind && (reply.src, reply.dst) == (packet.dst, packet.src)
            }
            Carried::Arp(_) => false,
        };
        if right && answer.dst_mac == asked.src_mac { Ok(()) } else { Err(format!("a wrong answer: {}", hex(left))) }
    }

    /// A message to the sender of what was too long: to nobody else, and from a gateway.
    pub fn check_told(&self, way: Way, frame: &[u8], left: &[u8]) -> Result<(), Wrong> {
        let asked = read(frame).map_err(|wrong| format!("told the sender of what is malformed: {wrong}"))?;
        let told = read(left).map_err(|wrong| format!("told what is malformed: {wrong}"))?;
        let (Carried::Ip(packet), Carried::Ip(error)) = (&asked.carries, &told.carries) else {
            return Err("told the sender of no packet".to_owned());
        };
        let is_gateways = matches!(self.owner(error.src), Owner::Gateway);
        let wanted = if packet.src.is_ipv4() { (3, 4) } else { (2, 0) };
        let right = matches!(error.says, Says::Icmp { kind, code, .. } if (kind, code) == wanted);
        if right && is_gateways && error.dst == packet.src && told.dst_mac == asked.src_mac {
            return Ok(());
        }
        Err(format!("told by {way:?} what is not so: {}", hex(&left[..left.len().min(ETHERNET + 60)])))
    }

    /// Whether no gateway and no interface has an address.
    fn is_nobodys(&self, address: IpAddr) -> bool {
        !matches!(self.owner(address), Owner::Gateway | Owner::Interface(..))
    }

    /// Whether an interface may ask for neighbours from an address, with a MAC address.
    fn may_discover(&self, sender: &CompiledInterface, source: IpAddr, mac: [u8; 6]) -> bool {
        let own = match (source, self.owner(source)) {
            (_, Owner::Interface(interface, _)) => interface.id == sender.id,
            (address, _) if address.is_unspecified() => true,
            // Of its link a host makes them as it likes (RFC 7217); one of them is the gateway's.
            (IpAddr::V6(v6), Owner::Outside) if v6.is_unicast_link_local() => v6 != eui64(GATEWAY_MAC),
            (_, Owner::OnLink | Owner::Outside) => !sender.port_security,
            _ => false,
        };
        own && self.may_use(sender.id, source, mac)
    }

    /// Whether an interface may bear a MAC address with an address.
    fn may_use(&self, id: u32, address: IpAddr, mac: [u8; 6]) -> bool {
        let Some(interface) = self.interface(id) else { return false };
        let pair = matches!(self.owner(address), Owner::Interface(other, own) if other.id == id && own == mac);
        interface.mac == mac || pair || !interface.port_security
    }
}

/// RFC 4291, appendix A.
fn eui64(mac: [u8; 6]) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac;
    Ipv6Addr::from([0xfe, 0x80, 0, 0, 0, 0, 0, 0, a ^ 2, b, c, 0xff, 0xfe, d, e, f])
}
