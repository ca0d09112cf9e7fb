//! The other host: a namespace with sockets in the place of its kernel's VXLAN.

use std::net::{SocketAddr, UdpSocket};
use std::thread::sleep;
use std::time::Duration;

use ringfence_agent::bpf::{Decision, Hook, Pod, Reason};

use crate::guest::Guest;
use crate::net::{ip, sh};
use crate::world::World;

/// A machine that is no host of ours, on the same underlay.
pub const STRANGER: &str = "198.51.100.3";
pub const VXLAN_PORT: u16 = 4789;

pub struct FarHost {
    pub world: World,
    pub guest: Guest,
}

impl FarHost {
    pub fn new() -> Self {
        let world = World::new();
        sh("ip link add under type veth peer name under-in");
        let guest = Guest::with_device("under-in");
        sh("ip addr add 198.51.100.1/24 dev under; ip addr add 2001:db8:f::1/64 dev under nodad; \
            ip link set dev under up");
        guest.inside(|| {
            sh("ip addr add 198.51.100.2/24 dev under-in; ip addr add 198.51.100.3/24 dev under-in; \
                ip addr add 2001:db8:f::2/64 dev under-in nodad; ip link set dev under-in up");
        });
        let mut far = Self { world, guest };
        let overlay = far.world.overlay;
        far.world.datapath.attach(Hook::FromOverlay, overlay).unwrap();
        far
    }

    /// What the host decided about a frame that came in by VXLAN from `outer`.
    pub fn sends(&self, outer: &str, vni: u32, frame: &[u8]) -> Decision {
        let outer = ip(outer);
        let here = ip(if outer.is_ipv4() { "198.51.100.1" } else { "2001:db8:f::1" });
        let mut datagram = vec![8, 0, 0, 0];
        datagram.extend((vni << 8).to_be_bytes());
        datagram.extend(frame);
        let decisions = || self.world.datapath.maps().decisions.get(&0).unwrap().unwrap_or_else(Decision::zeroed);
        let before = decisions().count;
        self.guest.inside(move || {
            let socket = UdpSocket::bind(SocketAddr::new(outer, 0)).unwrap();
            socket.send_to(&datagram, SocketAddr::new(here, VXLAN_PORT)).unwrap();
        });
        for _ in 0..200 {
            let decision = decisions();
            if decision.count != before {
                return decision;
            }
            sleep(Duration::from_millis(10));
        }
        panic!("nothing came in");
    }

    #[track_caller]
    pub fn refused(&self, outer: &str, vni: u32, frame: &[u8], reason: Reason) {
        let (decision, moved) = self.world.moved(|| self.sends(outer, vni, frame));
        assert_eq!(Reason::from_number(decision.reason), Some(reason));
        let expected = format!("device {} {}", self.world.overlay, reason.name());
        assert_eq!(moved, [(expected, 1)].into());
    }

    /// Where frames for the other host's underlay address arrive.
    pub fn listen(&self, underlay: &str) -> Listener {
        let address = SocketAddr::new(ip(underlay), VXLAN_PORT);
        let socket = self.guest.inside(move || UdpSocket::bind(address).unwrap());
        socket.set_read_timeout(Some(Duration::from_millis(300))).unwrap();
        Listener(socket)
    }
}

/// Frames that come to the other host.
pub struct Listener(UdpSocket);

impl Listener {
    /// Every frame that arrives until none has for a while, with its VNI.
    pub fn received(&self) -> Vec<(u32, Vec<u8>)> {
        let mut frames = Vec::new();
        let mut datagram = vec![0; 4096];
        while let Ok((length, _)) = self.0.recv_from(&mut datagram) {
            let vni = u32::from_be_bytes([0, datagram[4], datagram[5], datagram[6]]);
            frames.push((vni, datagram[8..length].to_vec()));
        }
        frames
    }
}
