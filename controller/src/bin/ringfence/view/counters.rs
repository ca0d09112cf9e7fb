//! The document and the table of `counters`.

use std::collections::BTreeMap;

use ringfence_proto::v1;
use serde::Serialize;

use crate::output::columns;

mod connections;

use connections::Connections;

/// What the hosts counted.
#[derive(Debug, Serialize)]
pub(crate) struct Readings {
    interfaces: Vec<Interface>,
    connections: Vec<Connections>,
    audit: Vec<Audit>,
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
    /// Of a machine's NIC: what built-in rules let pass.
    passed_built_in: u64,
    drops: BTreeMap<String, u64>,
}

/// Judgements on a host that a rule in audit would have turned, since the domain came there.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Audit {
    host: String,
    domain: String,
    /// Empty: it is there no longer.
    rule: String,
    would: Would,
    judgements: u64,
}

/// What a rule in audit would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
enum Would {
    Allow,
    Deny,
}

impl Readings {
    /// Whether there is no interface.
    pub(crate) fn is_empty(&self) -> bool {
        self.interfaces.is_empty()
    }

    /// A row for each device, by host and domain; one for each interface's connections; and one for each rule in audit
    /// that would have turned anything.
    pub(crate) fn table(&self) -> String {
        let interfaces = columns(
            ["HOST", "DOMAIN", "INTERFACE", "DEVICE", "PASSED FROM", "PASSED TO", "BUILT IN", "DROPPED", "BY REASON"],
            self.interfaces.iter().map(Interface::row),
        );
        let mut tables = vec![interfaces];
        if !self.connections.is_empty() {
            tables.push(columns(Connections::COLUMNS, self.connections.iter().map(Connections::row)));
        }
        if !self.audit.is_empty() {
            let columns_of_audit = ["HOST", "DOMAIN", "RULE", "IN AUDIT", "JUDGEMENTS"];
            tables.push(columns(columns_of_audit, self.audit.iter().map(Audit::row)));
        }
        tables.join("\n")
    }
}

impl From<v1::CountersResponse> for Readings {
    fn from(message: v1::CountersResponse) -> Self {
        let v1::CountersResponse { interfaces, errors, audit, connections } = message;
        let mut connections: Vec<_> = connections.into_iter().map(Connections::from).collect();
        connections.sort();
        let mut audit: Vec<_> = audit.into_iter().map(Audit::from).collect();
        audit.sort();
        let mut interfaces: Vec<_> = interfaces.into_iter().map(Interface::from).collect();
        interfaces.sort_by(|a, b| a.order().cmp(&b.order()));
        let error = |message| {
            let v1::HostError { host, message } = message;
            HostError { host, message }
        };
        Self { interfaces, connections, audit, errors: errors.into_iter().map(error).collect() }
    }
}

impl Audit {
    fn row(&self) -> [String; 5] {
        let Self { host, domain, rule, would, judgements } = self;
        let rule = if rule.is_empty() { "(deleted)" } else { rule };
        let would = match would {
            Would::Allow => "would allow",
            Would::Deny => "would deny",
        };
        [host.clone(), domain.clone(), rule.to_owned(), would.to_owned(), judgements.to_string()]
    }
}

impl From<v1::RuleAudit> for Audit {
    fn from(message: v1::RuleAudit) -> Self {
        let v1::RuleAudit { host, domain, rule, allows, judgements } = message;
        let would = if allows { Would::Allow } else { Would::Deny };
        Self { host, domain, rule, would, judgements }
    }
}

impl Interface {
    fn order(&self) -> [&str; 5] {
        [&self.host, &self.domain, &self.workload, &self.interface, &self.device].map(String::as_str)
    }

    fn row(&self) -> [String; 9] {
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
            self.passed_built_in.to_string(),
            self.drops.values().sum::<u64>().to_string(),
            by_reason.collect::<Vec<_>>().join(" "),
        ]
    }
}

impl From<v1::InterfaceCounters> for Interface {
    fn from(message: v1::InterfaceCounters) -> Self {
        let v1::InterfaceCounters {
            host,
            domain,
            workload,
            interface,
            device,
            passed_from,
            passed_to,
            drops,
            passed_built_in,
        } = message;
        let drops = drops.into_iter().filter(|drop| drop.packets > 0).map(|drop| (drop.reason, drop.packets)).collect();
        Self { host, domain, workload, interface, device, passed_from, passed_to, passed_built_in, drops }
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
            passed_built_in: 7,
        };
        let errors = vec![v1::HostError { host: "h3".into(), message: "not connected".into() }];
        Readings::from(v1::CountersResponse { interfaces: vec![overlay, workload], errors, ..Default::default() })
    }

    #[test]
    fn what_policies_in_audit_would_turn_is_told_by_rule() {
        let audit = |rule: &str, allows, judgements| {
            let (host, domain, rule) = ("h1".into(), "acme/prod".into(), rule.into());
            v1::RuleAudit { host, domain, rule, allows, judgements }
        };
        let audit = vec![audit("trial/stop", false, 7), audit("", true, 2), audit("default/deny", false, 1)];
        let readings = Readings::from(v1::CountersResponse { audit, ..Default::default() });
        let table = readings.table();
        let (_, rules) = table.split_once("\n\n").unwrap_or_default();
        assert_eq!(
            rules,
            "HOST  DOMAIN     RULE          IN AUDIT     JUDGEMENTS\n\
             h1    acme/prod  (deleted)     would allow  2\n\
             h1    acme/prod  default/deny  would deny   1\n\
             h1    acme/prod  trial/stop    would deny   7\n"
        );
        assert_eq!(
            serde_json::json!(readings)["audit"][2],
            serde_json::json!({"host": "h1", "domain": "acme/prod", "rule": "trial/stop", "would": "deny", "judgements": 7})
        );
    }

    #[test]
    fn a_row_sums_the_drops_and_names_the_reasons_that_occurred() {
        assert_eq!(
            readings().table(),
            "HOST  DOMAIN     INTERFACE   DEVICE      PASSED FROM  PASSED TO  BUILT IN  DROPPED  BY REASON\n\
             h1    acme/prod  web-1/eth0  rf1         120          98         7         13       policy_deny=12 spoofed=1\n\
             h2    -          -           rf-overlay  0            0          0         4        outer_source=4\n"
        );
    }

    #[test]
    fn hosts_that_did_not_answer_are_kept_with_the_reason() {
        assert_eq!(readings().errors, [HostError { host: "h3".into(), message: "not connected".into() }]);
    }
}
