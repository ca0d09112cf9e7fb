//! The host guard: nothing but the host's own devices reaches its stack.

use std::fs;
use std::net::UdpSocket;
use std::time::{Duration, Instant};

use libbpf_rs::Link;
use ringfence_agent::bpf::{Datapath, Device, DeviceKind, DropKey, Pod, Reason};

use crate::guest::Guest;
use crate::net::{ifindex, sh};
use crate::world::World;

/// Far beyond what a datagram takes on a loaded machine.
const DEADLINE: Duration = Duration::from_secs(10);

/// Drops of the guard on the host's end of the link.
fn guarded(world: &World) -> u64 {
    let key = DropKey { ifindex: ifindex("veth0"), reason: Reason::HostGuard as u32 };
    world.datapath.maps().drops.get(&key).unwrap().unwrap_or_default()
}

/// Whether a datagram of the peer reaches a socket of the host, by each family: it arrives, or the guard counts it.
#[track_caller]
fn reached(world: &World, peer: &Guest) -> [bool; 2] {
    ["192.168.9.1:900", "[fd99::1]:900"].map(|address| {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(10))).unwrap();
        let before = guarded(world);
        peer.inside(move || {
            let any = if address.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
            UdpSocket::bind(any).unwrap().send_to(b"hello", address).unwrap();
        });
        let begun = Instant::now();
        loop {
            if socket.recv(&mut [0; 8]).is_ok() {
                return true;
            }
            if guarded(world) > before {
                return false;
            }
            assert!(begun.elapsed() < DEADLINE, "{address}: neither arrived nor dropped by the guard");
        }
    })
}

#[test]
fn a_guard_whose_pin_was_removed_and_that_somebody_holds_leaves_room_for_the_next() {
    let mut world = World::with(|options| options.guard = true);
    world.datapath.guard().unwrap();
    let pin = world.options.pin_dir.join("links/guard-ipv4");
    let number = || Link::open(&pin).unwrap().info().unwrap().id;
    // At each of the two priorities once.
    for _ in 0..2 {
        let (held, before) = (Link::open(&pin).unwrap(), number());
        fs::remove_file(&pin).unwrap();
        assert!(!world.datapath.is_guarded());
        world.datapath.guard().unwrap();
        assert!(world.datapath.is_guarded());
        assert_ne!(number(), before);
        drop(held);
    }
    // Nor is a folder a guard.
    fs::remove_file(&pin).unwrap();
    fs::create_dir(&pin).unwrap();
    assert!(!world.datapath.is_guarded());
    world.datapath.guard().unwrap();
    assert!(world.datapath.is_guarded());
}

#[test]
fn only_devices_of_the_host_reach_its_sockets_and_a_restart_leaves_no_gap() {
    let mut world = World::with(|options| options.guard = true);
    sh("ip link add veth0 type veth peer name veth1; ip addr add 192.168.9.1/24 dev veth0; \
        ip addr add fd99::1/64 dev veth0 nodad; ip link set dev veth0 up");
    let peer = Guest::with_device("veth1");
    peer.inside(|| {
        sh("ip addr add 192.168.9.2/24 dev veth1; ip addr add fd99::2/64 dev veth1 nodad; \
            ip link set dev veth1 up");
    });
    // Neighbours are resolved while nothing guards.
    assert_eq!(reached(&world, &peer), [true, true]);
    world.datapath.guard().unwrap();
    assert_eq!(reached(&world, &peer), [false, false]);
    let device = ifindex("veth0");

    // Twice, so that both priorities have been left.
    for _ in 0..2 {
        let mut again = Datapath::open(&world.options).unwrap();
        again.guard().unwrap();
        assert_eq!(reached(&world, &peer), [false, false]);
    }
    let own = Device { kind: DeviceKind::RF_DEVICE_HOST, ..Device::zeroed() };
    world.datapath.maps().devices.put(device, &own).unwrap();
    assert_eq!(reached(&world, &peer), [true, true]);
    world.datapath.maps().devices.delete(device).unwrap();
    assert_eq!(reached(&world, &peer), [false, false]);
    // An agent that is to guard no more has no guard loaded, and takes the old one away.
    world.options.guard = false;
    Datapath::open(&world.options).unwrap().guard().unwrap();
    assert_eq!(reached(&world, &peer), [true, true]);
}
