//! What a policy and its rules cannot be.

use super::{policy_more, rule_from, rule_more, rule_traffic, told};

#[test]
fn a_peer_that_is_none_is_told_what_peers_there_are() {
    told(&[
        (
            rule_from("[web]"),
            "f.yaml:5:22: Policy acme/prod/shop: rules[0].from[0]: \"web\" is no peer: write any, outside, host, \
             segment/NAME, workload/NAME, addresses/NAME, {cidr: PREFIX} or {labels: {KEY: VALUE}}",
        ),
        (
            rule_from("[segments/web]"),
            "f.yaml:5:22: Policy acme/prod/shop: rules[0].from[0]: \"segments/web\" is no peer: write any, outside, \
             host, segment/NAME, workload/NAME, addresses/NAME, {cidr: PREFIX} or {labels: {KEY: VALUE}}",
        ),
        (
            rule_from("[]"),
            "f.yaml:5:21: Policy acme/prod/shop: rules[0].from: is empty: write `any` to mean every source",
        ),
        (rule_from("any"), "f.yaml:5:21: Policy acme/prod/shop: rules[0].from: is \"any\": write a list, like [a, b]"),
        (
            rule_from("[[any]]"),
            "f.yaml:5:22: Policy acme/prod/shop: rules[0].from[0]: is a list: write any, outside, host, segment/NAME, \
             workload/NAME, addresses/NAME, {cidr: PREFIX} or {labels: {KEY: VALUE}}",
        ),
        (
            rule_from("[{}]"),
            "f.yaml:5:22: Policy acme/prod/shop: rules[0].from[0]: names no peer: write any, outside, host, \
             segment/NAME, workload/NAME, addresses/NAME, {cidr: PREFIX} or {labels: {KEY: VALUE}}",
        ),
        (
            rule_from("[{except: [10.0.0.0/8]}]"),
            "f.yaml:5:22: Policy acme/prod/shop: rules[0].from[0]: names no peer: write any, outside, host, \
             segment/NAME, workload/NAME, addresses/NAME, {cidr: PREFIX} or {labels: {KEY: VALUE}}",
        ),
        (
            rule_from("[{segment: web}]"),
            "f.yaml:5:22: Policy acme/prod/shop: rules[0].from[0]: names no peer: write any, outside, host, \
             segment/NAME, workload/NAME, addresses/NAME, {cidr: PREFIX} or {labels: {KEY: VALUE}}\n\
             f.yaml:5:23: Policy acme/prod/shop: rules[0].from[0].segment: unknown field \"segment\": known are cidr, \
             except, labels",
        ),
        (
            rule_from("[~]"),
            "f.yaml:5:22: Policy acme/prod/shop: rules[0].from[0]: has no value: write any, outside, host, \
             segment/NAME, workload/NAME, addresses/NAME, {cidr: PREFIX} or {labels: {KEY: VALUE}}",
        ),
        (
            rule_from("[segment/Web]"),
            "f.yaml:5:22: Policy acme/prod/shop: rules[0].from[0]: \"Web\" is no name: write lower-case letters, \
             digits and hyphens, beginning and ending with a letter or digit",
        ),
        (rule_from("[segment/]"), "f.yaml:5:22: Policy acme/prod/shop: rules[0].from[0]: is empty: give it a name"),
        (
            rule_from("[workload/default]"),
            "f.yaml:5:22: Policy acme/prod/shop: rules[0].from[0]: \"default\" is reserved: choose another name",
        ),
        (
            rule_from("[addresses/*]"),
            "f.yaml:5:22: Policy acme/prod/shop: rules[0].from[0]: \"*\" is reserved: choose another name",
        ),
        (
            rule_from("[{cidr: 10.0.0.0/8, labels: {role: web}}]"),
            "f.yaml:5:29: Policy acme/prod/shop: rules[0].from[0].cidr: a peer is a prefix or labels, not both: write \
             two peers",
        ),
    ]);
}

