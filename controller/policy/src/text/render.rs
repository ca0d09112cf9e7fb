//! Objects → YAML.

use std::fmt::Write as _;

use crate::object::{
    AddressPairSpec, AddressSetSpec, DomainSpec, InterfaceSpec, LabelTest, NetworkSpec, Object, PeerSpec, PolicySpec,
    Requirement, RouteSpec, RuleSpec, SegmentSpec, Spec, SubnetSpec, UplinkSpec, WorkloadSpec,
};

/// A value to be written.
enum Value {
    Text(String),
    /// A number or a truth value, which has no quotes.
    Bare(String),
    List(Vec<Value>),
    Map(Vec<(String, Value)>),
}

/// Writes objects as one YAML text that [`super::parse`] reads back.
///
/// Hosts are shown as they are and are not read back: the controller makes them.
pub fn render(objects: &[Object]) -> String {
    let documents: Vec<String> = objects.iter().map(|object| block(&object_value(object))).collect();
    documents.join("---\n")
}

/// The fields of an object, one a line.
fn block(value: &Value) -> String {
    let mut out = String::new();
    if let Value::Map(fields) = value {
        for (key, value) in fields {
            out.push_str(&scalar(key));
            write_field(&mut out, value);
        }
    }
    out
}

/// A field's value: a list of mappings takes a line for each, all else stands on the field's own.
fn write_field(out: &mut String, value: &Value) {
    match value {
        Value::List(elements) if elements.iter().any(|element| matches!(element, Value::Map(_))) => {
            out.push_str(":\n");
            for element in elements {
                out.push_str("  - ");
                write_inline(out, element);
                out.push('\n');
            }
        }
        _ => {
            out.push_str(": ");
            write_inline(out, value);
            out.push('\n');
        }
    }
}

fn write_inline(out: &mut String, value: &Value) {
    match value {
        Value::Text(text) => out.push_str(&scalar(text)),
        Value::Bare(text) => out.push_str(text),
        Value::List(elements) => write_flow(out, ['[', ']'], elements, write_inline),
        Value::Map(fields) => write_flow(out, ['{', '}'], fields, |out, (key, value)| {
            out.push_str(&scalar(key));
            out.push_str(": ");
            write_inline(out, value);
        }),
    }
}

fn write_flow<T>(out: &mut String, [open, close]: [char; 2], elements: &[T], write: impl Fn(&mut String, &T)) {
    out.push(open);
    for (index, element) in elements.iter().enumerate() {
        if index > 0 {
            out.push_str(", ");
        }
        write(out, element);
    }
    out.push(close);
}

/// Text as it stands where YAML reads it as the same text in any place, and in quotes elsewhere.
fn scalar(text: &str) -> String {
    // With two dots it is an IPv4 address or prefix, and no number.
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic()) || text.matches('.').count() > 1;
    let plain = text.bytes().all(|c| c.is_ascii_alphanumeric() || b"-_./".contains(&c));
    let other = matches!(
        text.to_ascii_lowercase().as_str(),
        "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n" | "inf" | "infinity" | "nan"
    );
    if begins && plain && !other { text.into() } else { quoted(text) }
}

/// Text in double quotes, YAML 1.2 5.7.
fn quoted(text: &str) -> String {
    let mut out = String::from('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            ' '..='~' => out.push(c),
            // A String takes whatever is written to it.
            _ => _ = write!(out, "\\U{:08X}", u32::from(c)),
        }
    }
    out.push('"');
    out
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn texts(list: &[String]) -> Value {
    Value::List(list.iter().map(|element| text(element)).collect())
}

fn map<const N: usize>(fields: [(&str, Option<Value>); N]) -> Value {
    let given = fields.into_iter().filter_map(|(key, value)| Some((key.to_owned(), value?)));
    Value::Map(given.collect())
}

/// A truth value that is left out where it is false.
fn set(truth: bool) -> Option<Value> {
    truth.then(|| Value::Bare(truth.to_string()))
}

/// A list that is left out where it is empty.
fn given<T>(write: impl FnOnce(&[T]) -> Value, list: &[T]) -> Option<Value> {
    (!list.is_empty()).then(|| write(list))
}

fn number(number: Option<u32>) -> Option<Value> {
    number.map(|number| Value::Bare(number.to_string()))
}

fn object_value(object: &Object) -> Value {
    let Object { domain, name, spec } = object;
    let mut fields = vec![("kind".into(), text(&object.kind().to_string()))];
    if !domain.is_empty() {
        fields.push(("domain".into(), text(domain)));
    }
    fields.push(("name".into(), text(name)));
    let spec = match spec {
        Spec::Tenant => map([]),
        Spec::Domain(DomainSpec { uplink, default }) => {
            map([("default", default.as_deref().map(text)), ("uplink", uplink.as_ref().map(uplink_value))])
        }
        Spec::Network(spec) => network_value(spec),
        Spec::Workload(spec) => workload_value(spec),
        Spec::Segment(SegmentSpec { requirements }) => map([("match", Some(match_value(requirements)))]),
        Spec::AddressSet(AddressSetSpec { addresses }) => map([("addresses", Some(texts(addresses)))]),
        Spec::Policy(PolicySpec { tier, mode, stateless, rules }) => map([
            ("tier", tier.as_deref().map(text)),
            ("mode", mode.as_deref().map(text)),
            ("stateless", set(*stateless)),
            ("rules", Some(Value::List(rules.iter().map(rule_value).collect()))),
        ]),
        Spec::Host(spec) => map([
            ("underlay", Some(texts(&spec.underlay))),
            ("agentVersion", Some(text(&spec.agent_version))),
            ("labels", Some(labels_value(spec.labels.iter()))),
        ]),
    };
    if let Value::Map(spec) = spec {
        fields.extend(spec);
    }
    Value::Map(fields)
}

