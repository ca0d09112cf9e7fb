//! What an expectation cannot be.

use super::{flow, raw, told};

#[test]
fn an_expectation_is_told_what_it_may_be() {
    told(&[
        (
            raw("kind: Expectation\nname: e\nflows: []\n"),
            "f.yaml:1:1: Expectation e: domain: is missing: add it\n\
             f.yaml:3:8: Expectation e: flows: is empty: name a flow",
        ),
        (
            raw("kind: Expectation\ndomain: \"*\"\nname: Shop\nflows: [{}]\n"),
            "f.yaml:2:9: Expectation */Shop: domain: \"*\" is reserved: choose another name\n\
             f.yaml:3:7: Expectation */Shop: name: \"Shop\" is no name: write lower-case letters, digits and hyphens, \
             beginning and ending with a letter or digit\n\
             f.yaml:4:9: Expectation */Shop: flows[0].from: is missing: add it\n\
             f.yaml:4:9: Expectation */Shop: flows[0].to: is missing: add it\n\
             f.yaml:4:9: Expectation */Shop: flows[0].traffic: is missing: add it\n\
             f.yaml:4:9: Expectation */Shop: flows[0].expect: is missing: add it",
        ),
        (
            raw("kind: Expectation\ndomain: acme/prod\nname: e\nflow: []\n"),
            "f.yaml:1:1: Expectation acme/prod/e: flows: is missing: add it\n\
             f.yaml:4:1: Expectation acme/prod/e: flow: unknown field \"flow\": did you mean flows?",
        ),
        (
            raw("kind: Expectation\ndomain: acme/prod\nname: e\nflows: {}\n"),
            "f.yaml:4:8: Expectation acme/prod/e: flows: is a mapping: write a list, like [a, b]",
        ),
        (
            raw("kind: Expectation\ndomain: acme/prod\nname: e\nflows: [web]\n"),
            "f.yaml:4:9: Expectation acme/prod/e: flows[0]: is \"web\": write a mapping of from, to, traffic, expect, \
             rule, family, at",
        ),
    ]);
}

#[test]
fn an_end_of_a_flow_is_told_what_it_may_be() {
    told(&[
        (
            flow("from: segment/web/x"),
            "f.yaml:5:54: Expectation acme/prod/e: flows[0].from: \"segment/web/x\" is no end of a flow: write \
             WORKLOAD, WORKLOAD/INTERFACE, an address or host",
        ),
        (
            flow("from: Web"),
            "f.yaml:5:54: Expectation acme/prod/e: flows[0].from: \"Web\" is no end of a flow: write WORKLOAD, \
             WORKLOAD/INTERFACE, an address or host",
        ),
        (
            flow("from: web-1/"),
            "f.yaml:5:54: Expectation acme/prod/e: flows[0].from: \"web-1/\" is no end of a flow: write WORKLOAD, \
             WORKLOAD/INTERFACE, an address or host",
        ),
        (
            flow("from: any/"),
            "f.yaml:5:54: Expectation acme/prod/e: flows[0].from: \"any/\" is no end of a flow: write WORKLOAD, \
             WORKLOAD/INTERFACE, an address or host",
        ),
        (
            flow("from: \"::ffff:10.0.0.1\""),
            "f.yaml:5:54: Expectation acme/prod/e: flows[0].from: ::ffff:10.0.0.1 is an IPv4 address inside an IPv6 \
             address: write the IPv4 address alone",
        ),
        (
            flow("from: 10.0.0.0/8"),
            "f.yaml:5:54: Expectation acme/prod/e: flows[0].from: \"10.0.0.0/8\" is no end of a flow: write WORKLOAD, \
             WORKLOAD/INTERFACE, an address or host",
        ),
        (flow("from: [web-1]"), "f.yaml:5:54: Expectation acme/prod/e: flows[0].from: is a list: write text"),
        (flow("to: "), "f.yaml:5:53: Expectation acme/prod/e: flows[0].to: has no value: write text"),
    ]);
}

