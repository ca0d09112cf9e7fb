//! Small domains for tests: written by hand as YAML, or generated.
#![allow(dead_code, clippy::unwrap_used, clippy::panic, unreachable_pub, missing_docs)]

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use ringfence_policy::{
    bundle::Bundle,
    compile::{CompileError, DomainIds, compile},
    model::{Domain, Model},
    object::{
        DomainSpec, InterfaceSpec, LabelTest, NetworkSpec, Object, PeerSpec, PolicySpec, Requirement, RuleSpec,
        SegmentSpec, Spec, SubnetSpec, UplinkSpec, WorkloadSpec,
    },
    text::{Document, SourceFile, TextError, parse},
};

pub mod cast;
pub mod generate;

/// The domain that tests live in.
pub const DOMAIN: &str = "acme/prod";

/// A tenant, its domain and two networks.
pub const GROUND: &str = r#"
kind: Tenant
name: acme
---
kind: Domain
name: acme/prod
---
kind: Network
domain: acme/prod
name: front
subnets:
  - {cidr: 10.1.0.0/24, gateway: 10.1.0.1}
  - {cidr: "fd00:1::/64", gateway: "fd00:1::1"}
---
kind: Network
domain: acme/prod
name: back
subnets:
  - {cidr: 10.2.0.0/24, gateway: 10.2.0.1}
---
"#;

/// What a text says.
pub fn read(text: &str) -> Result<Vec<Document>, Vec<TextError>> {
    parse(&[SourceFile { name: "f.yaml".into(), text: text.into() }])
}

/// The objects of a text that is right.
pub fn objects(text: &str) -> Vec<Object> {
    let documents = read(text).unwrap_or_else(|errors| panic!("{}", lines(&errors)));
    documents.into_iter().map(|document| document.object).collect()
}

/// Errors, one a line.
pub fn lines(errors: &[TextError]) -> String {
    errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// A workload of one interface in a network.
pub fn workload(name: &str, role: &str, network: &str, mac: u8, address: &str) -> Object {
    let interface = InterfaceSpec {
        name: "eth0".into(),
        network: network.into(),
        mac: format!("02:00:00:00:00:{mac:02x}"),
        addresses: vec![address.into()],
        host: "h1".into(),
        device: None,
        ..InterfaceSpec::default()
    };
    let labels = BTreeMap::from([("role".to_owned(), role.to_owned())]);
    object(name, Spec::Workload(WorkloadSpec { labels, interfaces: vec![interface], ..WorkloadSpec::default() }))
}

/// A segment of the workloads with a role.
pub fn segment(role: &str) -> Object {
    let requirements = vec![Requirement { key: "role".into(), test: LabelTest::Equals(role.into()) }];
    object(role, Spec::Segment(SegmentSpec { requirements }))
}

/// A policy of rules written as `NAME ACTION FROM -> TO TRAFFIC [PRIORITY]`.
pub fn policy(name: &str, rules: &[&str]) -> Object {
    let rules = rules.iter().map(|text| rule(text)).collect();
    object(name, Spec::Policy(PolicySpec { rules, ..PolicySpec::default() }))
}

fn rule(text: &str) -> RuleSpec {
    let words: Vec<&str> = text.split_whitespace().collect();
    let (name, action, from, to, traffic) = (words[0], words[1], words[2], words[4], words[5]);
    let peer = |text: &str| match text.parse::<ipnet::IpNet>() {
        Ok(_) => PeerSpec::Cidr { cidr: text.into(), except: Vec::new() },
        Err(_) => PeerSpec::Name(text.into()),
    };
    RuleSpec {
        name: name.into(),
        from: from.split(',').map(peer).collect(),
        to: to.split(',').map(peer).collect(),
        action: action.into(),
        traffic: traffic.split(',').map(Into::into).collect(),
        priority: words.get(6).map(|priority| priority.parse().unwrap()),
        ..RuleSpec::default()
    }
}

/// An object of the domain that tests live in.
pub fn object(name: &str, spec: Spec) -> Object {
    Object { domain: DOMAIN.into(), name: name.into(), spec }
}

/// Tenant, domain with an uplink, and two networks, as objects.
pub fn ground() -> Vec<Object> {
    let mut objects = objects(GROUND);
    let uplink = UplinkSpec {
        host: "h1".into(),
        device: "out".into(),
        addresses: vec!["192.0.2.2/24".into()],
        next_hops: vec!["192.0.2.1".into()],
    };
    objects[1].spec = Spec::Domain(DomainSpec { uplink: Some(uplink), ..DomainSpec::default() });
    objects
}

/// Another network of the domain.
pub fn network(name: &str, cidr: &str, gateway: &str) -> Object {
    let subnets = vec![SubnetSpec { cidr: cidr.into(), gateway: gateway.into(), ..SubnetSpec::default() }];
    object(name, Spec::Network(NetworkSpec { subnets, ..NetworkSpec::default() }))
}

/// The model of objects that are right.
pub fn model(objects: &[Object]) -> Model {
    Model::default().change(objects, &[]).unwrap().model
}

/// The domain that tests live in.
pub fn domain(objects: &[Object]) -> Arc<Domain> {
    model(objects).domains()[DOMAIN].clone()
}

/// Ids as a controller hands them out.
pub fn ids(domain: &Domain) -> DomainIds {
    let interfaces = domain.interfaces().map(|i| (i.workload.to_owned(), i.name.to_owned()));
    let rules = domain.rules().map(|(policy, rule)| (policy.to_owned(), rule.to_owned()));
    DomainIds {
        domain: 7,
        transit_vni: 700,
        networks: domain.networks().map(|(name, _)| name.to_owned()).zip(701..).collect(),
        interfaces: interfaces.zip(1..).collect(),
        rules: rules.zip(100..).collect(),
    }
}

/// The bundle of a domain.
pub fn try_bundle(domain: &Domain) -> Result<Bundle, CompileError> {
    let underlay = BTreeMap::from([("h1".to_owned(), vec![IpAddr::from([172, 16, 0, 1])])]);
    compile(domain, &ids(domain), &underlay, 5)
}

/// The bundle of a domain that fits.
pub fn bundle(domain: &Domain) -> Bundle {
    try_bundle(domain).unwrap()
}
