//! What workloads, and what selects them or addresses, cannot be.

use super::{interface, segment, set, told, workload};

#[test]
fn a_workload_is_told_what_it_may_be() {
    told(&[
        (
            workload("labels: web"),
            "f.yaml:5:9: Workload acme/prod/web-1: labels: is \"web\": write labels, like {role: web}",
        ),
        (
            workload("labels: [web]"),
            "f.yaml:5:9: Workload acme/prod/web-1: labels: is a list: write labels, like {role: web}",
        ),
        (workload("labels: {role: ~}"), "f.yaml:5:16: Workload acme/prod/web-1: labels.role: has no value: write text"),
        (
            workload("labels: {\"a b\": x}"),
            "f.yaml:5:9: Workload acme/prod/web-1: labels: \"a b\" is no label key: write letters, digits, `-`, `_`, \
             `.` and `/`",
        ),
        (
            workload("labels: {role: \"a,b\"}"),
            "f.yaml:5:16: Workload acme/prod/web-1: labels.role: \"a,b\" is no label value: write letters, digits, \
             `-`, `_`, `.` and `/`",
        ),
        (
            workload("labels: {role: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx}"),
            "f.yaml:5:16: Workload acme/prod/web-1: labels.role: \
             \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\" is longer than 63 characters: \
             shorten it",
        ),
        (
            workload("ports: [443]"),
            "f.yaml:5:8: Workload acme/prod/web-1: ports: is a list: write ports by name, like {https: 443}",
        ),
        (
            workload("ports: {https: 443}\nlabels: {\"\": x}"),
            "f.yaml:6:9: Workload acme/prod/web-1: labels: is empty: give it a name",
        ),
        (
            workload("ports: {https: 65536}"),
            "f.yaml:5:16: Workload acme/prod/web-1: ports.https: 65536 is no port: write a number from 0 to 65535",
        ),
        (
            workload("ports: {https: x}"),
            "f.yaml:5:16: Workload acme/prod/web-1: ports.https: is \"x\": write a whole number",
        ),
        (
            workload("ports: {\"443\": 443}"),
            "f.yaml:5:16: Workload acme/prod/web-1: ports.443: \"443\" is no name of a port: begin it with a letter",
        ),
        (
            workload("ports: {Https: 443}"),
            "f.yaml:5:16: Workload acme/prod/web-1: ports.Https: \"Https\" is no name: write lower-case letters, \
             digits and hyphens, beginning and ending with a letter or digit",
        ),
        (
            workload("ports: {https: }"),
            "f.yaml:5:14: Workload acme/prod/web-1: ports.https: has no value: write a whole number",
        ),
    ]);
}

#[test]
fn an_interface_is_told_what_it_may_be() {
    told(&[
        (
            interface("name: Eth0"),
            "f.yaml:5:88: Workload acme/prod/web-1: interfaces[0].name: \"Eth0\" is no name: write lower-case letters, \
             digits and hyphens, beginning and ending with a letter or digit",
        ),
        (
            interface("host: \"\""),
            "f.yaml:5:90: Workload acme/prod/web-1: interfaces[0].host: is empty: give it a name",
        ),
        (
            interface("network: Front"),
            "f.yaml:5:87: Workload acme/prod/web-1: interfaces[0].network: \"Front\" is no name: write lower-case \
             letters, digits and hyphens, beginning and ending with a letter or digit",
        ),
        (
            interface("mac: 02-00-00-00-01-01"),
            "f.yaml:5:73: Workload acme/prod/web-1: interfaces[0].mac: \"02-00-00-00-01-01\" is no MAC address: write \
             six hexadecimal octets, like 02:00:00:00:01:01",
        ),
        (
            interface("mac: \"03:00:00:00:01:01\""),
            "f.yaml:5:73: Workload acme/prod/web-1: interfaces[0].mac: 03:00:00:00:01:01 is no MAC address an \
             interface can have: write a unicast address",
        ),
        (
            interface("mac: \"00:00:00:00:00:00\""),
            "f.yaml:5:73: Workload acme/prod/web-1: interfaces[0].mac: 00:00:00:00:00:00 is no MAC address an \
             interface can have: write a unicast address",
        ),
        (
            interface("addresses: []"),
            "f.yaml:5:81: Workload acme/prod/web-1: interfaces[0].addresses: is empty: give the interface an address",
        ),
        (
            interface("addresses: 10.1.0.11"),
            "f.yaml:5:81: Workload acme/prod/web-1: interfaces[0].addresses: is \"10.1.0.11\": write a list, like [a, \
             b]",
        ),
        (
            interface("addresses: [10.1.0.11/24]"),
            "f.yaml:5:82: Workload acme/prod/web-1: interfaces[0].addresses[0]: \"10.1.0.11/24\" is no IP address: \
             write it like 10.1.0.11 or fd00:1::11",
        ),
        (
            interface("addresses: [169.254.0.1]"),
            "f.yaml:5:82: Workload acme/prod/web-1: interfaces[0].addresses[0]: 169.254.0.1 is no address a workload \
             can have: write a unicast address that is routed",
        ),
        (
            interface("addresses: [\"::ffff:10.1.0.11\"]"),
            "f.yaml:5:82: Workload acme/prod/web-1: interfaces[0].addresses[0]: ::ffff:10.1.0.11 is an IPv4 address \
             inside an IPv6 address: write the IPv4 address alone",
        ),
        (
            interface("device: \"a b\""),
            "f.yaml:5:102: Workload acme/prod/web-1: interfaces[0].device: \"a b\" is no device name: write 1 to 15 \
             letters, digits, `.`, `_` and `-`, and not `.`, `..` or `lo`",
        ),
        (
            interface("portSecurity: off"),
            "f.yaml:5:108: Workload acme/prod/web-1: interfaces[0].portSecurity: is \"off\": write true or false",
        ),
        (
            interface("addressPairs: {}"),
            "f.yaml:5:108: Workload acme/prod/web-1: interfaces[0].addressPairs: is a mapping: write a list, like [a, \
             b]",
        ),
        (
            interface("addressPairs: [10.0.0.0/8]"),
            "f.yaml:5:109: Workload acme/prod/web-1: interfaces[0].addressPairs[0]: is \"10.0.0.0/8\": write a mapping \
             of mac, prefix",
        ),
        (
            interface("addressPairs: [{mac: \"02:00:00:00:01:02\"}]"),
            "f.yaml:5:109: Workload acme/prod/web-1: interfaces[0].addressPairs[0].prefix: is missing: add it",
        ),
        (
            interface("addressPairs: [{prefix: 10.0.0.7/24}]"),
            "f.yaml:5:118: Workload acme/prod/web-1: interfaces[0].addressPairs[0].prefix: 10.0.0.7/24 has bits set \
             beyond its length: write 10.0.0.0/24",
        ),
        (
            interface("addressPairs: [{prefix: 224.0.0.0/8}]"),
            "f.yaml:5:118: Workload acme/prod/web-1: interfaces[0].addressPairs[0].prefix: 224.0.0.0 is no address a \
             workload can have: write a unicast address that is routed",
        ),
        (
            interface("addressPairs: [{prefix: 10.9.0.0/24, mac: \"x\"}]"),
            "f.yaml:5:136: Workload acme/prod/web-1: interfaces[0].addressPairs[0].mac: \"x\" is no MAC address: write \
             six hexadecimal octets, like 02:00:00:00:01:01",
        ),
    ]);
}

