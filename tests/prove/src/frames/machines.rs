//! Bare-metal workloads, which worlds of the chain have none of: machines in a network of their own, which no overlay
//! reaches.

use std::collections::BTreeMap;

use ringfence_policy::object::{InterfaceSpec, NetworkSpec, Object, Spec, SubnetSpec, WorkloadSpec};

use super::script::HOSTS;
use crate::{random::Random, world::DOMAIN};

const NETWORK: &str = "metal";

/// The network and its machines.
pub fn machines(random: &mut Random) -> Vec<Object> {
    let subnet = |(cidr, gateway): (&str, &str)| SubnetSpec {
        cidr: cidr.to_owned(),
        gateway: gateway.to_owned(),
        ..SubnetSpec::default()
    };
    let subnets = [("10.8.0.0/24", "10.8.0.1"), ("fd00:8::/64", "fd00:8::1")].map(subnet).into();
    let object = |name: String, spec: Spec| Object { domain: DOMAIN.to_owned(), name, spec };
    let network = Spec::Network(NetworkSpec { subnets, ..NetworkSpec::default() });
    let mut objects = vec![object(NETWORK.to_owned(), network)];
    for (host, number) in HOSTS.into_iter().zip(11..) {
        let role = random.one(["web", "app", "db"]).to_owned();
        let interface = InterfaceSpec {
            name: "nic".to_owned(),
            network: NETWORK.to_owned(),
            mac: format!("02:00:00:00:08:{number:02x}"),
            addresses: vec![format!("10.8.0.{number}"), format!("fd00:8::{number:x}")],
            host: host.to_owned(),
            device: Some("nic0".to_owned()),
            ..InterfaceSpec::default()
        };
        let spec = WorkloadSpec {
            interfaces: vec![interface],
            labels: BTreeMap::from([("role".to_owned(), role)]),
            bare_metal: true,
            ..WorkloadSpec::default()
        };
        objects.push(object(format!("m{number}"), Spec::Workload(spec)));
    }
    objects
}
