//! Connections of an interface on a host: use, limits, refusals.

use ringfence_proto::v1;
use serde::Serialize;

/// Of one interface.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Connections {
    host: String,
    domain: String,
    workload: String,
    interface: String,
    /// Opened by it.
    own: Use,
    /// Opened to it by interfaces.
    inbound: Use,
    /// Opened to it from outside or by the host.
    outside: Use,
    /// Who has most of `inbound`, if that was ever refused.
    filled_by: Vec<Share>,
}

/// Of a budget.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
struct Use {
    used: u64,
    limit: u64,
    half_open: u64,
    half_open_limit: u64,
    /// Flows.
    refused: u64,
    half_open_refused: u64,
}

/// What an originator has of a destination's budget.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
struct Share {
    domain: String,
    workload: String,
    interface: String,
    connections: u64,
}

impl Connections {
    pub(super) const COLUMNS: [&str; 11] = [
        "HOST",
        "DOMAIN",
        "INTERFACE",
        "OPENED",
        "HALF-OPEN",
        "INBOUND",
        "HALF-OPEN",
        "OUTSIDE",
        "HALF-OPEN",
        "REFUSED",
        "FILLED BY",
    ];

    /// What is used of each limit; what was refused, by the reasons that drops have.
    pub(super) fn row(&self) -> [String; 11] {
        let Self { host, domain, workload, interface, own, inbound, outside, filled_by } = self;
        let refused = [
            ("conn_budget", own.refused),
            ("half_open_budget", own.half_open_refused),
            ("destination_budget", inbound.refused + inbound.half_open_refused),
            ("outside_budget", outside.refused + outside.half_open_refused),
        ];
        let refused = refused.into_iter().filter(|(_, flows)| *flows > 0).map(|(reason, n)| format!("{reason}={n}"));
        let shares = filled_by.iter();
        let shares = shares.map(|share| format!("{}/{}={}", share.workload, share.interface, share.connections));
        [
            host.clone(),
            domain.clone(),
            format!("{workload}/{interface}"),
            own.all(),
            own.half(),
            inbound.all(),
            inbound.half(),
            outside.all(),
            outside.half(),
            refused.collect::<Vec<_>>().join(" "),
            shares.collect::<Vec<_>>().join(" "),
        ]
    }
}

impl Use {
    fn all(&self) -> String {
        format!("{}/{}", self.used, self.limit)
    }

    fn half(&self) -> String {
        format!("{}/{}", self.half_open, self.half_open_limit)
    }
}

impl From<v1::InterfaceConnections> for Connections {
    fn from(message: v1::InterfaceConnections) -> Self {
        let v1::InterfaceConnections { host, domain, workload, interface, own, inbound, outside, filled_by } = message;
        Self {
            host,
            domain,
            workload,
            interface,
            own: own.unwrap_or_default().into(),
            inbound: inbound.unwrap_or_default().into(),
            outside: outside.unwrap_or_default().into(),
            filled_by: filled_by.into_iter().map(Share::from).collect(),
        }
    }
}

impl From<v1::BudgetUse> for Use {
    fn from(message: v1::BudgetUse) -> Self {
        let v1::BudgetUse { used, limit, half_open, half_open_limit, refused, half_open_refused } = message;
        Self { used, limit, half_open, half_open_limit, refused, half_open_refused }
    }
}

impl From<v1::InboundShare> for Share {
    fn from(message: v1::InboundShare) -> Self {
        let v1::InboundShare { domain, workload, interface, connections } = message;
        Self { domain, workload, interface, connections }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::output::columns;

    #[test]
    fn use_and_limit_stand_together_and_who_fills_a_destination_is_named() {
        let inbound =
            v1::BudgetUse { used: 20, limit: 80, half_open: 20, half_open_limit: 20, refused: 0, half_open_refused: 7 };
        let share = v1::InboundShare {
            workload: "web-1".into(),
            interface: "eth0".into(),
            connections: 9,
            ..Default::default()
        };
        let message = v1::InterfaceConnections {
            host: "h1".into(),
            domain: "acme/prod".into(),
            workload: "db-1".into(),
            interface: "eth0".into(),
            inbound: Some(inbound),
            filled_by: vec![share],
            ..Default::default()
        };
        let table = columns(Connections::COLUMNS, [Connections::from(message).row()]);
        assert_eq!(
            table.lines().nth(1).unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" "),
            "h1 acme/prod db-1/eth0 0/0 0/0 20/80 20/20 0/0 0/0 destination_budget=7 web-1/eth0=9"
        );
    }
}
