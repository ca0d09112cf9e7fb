//! A workload as written → validated, as far as the object alone tells.

use super::{
    Interface, Mac, Workload,
    address::parse_address,
    derived_device,
    fault::Faults,
    name::{check_device, check_host, check_label_key, check_label_value, check_part},
};
use crate::object::{InterfaceSpec, Object, WorkloadSpec};

pub(super) fn workload(faults: &mut Faults, object: &Object, spec: &WorkloadSpec) -> Option<Workload> {
    let WorkloadSpec { labels, interfaces } = spec;
    for (key, value) in labels {
        faults.ok("labels", check_label_key(key));
        faults.ok(format!("labels.{key}"), check_label_value(value));
    }
    faults.filled("interfaces", interfaces, "give the workload an interface");
    faults.distinct("interfaces", interfaces.iter().map(|i| i.name.as_str()));
    let read = faults.each("interfaces", interfaces, |faults, field, spec| interface(faults, field, object, spec));
    Some(Workload { labels: labels.clone(), interfaces: read })
}

fn interface(faults: &mut Faults, field: &str, object: &Object, spec: &InterfaceSpec) -> Option<Interface> {
    let InterfaceSpec { name, network, mac, addresses, host, device } = spec;
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
    Some(Interface {
        name: name.clone(),
        network: network.clone(),
        mac: faults.ok(at("mac"), Mac::parse_unicast(mac))?,
        addresses,
        host: host.clone(),
        device,
    })
}
