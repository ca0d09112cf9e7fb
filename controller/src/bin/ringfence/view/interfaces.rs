//! Every interface of every workload.

use ringfence_policy::{
    model::derived_device,
    object::{InterfaceSpec, Spec},
};
use serde::Serialize;

use crate::view::objects::Stored;

/// The document of `get interfaces`.
#[derive(Debug, Serialize)]
pub(crate) struct Interfaces {
    /// By domain, workload, and the order in the workload.
    pub(crate) interfaces: Vec<Interface>,
}

/// One interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Interface {
    /// `tenant/domain`.
    pub(crate) domain: String,
    /// The workload it belongs to.
    pub(crate) workload: String,
    /// Its name in the workload.
    pub(crate) name: String,
    /// The network it is in.
    pub(crate) network: String,
    /// Its MAC address.
    pub(crate) mac: String,
    /// Its addresses.
    pub(crate) addresses: Vec<String>,
    /// The host that runs the workload.
    pub(crate) host: String,
    /// The host-side device, named or derived.
    pub(crate) device: String,
    /// The prefixes that it may use besides its addresses.
    pub(crate) address_pairs: Vec<String>,
    /// Whether the addresses and MAC it may send from are checked.
    pub(crate) port_security: bool,
}

impl Interfaces {
    /// Those of the workloads among the objects.
    pub(crate) fn of(objects: &[Stored]) -> Self {
        let mut interfaces = Vec::new();
        for Stored { object, .. } in objects {
            if let Spec::Workload(workload) = &object.spec {
                interfaces
                    .extend(workload.interfaces.iter().map(|spec| Interface::of(&object.domain, &object.name, spec)));
            }
        }
        Self { interfaces }
    }
}

impl Interface {
    fn of(domain: &str, workload: &str, spec: &InterfaceSpec) -> Self {
        let InterfaceSpec { name, network, mac, addresses, host, device, address_pairs, port_security } = spec.clone();
        Self {
            domain: domain.to_owned(),
            workload: workload.to_owned(),
            device: device.unwrap_or_else(|| derived_device(domain, workload, &name)),
            name,
            network,
            mac,
            addresses,
            host,
            address_pairs: address_pairs.into_iter().map(|pair| pair.prefix).collect(),
            port_security: port_security.unwrap_or(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spec(device: Option<&str>) -> InterfaceSpec {
        InterfaceSpec {
            name: "eth0".into(),
            network: "front".into(),
            mac: "02:00:00:00:01:01".into(),
            addresses: vec!["10.1.0.11".into()],
            host: "h1".into(),
            device: device.map(str::to_owned),
            ..InterfaceSpec::default()
        }
    }

    #[test]
    fn a_device_that_is_named_is_shown_and_one_that_is_not_is_derived() {
        assert_eq!(Interface::of("acme/prod", "web-1", &spec(Some("tap1"))).device, "tap1");
        let derived = Interface::of("acme/prod", "web-1", &spec(None)).device;
        assert_eq!(derived, derived_device("acme/prod", "web-1", "eth0"));
    }
}