#[test]
fn a_prefix_that_is_none_is_told_how_to_write_one() {
    told(&[
        (
            rule_from("[{cidr: 10.0.0.0}]"),
            "f.yaml:5:29: Policy acme/prod/shop: rules[0].from[0].cidr: \"10.0.0.0\" is no prefix: write \
             ADDRESS/LENGTH, like 10.1.0.0/24 or fd00:1::/64",
        ),
        (
            rule_from("[{cidr: 10.0.0.7/8}]"),
            "f.yaml:5:29: Policy acme/prod/shop: rules[0].from[0].cidr: 10.0.0.7/8 has bits set beyond its length: \
             write 10.0.0.0/8",
        ),
        (
            rule_from("[{cidr: 10.0.0.0/33}]"),
            "f.yaml:5:29: Policy acme/prod/shop: rules[0].from[0].cidr: \"10.0.0.0/33\" is no prefix: write \
             ADDRESS/LENGTH, like 10.1.0.0/24 or fd00:1::/64",
        ),
        (
            rule_from("[\"{cidr: 10.0.0.0/8}\"]"),
            "f.yaml:5:22: Policy acme/prod/shop: rules[0].from[0]: \"{cidr: 10.0.0.0/8}\" is no peer: write any, \
             outside, host, segment/NAME, workload/NAME, addresses/NAME, {cidr: PREFIX} or {labels: {KEY: VALUE}}",
        ),
        (
            rule_from("[{cidr: \"::ffff:10.0.0.0/104\"}]"),
            "f.yaml:5:29: Policy acme/prod/shop: rules[0].from[0].cidr: ::ffff:10.0.0.0 is an IPv4 address inside an \
             IPv6 address: write the IPv4 address alone",
        ),
        (
            rule_from("[{cidr: 10.0.0.0/8, except: [10.0.0.0/8]}]"),
            "f.yaml:5:50: Policy acme/prod/shop: rules[0].from[0].except[0]: 10.0.0.0/8 is no part of 10.0.0.0/8: \
             write a longer prefix inside it",
        ),
        (
            rule_from("[{cidr: 10.0.0.0/8, except: [11.0.0.0/16]}]"),
            "f.yaml:5:50: Policy acme/prod/shop: rules[0].from[0].except[0]: 11.0.0.0/16 is no part of 10.0.0.0/8: \
             write a longer prefix inside it",
        ),
        (
            rule_from("[{cidr: 10.0.0.0/8, except: [\"fd00::/8\"]}]"),
            "f.yaml:5:50: Policy acme/prod/shop: rules[0].from[0].except[0]: fd00::/8 is no part of 10.0.0.0/8: write \
             a longer prefix inside it",
        ),
        (
            rule_from("[{cidr: 10.0.0.0/8, except: 10.1.0.0/16}]"),
            "f.yaml:5:49: Policy acme/prod/shop: rules[0].from[0].except: is \"10.1.0.0/16\": write a list, like [a, b]",
        ),
        (
            rule_from("[{cidr: 10.0.0.0/8, except: [x]}]"),
            "f.yaml:5:50: Policy acme/prod/shop: rules[0].from[0].except[0]: \"x\" is no prefix: write ADDRESS/LENGTH, \
             like 10.1.0.0/24 or fd00:1::/64",
        ),
    ]);
}

#[test]
fn a_selector_in_a_rule_is_held_to_what_a_segment_s_is() {
    told(&[
        (
            rule_from("[{labels: {}}]"),
            "f.yaml:5:31: Policy acme/prod/shop: rules[0].from[0].labels: is empty: an empty selector would select \
             every workload; name a label, or use `any` in rules",
        ),
        (
            rule_from("[{labels: []}]"),
            "f.yaml:5:31: Policy acme/prod/shop: rules[0].from[0].labels: is empty: an empty selector would select \
             every workload; name a label, or use `any` in rules",
        ),
        (
            rule_from("[{labels: [role]}]"),
            "f.yaml:5:32: Policy acme/prod/shop: rules[0].from[0].labels[0]: is \"role\": write a mapping of key, \
             equals, in, notIn, exists",
        ),
        (
            rule_from("[{labels: [{key: role}]}]"),
            "f.yaml:5:32: Policy acme/prod/shop: rules[0].from[0].labels[0]: must say exactly one of equals, in, notIn \
             and exists",
        ),
        (
            rule_from("[{labels: [{key: role, in: []}]}]"),
            "f.yaml:5:48: Policy acme/prod/shop: rules[0].from[0].labels[0].in: is empty: name a value",
        ),
        (
            rule_from("[{labels: [{key: role, notIn: [a b]}]}]"),
            "f.yaml:5:52: Policy acme/prod/shop: rules[0].from[0].labels[0].notIn[0]: \"a b\" is no label value: write \
             letters, digits, `-`, `_`, `.` and `/`",
        ),
        (
            rule_from("[{labels: [{key: \"\", exists: true}]}]"),
            "f.yaml:5:38: Policy acme/prod/shop: rules[0].from[0].labels[0].key: is empty: give it a name",
        ),
        (
            rule_from("[{labels: [{key: role, exists: maybe}]}]"),
            "f.yaml:5:52: Policy acme/prod/shop: rules[0].from[0].labels[0].exists: is \"maybe\": write true or false",
        ),
        (
            rule_from("[{labels: [{exists: true}]}]"),
            "f.yaml:5:32: Policy acme/prod/shop: rules[0].from[0].labels[0].key: is missing: add it",
        ),
        (
            rule_from("[{labels: web}]"),
            "f.yaml:5:31: Policy acme/prod/shop: rules[0].from[0].labels: is \"web\": write labels, like {role: web}",
        ),
        (
            rule_from("[{labels: {\"a b\": web}}]"),
            "f.yaml:5:39: Policy acme/prod/shop: rules[0].from[0].labels[0].key: \"a b\" is no label key: write \
             letters, digits, `-`, `_`, `.` and `/`",
        ),
    ]);
}

