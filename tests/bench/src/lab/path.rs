//! A client and a server on two hosts, each a network namespace, and what lies between them.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf};

use anyhow::{Context, Result};
use ipnet::IpNet;
use nix::net::if_::if_nametoindex;
use ringfence_agent::{
    bpf::{Datapath, Hook, Limits, Options, Timeouts, consts::RF_BUDGETS},
    engine::put_in_force,
    lower::{LinkRef, image::Image},
};
use ringfence_lab::{
    cabling::{ip_batch, quick_ipv6},
    netns::Namespace,
    registry::Registration,
};
use ringfence_policy::bundle::Bundle;

use super::{
    filter::{self, Policy},
    traffic::{Ends, FIRST_FREE},
};
use crate::packets::{
    cloud::{self, ALLOWED_PORT, Scale, Who},
    host::GATEWAY_MAC,
};

/// What decides on the hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Config {
    /// A bridge and VXLAN, nothing else.
    Plain,
    /// The same programs, loaded so that they ask no policy and keep no connection.
    WithoutPolicy,
    Ringfence,
    Iptables,
    Nftables,
}

impl Config {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Plain => "bridge and VXLAN",
            Self::WithoutPolicy => "without policy",
            Self::Ringfence => "Ringfence",
            Self::Iptables => "iptables and ipset",
            Self::Nftables => "nftables sets",
        }
    }
}

/// Up, with a server that listens. What it is made of goes with the registration.
pub(super) struct Path {
    pub(super) config: Config,
    pub(super) scale: Scale,
    pub(super) ends: Ends,
    _datapaths: Vec<Datapath>,
}

const OVERLAY_MTU: u32 = 1450;
/// Its number among the underlay's, host and workload of each side.
const SIDES: [(u32, Who); 2] = [(0, Who::Client), (1, Who::Remote)];

impl Path {
    pub(super) fn raise(
        registration: &Registration,
        number: usize,
        config: Config,
        (scale, bundle): (Scale, &Bundle),
    ) -> Result<Self> {
        let make = |name: &str| {
            let namespace = Namespace::create(&registration.namespace(&format!("{number}{name}")))?;
            quick_ipv6(&namespace)?;
            Ok::<_, anyhow::Error>(namespace)
        };
        let hosts = [make("h0")?, make("h1")?];
        let ends = [make("client")?, make("server")?];
        ip_batch(&hosts[0], &format!("link add u type veth peer name u netns {}\n", hosts[1].name()))?;
        let mut datapaths = Vec::new();
        for ((host, end), (index, who)) in hosts.iter().zip(&ends).zip(SIDES) {
            let device = who.device();
            let mac = mac(who);
            let (address, underlay) = (IpNet::new(who.address(false), 9)?, IpNet::new(cloud::underlay(index), 24)?);
            let mtu = OVERLAY_MTU;
            ip_batch(
                host,
                &format!(
                    "addr add {underlay} dev u\nlink set u up\n\
                     link add {device} mtu {mtu} type veth peer name eth0 address {mac} mtu {mtu} netns {}\n",
                    end.name()
                ),
            )?;
            ip_batch(end, &format!("link set eth0 up\naddr add {address} dev eth0\n"))?;
            let pins = registration.pins().join(format!("{number}-{index}"));
            match config {
                Config::Ringfence => datapaths.push(ringfence(host, pins, false, (index, who), bundle)?),
                Config::WithoutPolicy => datapaths.push(ringfence(host, pins, true, (index, who), bundle)?),
                Config::Plain | Config::Iptables | Config::Nftables => bridge(host, index, who)?,
            }
        }
        for (host, (_, who)) in hosts.iter().zip(SIDES) {
            let policy = || policy(scale, who);
            match config {
                Config::Iptables => filter::iptables(host, &policy())?,
                Config::Nftables => filter::nftables(host, &policy())?,
                _ => host.sysctl("net/bridge/bridge-nf-call-iptables", "0")?,
            }
        }
        let [client, server] = ends;
        // Connections come and go faster than TIME_WAIT ends.
        client.sysctl("net/ipv4/ip_local_port_range", &format!("{FIRST_FREE} 65535"))?;
        client.sysctl("net/ipv4/tcp_tw_reuse", "1")?;
        for end in [&client, &server] {
            end.sysctl("net/ipv4/tcp_max_tw_buckets", "1000")?;
        }
        let ends = Ends::open(client, &server, Who::Remote.address(false), ALLOWED_PORT)?;
        Ok(Self { config, scale, ends, _datapaths: datapaths })
    }
}

