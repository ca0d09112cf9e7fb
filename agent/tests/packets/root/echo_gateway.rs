//! The gateway answers echo, and only echo.

use ringfence_agent::bpf::{Hook, Reason};

use crate::builder::{Packet, SYN};
use crate::checksum::assert_right;
use crate::net::ip;
use crate::world::{GATEWAY_MAC, World};

#[test]
fn every_gateway_of_the_domain_answers_echo() {
    let world = World::new();
    let web = world.web;
    for (src, gateway) in [(web.v4, "10.1.0.1"), (web.v4, "10.2.0.1"), (web.v6, "fd00:1::1"), (web.v6, "fd00:2::1")] {
        let gateway = ip(gateway);
        let request = Packet::echo_request(src, gateway, 77).payload(b"hello");
        let (output, _) = world.passes(Hook::FromWorkload, web.ifindex, &world.routed(&web, request));
        let reply = Packet::echo_reply(gateway, src, 77).payload(b"hello");
        assert_eq!(output.packet, reply.macs(GATEWAY_MAC, web.mac).build());
        assert_right(&output.packet[14..]);
    }
    assert_eq!(world.datapath.maps().conns4.entries().unwrap(), []);
}

#[test]
fn nothing_else_is_served_by_a_gateway() {
    let world = World::new();
    let (web, gateway) = (world.web, ip("10.1.0.1"));
    for packet in [
        Packet::tcp(web.v4, gateway, (4000, 22), SYN),
        Packet::udp(web.v4, gateway, (4000, 53)),
        Packet::echo_reply(web.v4, gateway, 1),
    ] {
        let frame = world.routed(&web, packet);
        world.drops(Hook::FromWorkload, web.ifindex, &frame, Reason::GatewayService);
    }
    let spoofed = world.routed(&web, Packet::echo_request(world.app.v4, gateway, 1));
    world.drops(Hook::FromWorkload, web.ifindex, &spoofed, Reason::SourceAddress);
}
