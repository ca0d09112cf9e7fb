//! The bucket function is the same in C and in Rust.

use ringfence_agent::bpf::consts::RF_TABLE_UDP;
use ringfence_agent::bpf::{Hook, bucket};

use crate::builder::Packet;
use crate::net::ip;
use crate::world::{DOMAIN_ID, World};

#[test]
fn a_connection_to_outside_refers_to_the_bucket_of_its_address() {
    let mut world = World::new();
    world.allow(1, 9, RF_TABLE_UDP);
    let web = world.web;
    for n in 0..64u32 {
        let outside = ip(&format!("203.0.{}.{}", n * 3, 255 - n * 2));
        let frame = world.routed(&web, Packet::udp(web.v4, outside, (4000, 53)));
        world.passes(Hook::FromWorkload, web.ifindex, &frame);
        let (key, conn) = world.only_conn();
        // web has the lesser address, so outside is the high side.
        assert_eq!(conn.epoch_ref[1], bucket(DOMAIN_ID, &outside.into()), "{outside}");
        world.datapath.maps().conns4.delete(&key).unwrap();

        let outside = ip(&format!("2001:db8:{:x}:{n:x}::{:x}", n * 77, n * 991));
        let frame = world.routed(&web, Packet::udp(web.v6, outside, (4000, 53)));
        world.passes(Hook::FromWorkload, web.ifindex, &frame);
        let conns = world.datapath.maps().conns6.entries().unwrap();
        // 2001:… is less than fd00:….
        assert_eq!(conns[0].1.epoch_ref[0], bucket(DOMAIN_ID, &outside.into()), "{outside}");
        world.datapath.maps().conns6.delete(&conns[0].0).unwrap();
    }
}

#[test]
fn the_bump_of_a_bucket_reaches_the_flow() {
    let mut world = World::new();
    world.allow(1, 9, RF_TABLE_UDP);
    let (web, outside) = (world.web, ip("203.0.113.77"));
    let frame = world.routed(&web, Packet::udp(web.v4, outside, (4000, 53)));
    world.passes(Hook::FromWorkload, web.ifindex, &frame);
    world.bump_address(DOMAIN_ID, outside);
    let (_, decision) = world.passes(Hook::FromWorkload, web.ifindex, &frame);
    assert_eq!(decision.judged, 1);
}
