//! Packets longer than what a wire carries: in fragments, as segments that a device is to make, and
//! on an underlay that carries more. With real sockets, through router and overlay, each byte checked.

use std::{
    fs,
    io::IoSlice,
    net::{SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    time::Duration,
};

use nix::sys::socket::{ControlMessage, MsgFlags, SockaddrStorage, sendmsg};
use ringfence_lab::{
    cabling::UNDERLAY_DEVICE,
    lab::{Lab, Options},
    layout::Underlay,
    probe::{Endpoint, socket},
    transfer::{End, transfer},
    wait,
};

use super::turn;

const DOMAIN: &str = "long/prod";
const PORT: u16 = 7001;
const DENIED_PORT: u16 = 7002;

/// Two networks over two hosts. Everything is allowed but one port.
const OBJECTS: &str = r#"
kind: Tenant
name: long
---
kind: Domain
name: long/prod
default: allow
---
kind: Network
domain: long/prod
name: left
subnets: [{cidr: 10.1.0.0/24, gateway: 10.1.0.1}, {cidr: "fd00:1::/64", gateway: "fd00:1::1"}]
---
kind: Network
domain: long/prod
name: right
subnets: [{cidr: 10.2.0.0/24, gateway: 10.2.0.1}, {cidr: "fd00:2::/64", gateway: "fd00:2::1"}]
---
kind: Workload
domain: long/prod
name: a
interfaces:
  - {name: eth0, network: left, mac: "02:00:00:00:01:01", addresses: [10.1.0.11, "fd00:1::11"], host: h1, device: long-a}
---
kind: Workload
domain: long/prod
name: b
interfaces:
  - {name: eth0, network: right, mac: "02:00:00:00:02:01", addresses: [10.2.0.11, "fd00:2::11"], host: h2, device: long-b}
---
kind: Policy
domain: long/prod
name: one-port
rules:
  - {name: closed, from: [any], to: [any], action: deny, traffic: [udp/7002]}
"#;

struct Pair {
    a: Endpoint,
    b: Endpoint,
    lab: Lab,
}

fn pair(options: &Options) -> Pair {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("long.yaml");
    fs::write(&file, OBJECTS).unwrap();
    let mut lab = Lab::raise(&[&file], options).unwrap();
    lab.apply(&file).unwrap();
    let [a, b] = ["a", "b"].map(|name| lab.endpoint(DOMAIN, name).unwrap().clone());
    Pair { a, b, lab }
}

fn end(endpoint: &Endpoint, ipv4: bool) -> End<'_> {
    End { namespace: &endpoint.namespace, address: endpoint.address(ipv4).unwrap() }
}

impl Pair {
    /// Sockets at a and at a port of b.
    fn sockets(&self, ipv4: bool, port: u16) -> (UdpSocket, UdpSocket) {
        let target = SocketAddr::new(self.b.address(ipv4).unwrap(), port);
        let source = SocketAddr::new(self.a.address(ipv4).unwrap(), 0);
        let receiver = self.b.namespace.run(|| socket::udp(target)).unwrap();
        let sender = self.a.namespace.run(|| socket::udp(source)).unwrap();
        receiver.set_nonblocking(false).unwrap();
        receiver.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
        sender.connect(target).unwrap();
        (sender, receiver)
    }