#[test]
fn traffic_that_is_none_is_told_what_traffic_there_is() {
    told(&[
        (
            rule_traffic("[https]"),
            "f.yaml:5:64: Policy acme/prod/shop: rules[0].traffic[0]: \"https\" is no traffic: write any, tcp, \
             tcp/443, udp/5000-5010, sctp, tcp/NAME, icmp, icmp/8, icmp/3/4, icmp6 or proto/47",
        ),
        (
            rule_traffic("[TCP/443]"),
            "f.yaml:5:64: Policy acme/prod/shop: rules[0].traffic[0]: \"TCP/443\" is no traffic: write any, tcp, \
             tcp/443, udp/5000-5010, sctp, tcp/NAME, icmp, icmp/8, icmp/3/4, icmp6 or proto/47",
        ),
        (
            rule_traffic("[tcp/]"),
            "f.yaml:5:64: Policy acme/prod/shop: rules[0].traffic[0]: \"\" is no port: write a number from 0 to 65535, \
             a range like 8080-8090, or a port's name",
        ),
        (
            rule_traffic("[tcp/65536]"),
            "f.yaml:5:64: Policy acme/prod/shop: rules[0].traffic[0]: \"65536\" is no port: write a number from 0 to \
             65535, a range like 8080-8090, or a port's name",
        ),
        (
            rule_traffic("[tcp/-1]"),
            "f.yaml:5:64: Policy acme/prod/shop: rules[0].traffic[0]: \"-1\" is no port: write a number from 0 to \
             65535, a range like 8080-8090, or a port's name",
        ),
        (
            rule_traffic("[tcp/80-]"),
            "f.yaml:5:64: Policy acme/prod/shop: rules[0].traffic[0]: \"80-\" is no port: write a number from 0 to \
             65535, a range like 8080-8090, or a port's name",
        ),
        (
            rule_traffic("[tcp/90-80]"),
            "f.yaml:5:64: Policy acme/prod/shop: rules[0].traffic[0]: reversed port range 90-80: write 80-90",
        ),
        (
            rule_traffic("[tcp/HTTP]"),
            "f.yaml:5:64: Policy acme/prod/shop: rules[0].traffic[0]: \"HTTP\" is no port: write a number from 0 to \
             65535, a range like 8080-8090, or a port's name",
        ),
        (
            rule_traffic("[tcp/8-x]"),
            "f.yaml:5:64: Policy acme/prod/shop: rules[0].traffic[0]: \"8-x\" is no port: write a number from 0 to \
             65535, a range like 8080-8090, or a port's name",
        ),
        (
            rule_traffic("[icmp/256]"),
            "f.yaml:5:64: Policy acme/prod/shop: rules[0].traffic[0]: \"256\" is no ICMP type: write a number from 0 \
             to 255",
        ),
        (
            rule_traffic("[icmp/8/256]"),
            "f.yaml:5:64: Policy acme/prod/shop: rules[0].traffic[0]: \"256\" is no ICMP code: write a number from 0 \
             to 255",
        ),
        (
            rule_traffic("[icmp/echo]"),
            "f.yaml:5:64: Policy acme/prod/shop: rules[0].traffic[0]: \"echo\" is no ICMP type: write a number from 0 \
             to 255",
        ),
        (
            rule_traffic("[icmp6/1/2/3]"),
            "f.yaml:5:64: Policy acme/prod/shop: rules[0].traffic[0]: \"2/3\" is no ICMP code: write a number from 0 \
             to 255",
        ),
        (
            rule_traffic("[proto/256]"),
            "f.yaml:5:64: Policy acme/prod/shop: rules[0].traffic[0]: \"256\" is no protocol: write a number from 0 to \
             255",
        ),
        (
            rule_traffic("[proto/gre]"),
            "f.yaml:5:64: Policy acme/prod/shop: rules[0].traffic[0]: \"gre\" is no protocol: write a number from 0 to \
             255",
        ),
        (
            rule_traffic("[proto]"),
            "f.yaml:5:64: Policy acme/prod/shop: rules[0].traffic[0]: \"proto\" is no traffic: write any, tcp, \
             tcp/443, udp/5000-5010, sctp, tcp/NAME, icmp, icmp/8, icmp/3/4, icmp6 or proto/47",
        ),
        (
            rule_traffic("[gre/1]"),
            "f.yaml:5:64: Policy acme/prod/shop: rules[0].traffic[0]: \"gre/1\" is no traffic: write any, tcp, \
             tcp/443, udp/5000-5010, sctp, tcp/NAME, icmp, icmp/8, icmp/3/4, icmp6 or proto/47",
        ),
        (
            rule_traffic("[443]"),
            "f.yaml:5:64: Policy acme/prod/shop: rules[0].traffic[0]: \"443\" is no traffic: write any, tcp, tcp/443, \
             udp/5000-5010, sctp, tcp/NAME, icmp, icmp/8, icmp/3/4, icmp6 or proto/47",
        ),
        (
            rule_traffic("[]"),
            "f.yaml:5:63: Policy acme/prod/shop: rules[0].traffic: is empty: write `any` to mean all traffic",
        ),
        (
            rule_traffic("tcp"),
            "f.yaml:5:63: Policy acme/prod/shop: rules[0].traffic: is \"tcp\": write a list, like [a, b]",
        ),
        (
            rule_traffic("[{tcp: 443}]"),
            "f.yaml:5:64: Policy acme/prod/shop: rules[0].traffic[0]: is a mapping: write text",
        ),
        (
            rule_traffic("[tcp/a-very-long-name-that-no-port-has-since-it-is-longer-than-labels-are]"),
            "f.yaml:5:64: Policy acme/prod/shop: rules[0].traffic[0]: \
             \"a-very-long-name-that-no-port-has-since-it-is-longer-than-labels-are\" is no port: write a number from \
             0 to 65535, a range like 8080-8090, or a port's name",
        ),
        (
            rule_traffic("[udp/8a]"),
            "f.yaml:5:64: Policy acme/prod/shop: rules[0].traffic[0]: \"8a\" is no port: write a number from 0 to \
             65535, a range like 8080-8090, or a port's name",
        ),
    ]);
}

