//! Values that no object can have.

use super::{common::read, domain, network, raw, rule_traffic, text_errors, told, uplink};

#[test]
fn a_reversed_port_range_is_written_the_right_way_round() {
    assert_eq!(
        text_errors(&rule_traffic("[udp, tcp/90-80]")),
        "f.yaml:5:69: Policy acme/prod/shop: rules[0].traffic[1]: reversed port range 90-80: write 80-90"
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

#[test]
fn names_are_told_what_they_may_be() {
    told(&[
        (
            raw("kind: Tenant\nname: Acme\n"),
            "f.yaml:2:7: Tenant Acme: name: \"Acme\" is no name: write lower-case letters, digits and hyphens, \
             beginning and ending with a letter or digit",
        ),
        (raw("kind: Tenant\nname: \"\"\n"), "f.yaml:2:7: Tenant : name: is empty: give it a name"),
        (
            raw("kind: Tenant\nname: default\n"),
            "f.yaml:2:7: Tenant default: name: \"default\" is reserved: choose another name",
        ),
        (raw("kind: Tenant\nname: \"*\"\n"), "f.yaml:2:7: Tenant *: name: \"*\" is reserved: choose another name"),
        (
            raw("kind: Tenant\nname: -a\n"),
            "f.yaml:2:7: Tenant -a: name: \"-a\" is no name: write lower-case letters, digits and hyphens, beginning \
             and ending with a letter or digit",
        ),
        (
            raw("kind: Tenant\nname: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"),
            "f.yaml:2:7: Tenant aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: name: \
             \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" is longer than 63 characters: \
             shorten it",
        ),
        (
            raw("kind: Domain\nname: acme\n"),
            "f.yaml:2:7: Domain acme: name: \"acme\" is no domain name: write TENANT/DOMAIN",
        ),
        (
            raw("kind: Domain\nname: acme/prod/x\n"),
            "f.yaml:2:7: Domain acme/prod/x: name: \"acme/prod/x\" is no domain name: write TENANT/DOMAIN",
        ),
        (
            raw("kind: Domain\nname: acme/Prod\n"),
            "f.yaml:2:7: Domain acme/Prod: name: \"Prod\" is no name: write lower-case letters, digits and hyphens, \
             beginning and ending with a letter or digit",
        ),
        (raw("kind: Domain\nname: \"*\"\n"), "f.yaml:2:7: Domain *: name: \"*\" is reserved: choose another name"),
        (
            raw("kind: Segment\ndomain: \"*\"\nname: s\nmatch: {a: b}\n"),
            "f.yaml:2:9: Segment */s: domain: only policies are the platform's (\"*\"): write TENANT/DOMAIN",
        ),
        (
            raw("kind: Segment\ndomain: quarantine\nname: s\nmatch: {a: b}\n"),
            "f.yaml:2:9: Segment quarantine/s: domain: \"quarantine\" is reserved: choose another name",
        ),
        (
            raw("kind: Tenant\ndomain: acme/prod\nname: a\n"),
            "f.yaml:2:1: Tenant acme/prod/a: domain: unknown field \"domain\": known are kind, name",
        ),
        (
            raw("kind: Workload\ndomain: acme/prod\nname: a\ninterfaces: []\n"),
            "f.yaml:4:13: Workload acme/prod/a: interfaces: is empty: give the workload an interface",
        ),
    ]);
}

#[test]
fn a_domain_s_own_fields_are_told_what_they_may_be() {
    told(&[
        (
            domain("default: drop"),
            "f.yaml:3:10: Domain acme/prod: default: \"drop\" is no default: write deny or allow",
        ),
        (
            domain("default: true"),
            "f.yaml:3:10: Domain acme/prod: default: \"true\" is no default: write deny or allow",
        ),
        (
            domain("uplink: h1"),
            "f.yaml:3:9: Domain acme/prod: uplink: is \"h1\": write a mapping of host, device, addresses, nextHops",
        ),
        (
            domain("uplink: {}"),
            "f.yaml:3:9: Domain acme/prod: uplink.host: is missing: add it\n\
             f.yaml:3:9: Domain acme/prod: uplink.device: is missing: add it\n\
             f.yaml:3:9: Domain acme/prod: uplink.addresses: is missing: add it\n\
             f.yaml:3:9: Domain acme/prod: uplink.nextHops: is missing: add it",
        ),
    ]);
}

#[test]
fn an_uplink_is_told_what_it_lacks() {
    told(&[
        (
            uplink("{host: h1, device: out, addresses: [], nextHops: []}"),
            "f.yaml:3:44: Domain acme/prod: uplink.addresses: is empty: give the uplink an ADDRESS/LENGTH and a next \
             hop\n\
             f.yaml:3:58: Domain acme/prod: uplink.nextHops: is empty: give the uplink an ADDRESS/LENGTH and a next hop",
        ),
        (
            uplink("{host: H1, device: lo, addresses: [192.0.2.2/24], nextHops: [192.0.2.1]}"),
            "f.yaml:3:16: Domain acme/prod: uplink.host: \"H1\" is no name: write lower-case letters, digits and \
             hyphens, beginning and ending with a letter or digit\n\
             f.yaml:3:28: Domain acme/prod: uplink.device: \"lo\" is no device name: write 1 to 15 letters, digits, \
             `.`, `_` and `-`, and not `.`, `..` or `lo`",
        ),
        (
            uplink("{host: \"\", device: \"\", addresses: [192.0.2.2/24], nextHops: [192.0.2.1]}"),
            "f.yaml:3:16: Domain acme/prod: uplink.host: is empty: give it a name\n\
             f.yaml:3:28: Domain acme/prod: uplink.device: \"\" is no device name: write 1 to 15 letters, digits, `.`, \
             `_` and `-`, and not `.`, `..` or `lo`",
        ),
        (
            uplink(
                "{host: h1.Example, device: a-name-that-is-too-long, addresses: [192.0.2.2/24], nextHops: [192.0.2.1]}",
            ),
            "f.yaml:3:16: Domain acme/prod: uplink.host: \"h1.Example\" is no name: write lower-case letters, digits \
             and hyphens, beginning and ending with a letter or digit\n\
             f.yaml:3:36: Domain acme/prod: uplink.device: \"a-name-that-is-too-long\" is no device name: write 1 to \
             15 letters, digits, `.`, `_` and `-`, and not `.`, `..` or `lo`",
        ),
        (
            uplink("{host: h1, device: out, addresses: [192.0.2.2], nextHops: [x]}"),
            "f.yaml:3:45: Domain acme/prod: uplink.addresses[0]: \"192.0.2.2\" is no prefix: write ADDRESS/LENGTH, \
             like 10.1.0.0/24 or fd00:1::/64\n\
             f.yaml:3:68: Domain acme/prod: uplink.nextHops[0]: \"x\" is no IP address: write it like 10.1.0.11 or \
             fd00:1::11",
        ),
        (
            uplink("{host: h1, device: out, addresses: [127.0.0.1/8], nextHops: [127.0.0.2]}"),
            "f.yaml:3:45: Domain acme/prod: uplink.addresses[0]: 127.0.0.1 is no address a workload can have: write a \
             unicast address that is routed\n\
             f.yaml:3:70: Domain acme/prod: uplink.nextHops[0]: 127.0.0.2 is no address a workload can have: write a \
             unicast address that is routed",
        ),
        (
            uplink("{host: h1, device: out, addresses: [192.0.2.2/7], nextHops: [192.0.2.1]}"),
            "f.yaml:3:45: Domain acme/prod: uplink.addresses[0]: /7 is no link's prefix: write /8 to /31",
        ),
        (
            uplink("{host: h1, device: out, addresses: [\"2001:db8::2/128\"], nextHops: [\"2001:db8::1\"]}"),
            "f.yaml:3:45: Domain acme/prod: uplink.addresses[0]: /128 is no link's prefix: write /16 to /127",
        ),
        (
            uplink("{host: h1, device: out, addresses: [192.0.2.0/24], nextHops: [192.0.2.1]}"),
            "f.yaml:3:45: Domain acme/prod: uplink.addresses[0]: is the prefix's own address: choose one inside it",
        ),
        (
            uplink(
                "{host: h1, device: out, addresses: [192.0.2.2/24, 192.0.2.3/24], nextHops: [192.0.2.1, 192.0.2.4]}",
            ),
            "f.yaml:3:44: Domain acme/prod: uplink.addresses: has two IPv4 addresses: keep one\n\
             f.yaml:3:84: Domain acme/prod: uplink.nextHops: has two IPv4 next hops: keep one",
        ),
        (
            uplink("{host: h1, device: out, addresses: [192.0.2.2/24], nextHops: [192.0.2.2]}"),
            "f.yaml:3:71: Domain acme/prod: uplink.nextHops[0]: 192.0.2.2 is the uplink's own address: write a router \
             on that link",
        ),
        (
            uplink("{host: h1, device: out, addresses: [192.0.2.2/24], nextHops: [192.0.3.1]}"),
            "f.yaml:3:71: Domain acme/prod: uplink.nextHops[0]: 192.0.3.1 is no neighbour in 192.0.2.0/24: write a \
             router on that link",
        ),
        (
            uplink("{host: h1, device: out, addresses: [192.0.2.2/24, \"2001:db8::2/64\"], nextHops: [192.0.2.1]}"),
            "f.yaml:3:88: Domain acme/prod: uplink.nextHops: has no IPv6 next hop: add one",
        ),
        (
            uplink("{host: h1, device: out, addresses: [192.0.2.2/24], nextHops: [192.0.2.1, \"2001:db8::1\"]}"),
            "f.yaml:3:44: Domain acme/prod: uplink.addresses: has no IPv6 address: add one",
        ),
    ]);
}

#[test]
fn a_network_is_told_what_it_may_be() {
    told(&[
        (network("subnets: []"), "f.yaml:4:10: Network acme/prod/front: subnets: is empty: give the network a subnet"),
        (
            network("subnets: [10.0.0.0/24]"),
            "f.yaml:4:11: Network acme/prod/front: subnets[0]: is \"10.0.0.0/24\": write a mapping of cidr, gateway, dns, \
             dhcp, ra, routes",
        ),
        (
            network("subnets: [{cidr: 10.0.0.0/24}]"),
            "f.yaml:4:11: Network acme/prod/front: subnets[0].gateway: is missing: add it",
        ),
        (
            network("subnets: [{cidr: 10.0.0.0, gateway: 10.0.0.1}]"),
            "f.yaml:4:18: Network acme/prod/front: subnets[0].cidr: \"10.0.0.0\" is no prefix: write ADDRESS/LENGTH, \
             like 10.1.0.0/24 or fd00:1::/64",
        ),
        (
            network("subnets: [{cidr: 10.0.0.1/24, gateway: 10.0.0.1}]"),
            "f.yaml:4:18: Network acme/prod/front: subnets[0].cidr: 10.0.0.1/24 has bits set beyond its length: write \
             10.0.0.0/24",
        ),
        (
            network("subnets: [{cidr: 0.0.0.0/0, gateway: 10.0.0.1}]"),
            "f.yaml:4:18: Network acme/prod/front: subnets[0].cidr: holds every address: write a longer prefix",
        ),
        (
            network("subnets: [{cidr: 224.0.0.0/24, gateway: 224.0.0.1}]"),
            "f.yaml:4:41: Network acme/prod/front: subnets[0].gateway: 224.0.0.1 is no address a workload can have: \
             write a unicast address that is routed",
        ),
        (
            network("subnets: [{cidr: 128.0.0.0/1, gateway: 160.0.0.1}]"),
            "f.yaml:4:18: Network acme/prod/front: subnets[0].cidr: 128.0.0.0/1 holds 169.254.0.0/16, in which no \
             workload can have an address: write a longer prefix",
        ),
        (
            network("subnets: [{cidr: 10.0.0.0/24, gateway: 10.0.1.1}]"),
            "f.yaml:4:40: Network acme/prod/front: subnets[0].gateway: 10.0.1.1 is outside 10.0.0.0/24: choose an \
             address inside",
        ),
        (
            network("subnets: [{cidr: 10.0.0.0/24, gateway: 10.0.0.255}]"),
            "f.yaml:4:40: Network acme/prod/front: subnets[0].gateway: 10.0.0.255 is the network or broadcast address \
             of 10.0.0.0/24: choose one between them",
        ),
        (
            network("subnets: [{cidr: 10.0.0.0/24, gateway: router}]"),
            "f.yaml:4:40: Network acme/prod/front: subnets[0].gateway: \"router\" is no IP address: write it like \
             10.1.0.11 or fd00:1::11",
        ),
        (
            network("subnets: [{cidr: 10.0.0.0/24, gateway: 10.0.0.1}]\nmtu: 575"),
            "f.yaml:5:6: Network acme/prod/front: mtu: 575 is out of range: write 576 to 9000",
        ),
        (
            network("subnets: [{cidr: 10.0.0.0/24, gateway: 10.0.0.1}]\nmtu: 1_400"),
            "f.yaml:5:6: Network acme/prod/front: mtu: is \"1_400\": write a whole number",
        ),
        (
            network("subnets: [{cidr: \"fd00::/64\", gateway: \"fd00::1\"}]\nmtu: 1279"),
            "f.yaml:5:6: Network acme/prod/front: mtu: 1279 is too small for IPv6: write 1280 or more",
        ),
        (
            network("subnets: [{cidr: 10.0.0.0/24, gateway: 10.0.0.1}]\nvni: 16777216"),
            "f.yaml:5:6: Network acme/prod/front: vni: 16777216 is out of range: write 1 to 16777215",
        ),
    ]);
}