fn mac(who: Who) -> String {
    who.mac().map(|byte| format!("{byte:02x}")).join(":")
}

/// A bridge with the workload and a VXLAN device that floods to the other host.
fn bridge(host: &Namespace, index: u32, who: Who) -> Result<()> {
    let (device, here, there) = (who.device(), cloud::underlay(index), cloud::underlay(1 - index));
    ip_batch(
        host,
        &format!(
            "link add bridge0 type bridge\n\
             link add vx0 mtu {OVERLAY_MTU} type vxlan id 3 dstport 4789 local {here} remote {there} dev u\n\
             link set {device} master bridge0 up\nlink set vx0 master bridge0 up\nlink set bridge0 up\n"
        ),
    )
}

/// The programs, as an agent attaches them and fills their maps.
fn ringfence(
    host: &Namespace,
    pins: PathBuf,
    verdict_off: bool,
    (index, who): (u32, Who),
    bundle: &Bundle,
) -> Result<Datapath> {
    let device = who.device();
    ip_batch(
        host,
        &format!(
            "link add vx0 mtu {OVERLAY_MTU} type vxlan external dstport 4789 nolearning\n\
             link set vx0 up\nlink set {device} up\n"
        ),
    )?;
    host.run(|| {
        let ifindex = |name: &str| if_nametoindex(name).with_context(|| format!("no device {name}"));
        let (overlay, workload) = (ifindex("vx0")?, ifindex(&device)?);
        let mut datapath = Datapath::open(&Options {
            pin_dir: pins,
            overlay_ifindex: overlay,
            gateway_mac: GATEWAY_MAC,
            guard: false,
            timeouts: Timeouts::default(),
            vxlan_port: 4789,
            controller_port: 0,
            record: false,
            tunnel_in_cb: false,
            verdict_off,
        })?;
        let links = BTreeMap::from([(device.clone(), LinkRef { ifindex: workload, mtu: OVERLAY_MTU })]);
        let site = cloud::site(index, links, overlay);
        put_in_force(datapath.maps(), &mut Image::default(), [bundle], &site, 0)?;
        // One workload has 10,000 flows here.
        datapath.maps().limits.put(
            &0,
            &Limits { of: [1 << 20; RF_BUDGETS as usize], share: [1 << 20; RF_BUDGETS as usize], common: 0 },
        )?;
        for (hook, ifindex) in
            [(Hook::FromWorkload, workload), (Hook::ToWorkload, workload), (Hook::FromOverlay, overlay)]
        {
            datapath.attach(hook, ifindex)?;
        }
        Ok(datapath)
    })
}

/// What the bundle says, for netfilter.
fn policy(scale: Scale, who: Who) -> Policy {
    let members: Vec<IpAddr> = (0..scale.workloads).map(|number| cloud::address(number, false)).collect();
    let mut ports: Vec<u32> = (0..scale.rules).map(cloud::port).collect();
    ports.retain(|port| *port != u32::from(ALLOWED_PORT));
    ports.insert(ports.len() / 2, u32::from(ALLOWED_PORT));
    let device = if who == Who::Client { "d0" } else { "d2" };
    Policy { device, address: who.address(false), mac: mac(who), members, ports, udp: ALLOWED_PORT }
}