#[test]
fn a_word_that_a_rule_does_not_have_is_told_the_words_it_has() {
    told(&[
        (
            rule_more("action: alow"),
            "f.yaml:5:63: Policy acme/prod/shop: rules[0].action: \"alow\" is no action: write allow, deny or pass",
        ),
        (
            rule_more("side: both"),
            "f.yaml:5:76: Policy acme/prod/shop: rules[0].side: \"both\" is no side: write from or to",
        ),
        (
            rule_more("side: ingress"),
            "f.yaml:5:76: Policy acme/prod/shop: rules[0].side: \"ingress\" is no side: write from or to",
        ),
        (
            rule_more("priority: 65536"),
            "f.yaml:5:80: Policy acme/prod/shop: rules[0].priority: 65536 is out of range: write 0 to 65535",
        ),
        (
            rule_more("priority: -1"),
            "f.yaml:5:80: Policy acme/prod/shop: rules[0].priority: is \"-1\": write a whole number",
        ),
        (
            rule_more("priority: high"),
            "f.yaml:5:80: Policy acme/prod/shop: rules[0].priority: is \"high\": write a whole number",
        ),
        (
            rule_more("priority: 99999999999"),
            "f.yaml:5:80: Policy acme/prod/shop: rules[0].priority: is \"99999999999\": write a smaller number",
        ),
        (rule_more("log: yes"), "f.yaml:5:75: Policy acme/prod/shop: rules[0].log: is \"yes\": write true or false"),
        (rule_more("log: [true]"), "f.yaml:5:75: Policy acme/prod/shop: rules[0].log: is a list: write true or false"),
        (
            rule_more("name: Rule"),
            "f.yaml:5:67: Policy acme/prod/shop: rules[0].name: \"Rule\" is no name: write lower-case letters, digits \
             and hyphens, beginning and ending with a letter or digit",
        ),
    ]);
}

