//! Real sockets through the programs on one host, with checksum and segmentation offloads on, as
//! veth has them.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::thread;
use std::time::Duration;

use ringfence_agent::bpf::Reason;
use ringfence_agent::bpf::consts::{RF_TABLE_ICMP, RF_TABLE_ICMP6, RF_TABLE_TCP, RF_TABLE_UDP};

use crate::guest::Guest;
use crate::net::sh;
use crate::world::World;

/// web and cache, in two networks, allowed everything both ways.
fn guests() -> (World, Guest, Guest) {
    let mut world = World::new();
    for (from, to) in [(1, 3), (3, 1)] {
        for table in [RF_TABLE_TCP, RF_TABLE_UDP, RF_TABLE_ICMP, RF_TABLE_ICMP6] {
            world.allow(from, to, table);
        }
    }
    let (web, cache) = (world.web, world.cache);
    let a = Guest::workload(&mut world, "web", &web);
    let b = Guest::workload(&mut world, "cache", &cache);
    (world, a, b)
}

const BYTES: usize = 32 << 20;

fn transfer(client: &Guest, server: &Guest, address: IpAddr) -> usize {
    let listener = server.inside(move || TcpListener::bind(SocketAddr::new(address, 5001)).unwrap());
    let received = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let (mut total, mut buffer) = (0, vec![0; 1 << 16]);
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            total += length;
        }
        total
    });
    client.inside(move || {
        let timeout = Duration::from_secs(5);
        let mut stream = TcpStream::connect_timeout(&SocketAddr::new(address, 5001), timeout).unwrap();
        // A path that swallows packets stalls; then this must fail, not hang.
        stream.set_write_timeout(Some(timeout)).unwrap();
        stream.write_all(&vec![7; BYTES]).unwrap();
    });
    received.join().unwrap()
}

#[test]
fn tcp_udp_and_ping_pass_between_networks_with_offloads_on() {
    let (world, web, cache) = guests();
    for address in [world.cache.v4, world.cache.v6] {
        assert_eq!(transfer(&web, &cache, address), BYTES, "{address}");
        for size in [56, 8000] {
            // The longer ones go in fragments, there and back.
            web.inside(move || sh(&format!("ping -c 2 -i 0.05 -W 2 -s {size} {address} >/dev/null")));
        }
        let socket = cache.inside(move || UdpSocket::bind(SocketAddr::new(address, 5002)).unwrap());
        socket.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
        web.inside(move || {
            let any = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
            UdpSocket::bind(any).unwrap().send_to(b"hello", SocketAddr::new(address, 5002)).unwrap()
        });
        assert_eq!(socket.recv(&mut [0; 16]).unwrap(), 5);
    }
    let refused: Vec<_> = world
        .counters()
        .into_keys()
        // What a kernel tells its link unasked is refused, too, and no matter here.
        .filter(|name| OF_TRAFFIC.iter().any(|reason| name.ends_with(reason.name())))
        .collect();
    assert_eq!(refused, Vec::<String>::new());
}

const OF_TRAFFIC: [Reason; 7] = [
    Reason::PolicyDeny,
    Reason::TcpNotSyn,
    Reason::TooBig,
    Reason::Malformed,
    Reason::DestinationMac,
    Reason::SourceAddress,
    Reason::Internal,
];

/// Transfers over a path that is narrower than web believes, and sees that web learns of it.
fn narrow_path(world: &World, web: &Guest, cache: &Guest) {
    let maps = world.datapath.maps();
    let mut iface = maps.ifaces.get(&world.cache.index).unwrap().unwrap();
    iface.mtu = 1300;
    maps.ifaces.put(&world.cache.index, &iface).unwrap();
    for address in [world.cache.v4, world.cache.v6] {
        assert_eq!(transfer(web, cache, address), BYTES, "{address}");
        let route = web.inside(move || {
            let output = std::process::Command::new("ip").args(["route", "get", &address.to_string()]).output();
            String::from_utf8(output.unwrap().stdout).unwrap()
        });
        assert!(route.contains("mtu 1300"), "{route}");
    }
    let too_big = format!("device {} too_big", world.web.ifindex);
    assert!(world.counters()[&too_big] >= 2);
}

#[test]
fn a_sender_learns_the_mtu_of_the_path_and_its_transfer_goes_on() {
    let (world, web, cache) = guests();
    narrow_path(&world, &web, &cache);
}

/// What web sends has its checksum left to the device; its own device here then fills it in, in
/// the quote, and web's kernel looks at the checksum of the whole: it must have been foreseen.
#[test]
fn an_answer_about_an_unfinished_checksum_is_right_once_a_device_has_finished_it() {
    let (world, web, cache) = guests();
    sh("ethtool -K web tx off >/dev/null");
    narrow_path(&world, &web, &cache);
}

#[test]
fn the_host_cannot_speak_to_a_workload_nor_a_workload_to_the_host() {
    let (world, web, _cache) = guests();
    sh("ip addr add 10.1.0.200/24 dev web");
    let to_host =
        web.inside(|| std::process::Command::new("ping").args(["-c", "1", "-W", "1", "10.1.0.200"]).output().unwrap());
    assert!(!to_host.status.success());
    let from_host = std::process::Command::new("ping").args(["-c", "1", "-W", "1", "10.1.0.11"]).output().unwrap();
    assert!(!from_host.status.success());
    let from_host = format!("device {} from_host", world.web.ifindex);
    assert!(world.counters().contains_key(&from_host));
}
