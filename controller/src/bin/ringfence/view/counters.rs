//! The document and the table of `counters`.

use std::collections::BTreeMap;

use ringfence_proto::v1;
use serde::Serialize;

use crate::output::columns;

/// What the hosts counted.
#[derive(Debug, Serialize)]
pub(crate) struct Readings {
    interfaces: Vec<Interface>,
    /// Hosts that did not answer.
    pub(crate) errors: Vec<HostError>,
}

/// A host that did not answer.
#[derive(Debug, PartialEq, Eq, Serialize)]
pub(crate) struct HostError {
    /// Its name.
    pub(crate) host: String,
    /// Why not.
    pub(crate) message: String,
}

/// What was counted on one device. Packets since the programs were first attached to it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Interface {
    host: String,
    domain: String,
    workload: String,
    interface: String,
    device: String,
    passed_from: u64,
    passed_to: u64,
    drops: BTreeMap<String, u64>,
}

impl Readings {
    /// Whether there is no interface.
    pub(crate) fn is_empty(&self) -> bool {
        self.interfaces.is_empty()
    }

    /// A row for each device, by host and domain.
    pub(crate) fn table(&self) -> String {
        columns(
            ["HOST", "DOMAIN", "INTERFACE", "DEVICE", "PASSED FROM", "PASSED TO", "DROPPED", "BY REASON"],
            self.interfaces.iter().map(Interface::row),
        )
    }
}

impl From<v1::CountersResponse> for Readings {
    fn from(message: v1::CountersResponse) -> Self {
        let v1::CountersResponse { interfaces, errors } = message;
        let mut interfaces: Vec<_> = interfaces.into_iter().map(Interface::from).collect();
        interfaces.sort_by(|a, b| a.order().cmp(&b.order()));
        let error = |message| {
            let v1::HostError { host, message } = message;
            HostError { host, message }
        };
        Self { interfaces, errors: errors.into_iter().map(error).collect() }
    }
}

impl Interface {
    fn order(&self) -> [&str; 5] {
        [&self.host, &self.domain, &self.workload, &self.interface, &self.device].map(String::as_str)
    }

    fn row(&self) -> [String; 8] {
        let interface =
            if self.workload.is_empty() { String::new() } else { format!("{}/{}", self.workload, self.interface) };
        let by_reason = self.drops.iter().map(|(reason, packets)| format!("{reason}={packets}"));
        [
            self.host.clone(),
            self.domain.clone(),
            interface,
            self.device.clone(),
            self.passed_from.to_string(),
            self.passed_to.to_string(),
            self.drops.values().sum::<u64>().to_string(),
            by_reason.collect::<Vec<_>>().join(" "),
        ]
    }
}

impl From<v1::InterfaceCounters> for Interface {
    fn from(message: v1::InterfaceCounters) -> Self {
        let v1::InterfaceCounters { host, domain, workload, interface, device, passed_from, passed_to, drops } =
            message;
        let drops = drops.into_iter().filter(|drop| drop.packets > 0).map(|drop| (drop.reason, drop.packets)).collect();
        Self { host, domain, workload, interface, device, passed_from, passed_to, drops }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings() -> Readings {
        let drop = |reason: &str, packets| v1::DropCounter { reason: reason.into(), packets };
        let overlay = v1::InterfaceCounters {
            host: "h2".into(),
            device: "rf-overlay".into(),
            drops: vec![drop("outer_source", 4)],
            ..Default::default()
        };
        let workload = v1::InterfaceCounters {
            host: "h1".into(),
            domain: "acme/prod".into(),
            workload: "web-1".into(),
            interface: "eth0".into(),
            device: "rf1".into(),
            passed_from: 120,
            passed_to: 98,
            drops: vec![drop("spoofed", 1), drop("policy_deny", 12), drop("too_big", 0)],
        };
        let errors = vec![v1::HostError { host: "h3".into(), message: "not connected".into() }];
        Readings::from(v1::CountersResponse { interfaces: vec![overlay, workload], errors })
    }

    #[test]
    fn a_row_sums_the_drops_and_names_the_reasons_that_occurred() {
        assert_eq!(
            readings().table(),
            "HOST  DOMAIN     INTERFACE   DEVICE      PASSED FROM  PASSED TO  DROPPED  BY REASON\n\
             h1    acme/prod  web-1/eth0  rf1         120          98         13       policy_deny=12 spoofed=1\n\
             h2    -          -           rf-overlay  0            0          4        outer_source=4\n"
        );
    }

    #[test]
    fn hosts_that_did_not_answer_are_kept_with_the_reason() {
        assert_eq!(readings().errors, [HostError { host: "h3".into(), message: "not connected".into() }]);
    }
}
