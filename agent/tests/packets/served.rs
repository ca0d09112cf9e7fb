//! What the fixture's workloads are told by their network, with something of everything.

use std::net::IpAddr;

use ringfence_agent::services::{Served, Served4, Served6, replies};

use crate::net::ip;
use crate::world::{GATEWAY_MAC, Workload, World};

pub const LEASE: u32 = 7200;
pub const DNS4: [&str; 2] = ["10.1.0.2", "10.1.0.3"];
pub const DNS6: [&str; 2] = ["fd00:1::2", "fd00:1::3"];

/// A network with DHCP of both families, and announced.
pub fn served(workload: &Workload) -> Served {
    let (IpAddr::V4(v4), IpAddr::V6(v6)) = (workload.v4, workload.v6) else { panic!("{workload:?}") };
    let route = |to: &str, via: &str| (to.parse().unwrap(), via.parse().unwrap());
    Served {
        mac: workload.mac,
        mtu: 1450,
        lease: LEASE,
        search_domains: vec!["corp.example".into(), "example".into()],
        v4: Some(Served4 {
            address: format!("{v4}/24").parse().unwrap(),
            gateway: "10.1.0.1".parse().unwrap(),
            dns: DNS4.map(|text| text.parse().unwrap()).to_vec(),
            routes: vec![route("172.16.0.0/12", "10.1.0.9"), route("192.0.2.7/32", "10.1.0.9")],
        }),
        v6: vec![Served6 {
            cidr: "fd00:1::/64".parse().unwrap(),
            addresses: vec![v6],
            dns: DNS6.map(|text| text.parse().unwrap()).to_vec(),
            routes: vec!["fd09::/48".parse().unwrap()],
            dhcp: true,
            ra: true,
        }],
    }
}

/// The address that a workload makes of its MAC in a prefix.
pub fn made_of_mac(prefix: &str, [a, b, c, d, e, f]: [u8; 6]) -> IpAddr {
    let mut octets = match ip(prefix) {
        IpAddr::V6(v6) => v6.octets(),
        IpAddr::V4(_) => panic!("{prefix} is not IPv6"),
    };
    octets[8..].copy_from_slice(&[a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
    octets.into()
}

impl World {
    /// Lets the programs answer a workload for its network.
    pub fn serve(&self, workload: &Workload, served: &Served) {
        for (key, reply) in replies(1000 + workload.index, served, GATEWAY_MAC) {
            self.datapath.maps().services.put(&key, &reply).unwrap();
        }
    }
}
