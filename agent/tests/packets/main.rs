//! Packet tests: the real programs, loaded and pinned as the agent does it, on packets made here by
//! BPF_PROG_TEST_RUN, or on real ones in a network namespace of the test's own.
//!
//! Each asserts the verdict, the bytes where they change, and which counters moved and that no
//! other did. All need root, and fail without it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, unreachable_pub)]

mod builder;
mod checks;
mod checksum;
mod far;
mod foreign;
mod guest;
mod net;
mod pieces;
mod raw;
mod served;
mod world;

mod root {
    mod address_pairs;
    mod arp_nd;
    mod audit;
    mod bucket;
    mod budgets;
    mod conntrack;
    mod counters;
    mod dhcp4;
    mod dhcp6;
    mod domains_do_not_mix;
    mod dry;
    mod echo_gateway;
    mod extension_headers;
    mod first;
    mod fragments;
    mod guard;
    mod host_arp;
    mod host_peer;
    mod icmp_errors;
    mod links;
    mod lives;
    mod multicast;
    mod nic;
    mod no_port_security;
    mod offloads;
    mod overlay;
    mod parse;
    mod policy_verdicts;
    mod port_security;
    mod quick;
    mod router;
    mod sctp;
    mod service_clients;
    mod shared_addresses;
    mod stateless;
    mod tcp;
    mod too_big;
    mod traffic;
    mod uplink;
    mod verifier_load;
}