#[test]
fn a_question_is_told_what_it_may_be() {
    told(&[
        (
            flow("traffic: any"),
            "f.yaml:5:53: Expectation acme/prod/e: flows[0].traffic: \"any\" is more than one question: write \
             tcp/PORT, udp/PORT, sctp/PORT, icmp, icmp/TYPE, icmp/TYPE/CODE, icmp6 or proto/NUMBER",
        ),
        (
            flow("traffic: tcp"),
            "f.yaml:5:53: Expectation acme/prod/e: flows[0].traffic: \"tcp\" is more than one question: write \
             tcp/PORT, udp/PORT, sctp/PORT, icmp, icmp/TYPE, icmp/TYPE/CODE, icmp6 or proto/NUMBER",
        ),
        (
            flow("traffic: tcp/80-90"),
            "f.yaml:5:53: Expectation acme/prod/e: flows[0].traffic: \"tcp/80-90\" is more than one question: write \
             tcp/PORT, udp/PORT, sctp/PORT, icmp, icmp/TYPE, icmp/TYPE/CODE, icmp6 or proto/NUMBER",
        ),
        (
            flow("traffic: http"),
            "f.yaml:5:53: Expectation acme/prod/e: flows[0].traffic: \"http\" is no traffic: write any, tcp, tcp/443, \
             udp/5000-5010, sctp, tcp/NAME, icmp, icmp/8, icmp/3/4, icmp6 or proto/47",
        ),
        (
            flow("traffic: tcp/http_x"),
            "f.yaml:5:53: Expectation acme/prod/e: flows[0].traffic: \"http_x\" is no port: write a number from 0 to \
             65535, a range like 8080-8090, or a port's name",
        ),
        (
            flow("traffic: icmp/300"),
            "f.yaml:5:53: Expectation acme/prod/e: flows[0].traffic: \"300\" is no ICMP type: write a number from 0 to \
             255",
        ),
        (
            flow("traffic: proto/1"),
            "f.yaml:5:53: Expectation acme/prod/e: flows[0].traffic: \"proto/1\" does not say which packet: write \
             icmp/TYPE/CODE",
        ),
        (
            flow("traffic: proto/6"),
            "f.yaml:5:53: Expectation acme/prod/e: flows[0].traffic: \"proto/6\" does not say which packet: write \
             tcp/PORT",
        ),
        (
            flow("traffic: proto/17"),
            "f.yaml:5:53: Expectation acme/prod/e: flows[0].traffic: \"proto/17\" does not say which packet: write \
             udp/PORT",
        ),
        (
            flow("traffic: proto/58"),
            "f.yaml:5:53: Expectation acme/prod/e: flows[0].traffic: \"proto/58\" does not say which packet: write \
             icmp6/TYPE/CODE",
        ),
        (
            flow("traffic: proto/132"),
            "f.yaml:5:53: Expectation acme/prod/e: flows[0].traffic: \"proto/132\" does not say which packet: write \
             sctp/PORT",
        ),
        (flow("traffic: [tcp/80]"), "f.yaml:5:53: Expectation acme/prod/e: flows[0].traffic: is a list: write text"),
    ]);
}

#[test]
fn what_is_expected_is_told_what_it_may_be() {
    told(&[
        (
            flow("expect: pass"),
            "f.yaml:5:54: Expectation acme/prod/e: flows[0].expect: \"pass\" is no outcome: write allow, deny or \
             ambiguous",
        ),
        (
            flow("expect: true"),
            "f.yaml:5:54: Expectation acme/prod/e: flows[0].expect: \"true\" is no outcome: write allow, deny or \
             ambiguous",
        ),
        (
            flow("rule: shop"),
            "f.yaml:5:67: Expectation acme/prod/e: flows[0].rule: \"shop\" is no rule: write POLICY/RULE, \
             */POLICY/RULE, default/deny or default/allow",
        ),
        (
            flow("rule: shop/Rule"),
            "f.yaml:5:67: Expectation acme/prod/e: flows[0].rule: \"shop/Rule\" is no rule: write POLICY/RULE, \
             */POLICY/RULE, default/deny or default/allow",
        ),
        (
            flow("rule: default/none"),
            "f.yaml:5:67: Expectation acme/prod/e: flows[0].rule: \"default/none\" is no rule: write POLICY/RULE, \
             */POLICY/RULE, default/deny or default/allow",
        ),
        (
            flow("rule: \"*/shop\""),
            "f.yaml:5:67: Expectation acme/prod/e: flows[0].rule: \"*/shop\" is no rule: write POLICY/RULE, \
             */POLICY/RULE, default/deny or default/allow",
        ),
        (
            flow("family: 4"),
            "f.yaml:5:69: Expectation acme/prod/e: flows[0].family: \"4\" is no family: write ipv4 or ipv6",
        ),
        (
            flow("at: noon"),
            "f.yaml:5:65: Expectation acme/prod/e: flows[0].at: \"noon\" is no moment: write a date, a time and an \
             offset, like 2026-12-01T06:00:00Z or 2026-12-01T07:00:00+01:00",
        ),
        (
            flow("expect: ambiguous, rule: shop/r"),
            "f.yaml:5:71: Expectation acme/prod/e: flows[0].rule: no one rule makes an answer ambiguous: remove it",
        ),
    ]);
}
