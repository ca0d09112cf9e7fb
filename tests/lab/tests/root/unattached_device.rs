//! A device that no object names cannot reach the host's own sockets, and is told nothing by it, from its first moment on.

use std::{
    collections::BTreeSet,
    net::{IpAddr, SocketAddr, UdpSocket},
    os::fd::AsRawFd,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use nix::sys::socket::{AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, send, socket as open_socket};
use ringfence_lab::{
    cabling::{ip_batch, quick_ipv6},
    files::example,
    lab::{Host, Lab, Options},
    netns::Namespace,
    probe::socket,
    registry, wait,
};

use super::{
    fixture,
    frame::{ICMP, ICMP6, TCP, UDP, frame, group_mac},
    turn,
};

const PORT: u16 = 7777;
const DEVICE_MAC: [u8; 6] = [0x02, 0, 0, 0, 0x99, 0x01];
const STRANGER_MAC: [u8; 6] = [0x02, 0, 0, 0, 0x99, 0x02];

/// One way to try.
struct Attempt {
    what: String,
    frame: Vec<u8>,
    /// Whether a bare kernel lets it in.
    bare_host_is_open: bool,
}

#[test]
fn nothing_of_a_strange_device_reaches_a_socket_of_its_host() {
    let mut fixture = fixture();
    for round in 0..3 {
        if round == 2 {
            // By now nobody sees it come.
            fixture.agent("h1").unwrap().kill().unwrap();
        }
        let reached = reached(&fixture.lab, &format!("stray{round}"));
        assert!(reached.is_empty(), "round {round}: the host heard {reached:#?}");
    }
}

#[test]
fn the_same_attempts_reach_a_host_without_an_agent() {
    let _turn = turn();
    let options = Options { bare: true, ..Options::default() };
    let lab = Lab::raise(&[&example("shop.yaml")], &options).unwrap();
    let open: BTreeSet<String> =
        attempts(lab.host("h1").unwrap()).into_iter().filter(|it| it.bare_host_is_open).map(|it| it.what).collect();
    assert!(open.len() > 10);
    assert_eq!(reached(&lab, "stray"), open);
    assert!(is_answered(&lab, "asker"));
}

#[test]
fn a_host_answers_no_strange_device_that_asks_for_its_address() {
    let mut fixture = fixture();
    // Its programs would drop the question: nobody is there to attach them.
    fixture.agent("h1").unwrap().kill().unwrap();
    assert!(!is_answered(&fixture.lab, "asker"));
}

/// Whether h1 answers a stranger who asks by ARP for its underlay address, as somebody without an address asks.
fn is_answered(lab: &Lab, device: &str) -> bool {
    let host = lab.host("h1").unwrap();
    let stranger = Namespace::create(&format!("{}{device}", registry::prefix_of(lab.id()))).unwrap();
    ip_batch(&host.namespace, &format!("{}link set {device} up\n", cable(device, stranger.name()))).unwrap();
    ip_batch(&stranger, "link set eth0 up\n").unwrap();
    let mut arping = stranger.command("arping").unwrap();
    arping.args(["-D", "-I", "eth0", "-c", "3", "-w", "5", &host.underlay[0].to_string()]);
    let asked = arping.output().unwrap();
    let told = String::from_utf8_lossy(&asked.stdout);
    assert!(told.contains("Sent "), "{asked:?}");
    !told.contains("Received 0 response(s)")
}

/// Attaches a stranger to h1 who tries everything, from before its device is up on; what the
/// host's sockets heard of it.
fn reached(lab: &Lab, device: &str) -> BTreeSet<String> {
    let host = lab.host("h1").unwrap();
    let attempts = attempts(host);
    let stranger = Namespace::create(&format!("{}{device}", registry::prefix_of(lab.id()))).unwrap();
    quick_ipv6(&stranger).unwrap();
    let ears = Ears::open(host);
    let (stop, rounds) = (AtomicBool::new(false), AtomicU64::new(0));
    ip_batch(&host.namespace, &cable(device, stranger.name())).unwrap();
    ip_batch(&stranger, "link set eth0 up\n").unwrap();
    let sender = stranger.run(|| socket::frames("eth0")).unwrap();
    thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                // Before the host's side is up nothing can be sent; it must be tried nevertheless.
                let mut all_sent = true;
                for attempt in &attempts {
                    all_sent &= send(sender.as_raw_fd(), &attempt.frame, MsgFlags::empty()).is_ok();
                }
                rounds.fetch_add(u64::from(all_sent), Ordering::Relaxed);
                thread::sleep(Duration::from_micros(200));
            }
        });
        scope.spawn(|| ears.listen(&stop));
        ip_batch(&host.namespace, &format!("link set {device} up\n")).unwrap();
        let sent = wait::until("everything was tried often", Duration::from_secs(10), || {
            Ok(rounds.load(Ordering::Relaxed) > 500)
        });
        stop.store(true, Ordering::Relaxed);
        sent.unwrap();
    });
    let heard = ears.heard();
    heard.iter().map(|tag| attempts[*tag as usize].what.clone()).collect()
}

