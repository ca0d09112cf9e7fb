//! What networks say to their workloads: DHCP, router advertisements, and what travels in them.

use super::{network, told};

/// A network of one subnet with these fields more; they stand on line 4.
fn v4(these: &str) -> String {
    network(&format!("subnets: [{{cidr: 10.0.0.0/24, gateway: 10.0.0.1, {these}}}]"))
}

/// The same of an IPv6 subnet; they stand on line 4.
fn v6(these: &str) -> String {
    network(&format!("subnets: [{{cidr: \"fd00::/64\", gateway: \"fd00::1\", {these}}}]"))
}

/// A network with DHCP and these fields on line 5.
fn served(these: &str) -> String {
    network(&format!("subnets: [{{cidr: 10.0.0.0/24, gateway: 10.0.0.1, dhcp: true}}]\n{these}"))
}

#[test]
fn subnets_tell_what_can_be_told() {
    told(&[
        (v4("dhcp: 1"), "f.yaml:4:56: Network acme/prod/front: subnets[0].dhcp: is \"1\": write true or false"),
        (
            v4("ra: true"),
            "f.yaml:4:54: Network acme/prod/front: subnets[0].ra: is for IPv6 alone: remove it; with dhcp: true the \
             gateway is told by DHCP",
        ),
        (
            v4("dns: [10.0.0.2]"),
            "f.yaml:4:55: Network acme/prod/front: subnets[0].dns: nobody tells them to workloads: add dhcp: true, or \
             remove them",
        ),
        (
            v6("dns: [\"fd00::2\"]"),
            "f.yaml:4:56: Network acme/prod/front: subnets[0].dns: nobody tells them to workloads: add dhcp: true or \
             ra: true, or remove them",
        ),
        (
            v4("dhcp: true, dns: [\"fd00::2\"]"),
            "f.yaml:4:68: Network acme/prod/front: subnets[0].dns[0]: fd00::2 is of the other family than 10.0.0.0/24: \
             write an IPv4 one",
        ),
        (
            v6("ra: true, dns: [10.0.0.2]"),
            "f.yaml:4:67: Network acme/prod/front: subnets[0].dns[0]: 10.0.0.2 is of the other family than fd00::/64: \
             write an IPv6 one",
        ),
        (
            v4("dhcp: true, dns: [10.0.0.2, 10.0.0.3, 10.0.0.4, 10.0.0.5, 10.0.0.6]"),
            "f.yaml:4:67: Network acme/prod/front: subnets[0].dns: are more than 4: a DHCP message has no room for \
             them; remove some",
        ),
        (
            network("subnets: [{cidr: \"fd00::/80\", gateway: \"fd00::1\", ra: true}]"),
            "f.yaml:4:55: Network acme/prod/front: subnets[0].ra: a workload makes its own address in a /64 alone, and \
             fd00::/80 is none: write a /64, or add dhcp: true",
        ),
    ]);
}

