//! Nodes → objects, kind by kind. Only shape is read here; what a value may be, [`crate::model`] knows.

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

/// Reads one document. Where something is wrong with it, of which the author has been told, an empty value
/// stands in its place; without a kind there is no object.
pub(super) fn read(reader: &mut Reader<'_>, root: &Node) -> Option<Object> {
    reader.places.insert(String::new(), root.place);
    let root = Field { path: String::new(), node: root };
    Some(match kind(reader, &root)? {
        "Tenant" => global(reader, &root, &["kind", "name"], &[], |_, _| Spec::Tenant),
        "Domain" => global(reader, &root, &["kind", "name", "uplink"], &later::DOMAIN, domain),
        "Network" => member(reader, &root, &["subnets", "mtu", "vni"], &later::NETWORK, network),
        "Workload" => member(reader, &root, &["labels", "interfaces"], &later::WORKLOAD, workload),
        "Segment" => member(reader, &root, &["match"], &[], segment),
        _ => member(reader, &root, &["rules"], &later::POLICY, policy),
    })
}

/// `Workload acme/prod/web-1`, as far as it can be told; empty if nothing can.
pub(super) fn title(root: &Node) -> String {
    if matches!(root.content, Content::Refused) {
        return String::new();
    }
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
    let written = reader.text(&field);
    if written.is_empty() {
        return None;
    }
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
    spec: impl FnOnce(&mut Reader<'_>, &Fields<'_>) -> Spec,
) -> Object {
    let fields = reader.fields(root, known, later);
    let name = reader.required_text(&fields, "name");
    Object { domain: String::new(), name, spec: spec(reader, &fields) }
}