fn cable(device: &str, stranger: &str) -> String {
    let [mac, peer_mac] = [DEVICE_MAC, STRANGER_MAC].map(|mac| mac.map(|octet| format!("{octet:02x}")).join(":"));
    format!("link add {device} address {mac} type veth peer name eth0 address {peer_mac} netns {stranger}\n")
}

fn attempts(host: &Host) -> Vec<Attempt> {
    let [underlay4, underlay6] = host.underlay;
    let address = |text: &str| text.parse::<IpAddr>().unwrap();
    // A neighbour on the underlay, somebody far away, and nobody yet.
    let sources4 = ["10.99.0.200", "198.18.0.1", "0.0.0.0"].map(address);
    let targets4 = [underlay4, address("255.255.255.255"), address("10.99.0.255"), address("224.0.0.1")];
    let sources6 = ["fd99::200", "fe80::ff:fe00:9902"].map(address);
    let targets6 = [underlay6, address("fe80::ff:fe00:9901"), address("ff02::1")];
    let mut attempts = Vec::new();
    let mut add = |sources: &[IpAddr], targets: &[IpAddr], protocols: &[u8]| {
        for &source in sources {
            for &target in targets {
                for &protocol in protocols {
                    let to_all = target != underlay4 && !is_unicast6(target);
                    if to_all && protocol == TCP {
                        continue;
                    }
                    let mac = if to_all { group_mac(target) } else { DEVICE_MAC };
                    let tag = attempts.len() as u32;
                    attempts.push(Attempt {
                        what: format!("{source} → {target} protocol {protocol}"),
                        frame: frame([STRANGER_MAC, mac], source, target, protocol, tag),
                        bare_host_is_open: bare_host_is_open(source, target),
                    });
                }
            }
        }
    };
    add(&sources4, &targets4, &[UDP, ICMP, TCP]);
    add(&sources6, &targets6, &[UDP, ICMP6, TCP]);
    attempts
}

fn is_unicast6(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(it) if !it.is_multicast())
}

/// A source of zeros is somebody asking for an address: heard on limited broadcast and by groups.
fn bare_host_is_open(source: IpAddr, target: IpAddr) -> bool {
    !source.is_unspecified() || target == IpAddr::from([255; 4]) || target.is_multicast()
}

/// Sockets of the host that hear whatever its IP stack lets in.
struct Ears {
    udp: Vec<UdpSocket>,
    /// With the place of the tag in what they receive.
    raw: Vec<(UdpSocket, usize)>,
    heard: Mutex<BTreeSet<u32>>,
}

impl Ears {
    fn open(host: &Host) -> Self {
        let wildcards = [IpAddr::from([0; 4]), IpAddr::from([0; 16])];
        host.namespace
            .run(|| {
                let mut raw = Vec::new();
                for ip in wildcards {
                    // Over IPv4 the IP header comes first.
                    let header = if ip.is_ipv4() { 20 } else { 0 };
                    raw.push((socket::raw_icmp(ip)?, header + 8));
                    raw.push((raw_tcp(ip)?, header + 4));
                }
                let udp = wildcards.map(|ip| socket::udp(SocketAddr::new(ip, PORT)));
                let udp = udp.into_iter().collect::<Result<_, _>>()?;
                Ok(Self { udp, raw, heard: Mutex::default() })
            })
            .unwrap()
    }

    fn listen(&self, stop: &AtomicBool) {
        // What is on its way when it stops is heard too.
        let mut last_look = false;
        while !last_look {
            last_look = stop.load(Ordering::Relaxed);
            for socket in &self.udp {
                self.drain(socket, 0);
            }
            for (socket, place) in &self.raw {
                self.drain(socket, *place);
            }
            thread::sleep(Duration::from_millis(1));
        }
    }

    fn drain(&self, socket: &UdpSocket, place: usize) {
        let mut buffer = [0; 256];
        while let Ok((length, from)) = socket.recv_from(&mut buffer) {
            // ICMP of the host's own neighbours is none of the stranger's.
            let tag = buffer[..length].get(place..place + 4);
            let tag = tag.map(|it| u32::from_be_bytes(it.try_into().unwrap()));
            if let Some(tag) = tag.filter(|tag| *tag < 1000) {
                self.heard.lock().unwrap_or_else(PoisonError::into_inner).insert(tag);
            } else {
                assert_ne!(from.port(), PORT, "a datagram without a tag");
            }
        }
    }

    fn heard(self) -> BTreeSet<u32> {
        self.heard.into_inner().unwrap()
    }
}

/// A raw socket sees a SYN whether or not its answer would find its way back.
fn raw_tcp(ip: IpAddr) -> anyhow::Result<UdpSocket> {
    let family = if ip.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    Ok(UdpSocket::from(open_socket(family, SockType::Raw, flags, SockProtocol::Tcp)?))
}
