//! Nodes → objects and expectations, kind by kind. Of objects, only shape is read here; what a value may be, [`crate::model`]
//! knows.

use super::{
    expectation,
    node::{Content, Node},
    reader::{Field, Fields, Reader, join},
    suggest::nearest,
};
use crate::{
    expectation::Expectation,
    model::PEERS,
    object::{
        AddressPairSpec, AddressSetSpec, DomainSpec, InterfaceSpec, LabelTest, NetworkSpec, Object, PeerSpec,
        PolicySpec, Requirement, RouteSpec, RuleSpec, SegmentSpec, Spec, SubnetSpec, UplinkSpec, WorkloadSpec,
    },
};

/// Kinds that an author writes.
const KINDS: [&str; 8] = ["Tenant", "Domain", "Network", "Workload", "Segment", "AddressSet", "Policy", "Expectation"];

/// What a document is.
pub(super) enum Read {
    Object(Object),
    Expectation(Expectation),
}

/// Reads one document. Where something is wrong with it, of which the author has been told, an empty value
/// stands in its place; without a kind there is no object.
pub(super) fn read(reader: &mut Reader<'_>, root: &Node) -> Option<Read> {
    reader.places.insert(String::new(), root.place);
    let root = Field { path: String::new(), node: root };
    Some(Read::Object(match kind(reader, &root)? {
        "Expectation" => return expectation::read(reader, &root).map(Read::Expectation),
        "Tenant" => global(reader, &root, &["kind", "name"], |_, _| Spec::Tenant),
        "Domain" => global(reader, &root, &["kind", "name", "default", "uplink"], domain),
        "Network" => member(reader, &root, &["subnets", "mtu", "vni", "multicast", "lease", "searchDomains"], network),
        "Workload" => member(reader, &root, &["labels", "ports", "interfaces", "bareMetal"], workload),
        "Segment" => member(reader, &root, &["match"], segment),
        "AddressSet" => member(reader, &root, &["addresses"], address_set),
        _ => member(reader, &root, &["tier", "mode", "stateless", "rules"], policy),
    }))
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
    let message = if written == "Host" {
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
    spec: impl FnOnce(&mut Reader<'_>, &Fields<'_>) -> Spec,
) -> Object {
    let fields = reader.fields(root, known);
    let name = reader.required_text(&fields, "name");
    Object { domain: String::new(), name, spec: spec(reader, &fields) }
}

/// An object of a domain.
fn member(
    reader: &mut Reader<'_>,
    root: &Field<'_>,
    known: &[&'static str],
    spec: impl FnOnce(&mut Reader<'_>, &Fields<'_>) -> Spec,
) -> Object {
    let known = [&["kind", "domain", "name"], known].concat();
    let fields = reader.fields(root, &known);
    let domain = reader.required_text(&fields, "domain");
    let name = reader.required_text(&fields, "name");
    Object { domain, name, spec: spec(reader, &fields) }
}

fn domain(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Spec {
    let uplink = fields.get("uplink").map(|field| {
        let fields = reader.fields(&field, &["host", "device", "addresses", "nextHops"]);
        UplinkSpec {
            host: reader.required_text(&fields, "host"),
            device: reader.required_text(&fields, "device"),
            addresses: reader.required_list(&fields, "addresses", Reader::text),
            next_hops: reader.required_list(&fields, "nextHops", Reader::text),
        }
    });
    Spec::Domain(DomainSpec { uplink, default: reader.given_text(fields, "default") })
}

fn network(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Spec {
    Spec::Network(NetworkSpec {
        subnets: reader.required_list(fields, "subnets", subnet),
        mtu: reader.number(fields, "mtu"),
        vni: reader.number(fields, "vni"),
        multicast: reader.given_truth(fields, "multicast"),
        lease: reader.given_text(fields, "lease"),
        search_domains: reader.given_list(fields, "searchDomains", Reader::text),
    })
}

fn subnet(reader: &mut Reader<'_>, field: &Field<'_>) -> SubnetSpec {
    let fields = reader.fields(field, &["cidr", "gateway", "dns", "dhcp", "ra", "routes"]);
    SubnetSpec {
        cidr: reader.required_text(&fields, "cidr"),
        gateway: reader.required_text(&fields, "gateway"),
        dns: reader.given_list(&fields, "dns", Reader::text),
        dhcp: reader.given_truth(&fields, "dhcp"),
        ra: reader.given_truth(&fields, "ra"),
        routes: reader.given_list(&fields, "routes", |reader, field| {
            let fields = reader.fields(field, &["to", "via"]);
            RouteSpec { to: reader.required_text(&fields, "to"), via: reader.required_text(&fields, "via") }
        }),
    }
}

fn workload(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Spec {
    let labels = fields.get("labels").map(|field| labels(reader, &field)).unwrap_or_default();
    let ports = fields.get("ports").map(|field| ports(reader, &field)).unwrap_or_default();
    let interfaces = reader.required_list(fields, "interfaces", interface);
    Spec::Workload(WorkloadSpec {
        labels: labels.into_iter().collect(),
        ports: ports.into_iter().collect(),
        interfaces,
        bare_metal: fields.get("bareMetal").is_some_and(|field| reader.truth(&field)),
    })
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

/// Names and numbers in the order written.
fn ports(reader: &mut Reader<'_>, field: &Field<'_>) -> Vec<(String, u32)> {
    let Content::Map(entries) = &field.node.content else {
        reader.mismatch(field, "ports by name, like {https: 443}");
        return Vec::new();
    };
    let mut ports = Vec::with_capacity(entries.len());
    for entry in entries {
        let path = join(&field.path, &entry.key);
        reader.places.insert(path.clone(), entry.value.place);
        if let Some(port) = reader.whole_number(&Field { path, node: &entry.value }) {
            ports.push((entry.key.clone(), port));
        }
    }
    ports
}

fn interface(reader: &mut Reader<'_>, field: &Field<'_>) -> InterfaceSpec {
    let known = ["name", "network", "mac", "addresses", "host", "device", "addressPairs", "portSecurity"];
    let fields = reader.fields(field, &known);
    InterfaceSpec {
        name: reader.required_text(&fields, "name"),
        network: reader.required_text(&fields, "network"),
        mac: reader.required_text(&fields, "mac"),
        addresses: reader.required_list(&fields, "addresses", Reader::text),
        host: reader.required_text(&fields, "host"),
        device: reader.given_text(&fields, "device"),
        address_pairs: reader.given_list(&fields, "addressPairs", address_pair),
        port_security: fields.get("portSecurity").map(|field| reader.truth(&field)),
    }
}

fn address_pair(reader: &mut Reader<'_>, field: &Field<'_>) -> AddressPairSpec {
    let fields = reader.fields(field, &["mac", "prefix"]);
    AddressPairSpec { mac: reader.given_text(&fields, "mac"), prefix: reader.required_text(&fields, "prefix") }
}

fn address_set(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Spec {
    Spec::AddressSet(AddressSetSpec { addresses: reader.required_list(fields, "addresses", Reader::text) })
}

fn segment(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Spec {
    let requirements = reader.required(fields, "match").map(|field| selector(reader, &field)).unwrap_or_default();
    Spec::Segment(SegmentSpec { requirements })
}

/// A mapping of labels and values, or a list of conditions.
fn selector(reader: &mut Reader<'_>, field: &Field<'_>) -> Vec<Requirement> {
    match field.node.content {
        Content::List(_) => reader.list(field, requirement),
        _ => equalities(reader, field),
    }
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
    let fields = reader.fields(field, &[&["key"][..], &tests].concat());
    let key = reader.required_text(&fields, "key");
    let given: Vec<_> = tests.into_iter().filter_map(|test| Some((test, fields.get(test)?))).collect();
    let test = match &given[..] {
        [("equals", value)] => LabelTest::Equals(reader.text(value)),
        [("in", value)] => LabelTest::In(reader.list(value, Reader::text)),
        [("notIn", value)] => LabelTest::NotIn(reader.list(value, Reader::text)),
        [(_, value)] => LabelTest::Exists(reader.truth(value)),
        _ => {
            if fields.are_read() {
                let message = "must say exactly one of equals, in, notIn and exists";
                reader.error(field.node.place, &field.path, message);
            }
            LabelTest::Exists(true)
        }
    };
    Requirement { key, test }
}

fn policy(reader: &mut Reader<'_>, fields: &Fields<'_>) -> Spec {
    let rules = reader.required_list(fields, "rules", rule);
    Spec::Policy(PolicySpec {
        tier: reader.given_text(fields, "tier"),
        mode: reader.given_text(fields, "mode"),
        stateless: reader.given_truth(fields, "stateless"),
        rules,
    })
}

fn rule(reader: &mut Reader<'_>, field: &Field<'_>) -> RuleSpec {
    let known = ["name", "from", "to", "action", "traffic", "priority", "side", "log", "notBefore", "notAfter"];
    let fields = reader.fields(field, &known);
    RuleSpec {
        name: reader.required_text(&fields, "name"),
        from: reader.required_list(&fields, "from", peer),
        to: reader.required_list(&fields, "to", peer),
        action: reader.required_text(&fields, "action"),
        traffic: reader.required_list(&fields, "traffic", Reader::text),
        priority: reader.number(&fields, "priority"),
        side: reader.given_text(&fields, "side"),
        log: reader.given_truth(&fields, "log"),
        not_before: reader.given_text(&fields, "notBefore"),
        not_after: reader.given_text(&fields, "notAfter"),
    }
}

fn peer(reader: &mut Reader<'_>, field: &Field<'_>) -> PeerSpec {
    if let Some(name) = field.node.text() {
        return PeerSpec::Name(name.into());
    }
    if !matches!(field.node.content, Content::Map(_)) {
        reader.mismatch(field, PEERS);
        return PeerSpec::Name(String::new());
    }
    let fields = reader.fields(field, &["cidr", "except", "labels"]);
    let (cidr, except, labels) = (fields.get("cidr"), fields.get("except"), fields.get("labels"));
    match (cidr, labels) {
        (cidr, Some(labels)) => {
            for other in [cidr, except].into_iter().flatten() {
                reader.error(other.node.place, &other.path, "a peer is a prefix or labels, not both: write two peers");
            }
            PeerSpec::Labels(selector(reader, &labels))
        }
        (Some(cidr), None) => PeerSpec::Cidr {
            cidr: reader.text(&cidr),
            except: except.map(|field| reader.list(&field, Reader::text)).unwrap_or_default(),
        },
        (None, None) => {
            reader.error(field.node.place, &field.path, format!("names no peer: write {PEERS}"));
            PeerSpec::Name(String::new())
        }
    }
}
