//! Nodes → objects, kind by kind. Only shape is read here; what a value may be, [`crate::model`] knows.

use std::collections::BTreeMap;

use super::{
    later,
    node::{Content, Node},
    reader::{Field, Fields, Reader, join},
    suggest::nearest,
};
use crate::object::{
    DomainSpec, InterfaceSpec, LabelTest, NetworkSpec, Object, PeerSpec, PolicySpec, Requirement, RuleSpec,
    SegmentSpec, Spec, SubnetSpec, UplinkSpec, WorkloadSpec,
};

/// Kinds that an author writes.
const KINDS: [&str; 6] = ["Tenant", "Domain", "Network", "Workload", "Segment", "Policy"];

/// Reads one document.
pub(super) fn read(reader: &mut Reader<'_>, root: &Node) -> Option<Object> {
    reader.places.insert(String::new(), root.place);
    reader.title = title(root);
    let root = Field { path: String::new(), node: root };
    match kind(reader, &root)? {
        "Tenant" => global(reader, &root, &["kind", "name"], &[], |_, _| Some(Spec::Tenant)),
        "Domain" => global(reader, &root, &["kind", "name", "uplink"], &later::DOMAIN, domain),
        "Network" => member(reader, &root, &["subnets", "mtu", "vni"], &later::NETWORK, network),
        "Workload" => member(reader, &root, &["labels", "interfaces"], &later::WORKLOAD, workload),
        "Segment" => member(reader, &root, &["match"], &[], segment),
        _ => member(reader, &root, &["rules"], &later::POLICY, policy),
    }
}

/// `Workload acme/prod/web-1`, as far as it can be told.
fn title(root: &Node) -> String {
    let text = |key| root.get(key).and_then(Node::text);
    let kind = text("kind").unwrap_or("object without a kind");
    let name: Vec<_> = [text("domain"), text("name")].into_iter().flatten().collect();
    if name.is_empty() { kind.into() } else { format!("{kind} {}", name.join("/")) }
}

fn kind(reader: &mut Reader<'_>, root: &Field<'_>) -> Option<&'static str> {
    if !matches!(root.node.content, Content::Map(_)) {
        reader.mismatch(root, "an object with kind and name");
        return None;
    }
    let Some(node) = root.node.get("kind") else {
        reader.error(root.node.place, "kind", format!("is missing: add one of {}", KINDS.join(", ")));
        return None;
    };
    let field = Field { path: "kind".into(), node };
    let written = reader.text(&field)?;
    if let Some(known) = KINDS.into_iter().find(|known| *known == written) {
        return Some(known);
    }
    let message = if later::KINDS.contains(&written.as_str()) {
        format!("{written:?} is not supported yet: remove the object")
    } else if written == "Host" {
        "hosts are made by the controller when an agent registers: remove the object".into()
    } else {
        let advice = match nearest(&written, KINDS) {
            Some(kind) => format!("did you mean {kind}?"),
            None => format!("known are {}", KINDS.join(", ")),
        };
        format!("unknown kind {written:?}: {advice}")
    };
    reader.error(node.place, "kind", message);
    None
}

