//! What a user is told, word for word: file, line, column, object, field, and what to do.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use common::{GROUND, lines, read};
use ringfence_policy::{
    model::Model,
    object::Object,
    text::{SourceFile, parse},
};

const WORKLOAD: &str = r#"kind: Workload
domain: acme/prod
name: web-1
labels: {role: web}
interfaces:
  - {name: eth0, network: front, mac: "02:00:00:00:01:01", addresses: [10.1.0.11], host: h1}
"#;

/// Everything wrong with a text by itself.
fn text_errors(text: &str) -> String {
    lines(&read(text).unwrap_err())
}

/// Everything wrong with a text that is sound by itself, as a client tells it: the server's findings with
/// the lines of the file.
fn model_errors(text: &str) -> String {
    let documents = read(text).unwrap_or_else(|errors| panic!("{}", lines(&errors)));
    let objects: Vec<Object> = documents.iter().map(|document| document.object.clone()).collect();
    let invalid = Model::default().change(&objects, &[]).unwrap_err();
    let line = |invalid: &ringfence_policy::model::Invalid| {
        let location = documents[invalid.index.unwrap()].locate(&invalid.field);
        format!("{location}: {}: {}: {}", invalid.key, invalid.field, invalid.message)
    };
    invalid.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// A policy of one rule, which stands on line 5.
fn rule(fields: &str) -> String {
    format!("kind: Policy\ndomain: acme/prod\nname: shop\nrules:\n  - {{name: r, {fields}}}\n")
}

#[test]
fn an_unknown_field_is_named_with_the_nearest_known() {
    assert_eq!(
        text_errors(&WORKLOAD.replace("labels:", "lables:")),
        "f.yaml:4:1: Workload acme/prod/web-1: lables: unknown field \"lables\": did you mean labels?"
    );
    assert_eq!(
        text_errors("kind: Tenant\nname: acme\ncolour: red\n"),
        "f.yaml:3:1: Tenant acme: colour: unknown field \"colour\": known are kind, name"
    );
}

#[test]
fn a_reversed_port_range_is_written_the_right_way_round() {
    assert_eq!(
        text_errors(&rule("from: [any], to: [any], action: allow, traffic: [udp, tcp/90-80]")),
        "f.yaml:5:69: Policy acme/prod/shop: rules[0].traffic[1]: reversed port range 90-80: write 80-90"
    );
}

#[test]
fn an_object_that_comes_twice_names_both_places() {
    let file = |name: &str| SourceFile { name: name.into(), text: WORKLOAD.into() };
    let errors = parse(&[file("a.yaml"), file("b.yaml")]).unwrap_err();
    assert_eq!(
        lines(&errors),
        "b.yaml:3:7: Workload acme/prod/web-1: name: duplicate object: a.yaml:3:7 is the same one; keep one of them"
    );
}

#[test]
fn a_rule_or_interface_name_that_comes_twice_names_the_first() {
    let rules = "kind: Policy\ndomain: acme/prod\nname: shop\nrules:\n\
                 - {name: r, from: [any], to: [any], action: allow, traffic: [any]}\n\
                 - {name: r, from: [any], to: [any], action: deny, traffic: [any]}\n";
    assert_eq!(
        text_errors(rules),
        "f.yaml:6:10: Policy acme/prod/shop: rules[1].name: duplicate name \"r\": rules[0] has it; choose another"
    );
}

#[test]
fn a_segment_that_does_not_exist_is_named() {
    let text = format!("{GROUND}{}", rule("from: [any], to: [segment/web], action: allow, traffic: [any]"));
    assert_eq!(
        model_errors(&text),
        "f.yaml:25:33: Policy acme/prod/shop: rules[0].to[0]: \
         there is no Segment acme/prod/web: add it or correct the name"
    );
}

#[test]
fn an_address_that_two_interfaces_have_names_the_other_holder() {
    let second = WORKLOAD.replace("web-1", "web-2").replace("01:01", "01:02");
    assert_eq!(
        model_errors(&format!("{GROUND}{WORKLOAD}---\n{second}")),
        "f.yaml:33:72: Workload acme/prod/web-2: interfaces[0].addresses[0]: 10.1.0.11 is the address of \
         Workload acme/prod/web-1 (interfaces[0].addresses[0]): choose another"
    );
}

#[test]
fn a_mac_that_two_interfaces_of_a_network_have_names_the_other_holder() {
    let second = WORKLOAD.replace("web-1", "web-2").replace("10.1.0.11", "10.1.0.12");
    assert_eq!(
        model_errors(&format!("{GROUND}{WORKLOAD}---\n{second}")),
        "f.yaml:33:39: Workload acme/prod/web-2: interfaces[0].mac: 02:00:00:00:01:01 is the MAC address of \
         Workload acme/prod/web-1 (interfaces[0].mac) in network front: choose another"
    );
}

#[test]
fn an_address_outside_its_network_is_told_the_subnets() {
    assert_eq!(
        model_errors(&format!("{GROUND}{}", WORKLOAD.replace("10.1.0.11", "10.2.0.11"))),
        "f.yaml:26:72: Workload acme/prod/web-1: interfaces[0].addresses[0]: 10.2.0.11 is outside its network \
         front (10.1.0.0/24, fd00:1::/64): choose an address inside"
    );
}

#[test]
fn what_the_language_lacks_as_yet_is_refused_by_name() {
    let cases = [
        ("side: from", "rules[0].side: is not supported yet: remove it"),
        ("log: true", "rules[0].log: is not supported yet: remove it, or write false"),
        ("notBefore: 2030-01-01", "rules[0].notBefore: is not supported yet: remove it"),
    ];
    for (field, expected) in cases {
        let text = rule(&format!("from: [any], to: [any], action: allow, traffic: [any], {field}"));
        assert_eq!(text_errors(&text), format!("f.yaml:5:70: Policy acme/prod/shop: {expected}"));
    }
    let cases = [
        (
            "[workload/web-1]",
            "rules[0].from[0]: peer \"workload/web-1\" is not supported yet: write any, outside, segment/NAME or {cidr: PREFIX}",
        ),
        (
            "[host]",
            "rules[0].from[0]: peer \"host\" is not supported yet: write any, outside, segment/NAME or {cidr: PREFIX}",
        ),
        (
            "[addresses/office]",
            "rules[0].from[0]: peer \"addresses/office\" is not supported yet: write any, outside, segment/NAME or {cidr: PREFIX}",
        ),
        ("[{labels: {role: web}}]", "rules[0].from[0].labels: is not supported yet: remove it"),
        ("[{cidr: 10.0.0.0/8, except: [10.1.0.0/16]}]", "rules[0].from[0].except: is not supported yet: remove it"),
    ];
    for (peer, expected) in cases {
        let text = text_errors(&rule(&format!("from: {peer}, to: [any], action: allow, traffic: [any]")));
        assert!(text.ends_with(expected), "{text}");
    }
    for traffic in ["sctp", "sctp/80", "icmp/8", "icmp6/128/0", "proto/47"] {
        let text = text_errors(&rule(&format!("from: [any], to: [any], action: allow, traffic: [{traffic}]")));
        assert!(text.contains(&format!("rules[0].traffic[0]: {traffic:?} is not supported yet")), "{text}");
    }
    let named = text_errors(&rule("from: [any], to: [any], action: allow, traffic: [tcp/https]"));
    assert!(named.ends_with("port name \"https\" is not supported yet: write the number"), "{named}");
    let pass = text_errors(&rule("from: [any], to: [any], action: pass, traffic: [any]"));
    assert!(pass.ends_with("rules[0].action: \"pass\" is not supported yet: write allow or deny"), "{pass}");
}

#[test]
fn whole_objects_the_language_lacks_as_yet_are_refused_by_name() {
    assert_eq!(
        text_errors("kind: Expectation\ndomain: acme/prod\nname: shop\nflows: []\n"),
        "f.yaml:1:7: Expectation acme/prod/shop: kind: \"Expectation\" is not supported yet: remove the object"
    );
    let platform = rule("from: [any], to: [any], action: allow, traffic: [any]").replace("acme/prod", "\"*\"");
    assert_eq!(
        text_errors(&platform),
        "f.yaml:2:9: Policy */shop: domain: objects of the platform (\"*\") are not supported yet: write TENANT/DOMAIN"
    );
    assert_eq!(
        text_errors("kind: Host\nname: h1\n"),
        "f.yaml:1:7: Host h1: kind: hosts are made by the controller when an agent registers: remove the object"
    );
    assert_eq!(
        text_errors("kind: Polcy\nname: h1\n"),
        "f.yaml:1:7: Polcy h1: kind: unknown kind \"Polcy\": did you mean Policy?"
    );
}

#[test]
fn a_later_field_that_says_what_is_so_anyway_is_accepted() {
    let text = "kind: Domain\nname: acme/prod\ndefault: deny\n---\n\
                kind: Policy\ndomain: acme/prod\nname: shop\ntier: tenant\nmode: enforce\nstateless: false\n\
                rules:\n- {name: r, from: [any], to: [any], action: allow, traffic: [any], log: false}\n---\n\
                kind: Workload\ndomain: acme/prod\nname: web-1\ninterfaces:\n\
                - {name: eth0, network: front, mac: 02:00:00:00:01:01, addresses: [10.1.0.11], host: h1,\n\
                   addressPairs: [], portSecurity: true}\n";
    assert_eq!(read(text).unwrap().len(), 3);
    let network = |field: &str, subnet_field: &str| {
        format!(
            "kind: Network\ndomain: acme/prod\nname: n\n{field}\n\
             subnets: [{{cidr: 10.0.0.0/24, gateway: 10.0.0.1, {subnet_field}}}]\n"
        )
    };
    assert!(read(&network("", "dhcp: false, ra: false")).is_ok());
    for (text, field) in [
        (network("", "dns: []"), "subnets[0].dns"),
        (network("multicast: false", ""), "multicast"),
        (WORKLOAD.replace("labels: {role: web}", "ports: {}"), "ports"),
        (WORKLOAD.replace("host: h1", "host: h1, addressPairs: {}"), "interfaces[0].addressPairs"),
    ] {
        let told = text_errors(&text);
        assert!(told.contains(&format!(": {field}: is not supported yet: remove it")), "{told}");
    }
    assert_eq!(
        text_errors("kind: Domain\nname: acme/prod\ndefault: allow\n"),
        "f.yaml:3:1: Domain acme/prod: default: is not supported yet: remove it, or write deny"
    );
}

#[test]
fn every_error_of_every_file_is_told_at_once() {
    let files = [("a.yaml", "kind: Tenant\nnmae: acme\n"), ("b.yaml", "kind: Tenant\nname: Acme\n---\nkind: Domain\n")];
    let files = files.map(|(name, text)| SourceFile { name: name.into(), text: text.into() });
    assert_eq!(
        lines(&parse(&files).unwrap_err()),
        "a.yaml:1:1: Tenant: name: is missing: add it\n\
         a.yaml:2:1: Tenant: nmae: unknown field \"nmae\": did you mean name?\n\
         b.yaml:2:7: Tenant Acme: name: \"Acme\" is no name: write lower-case letters, digits and hyphens, beginning \
         and ending with a letter or digit\n\
         b.yaml:4:1: Domain: name: is missing: add it"
    );
}

#[test]
fn a_value_that_cannot_be_is_told_beside_a_field_that_cannot_be_read() {
    let text = "kind: Policy\ndomain: acme\nname: shop\nrules:\n\
                - {name: a, from: any, to: [any], action: alow, traffic: [tcp/90-80]}\n\
                - {from: [any], to: [], action: deny, traffic: [any], prio: 1}\n";
    assert_eq!(
        text_errors(text),
        "f.yaml:2:9: Policy acme/shop: domain: \"acme\" is no domain name: write TENANT/DOMAIN\n\
         f.yaml:5:19: Policy acme/shop: rules[0].from: is \"any\": write a list, like [a, b]\n\
         f.yaml:5:43: Policy acme/shop: rules[0].action: \"alow\" is no action: write allow or deny\n\
         f.yaml:5:59: Policy acme/shop: rules[0].traffic[0]: reversed port range 90-80: write 80-90\n\
         f.yaml:6:3: Policy acme/shop: rules[1].name: is missing: add it\n\
         f.yaml:6:21: Policy acme/shop: rules[1].to: is empty: write `any` to mean every destination\n\
         f.yaml:6:55: Policy acme/shop: rules[1].prio: unknown field \"prio\": known are name, from, to, action, \
         traffic, priority"
    );
}

#[test]
fn what_yaml_has_and_the_language_does_not_is_refused() {
    let cases = [
        (
            "kind: Tenant\nname: a\nname: b\n",
            "3:1: Tenant a: name: duplicate key \"name\": line 2 has it already; keep one",
        ),
        (
            "kind: Tenant\nname: &x a\n",
            "2:10: Tenant a: name: anchors are not part of the language: write the value out",
        ),
        ("kind: Tenant\nname: !!str a\n", "2:13: Tenant a: name: tags are not part of the language: remove it"),
        ("kind: Tenant\n1: x\nname: a\n", "2:1: Tenant a: key 1 is no text: put it in quotes"),
        ("kind: Tenant\n[a]: x\nname: a\n", "2:1: Tenant a: a key must be text"),
        (
            "kind: Tenant\n<<: {name: a}\nname: b\n",
            "2:1: Tenant b: merge keys are not part of the language: write the fields out",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(text_errors(text), format!("f.yaml:{expected}"), "{text}");
    }
    let alias = text_errors("kind: Tenant\nname: &x a\n---\nkind: Tenant\nname: *x\n");
    assert!(alias.contains("f.yaml:5:7: Tenant: name: is no YAML"), "{alias}");
    let deep = format!("kind: Tenant\nname: {}{}\n", "[".repeat(100), "]".repeat(100));
    let path = format!("name{}", "[0]".repeat(15));
    assert_eq!(text_errors(&deep), format!("f.yaml:2:22: Tenant: {path}: is nested more than 16 deep: no object is"));
    let cut = text_errors("kind: Tenant\nname: \"acme\n");
    assert!(cut.starts_with("f.yaml:2:7: Tenant: name: is no YAML: "), "{cut}");
    assert!(text_errors("@\n").starts_with("f.yaml:1:1: is no YAML: "), "{}", text_errors("@\n"));
}

#[test]
fn what_is_wrong_inside_a_value_names_object_and_path_and_hides_what_follows_from_it() {
    let segment = |fields: &str| text_errors(&format!("kind: Segment\ndomain: acme/prod\n{fields}\nname: web\n"));
    let at = "Segment acme/prod/web: match";
    assert_eq!(
        segment("match: {role: web, role: db}"),
        format!("f.yaml:3:20: {at}.role: duplicate key \"role\": line 3 has it already; keep one")
    );
    assert_eq!(segment("match: {1: a}"), format!("f.yaml:3:9: {at}: key 1 is no text: put it in quotes"));
    assert_eq!(
        segment("match: [{key: role, in: [web, !!str app]}]"),
        format!("f.yaml:3:37: {at}[0].in[1]: tags are not part of the language: remove it")
    );
}

#[test]
fn a_value_of_the_wrong_sort_is_told_what_to_write() {
    let cases = [
        ("labels: [web]", "f.yaml:4:9: Workload acme/prod/web-1: labels: is a list: write labels, like {role: web}"),
        ("labels: {role: }", "f.yaml:4:14: Workload acme/prod/web-1: labels.role: has no value: write text"),
        ("labels: web", "f.yaml:4:9: Workload acme/prod/web-1: labels: is \"web\": write labels, like {role: web}"),
    ];
    for (labels, expected) in cases {
        assert_eq!(text_errors(&WORKLOAD.replace("labels: {role: web}", labels)), expected);
    }
    let mtu =
        "kind: Network\ndomain: acme/prod\nname: n\nsubnets: [{cidr: 10.0.0.0/24, gateway: 10.0.0.1}]\nmtu: big\n";
    assert_eq!(text_errors(mtu), "f.yaml:5:6: Network acme/prod/n: mtu: is \"big\": write a whole number");
}

#[test]
fn a_value_that_is_nearly_right_is_refused() {
    let network = |fields: &str| format!("kind: Network\ndomain: acme/prod\nname: n\n{fields}\n");
    let subnet = |cidr: &str| network(&format!("subnets: [{{cidr: {cidr}, gateway: 160.0.0.1}}]"));
    for (field, written) in [("vni", "+5"), ("mtu", "+1400"), ("mtu", "1_400")] {
        let told =
            text_errors(&network(&format!("subnets: [{{cidr: 10.0.0.0/24, gateway: 10.0.0.1}}]\n{field}: {written}")));
        assert!(told.ends_with(&format!("{field}: is {written:?}: write a whole number")), "{told}");
    }
    for (cidr, held) in
        [("128.0.0.0/1", "169.254.0.0/16"), ("192.0.0.0/2", "224.0.0.0/3"), ("126.0.0.0/7", "127.0.0.0/8")]
    {
        let told = text_errors(&subnet(cidr));
        assert!(
            told.ends_with(&format!(
                "{cidr} holds {held}, in which no workload can have an address: write a longer prefix"
            )),
            "{told}"
        );
    }
    let uplink = |device: &str, address: &str| {
        format!(
            "kind: Domain\nname: acme/prod\n\
             uplink: {{host: h1, device: {device}, addresses: [{address}], nextHops: [192.0.2.1]}}\n"
        )
    };
    for length in [0, 7, 32] {
        let told = text_errors(&uplink("out", &format!("192.0.2.2/{length}")));
        assert!(told.contains(&format!("addresses[0]: /{length} is no link's prefix: write /8 to /31")), "{told}");
    }
    for device in ["\"a%d\"", "\"a b\"", "\"a*\"", "\"é\"", "a/b"] {
        let told = text_errors(&uplink(device, "192.0.2.2/24"));
        assert!(told.contains("is no device name: write 1 to 15 letters, digits,"), "{told}");
    }
    assert!(read(&uplink("out-1.2_b", "192.0.2.0/31")).is_ok());
}

#[test]
fn empty_selectors_and_lists_are_refused() {
    assert_eq!(
        text_errors("kind: Segment\ndomain: acme/prod\nname: web\nmatch: {}\n"),
        "f.yaml:4:8: Segment acme/prod/web: match: is empty: an empty selector would select every workload; \
         name a label, or use `any` in rules"
    );
    assert_eq!(
        text_errors(&rule("from: [], to: [any], action: allow, traffic: [any]")),
        "f.yaml:5:21: Policy acme/prod/shop: rules[0].from: is empty: write `any` to mean every source"
    );
}

#[test]
fn a_condition_of_a_segment_is_found_where_it_stands() {
    let text = "kind: Segment\ndomain: acme/prod\nname: web\nmatch:\n  role: web\n  tier: \"a b\"\n";
    assert_eq!(
        text_errors(text),
        "f.yaml:6:9: Segment acme/prod/web: match[1].equals: \"a b\" is no label value: \
         write letters, digits, `-`, `_`, `.` and `/`"
    );
    let both = "kind: Segment\ndomain: acme/prod\nname: web\nmatch: [{key: role, in: [web], exists: true}]\n";
    assert_eq!(
        text_errors(both),
        "f.yaml:4:9: Segment acme/prod/web: match[0]: must say exactly one of equals, in, notIn and exists"
    );
}
