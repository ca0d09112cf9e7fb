//! The host guard: nothing but the host's own devices reaches its stack.

use std::net::UdpSocket;
use std::time::Duration;

use ringfence_agent::bpf::{Datapath, Device, DeviceKind, DropKey, Reason};

use crate::guest::Guest;
use crate::net::{ifindex, sh};
use crate::world::World;

/// Whether a datagram of the peer reaches a socket of the host, by each family.
fn reached(peer: &Guest) -> [bool; 2] {
    ["192.168.9.1:900", "[fd99::1]:900"].map(|address| {
        let socket = UdpSocket::bind(address).unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(600))).unwrap();
        peer.inside(move || {
            let any = if address.starts_with('[') { "[::]:0" } else { "0.0.0.0:0" };
            // Refused at once or lost: either way it must not arrive.
            let _ = UdpSocket::bind(any).unwrap().send_to(b"hello", address);
        });
        socket.recv(&mut [0; 8]).is_ok()
    })
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
    assert_eq!(reached(&peer), [true, true]);
    world.datapath.guard().unwrap();
    assert_eq!(reached(&peer), [false, false]);
    let device = ifindex("veth0");
    let key = DropKey { ifindex: device, reason: Reason::HostGuard as u32 };
    assert!(world.datapath.maps().drops.get(&key).unwrap().unwrap() >= 2);

    // Twice, so that both priorities have been left.
    for _ in 0..2 {
        let mut again = Datapath::open(&world.options).unwrap();
        again.guard().unwrap();
        assert_eq!(reached(&peer), [false, false]);
    }
    let own = Device { kind: DeviceKind::RF_DEVICE_HOST, r#ref: 0, counter: 0 };
    world.datapath.maps().devices.put(device, &own).unwrap();
    assert_eq!(reached(&peer), [true, true]);
    world.datapath.maps().devices.delete(device).unwrap();
    assert_eq!(reached(&peer), [false, false]);
    // An agent that is to guard no more has no guard loaded, and takes the old one away.
    world.options.guard = false;
    Datapath::open(&world.options).unwrap().guard().unwrap();
    assert_eq!(reached(&peer), [true, true]);
}
