//! A workload as written → validated, as far as the object alone tells.

use super::{
    AddressPair, Interface, Mac, Workload,
    address::{parse_address, parse_routed_prefix},
    derived_device,
    fault::Faults,
    name::{check_device, check_host, check_label_key, check_label_value, check_part, check_port_name},
};
use crate::object::{AddressPairSpec, InterfaceSpec, Object, WorkloadSpec};

pub(super) fn workload(faults: &mut Faults, object: &Object, spec: &WorkloadSpec) -> Option<Workload> {
    let WorkloadSpec { labels, ports, interfaces, bare_metal } = spec;
    for (key, value) in labels {
        faults.ok("labels", check_label_key(key));
        faults.ok(format!("labels.{key}"), check_label_value(value));
    }
    let ports = ports
        .iter()
        .filter_map(|(name, port)| {
            let field = format!("ports.{name}");
            faults.ok(&field, check_port_name(name))?;
            match u16::try_from(*port) {
                Ok(port) => Some((name.clone(), port)),
                Err(_) => {
                    faults.add(field, format!("{port} is no port: write a number from 0 to 65535"));
                    None
                }
            }
        })
        .collect();
    faults.filled("interfaces", interfaces, "give the workload an interface");
    faults.distinct("interfaces", interfaces.iter().map(|i| i.name.as_str()));
    let read = faults.each("interfaces", interfaces, |faults, field, spec| interface(faults, field, object, spec));
    if *bare_metal {
        check_machine(faults, interfaces);
    }
    Some(Workload { labels: labels.clone(), ports, interfaces: read, bare_metal: *bare_metal })
}

/// What the interfaces of a machine must have beyond those of other workloads.
fn check_machine(faults: &mut Faults, interfaces: &[InterfaceSpec]) {
    let host = interfaces.first().map(|interface| &interface.host);
    for (index, interface) in interfaces.iter().enumerate() {
        let at = |part: &str| format!("interfaces[{index}].{part}");
        if let Some(host) = host.filter(|host| **host != interface.host) {
            let message =
                format!("is {:?}, and interfaces[0] is on {host:?}: a bare-metal machine is one host", interface.host);
            faults.add(at("host"), message);
        }
        if interface.device.is_none() {
            faults.add(at("device"), "is missing: name the machine's NIC, like eth0");
        }
        if interface.port_security == Some(false) {
            let message = "is false: a machine may send from its own addresses and address pairs alone, so list them";
            faults.add(at("portSecurity"), message);
        }
    }
}

fn interface(faults: &mut Faults, field: &str, object: &Object, spec: &InterfaceSpec) -> Option<Interface> {
    let InterfaceSpec { name, network, mac, addresses, host, device, address_pairs, port_security } = spec;
    let at = |part: &str| format!("{field}.{part}");
    faults.ok(at("name"), check_part(name));
    faults.ok(at("host"), check_host(host));
    faults.ok(at("network"), check_part(network));
    faults.filled(at("addresses"), addresses, "give the interface an address");
    let addresses =
        faults.each(&at("addresses"), addresses, |faults, field, text| faults.ok(field, parse_address(text)));
    let device = match device {
        Some(device) => {
            faults.ok(at("device"), check_device(device));
            device.clone()
        }
        None => derived_device(&object.domain, &object.name, name),
    };
    let mac = faults.ok(at("mac"), Mac::parse_unicast(mac));
    let pairs = faults.each(&at("addressPairs"), address_pairs, |faults, field, spec| {
        let AddressPairSpec { mac: own, prefix } = spec;
        let prefix = faults.ok(format!("{field}.prefix"), parse_routed_prefix(prefix));
        let mac = match own {
            Some(own) => faults.ok(format!("{field}.mac"), Mac::parse_unicast(own)),
            None => mac,
        };
        Some(AddressPair { prefix: prefix?, mac: mac? })
    });
    Some(Interface {
        name: name.clone(),
        network: network.clone(),
        mac: mac?,
        addresses,
        host: host.clone(),
        device,
        pairs,
        port_security: port_security.unwrap_or(true),
    })
}
