//! Whose a packet's connection is, and the key of that, as `rf_tuple_make` in `conn.h`.

use std::net::IpAddr;

use crate::bpf::{Conn4Key, Conn6Key, Ip, be32};

/// Who speaks to whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple {
    /// Source and destination, of one family.
    pub addresses: [IpAddr; 2],
    /// Theirs, in the same order: ports; the asker's echo identifier; else zeros.
    pub ports: [u16; 2],
    /// The protocol's number.
    pub protocol: u8,
}

/// Of one family.
pub(super) enum Key {
    V4(Conn4Key),
    V6(Conn6Key),
}

impl Tuple {
    /// The lesser (address, port) comes first.
    pub(super) fn key(&self, domain_id: u32) -> Key {
        let Self { addresses: [source, destination], ports, protocol: l4_proto } = *self;
        let mut ends = [(source, ports[0]), (destination, ports[1])];
        ends.sort_unstable();
        let port = ends.map(|(_, port)| port.to_be());
        match ends.map(|(address, _)| address) {
            [IpAddr::V4(low), IpAddr::V4(high)] => {
                Key::V4(Conn4Key { domain_id, ip: [be32(low), be32(high)], port, l4_proto, pad: [0; 3] })
            }
            ip => Key::V6(Conn6Key { domain_id, ip: ip.map(Ip::from), port, l4_proto, pad: [0; 3] }),
        }
    }
}
