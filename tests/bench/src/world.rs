//! Objects of clouds as large as asked for.

use std::collections::BTreeMap;

use anyhow::anyhow;
use ringfence_policy::{
    compile::DomainIds,
    model::{Domain, Model},
    object::{
        DomainSpec, InterfaceSpec, LabelTest, NetworkSpec, Object, PeerSpec, PolicySpec, Requirement, RuleSpec,
        SegmentSpec, Spec, SubnetSpec, WorkloadSpec,
    },
};

/// The tenant that everything belongs to.
pub(crate) fn tenant() -> Object {
    Object { domain: String::new(), name: "t".to_owned(), spec: Spec::Tenant }
}

/// A domain and its one network, 10.0.0.0/8.
pub(crate) fn domain(name: &str) -> [Object; 2] {
    let network = network(&[("10.0.0.0/8", "10.255.255.254")]);
    [
        Object { domain: String::new(), name: name.to_owned(), spec: Spec::Domain(DomainSpec::default()) },
        object(name, "net", Spec::Network(network)),
    ]
}

/// A network of these prefixes, each with its gateway.
pub(crate) fn network(subnets: &[(&str, &str)]) -> NetworkSpec {
    let subnet = |(cidr, gateway): &(&str, &str)| {
        let (cidr, gateway) = ((*cidr).to_owned(), (*gateway).to_owned());
        SubnetSpec { cidr, gateway, ..SubnetSpec::default() }
    };
    NetworkSpec { subnets: subnets.iter().map(subnet).collect(), ..NetworkSpec::default() }
}

/// An object of a domain.
pub(crate) fn object(domain: &str, name: &str, spec: Spec) -> Object {
    Object { domain: domain.to_owned(), name: name.to_owned(), spec }
}

/// A workload with one address, which its number gives it, and a label that nobody else has.
pub(crate) fn workload(domain: &str, number: u32, app: &str, host: &str) -> Object {
    let name = format!("w{number}");
    let [_, a, b, c] = (number + 1).to_be_bytes();
    let interface = InterfaceSpec {
        name: "eth0".to_owned(),
        network: "net".to_owned(),
        mac: format!("02:00:00:{a:02x}:{b:02x}:{c:02x}"),
        addresses: vec![format!("10.{a}.{b}.{c}")],
        host: host.to_owned(),
        ..InterfaceSpec::default()
    };
    let labels = BTreeMap::from([("app".to_owned(), app.to_owned()), ("serial".to_owned(), name.clone())]);
    let spec = WorkloadSpec { labels, interfaces: vec![interface], ..WorkloadSpec::default() };
    object(domain, &name, Spec::Workload(spec))
}

/// The segment of the workloads of an app.
pub(crate) fn segment(domain: &str, app: &str) -> Object {
    let requirements = vec![Requirement { key: "app".to_owned(), test: LabelTest::Equals(app.to_owned()) }];
    object(domain, app, Spec::Segment(SegmentSpec { requirements }))
}

/// A policy; its rules are named by their places.
pub(crate) fn policy(domain: &str, name: &str, rules: Vec<RuleSpec>) -> Object {
    let name_rule = |(place, rule)| RuleSpec { name: format!("r{place}"), ..rule };
    let rules = rules.into_iter().enumerate().map(name_rule).collect();
    object(domain, name, Spec::Policy(PolicySpec { rules, ..PolicySpec::default() }))
}

/// A rule that allows.
pub(crate) fn rule(from: PeerSpec, to: PeerSpec, traffic: &str) -> RuleSpec {
    let (from, to, traffic) = (vec![from], vec![to], vec![traffic.to_owned()]);
    RuleSpec { from, to, traffic, action: "allow".to_owned(), ..RuleSpec::default() }
}

/// A segment as a peer.
pub(crate) fn peer(app: &str) -> PeerSpec {
    PeerSpec::Name(format!("segment/{app}"))
}

/// A prefix as a peer.
pub(crate) fn cidr(prefix: String) -> PeerSpec {
    PeerSpec::Cidr { cidr: prefix, except: Vec::new() }
}

/// The model of these objects.
pub(crate) fn model(objects: &[Object]) -> anyhow::Result<Model> {
    changed(&Model::default(), objects)
}

/// A model with further objects.
pub(crate) fn changed(model: &Model, objects: &[Object]) -> anyhow::Result<Model> {
    let change = model.change(objects, &[]);
    Ok(change.map_err(|invalid| anyhow!("the world is not valid: {:?}", invalid.first()))?.model)
}

/// Ids as a controller hands them out; interfaces count from 1 in every domain.
pub(crate) fn ids(domain: &Domain, number: u32) -> DomainIds {
    let interfaces = domain.interfaces().map(|i| (i.workload.to_owned(), i.name.to_owned()));
    let rules = domain.rules().map(|(policy, rule)| (policy.to_owned(), rule.to_owned()));
    let vni = number * 2;
    DomainIds {
        domain: number,
        transit_vni: vni,
        networks: domain.networks().map(|(name, _)| name.to_owned()).zip(vni + 1..).collect(),
        interfaces: interfaces.zip(1..).collect(),
        rules: rules.zip(1..).collect(),
    }
}
