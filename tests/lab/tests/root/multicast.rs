//! What is for all members of a network, between real sockets on three hosts.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket},
    thread,
    time::Duration,
};

use nix::net::if_::if_nametoindex;
use ringfence_lab::{
    lab::{Lab, Options},
    probe::Endpoint,
};

use super::turn;

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const ALL: Ipv4Addr = Ipv4Addr::BROADCAST;
const ALL_OF_LAN: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 255);
/// mDNS (RFC 6762 3).
const MDNS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
const PORT4: u16 = 4000;
const PORT6: u16 = 5353;

/// A domain whose workloads are on three hosts in `lan`, which wants multicast, and on two in `quiet`, which does not. All
/// is denied: what is for everybody asks no policy.
fn domain(name: &str, macs: u8) -> String {
    let workload = |n: u8, network: &str, host: u8| {
        let (name, net) = (format!("{network}-{n}"), if network == "lan" { 1 } else { 2 });
        format!(
            "---\nkind: Workload\ndomain: {name_of}\nname: {name}\nlabels: {{net: {network}}}\ninterfaces:\n\
             - {{name: eth0, network: {network}, mac: \"02:00:00:{macs:02x}:{net:02x}:{n:02x}\", \
             addresses: [10.{net}.0.{last}, \"fd00:{net}::{last}\"], host: h{host}}}\n",
            name_of = name_of(macs),
            last = 10 + n,
        )
    };
    let lan = [(1, 1), (2, 1), (3, 2), (4, 3)].map(|(n, host)| workload(n, "lan", host));
    let quiet = [(1, 1), (2, 1), (3, 2)].map(|(n, host)| workload(n, "quiet", host));
    let network = |network: &str, net: u8, multicast: bool| {
        format!(
            "---\nkind: Network\ndomain: {name}\nname: {network}\nmulticast: {multicast}\nsubnets:\n\
             - {{cidr: 10.{net}.0.0/24, gateway: 10.{net}.0.1}}\n- {{cidr: \"fd00:{net}::/64\", gateway: \"fd00:{net}::1\"}}\n"
        )
    };
    let tenant = name.split('/').next().unwrap();
    let head = format!("---\nkind: Tenant\nname: {tenant}\n---\nkind: Domain\nname: {name}\n");
    [head, network("lan", 1, true), network("quiet", 2, false), lan.concat(), quiet.concat()].concat()
}

fn name_of(macs: u8) -> &'static str {
    ["acme/prod", "globex/prod"][usize::from(macs) - 1]
}

/// Somebody who listens to all that is for everybody.
struct Member {
    endpoint: Endpoint,
    v4: UdpSocket,
    v6: UdpSocket,
}

impl Member {
    fn listen(endpoint: &Endpoint) -> Self {
        let (v4, v6) = endpoint
            .namespace
            .run(|| {
                let v4 = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT4))?;
                let Some(IpAddr::V4(own)) = endpoint.address(true) else { panic!("no IPv4 address") };
                v4.join_multicast_v4(&GROUP, &own)?;
                v4.set_multicast_loop_v4(false)?;
                v4.set_broadcast(true)?;
                let v6 = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, PORT6))?;
                v6.join_multicast_v6(&MDNS, if_nametoindex("eth0")?)?;
                v6.set_multicast_loop_v6(false)?;
                v4.set_nonblocking(true)?;
                v6.set_nonblocking(true)?;
                Ok((v4, v6))
            })
            .unwrap();
        Self { endpoint: endpoint.clone(), v4, v6 }
    }

    fn name(&self) -> String {
        format!("{} {}", self.endpoint.domain, self.endpoint.name)
    }

    /// What it says to those behind an address.
    fn words(&self, to: IpAddr) -> String {
        format!("{} to {to}", self.name())
    }

    fn say(&self, to: IpAddr) {
        let words = self.words(to);
        let scope = self.endpoint.namespace.run(|| Ok(if_nametoindex("eth0")?)).unwrap();
        match to {
            IpAddr::V4(to) => self.v4.send_to(words.as_bytes(), (to, PORT4)),
            IpAddr::V6(to) => self.v6.send_to(words.as_bytes(), SocketAddr::V6(SocketAddrV6::new(to, PORT6, 0, scope))),
        }
        .unwrap();
    }

    /// Whether it is to hear what another says to these.
    fn is_told(&self, sender: &Self, to: IpAddr) -> bool {
        if self.name() == sender.name() {
            // A kernel gives its own sockets a copy of a broadcast.
            return to == ALL || to == ALL_OF_LAN;
        }
        let of_lan = |member: &Self| member.endpoint.name.starts_with("lan-");
        of_lan(self) && of_lan(sender) && self.endpoint.domain == sender.endpoint.domain
    }

    /// What was heard, with how often.
    fn heard(&self) -> BTreeMap<String, u32> {
        let mut heard = BTreeMap::new();
        let mut payload = [0; 100];
        for socket in [&self.v4, &self.v6] {
            while let Ok((length, _)) = socket.recv_from(&mut payload) {
                *heard.entry(String::from_utf8_lossy(&payload[..length]).into_owned()).or_default() += 1;
            }
        }
        heard
    }
}

#[test]
fn what_is_for_all_reaches_each_member_once_on_every_host_and_nobody_else() {
    let _turn = turn();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("groups.yaml");
    fs::write(&file, [domain("acme/prod", 1), domain("globex/prod", 2)].concat()).unwrap();
    let mut lab = Lab::raise(&[&file], &Options::default()).unwrap();
    lab.apply(&file).unwrap();
    let members: Vec<Member> = lab.endpoints.iter().map(Member::listen).collect();
    let mut expected: BTreeMap<String, BTreeMap<String, u32>> = BTreeMap::new();
    for sender in &members {
        for to in [IpAddr::V4(GROUP), IpAddr::V4(ALL), IpAddr::V4(ALL_OF_LAN), IpAddr::V6(MDNS)] {
            // Another network's broadcast is an address like any.
            if to == ALL_OF_LAN && sender.endpoint.name.starts_with("quiet-") {
                continue;
            }
            sender.say(to);
            for member in members.iter().filter(|member| member.is_told(sender, to)) {
                expected.entry(member.name()).or_default().insert(sender.words(to), 1);
            }
        }
    }
    thread::sleep(Duration::from_millis(500));
    for member in &members {
        assert_eq!(member.heard(), expected.remove(&member.name()).unwrap_or_default(), "{}", member.name());
    }
    let counters = lab.cli_ok(&["counters", "-o", "json"]).unwrap().answer;
    let counters: serde_json::Value = serde_json::from_str(&counters).unwrap();
    assert!(counters.to_string().contains("\"multicast\""), "{counters:#}");
}