    /// Turns an offload on or off on the devices of both workloads, inside and outside, and of both underlays.
    fn ethtool(&self, settings: &str) {
        let hosts = ["h1", "h2"].map(|name| self.lab.host(name).unwrap().namespace.clone());
        let devices = [
            (&self.a.namespace, "eth0"),
            (&self.b.namespace, "eth0"),
            (&hosts[0], "long-a"),
            (&hosts[1], "long-b"),
            (&hosts[0], UNDERLAY_DEVICE),
            (&hosts[1], UNDERLAY_DEVICE),
        ];
        for (namespace, device) in devices {
            let status = namespace.command("ethtool").unwrap().arg("-K").arg(device).args(settings.split(' ')).output();
            let output = status.unwrap();
            assert!(output.status.success(), "{device} {settings}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }

    fn transfers(&self, bytes: usize) -> [Duration; 2] {
        [true, false].map(|ipv4| transfer(end(&self.a, ipv4), end(&self.b, ipv4), PORT, bytes).unwrap())
    }

    /// The time that the hosts themselves need for the same, beside Ringfence.
    fn plain_transfer(&self, bytes: usize) -> Duration {
        let [h1, h2] = ["h1", "h2"].map(|name| self.lab.host(name).unwrap());
        let end = |host: &ringfence_lab::lab::Host| host.underlay[0];
        let from = End { namespace: &h1.namespace, address: end(h1) };
        let to = End { namespace: &h2.namespace, address: end(h2) };
        transfer(from, to, PORT, bytes).unwrap()
    }
}

fn pattern(length: usize, salt: usize) -> Vec<u8> {
    (0..length).map(|place| ((place + salt) % 251) as u8).collect()
}

#[test]
fn datagrams_in_fragments_arrive_whole_and_those_to_a_closed_port_in_no_part() {
    let _turn = turn();
    let mut pair = pair(&Options::default());
    for ipv4 in [true, false] {
        let (sender, receiver) = pair.sockets(ipv4, PORT);
        let (to_closed, closed) = pair.sockets(ipv4, DENIED_PORT);
        let mut buffer = vec![0; 65_536];
        for (salt, length) in [1473, 3000, 8000, 20_000, 65_000].into_iter().enumerate() {
            let datagram = pattern(length, salt);
            to_closed.send(&datagram).unwrap();
            // One may be lost where the kernels run it on two processors: what overtakes its first fragment is.
            let arrived = (0..5).any(|_| {
                sender.send(&datagram).unwrap();
                receiver.recv(&mut buffer).is_ok_and(|got| buffer[..got] == datagram)
            });
            assert!(arrived, "{length} bytes");
        }
        closed.set_nonblocking(true).unwrap();
        assert!(closed.recv(&mut buffer).is_err());
    }
    pair.lab.check_daemons().unwrap();
}

#[test]
fn offloads_on_and_off_change_no_byte_and_segments_of_udp_arrive_apart() {
    let _turn = turn();
    let pair = pair(&Options::default());
    for settings in ["tx off", "tx on tso on gso on", "gro off", "tso off gso off", "tx off"] {
        pair.ethtool(settings);
        pair.transfers(4 << 20);
        segments_arrive(&pair);
    }
}

/// One send of ten datagrams, which the kernel or a device takes apart (UDP_SEGMENT, udp(7)).
fn segments_arrive(pair: &Pair) {
    const SEGMENT: u16 = 1200;
    for ipv4 in [true, false] {
        let (sender, receiver) = pair.sockets(ipv4, PORT);
        // Until the neighbour is known, the kernel keeps few packets.
        wait::until("a first datagram arrives", Duration::from_secs(2), || {
            sender.send(b"first")?;
            Ok(receiver.recv(&mut [0; 16]).is_ok())
        })
        .unwrap();
        let all = pattern(10 * usize::from(SEGMENT), 0);
        let sent = sendmsg::<SockaddrStorage>(
            sender.as_raw_fd(),
            &[IoSlice::new(&all)],
            &[ControlMessage::UdpGsoSegments(&SEGMENT)],
            MsgFlags::empty(),
            None,
        );
        assert_eq!(sent.unwrap(), all.len());
        let mut buffer = vec![0; 65_536];
        let mut got: Vec<u8> = Vec::new();
        while got.len() < all.len() {
            let length = receiver.recv(&mut buffer).unwrap();
            if buffer[..length] != *b"first" {
                assert_eq!(length, usize::from(SEGMENT));
                got.extend(&buffer[..length]);
            }
        }
        assert!(got == all, "another order or other bytes");
    }
}

#[test]
fn an_underlay_of_long_frames_gives_long_packets_and_a_path_that_is_not_much_slower_than_a_plain_one() {
    let _turn = turn();
    for (underlay, mtu) in [(Underlay::Ipv4, 8950), (Underlay::Ipv6, 8930)] {
        let pair = pair(&Options { underlay, jumbo: true, ..Options::default() });
        for ipv4 in [true, false] {
            let (sender, receiver) = pair.sockets(ipv4, PORT);
            // The longest datagram that needs no fragments, and must not be one: DF is set while the path's MTU is sought.
            let datagram = pattern(mtu - if ipv4 { 28 } else { 48 }, 7);
            wait::until("the longest packet arrives", Duration::from_secs(5), || {
                sender.send(&datagram)?;
                let mut buffer = vec![0; 65_536];
                Ok(receiver.recv(&mut buffer).is_ok_and(|length| buffer[..length] == datagram))
            })
            .unwrap();
        }
        require_speed(&pair);
    }
}

#[test]
fn the_overlay_is_not_much_slower_than_a_plain_path_on_either_underlay() {
    let _turn = turn();
    for underlay in [Underlay::Ipv4, Underlay::Ipv6] {
        require_speed(&pair(&Options { underlay, ..Options::default() }));
    }
}

/// A checksum or a segment that is done wrong costs orders of magnitude, not a factor: each loss waits for a timer.
fn require_speed(pair: &Pair) {
    const BYTES: usize = 24 << 20;
    pair.transfers(1 << 20);
    let plain = pair.plain_transfer(BYTES);
    for taken in pair.transfers(BYTES) {
        assert!(taken < plain * 15 + Duration::from_millis(500), "{taken:?}, and {plain:?} on a plain path");
    }
}