#[test]
fn a_moment_that_is_none_is_told_how_to_write_one() {
    told(&[
        (
            rule_more("notBefore: 2026-12-01"),
            "f.yaml:5:81: Policy acme/prod/shop: rules[0].notBefore: \"2026-12-01\" is no moment: write a date, a time \
             and an offset, like 2026-12-01T06:00:00Z or 2026-12-01T07:00:00+01:00",
        ),
        (
            rule_more("notAfter: tomorrow"),
            "f.yaml:5:80: Policy acme/prod/shop: rules[0].notAfter: \"tomorrow\" is no moment: write a date, a time \
             and an offset, like 2026-12-01T06:00:00Z or 2026-12-01T07:00:00+01:00",
        ),
        (
            rule_more("notBefore: 2026-12-01T06:00:00"),
            "f.yaml:5:81: Policy acme/prod/shop: rules[0].notBefore: \"2026-12-01T06:00:00\" is no moment: write a \
             date, a time and an offset, like 2026-12-01T06:00:00Z or 2026-12-01T07:00:00+01:00",
        ),
        (
            rule_more("notAfter: 2026-13-01T06:00:00Z"),
            "f.yaml:5:80: Policy acme/prod/shop: rules[0].notAfter: \"2026-13-01T06:00:00Z\" is no moment: write a \
             date, a time and an offset, like 2026-12-01T06:00:00Z or 2026-12-01T07:00:00+01:00",
        ),
        (
            rule_more("notBefore: 2026-12-01T06:00:00.5Z"),
            "f.yaml:5:81: Policy acme/prod/shop: rules[0].notBefore: \"2026-12-01T06:00:00.5Z\" is no moment: write a \
             date, a time and an offset, like 2026-12-01T06:00:00Z or 2026-12-01T07:00:00+01:00",
        ),
        (
            rule_more("notBefore: 1969-12-31T23:59:59Z"),
            "f.yaml:5:81: Policy acme/prod/shop: rules[0].notBefore: \"1969-12-31T23:59:59Z\" is no moment: write a \
             date, a time and an offset, like 2026-12-01T06:00:00Z or 2026-12-01T07:00:00+01:00",
        ),
        (
            rule_more("notBefore: x, notAfter: y"),
            "f.yaml:5:81: Policy acme/prod/shop: rules[0].notBefore: \"x\" is no moment: write a date, a time and an \
             offset, like 2026-12-01T06:00:00Z or 2026-12-01T07:00:00+01:00\n\
             f.yaml:5:94: Policy acme/prod/shop: rules[0].notAfter: \"y\" is no moment: write a date, a time and an \
             offset, like 2026-12-01T06:00:00Z or 2026-12-01T07:00:00+01:00",
        ),
        (
            rule_more("notBefore: 2026-12-01T06:00:00Z, notAfter: 2026-12-01T06:00:00Z"),
            "f.yaml:5:113: Policy acme/prod/shop: rules[0].notAfter: is not after notBefore, so the rule would never \
             hold: write a later moment",
        ),
    ]);
}

#[test]
fn a_word_that_a_policy_does_not_have_is_told_the_words_it_has() {
    told(&[
        (
            policy_more("tier: admin"),
            "f.yaml:4:7: Policy acme/prod/shop: tier: \"admin\" is no tier: write guard, tenant or baseline",
        ),
        (
            policy_more("mode: dry-run"),
            "f.yaml:4:7: Policy acme/prod/shop: mode: \"dry-run\" is no mode: write enforce or audit",
        ),
        (policy_more("stateless: no"), "f.yaml:4:12: Policy acme/prod/shop: stateless: is \"no\": write true or false"),
        (policy_more("rules: []"), "f.yaml:4:8: Policy acme/prod/shop: rules: is empty: give the policy a rule"),
        (
            policy_more("rules: {r: {}}"),
            "f.yaml:4:8: Policy acme/prod/shop: rules: is a mapping: write a list, like [a, b]",
        ),
        (policy_more("rules:"), "f.yaml:4:6: Policy acme/prod/shop: rules: has no value: write a list, like [a, b]"),
    ]);
}
