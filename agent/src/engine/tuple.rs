//! The key of a packet's connection, as `rf_tuple_make` in `conn.h`.

use std::net::IpAddr;

use super::frame::Packet;
use crate::bpf::{Conn4Key, Conn6Key, Ip, be32};

/// Of one family.
pub(super) enum Key {
    V4(Conn4Key),
    V6(Conn6Key),
}

/// The lesser (address, port) comes first.
pub(super) fn key(domain_id: u32, packet: &Packet) -> Key {
    let (source, destination) = packet.addresses();
    let mut ends = [(source, packet.ports.0), (destination, packet.ports.1)];
    ends.sort_unstable();
    let port = ends.map(|(_, port)| port.to_be());
    let l4_proto = packet.protocol;
    match ends.map(|(address, _)| address) {
        [IpAddr::V4(low), IpAddr::V4(high)] => {
            Key::V4(Conn4Key { domain_id, ip: [be32(low), be32(high)], port, l4_proto, pad: [0; 3] })
        }
        ip => Key::V6(Conn6Key { domain_id, ip: ip.map(Ip::from), port, l4_proto, pad: [0; 3] }),
    }
}