#[test]
fn routes_go_where_workloads_can_be_told() {
    let nine: Vec<_> = (1..10).map(|n| format!("{{to: 10.{n}.0.0/16, via: 10.0.0.9}}")).collect();
    told(&[
        (
            v4("routes: [{to: 10.9.0.0/16, via: 10.0.0.9}]"),
            "f.yaml:4:58: Network acme/prod/front: subnets[0].routes: DHCP tells routes, which the subnet has not: add \
             dhcp: true",
        ),
        (
            v6("dhcp: true, routes: [{to: \"fd09::/64\", via: \"fd00::1\"}]"),
            "f.yaml:4:71: Network acme/prod/front: subnets[0].routes: router advertisements tell IPv6 routes, which \
             the subnet has not: add ra: true",
        ),
        (
            v4("dhcp: true, routes: [{to: 0.0.0.0/0, via: 10.0.0.9}]"),
            "f.yaml:4:76: Network acme/prod/front: subnets[0].routes[0].to: is the default route, which goes to the \
             gateway: write a longer prefix",
        ),
        (
            v4("dhcp: true, routes: [{to: 10.9.0.0/16, via: 10.1.0.9}]"),
            "f.yaml:4:94: Network acme/prod/front: subnets[0].routes[0].via: 10.1.0.9 is no neighbour in 10.0.0.0/24: \
             write a router of that subnet",
        ),
        (
            v4("dhcp: true, routes: [{to: \"fd09::/64\", via: 10.0.0.9}]"),
            "f.yaml:4:76: Network acme/prod/front: subnets[0].routes[0].to: fd09:: is of the other family than \
             10.0.0.0/24: write an IPv4 one",
        ),
        (
            v6("ra: true, routes: [{to: \"fd09::/64\", via: \"fd00::9\"}]"),
            "f.yaml:4:93: Network acme/prod/front: subnets[0].routes[0].via: fd00::9 is not the gateway, and a router \
             announces IPv6 routes through itself alone: write fd00::1",
        ),
        (
            v4(&format!("dhcp: true, routes: [{}]", nine.join(", "))),
            "f.yaml:4:70: Network acme/prod/front: subnets[0].routes: are more than 8: a DHCP message has no room for \
             them; remove some",
        ),
    ]);
}

#[test]
fn leases_and_search_domains_are_within_bounds() {
    for text in ["1w", "h", "-1h", "1.5h", "3600", "1é"] {
        let message = "is no time: write a number and s, m, h or d, like 1h";
        let expected = format!("f.yaml:5:8: Network acme/prod/front: lease: {text:?} {message}");
        told(&[(served(&format!("lease: {text}")), &expected)]);
    }
    let six = "searchDomains: [a.example, b.example, c.example, d.example, e.example, f.example, g.example]";
    let long = format!("searchDomains: [{}.example, {}.example]", "a".repeat(30), "b".repeat(30));
    told(&[
        (served("lease: 59s"), "f.yaml:5:8: Network acme/prod/front: lease: 59s is out of range: write 1m to 30d"),
        (served("lease: 31d"), "f.yaml:5:8: Network acme/prod/front: lease: 31d is out of range: write 1m to 30d"),
        (
            network("subnets: [{cidr: 10.0.0.0/24, gateway: 10.0.0.1}]\nlease: 1h"),
            "f.yaml:5:8: Network acme/prod/front: lease: no subnet has dhcp: true, which gives leases: add that, or \
             remove the lease",
        ),
        (
            network("subnets: [{cidr: 10.0.0.0/24, gateway: 10.0.0.1}]\nsearchDomains: [corp.example]"),
            "f.yaml:5:16: Network acme/prod/front: searchDomains: no subnet has dhcp or ra: true, which tell them: add \
             that, or remove the search domains",
        ),
        (
            served("searchDomains: [Corp.example]"),
            "f.yaml:5:17: Network acme/prod/front: searchDomains[0]: \"Corp.example\" is no domain name: write \
             lower-case letters, digits, - and dots, like corp.example",
        ),
        (
            served(six),
            "f.yaml:5:16: Network acme/prod/front: searchDomains: are more than 6: a DHCP message has no room for \
             them; remove some",
        ),
        (
            served(&long),
            "f.yaml:5:16: Network acme/prod/front: searchDomains: are longer than 72 letters together: a DHCP message \
             has no room for them; remove some",
        ),
    ]);
}

#[test]
fn one_message_has_room_for_three_ipv6_subnets() {
    let subnet = |n: u32| format!("  - {{cidr: \"fd0{n}::/64\", gateway: \"fd0{n}::1\", ra: true}}");
    let subnets: Vec<_> = (0..4).map(subnet).collect();
    told(&[(
        network(&format!("subnets:\n{}", subnets.join("\n"))),
        "f.yaml:8:5: Network acme/prod/front: subnets[3]: is one IPv6 subnet too many with dhcp or ra: at most 3 of a \
         network fit into one message: put it into another network",
    )]);
}