fn uplink_value(uplink: &UplinkSpec) -> Value {
    let UplinkSpec { host, device, addresses, next_hops } = uplink;
    map([
        ("host", Some(text(host))),
        ("device", Some(text(device))),
        ("addresses", Some(texts(addresses))),
        ("nextHops", Some(texts(next_hops))),
    ])
}

fn network_value(spec: &NetworkSpec) -> Value {
    let NetworkSpec { subnets, mtu, vni, multicast, lease, search_domains } = spec;
    map([
        ("subnets", Some(Value::List(subnets.iter().map(subnet_value).collect()))),
        ("mtu", number(*mtu)),
        ("vni", number(*vni)),
        ("multicast", set(*multicast)),
        ("lease", lease.as_deref().map(text)),
        ("searchDomains", given(texts, search_domains)),
    ])
}

fn subnet_value(spec: &SubnetSpec) -> Value {
    let SubnetSpec { cidr, gateway, dns, dhcp, ra, routes } = spec;
    let route = |RouteSpec { to, via }: &RouteSpec| map([("to", Some(text(to))), ("via", Some(text(via)))]);
    let routes_value = |routes: &[RouteSpec]| Value::List(routes.iter().map(route).collect());
    map([
        ("cidr", Some(text(cidr))),
        ("gateway", Some(text(gateway))),
        ("dns", given(texts, dns)),
        ("dhcp", set(*dhcp)),
        ("ra", set(*ra)),
        ("routes", given(routes_value, routes)),
    ])
}

fn workload_value(spec: &WorkloadSpec) -> Value {
    let WorkloadSpec { labels, ports, interfaces, bare_metal } = spec;
    let pair = |AddressPairSpec { mac, prefix }: &AddressPairSpec| {
        map([("mac", mac.as_deref().map(text)), ("prefix", Some(text(prefix)))])
    };
    let interface = |spec: &InterfaceSpec| {
        let InterfaceSpec { name, network, mac, addresses, host, device, address_pairs, port_security } = spec;
        let pairs = |pairs: &[AddressPairSpec]| Value::List(pairs.iter().map(pair).collect());
        map([
            ("name", Some(text(name))),
            ("network", Some(text(network))),
            ("mac", Some(text(mac))),
            ("addresses", Some(texts(addresses))),
            ("host", Some(text(host))),
            ("device", device.as_deref().map(text)),
            ("addressPairs", given(pairs, address_pairs)),
            ("portSecurity", port_security.map(|on| Value::Bare(on.to_string()))),
        ])
    };
    let ports_value =
        || Value::Map(ports.iter().map(|(name, port)| (name.clone(), Value::Bare(port.to_string()))).collect());
    map([
        ("labels", (!labels.is_empty()).then(|| labels_value(labels.iter()))),
        ("ports", (!ports.is_empty()).then(ports_value)),
        ("bareMetal", set(*bare_metal)),
        ("interfaces", Some(Value::List(interfaces.iter().map(interface).collect()))),
    ])
}

fn labels_value<'a>(labels: impl Iterator<Item = (&'a String, &'a String)>) -> Value {
    Value::Map(labels.map(|(key, value)| (key.clone(), text(value))).collect())
}

/// As labels and values if that says it all, else as conditions.
fn match_value(requirements: &[Requirement]) -> Value {
    let mut keys = std::collections::HashSet::new();
    let equalities = requirements.iter().map(|requirement| match &requirement.test {
        LabelTest::Equals(value) if keys.insert(&requirement.key) => Some((requirement.key.clone(), text(value))),
        _ => None,
    });
    match equalities.collect() {
        Some(labels) => Value::Map(labels),
        None => Value::List(requirements.iter().map(requirement_value).collect()),
    }
}

fn requirement_value(requirement: &Requirement) -> Value {
    let Requirement { key, test } = requirement;
    let (test, value) = match test {
        LabelTest::Equals(value) => ("equals", text(value)),
        LabelTest::In(values) => ("in", texts(values)),
        LabelTest::NotIn(values) => ("notIn", texts(values)),
        LabelTest::Exists(exists) => ("exists", Value::Bare(exists.to_string())),
    };
    map([("key", Some(text(key))), (test, Some(value))])
}

fn rule_value(rule: &RuleSpec) -> Value {
    let RuleSpec { name, from, to, action, traffic, priority, side, log, not_before, not_after } = rule;
    let peer = |peer: &PeerSpec| match peer {
        PeerSpec::Name(name) => text(name),
        PeerSpec::Cidr { cidr, except } => map([("cidr", Some(text(cidr))), ("except", given(texts, except))]),
        PeerSpec::Labels(requirements) => map([("labels", Some(match_value(requirements)))]),
    };
    let peers = |peers: &[PeerSpec]| Value::List(peers.iter().map(peer).collect());
    map([
        ("name", Some(text(name))),
        ("from", Some(peers(from))),
        ("to", Some(peers(to))),
        ("action", Some(text(action))),
        ("traffic", Some(texts(traffic))),
        ("priority", number(*priority)),
        ("side", side.as_deref().map(text)),
        ("log", set(*log)),
        ("notBefore", not_before.as_deref().map(text)),
        ("notAfter", not_after.as_deref().map(text)),
    ])
}