#[test]
fn a_segment_is_told_what_it_may_be() {
    told(&[
        (
            segment("match: {}"),
            "f.yaml:4:8: Segment acme/prod/web: match: is empty: an empty selector would select every workload; name a \
             label, or use `any` in rules",
        ),
        (segment("match:"), "f.yaml:4:6: Segment acme/prod/web: match: has no value: write labels, like {role: web}"),
        (segment("match: {role: [web]}"), "f.yaml:4:15: Segment acme/prod/web: match.role: is a list: write text"),
        (
            segment("match: {role: web, role: db}"),
            "f.yaml:4:20: Segment acme/prod/web: match.role: duplicate key \"role\": line 4 has it already; keep one",
        ),
        (
            segment("match: [{key: role, equals: a b}]"),
            "f.yaml:4:29: Segment acme/prod/web: match[0].equals: \"a b\" is no label value: write letters, digits, \
             `-`, `_`, `.` and `/`",
        ),
        (
            segment("match: [{key: role, in: [web], exists: true}]"),
            "f.yaml:4:9: Segment acme/prod/web: match[0]: must say exactly one of equals, in, notIn and exists",
        ),
        (
            segment("match: [{key: role, is: web}]"),
            "f.yaml:4:9: Segment acme/prod/web: match[0]: must say exactly one of equals, in, notIn and exists\n\
             f.yaml:4:21: Segment acme/prod/web: match[0].is: unknown field \"is\": did you mean in?",
        ),
    ]);
}
#[test]
fn an_address_set_is_told_what_it_may_be() {
    told(&[
        (
            set("addresses: []"),
            "f.yaml:4:12: AddressSet acme/prod/office: addresses: is empty: name a prefix or an address",
        ),
        (
            set("addresses: [office]"),
            "f.yaml:4:13: AddressSet acme/prod/office: addresses[0]: \"office\" is no prefix: write ADDRESS/LENGTH, \
             like 10.1.0.0/24 or fd00:1::/64",
        ),
        (
            set("addresses: [10.0.0.1/8]"),
            "f.yaml:4:13: AddressSet acme/prod/office: addresses[0]: 10.0.0.1/8 has bits set beyond its length: write \
             10.0.0.0/8",
        ),
        (
            set("addresses: [\"::ffff:10.0.0.1\"]"),
            "f.yaml:4:13: AddressSet acme/prod/office: addresses[0]: ::ffff:10.0.0.1 is an IPv4 address inside an IPv6 \
             address: write the IPv4 address alone",
        ),
        (
            set("addresses: 10.0.0.1"),
            "f.yaml:4:12: AddressSet acme/prod/office: addresses: is \"10.0.0.1\": write a list, like [a, b]",
        ),
    ]);
}