/// An object that is in no domain.
fn global(
    reader: &mut Reader<'_>,
    root: &Field<'_>,
    known: &[&'static str],
    later: &[later::Later],
    spec: impl FnOnce(&mut Reader<'_>, &Fields<'_>) -> Option<Spec>,
) -> Option<Object> {
    let fields = reader.fields(root, known, later)?;
    let name = reader.required_text(&fields, "name");
    let spec = spec(reader, &fields);
    Some(Object { domain: String::new(), name: name?, spec: spec? })
}

/// An object of a domain.
fn member(
    reader: &mut Reader<'_>,
    root: &Field<'_>,
    known: &[&'static str],
    later: &[later::Later],
    spec: impl FnOnce(&mut Reader<'_>, &Fields<'_>) -> Option<Spec>,
) -> Option<Object> {
    let known = [&["kind", "domain", "name"], known].concat();
    let fields = reader.fields(root, &known, later)?;
    let domain = reader.required_text(&fields, "domain");
    if domain.as_deref() == Some("*")
        && let Some(field) = fields.get("domain")
    {
        let message = "objects of the platform (\"*\") are not supported yet: write TENANT/DOMAIN";
        reader.error(field.node.place, "domain", message);
    }
    let name = reader.required_text(&fields, "name");
    let spec = spec(reader, &fields);
    Some(Object { domain: domain?, name: name?, spec: spec? })
}

fn domain(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Spec> {
    let Some(field) = fields.get("uplink") else { return Some(Spec::Domain(DomainSpec::default())) };
    let fields = reader.fields(&field, &["host", "device", "addresses", "nextHops"], &[])?;
    let host = reader.required_text(&fields, "host");
    let device = reader.required_text(&fields, "device");
    let addresses = reader.required_list(&fields, "addresses", Reader::text);
    let next_hops = reader.required_list(&fields, "nextHops", Reader::text);
    let uplink = UplinkSpec { host: host?, device: device?, addresses: addresses?, next_hops: next_hops? };
    Some(Spec::Domain(DomainSpec { uplink: Some(uplink) }))
}

fn network(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Spec> {
    let subnets = reader.required_list(fields, "subnets", |reader, field| {
        let fields = reader.fields(field, &["cidr", "gateway"], &later::SUBNET)?;
        let cidr = reader.required_text(&fields, "cidr");
        let gateway = reader.required_text(&fields, "gateway");
        Some(SubnetSpec { cidr: cidr?, gateway: gateway? })
    });
    let mtu = reader.number(fields, "mtu");
    let vni = reader.number(fields, "vni");
    Some(Spec::Network(NetworkSpec { subnets: subnets?, mtu: mtu?, vni: vni? }))
}

fn workload(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Spec> {
    let labels = match fields.get("labels") {
        None => Some(BTreeMap::new()),
        Some(field) => labels(reader, &field).map(BTreeMap::from_iter),
    };
    let interfaces = reader.required_list(fields, "interfaces", interface);
    Some(Spec::Workload(WorkloadSpec { labels: labels?, interfaces: interfaces? }))
}

/// Keys and values in the order written.
fn labels(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<(String, String)>> {
    let Content::Map(entries) = &field.node.content else {
        reader.mismatch(field, "labels, like {role: web}");
        return None;
    };
    let mut labels = Vec::with_capacity(entries.len());
    for entry in entries {
        let path = join(&field.path, &entry.key);
        reader.places.insert(path.clone(), entry.value.place);
        let value = reader.text(&Field { path, node: &entry.value });
        labels.push(value.map(|value| (entry.key.clone(), value)));
    }
    labels.into_iter().collect()
}

fn interface(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<InterfaceSpec> {
    let known = ["name", "network", "mac", "addresses", "host", "device"];
    let fields = reader.fields(field, &known, &later::INTERFACE)?;
    let name = reader.required_text(&fields, "name");
    let network = reader.required_text(&fields, "network");
    let mac = reader.required_text(&fields, "mac");
    let addresses = reader.required_list(&fields, "addresses", Reader::text);
    let host = reader.required_text(&fields, "host");
    let device = match fields.get("device") {
        None => Some(None),
        Some(field) => reader.text(&field).map(Some),
    };
    Some(InterfaceSpec {
        name: name?,
        network: network?,
        mac: mac?,
        addresses: addresses?,
        host: host?,
        device: device?,
    })
}

/// A mapping of labels and values, or a list of conditions.
fn segment(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Spec> {
    let field = reader.required(fields, "match")?;
    let requirements = match &field.node.content {
        Content::List(_) => reader.list(&field, requirement)?,
        _ => equalities(reader, &field)?,
    };
    Some(Spec::Segment(SegmentSpec { requirements }))
}

fn equalities(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Vec<Requirement>> {
    let labels = labels(reader, field)?;
    let requirements = labels.into_iter().enumerate().map(|(index, (key, value))| {
        // The model counts conditions; the file names labels.
        let place = reader.places.get(&join(&field.path, &key)).copied();
        reader.places.extend(place.map(|place| (format!("{}[{index}]", field.path), place)));
        Requirement { key, test: LabelTest::Equals(value) }
    });
    Some(requirements.collect())
}

fn requirement(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<Requirement> {
    let tests = ["equals", "in", "notIn", "exists"];
    let fields = reader.fields(field, &[&["key"][..], &tests].concat(), &[])?;
    let key = reader.required_text(&fields, "key");
    let mut given = tests.into_iter().filter_map(|test| Some((test, fields.get(test)?)));
    let (Some((test, value)), None) = (given.next(), given.next()) else {
        let message = "must say exactly one of equals, in, notIn and exists";
        reader.error(field.node.place, &field.path, message);
        return None;
    };
    let test = match test {
        "equals" => reader.text(&value).map(LabelTest::Equals),
        "in" => reader.list(&value, Reader::text).map(LabelTest::In),
        "notIn" => reader.list(&value, Reader::text).map(LabelTest::NotIn),
        _ => reader.truth(&value).map(LabelTest::Exists),
    };
    Some(Requirement { key: key?, test: test? })
}

fn policy(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Option<Spec> {
    let rules = reader.required_list(fields, "rules", |reader, field| {
        let known = ["name", "from", "to", "action", "traffic", "priority"];
        let fields = reader.fields(field, &known, &later::RULE)?;
        let name = reader.required_text(&fields, "name");
        let from = reader.required_list(&fields, "from", peer);
        let to = reader.required_list(&fields, "to", peer);
        let action = reader.required_text(&fields, "action");
        let traffic = reader.required_list(&fields, "traffic", Reader::text);
        let priority = reader.number(&fields, "priority");
        Some(RuleSpec { name: name?, from: from?, to: to?, action: action?, traffic: traffic?, priority: priority? })
    });
    Some(Spec::Policy(PolicySpec { rules: rules? }))
}

fn peer(reader: &mut Reader<'_>, field: &Field<'_>) -> Option<PeerSpec> {
    if let Some(name) = field.node.text() {
        return Some(PeerSpec::Name(name.into()));
    }
    let fields = reader.fields(field, &["cidr"], &later::PEER)?;
    // `{labels: …}` has been refused; that it lacks a prefix is not news.
    if fields.get("labels").is_some() {
        return None;
    }
    reader.required_text(&fields, "cidr").map(PeerSpec::Cidr)
}
