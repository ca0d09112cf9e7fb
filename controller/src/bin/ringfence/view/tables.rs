//! Tables of objects, for people.

use ringfence_policy::object::{Kind, LabelTest, Object, PeerSpec, Requirement, Spec};

use crate::{
    output::columns,
    view::{
        interfaces::{Interface, Interfaces},
        objects::Stored,
    },
};

/// The order in which kinds are shown.
const KINDS: [Kind; 7] =
    [Kind::Tenant, Kind::Domain, Kind::Network, Kind::Workload, Kind::Segment, Kind::Policy, Kind::Host];

/// The priority of a rule that names none.
const DEFAULT_PRIORITY: u32 = 1000;

/// A table of each kind there is any of, under its name.
pub(crate) fn of_all(objects: &[Stored]) -> String {
    let tables: Vec<_> = KINDS
        .into_iter()
        .filter(|kind| objects.iter().any(|stored| stored.is(*kind)))
        .map(|kind| format!("{kind}\n{}", of_kind(kind, objects)))
        .collect();
    if tables.is_empty() {
        "there is nothing yet; `ringfence apply -f` adds objects\n".to_owned()
    } else {
        tables.join("\n")
    }
}

/// The table of one kind.
pub(crate) fn of_kind(kind: Kind, objects: &[Stored]) -> String {
    let objects = || objects.iter().filter(move |stored| stored.is(kind));
    match kind {
        Kind::Tenant => columns(["NAME", "SOURCE"], objects().map(|o| [o.object.name.clone(), o.source.clone()])),
        Kind::Domain => columns(["NAME", "UPLINK", "ADDRESSES", "NEXT HOPS", "SOURCE"], objects().map(domain)),
        Kind::Network => {
            columns(["DOMAIN", "NAME", "SUBNETS", "GATEWAYS", "MTU", "VNI", "SOURCE"], objects().map(network))
        }
        Kind::Workload => {
            columns(["DOMAIN", "NAME", "LABELS", "ADDRESSES", "HOSTS", "SOURCE"], objects().map(workload))
        }
        Kind::Segment => columns(["DOMAIN", "NAME", "MATCH", "SOURCE"], objects().map(segment)),
        Kind::Policy => columns(
            ["DOMAIN", "POLICY", "RULE", "PRIORITY", "ACTION", "FROM", "TO", "TRAFFIC"],
            objects().flat_map(|stored| rules(&stored.object)),
        ),
        Kind::Host => columns(["NAME", "UNDERLAY", "AGENT", "LABELS"], objects().map(host)),
    }
}

/// The table of `get interfaces`.
pub(crate) fn interfaces(interfaces: &Interfaces) -> String {
    columns(
        ["DOMAIN", "INTERFACE", "NETWORK", "MAC", "ADDRESSES", "HOST", "DEVICE"],
        interfaces.interfaces.iter().cloned().map(|interface| {
            let Interface { domain, workload, name, network, mac, addresses, host, device } = interface;
            [domain, format!("{workload}/{name}"), network, mac, addresses.join(","), host, device]
        }),
    )
}

fn domain(stored: &Stored) -> [String; 5] {
    let name = stored.object.name.clone();
    let uplink = match &stored.object.spec {
        Spec::Domain(spec) => spec.uplink.clone().unwrap_or_default(),
        _ => Default::default(),
    };
    let place = [uplink.host, uplink.device].join(" ").trim().to_owned();
    [name, place, uplink.addresses.join(","), uplink.next_hops.join(","), stored.source.clone()]
}

fn network(stored: &Stored) -> [String; 7] {
    let Object { domain, name, spec } = stored.object.clone();
    let spec = if let Spec::Network(spec) = spec { spec } else { Default::default() };
    let (cidrs, gateways): (Vec<_>, Vec<_>) = spec.subnets.into_iter().map(|s| (s.cidr, s.gateway)).unzip();
    let or_auto = |number: Option<u32>| number.map_or_else(|| "auto".to_owned(), |number| number.to_string());
    [domain, name, cidrs.join(","), gateways.join(","), or_auto(spec.mtu), or_auto(spec.vni), stored.source.clone()]
}

fn workload(stored: &Stored) -> [String; 6] {
    let Object { domain, name, spec } = stored.object.clone();
    let spec = if let Spec::Workload(spec) = spec { spec } else { Default::default() };
    let addresses: Vec<_> = spec.interfaces.iter().flat_map(|interface| interface.addresses.clone()).collect();
    let mut hosts: Vec<_> = spec.interfaces.into_iter().map(|interface| interface.host).collect();
    hosts.sort();
    hosts.dedup();
    [domain, name, labels(&spec.labels), addresses.join(","), hosts.join(","), stored.source.clone()]
}

fn segment(stored: &Stored) -> [String; 4] {
    let Object { domain, name, spec } = stored.object.clone();
    let spec = if let Spec::Segment(spec) = spec { spec } else { Default::default() };
    let requirements: Vec<_> = spec.requirements.iter().map(requirement).collect();
    [domain, name, requirements.join(" and "), stored.source.clone()]
}

fn rules(object: &Object) -> Vec<[String; 8]> {
    let Spec::Policy(spec) = &object.spec else { return Vec::new() };
    let peers = |peers: &[PeerSpec]| {
        let peer = |peer: &PeerSpec| match peer {
            PeerSpec::Name(name) => name.clone(),
            PeerSpec::Cidr(cidr) => cidr.clone(),
        };
        peers.iter().map(peer).collect::<Vec<_>>().join(",")
    };
    spec.rules
        .iter()
        .map(|rule| {
            [
                object.domain.clone(),
                object.name.clone(),
                rule.name.clone(),
                rule.priority.unwrap_or(DEFAULT_PRIORITY).to_string(),
                rule.action.clone(),
                peers(&rule.from),
                peers(&rule.to),
                rule.traffic.join(","),
            ]
        })
        .collect()
}

fn host(stored: &Stored) -> [String; 4] {
    let spec = if let Spec::Host(spec) = stored.object.spec.clone() { spec } else { Default::default() };
    [stored.object.name.clone(), spec.underlay.join(","), spec.agent_version, labels(&spec.labels)]
}

fn labels(labels: &std::collections::BTreeMap<String, String>) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

fn requirement(requirement: &Requirement) -> String {
    let Requirement { key, test } = requirement;
    match test {
        LabelTest::Equals(value) => format!("{key}={value}"),
        LabelTest::In(values) => format!("{key} in ({})", values.join(",")),
        LabelTest::NotIn(values) => format!("{key} not in ({})", values.join(",")),
        LabelTest::Exists(true) => format!("{key} exists"),
        LabelTest::Exists(false) => format!("{key} is absent"),
    }
}