/// An object of a domain.
fn member(
    reader: &mut Reader<'_>,
    root: &Field<'_>,
    known: &[&'static str],
    later: &[later::Later],
    spec: impl FnOnce(&mut Reader<'_>, &Fields<'_>) -> Spec,
) -> Object {
    let known = [&["kind", "domain", "name"], known].concat();
    let fields = reader.fields(root, &known, later);
    let domain = reader.required_text(&fields, "domain");
    if domain == "*"
        && let Some(field) = fields.get("domain")
    {
        let message = "objects of the platform (\"*\") are not supported yet: write TENANT/DOMAIN";
        reader.error(field.node.place, "domain", message);
    }
    let name = reader.required_text(&fields, "name");
    Object { domain, name, spec: spec(reader, &fields) }
}

fn domain(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Spec {
    let uplink = fields.get("uplink").map(|field| {
        let fields = reader.fields(&field, &["host", "device", "addresses", "nextHops"], &[]);
        UplinkSpec {
            host: reader.required_text(&fields, "host"),
            device: reader.required_text(&fields, "device"),
            addresses: reader.required_list(&fields, "addresses", Reader::text),
            next_hops: reader.required_list(&fields, "nextHops", Reader::text),
        }
    });
    Spec::Domain(DomainSpec { uplink })
}

fn network(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Spec {
    let subnets = reader.required_list(fields, "subnets", |reader, field| {
        let fields = reader.fields(field, &["cidr", "gateway"], &later::SUBNET);
        SubnetSpec { cidr: reader.required_text(&fields, "cidr"), gateway: reader.required_text(&fields, "gateway") }
    });
    Spec::Network(NetworkSpec { subnets, mtu: reader.number(fields, "mtu"), vni: reader.number(fields, "vni") })
}

fn workload(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Spec {
    let labels = fields.get("labels").map(|field| labels(reader, &field)).unwrap_or_default();
    let interfaces = reader.required_list(fields, "interfaces", interface);
    Spec::Workload(WorkloadSpec { labels: labels.into_iter().collect(), interfaces })
}

/// Keys and values in the order written.
fn labels(reader: &mut Reader<'_>, field: &Field<'_>) -> Vec<(String, String)> {
    let Content::Map(entries) = &field.node.content else {
        reader.mismatch(field, "labels, like {role: web}");
        return Vec::new();
    };
    let mut labels = Vec::with_capacity(entries.len());
    for entry in entries {
        let path = join(&field.path, &entry.key);
        reader.places.insert(path.clone(), entry.value.place);
        labels.push((entry.key.clone(), reader.text(&Field { path, node: &entry.value })));
    }
    labels
}

fn interface(reader: &mut Reader<'_>, field: &Field<'_>) -> InterfaceSpec {
    let known = ["name", "network", "mac", "addresses", "host", "device"];
    let fields = reader.fields(field, &known, &later::INTERFACE);
    InterfaceSpec {
        name: reader.required_text(&fields, "name"),
        network: reader.required_text(&fields, "network"),
        mac: reader.required_text(&fields, "mac"),
        addresses: reader.required_list(&fields, "addresses", Reader::text),
        host: reader.required_text(&fields, "host"),
        device: fields.get("device").map(|field| reader.text(&field)),
    }
}

/// A mapping of labels and values, or a list of conditions.
fn segment(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Spec {
    let requirements = match reader.required(fields, "match") {
        None => Vec::new(),
        Some(field) if matches!(field.node.content, Content::List(_)) => reader.list(&field, requirement),
        Some(field) => equalities(reader, &field),
    };
    Spec::Segment(SegmentSpec { requirements })
}

fn equalities(reader: &mut Reader<'_>, field: &Field<'_>) -> Vec<Requirement> {
    let labels = labels(reader, field);
    let requirements = labels.into_iter().enumerate().map(|(index, (key, value))| {
        // The model counts conditions; the file names labels.
        let place = reader.places.get(&join(&field.path, &key)).copied();
        reader.places.extend(place.map(|place| (format!("{}[{index}]", field.path), place)));
        Requirement { key, test: LabelTest::Equals(value) }
    });
    requirements.collect()
}

fn requirement(reader: &mut Reader<'_>, field: &Field<'_>) -> Requirement {
    let tests = ["equals", "in", "notIn", "exists"];
    let fields = reader.fields(field, &[&["key"][..], &tests].concat(), &[]);
    let key = reader.required_text(&fields, "key");
    let given: Vec<_> = tests.into_iter().filter_map(|test| Some((test, fields.get(test)?))).collect();
    let test = match &given[..] {
        [("equals", value)] => LabelTest::Equals(reader.text(value)),
        [("in", value)] => LabelTest::In(reader.list(value, Reader::text)),
        [("notIn", value)] => LabelTest::NotIn(reader.list(value, Reader::text)),
        [(_, value)] => LabelTest::Exists(reader.truth(value)),
        _ => {
            let message = "must say exactly one of equals, in, notIn and exists";
            reader.error(field.node.place, &field.path, message);
            LabelTest::Exists(true)
        }
    };
    Requirement { key, test }
}

fn policy(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Spec {
    let rules = reader.required_list(fields, "rules", |reader, field| {
        let known = ["name", "from", "to", "action", "traffic", "priority"];
        let fields = reader.fields(field, &known, &later::RULE);
        RuleSpec {
            name: reader.required_text(&fields, "name"),
            from: reader.required_list(&fields, "from", peer),
            to: reader.required_list(&fields, "to", peer),
            action: reader.required_text(&fields, "action"),
            traffic: reader.required_list(&fields, "traffic", Reader::text),
            priority: reader.number(&fields, "priority"),
        }
    });
    Spec::Policy(PolicySpec { rules })
}

fn peer(reader: &mut Reader<'_>, field: &Field<'_>) -> PeerSpec {
    if let Some(name) = field.node.text() {
        return PeerSpec::Name(name.into());
    }
    let fields = reader.fields(field, &["cidr"], &later::PEER);
    // `{labels: …}` has been refused; that it lacks a prefix is not news.
    if fields.get("labels").is_some() {
        return PeerSpec::Cidr(String::new());
    }
    PeerSpec::Cidr(reader.required_text(&fields, "cidr"))
}
