//! A small host: devices, two domains with the same addresses, and what the maps say of them.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

use ringfence_agent::bpf::consts::{
    RF_BUDGETS, RF_EPOCH_BUCKETS, RF_HOST_HERE, RF_HOST_NONE, RF_IFACE_NO_PORT_SECURITY, RF_LAYOUT,
};
use ringfence_agent::bpf::{
    Addr, AddrKey, Datapath, Device, DeviceKind, Domain, Group, Host, Iface, Ip, Limits, Options, Pod, PrefixKey,
    Profile, Row, RowKey, Run, Subnet, SubnetKey, Timeouts, Vni, bucket,
};

use crate::builder::{Mac, Packet};
use crate::net::{be, ifindex, ip, private_network, sh};

pub const GATEWAY_MAC: Mac = [0x02, 0x52, 0x46, 0, 0, 1];
pub const NEXT_HOP_MAC: Mac = [0x02, 0xee, 0, 0, 0, 1];
/// Of the uplink's device here.
pub const UPLINK_MAC: Mac = [0x02, 0xee, 0, 0, 0, 0x99];

pub const DOMAIN: u32 = 1;
pub const DOMAIN_ID: u32 = 71;
pub const FRONT: u32 = 100;
pub const BACK: u32 = 200;
pub const TRANSIT: u32 = 900;
/// Index of the other host, and its underlay addresses.
pub const FAR: u32 = 1;
pub const FAR_V4: &str = "198.51.100.2";
pub const FAR_V6: &str = "2001:db8:f::2";

pub const OUTSIDE_CLASS: u32 = 9;
pub const OUTSIDE: &str = "203.0.113.9";
pub const OUTSIDE6: &str = "2001:db8:9::9";

/// An interface of the fixture.
#[derive(Clone, Copy, Debug)]
pub struct Workload {
    pub index: u32,
    pub ifindex: u32,
    pub mac: Mac,
    pub v4: IpAddr,
    pub v6: IpAddr,
    pub class: u32,
    pub vni: u32,
    pub host: u32,
}

/// The address of one family.
impl Workload {
    pub fn ip(&self, v6: bool) -> IpAddr {
        if v6 { self.v6 } else { self.v4 }
    }
}

/// A run of a profile's table: first number, verdict bits, both rules.
pub type TestRun = (u16, u8, u32, u32);
/// From a verdict that is enforced to the same one in the shadow.
pub const SHADOW_SHIFT: u8 = 2;
/// The notes of a run that is stateful on both sides.
pub const STATEFUL: u8 = 3;
pub const DENY: u8 = 0;
pub const ALLOW_FROM: u8 = 1;
pub const ALLOW_TO: u8 = 2;
pub const ALLOW: u8 = 3;

/// A run without a shadow of its own.
pub fn enforced((first, verdict, from_rule, to_rule): TestRun, notes: u8) -> Run {
    Run {
        first,
        verdict: verdict | verdict << SHADOW_SHIFT,
        notes,
        from_rule,
        to_rule,
        shadow_from_rule: from_rule,
        shadow_to_rule: to_rule,
    }
}

pub struct World {
    pub datapath: Datapath,
    pub options: Options,
    /// front, here.
    pub web: Workload,
    /// front, here.
    pub app: Workload,
    /// back, here.
    pub cache: Workload,
    /// back, on the other host.
    pub db: Workload,
    pub overlay: u32,
    pub uplink: u32,
    next_profile: u32,
    next_run: u32,
}

pub fn options() -> Options {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let name = format!("rf-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    Options {
        pin_dir: PathBuf::from("/sys/fs/bpf").join(name),
        overlay_ifindex: 0,
        gateway_mac: GATEWAY_MAC,
        vxlan_port: 4789,
        controller_port: 7420,
        guard: false,
        timeouts: Timeouts::default(),
        record: true,
        tunnel_in_cb: false,
        verdict_off: false,
    }
}

/// Where maps of the layout are pinned.
pub fn maps_of(options: &Options) -> PathBuf {
    options.pin_dir.join(format!("maps-{RF_LAYOUT}"))
}

impl World {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut Options)) -> Self {
        private_network();
        for name in ["web", "app", "cache", "out"] {
            sh(&format!("ip link add {name} type veth peer name {name}-in"));
        }
        sh("ip link set dev out address 02:ee:00:00:00:99 up; ip link set dev out-in up");
        sh("ip link add vx0 type vxlan external dstport 4789; ip link set dev vx0 up");
        let mut options = options();
        options.overlay_ifindex = ifindex("vx0");
        change(&mut options);
        let datapath = Datapath::open(&options).unwrap();
        let workload = |n: u8, class, vni, host, device: &str| Workload {
            index: u32::from(n),
            ifindex: if device.is_empty() { 0 } else { ifindex(device) },
            mac: [2, 0, 0, 0, 1, n],
            v4: ip(&format!("10.{}.0.{}", vni / 100, 10 + n)),
            v6: ip(&format!("fd00:{}::{}", vni / 100, 10 + n)),
            class,
            vni,
            host,
        };
        let mut world = Self {
            web: workload(1, 1, FRONT, RF_HOST_HERE, "web"),
            app: workload(2, 2, FRONT, RF_HOST_HERE, "app"),
            cache: workload(3, 3, BACK, RF_HOST_HERE, "cache"),
            db: workload(4, 4, BACK, FAR, ""),
            overlay: options.overlay_ifindex,
            uplink: ifindex("out"),
            datapath,
            options,
            next_profile: 1,
            next_run: 0,
        };
        world.fill();
        world
    }

    fn fill(&mut self) {
        let maps = self.datapath.maps();
        self.limit(&[1000; RF_BUDGETS as usize]);
        for (index, v4, v6) in [(RF_HOST_HERE, "198.51.100.1", "2001:db8:f::1"), (FAR, FAR_V4, FAR_V6)] {
            let host = Host { v4: be(v4), v6: Ip::from(ip(v6)), ..Host::zeroed() };
            maps.hosts.put(&index, &host).unwrap();
        }
        let device = |kind, reference, counter| Device { kind, r#ref: reference, counter, ..Device::zeroed() };
        maps.devices.put(self.overlay, &device(DeviceKind::RF_DEVICE_OVERLAY, 0, 100)).unwrap();
        maps.devices.put(self.uplink, &device(DeviceKind::RF_DEVICE_UPLINK, DOMAIN, 101)).unwrap();
        for workload in [self.web, self.app, self.cache, self.db] {
            self.put_workload(DOMAIN, DOMAIN_ID, &workload);
        }
        self.put_domain(DOMAIN, DOMAIN_ID, TRANSIT, [FRONT, BACK]);
    }

    /// Networks, gateways, outside and an uplink on this host.
    pub fn put_domain(&self, index: u32, id: u32, transit: u32, networks: [u32; 2]) {
        let maps = self.datapath.maps();
        let domain = Domain {
            id,
            transit_vni: transit,
            uplink_host: RF_HOST_HERE,
            uplink_ifindex: self.uplink,
            uplink_mtu: 1500,
            next_hop4: be("192.0.2.1"),
            next_hop6: Ip::from(ip("2001:db8::1")),
        };
        maps.domains.put(&index, &domain).unwrap();
        let transit_vni = Vni { domain: index, domain_id: id, ..Vni::zeroed() };
        maps.vnis.put(&transit, &transit_vni).unwrap();
        for (subnet, vni) in [1, 2].into_iter().zip(networks) {
            let (v4, v6) = (format!("10.{subnet}.0.1"), format!("fd00:{subnet}::1"));
            let gateways = (be(&v4), Ip::from(ip(&v6)));
            let network =
                Vni { domain: index, domain_id: id, gateway4: gateways.0, gateway6: gateways.1, ..Vni::zeroed() };
            maps.vnis.put(&vni, &network).unwrap();
            for gateway in [ip(&v4), ip(&v6)] {
                let addr = Addr { gateway_vni: vni, epoch: RF_EPOCH_BUCKETS, ..Addr::zeroed() };
                maps.addrs.put(&addr_key(id, gateway), &addr).unwrap();
            }
            for (prefix, bits) in [(format!("10.{subnet}.0.0"), 120), (format!("fd00:{subnet}::"), 64)] {
                let key = SubnetKey { prefixlen: 32 + bits, domain_id: id, ip: ip(&prefix).into() };
                maps.subnets.put(&key, &Subnet { vni, bits: bits as u8, ..Subnet::zeroed() }).unwrap();
            }
        }
        for slot in [0, 1] {
            for (prefix, bits) in [("0.0.0.0", 96), ("::", 0)] {
                let key = PrefixKey { prefixlen: 64 + bits, domain_id: id, slot, ip: ip(prefix).into() };
                maps.prefixes.put(&key, &OUTSIDE_CLASS).unwrap();
            }
        }
        maps.words.store(index, 0, 1).unwrap();
    }

    /// How much every interface may use of each budget, all of it for sure.
    pub fn limit(&self, of: &[u64; RF_BUDGETS as usize]) {
        self.share(of, of, 0);
    }

    /// How much every interface may use of each budget, how much of that for sure, and what all may borrow together.
    pub fn share(&self, of: &[u64; RF_BUDGETS as usize], share: &[u64; RF_BUDGETS as usize], common: u64) {
        self.datapath.maps().limits.put(&0, &Limits { of: *of, share: *share, common }).unwrap();
    }

    /// Who gets copies of what is for all members of a network; RF_GROUP_* says of what.
    pub fn group(&self, vni: u32, flags: u32, locals: &[u32], hosts: &[u32]) {
        let maps = self.datapath.maps();
        let mut group =
            Group { flags, mtu: 1450, locals: locals.len() as u32, hosts: hosts.len() as u32, ..Group::zeroed() };
        group.local.iter_mut().zip(locals).for_each(|(place, index)| *place = *index);
        group.host.iter_mut().zip(hosts).for_each(|(place, index)| *place = *index);
        maps.groups.put(&vni, &group).unwrap();
        let network = maps.vnis.get(&vni).unwrap().unwrap();
        maps.vnis.put(&vni, &Vni { group: vni, ..network }).unwrap();
    }

    /// Gives a workload's interface an address pair.
    pub fn pair(&self, workload: &Workload, prefix: &str, bits: u32, mac: Mac) {
        let bits = if ip(prefix).is_ipv4() { 96 + bits } else { bits };
        let key = SubnetKey { prefixlen: 32 + bits, domain_id: DOMAIN_ID, ip: ip(prefix).into() };
        let pair = Subnet { vni: workload.vni, iface: workload.index, mac, bits: bits as u8, ..Subnet::zeroed() };
        self.datapath.maps().subnets.put(&key, &pair).unwrap();
    }

    /// The class of addresses of a prefix that are no interface's own, in both slots.
    pub fn classed(&self, prefix: &str, bits: u32, class: u32) {
        let bits = if ip(prefix).is_ipv4() { 96 + bits } else { bits };
        for slot in [0, 1] {
            let key = PrefixKey { prefixlen: 64 + bits, domain_id: DOMAIN_ID, slot, ip: ip(prefix).into() };
            self.datapath.maps().prefixes.put(&key, &class).unwrap();
        }
    }

    /// Lets a workload's interface send as nobody.
    pub fn without_port_security(&self, workload: &Workload) {
        let maps = self.datapath.maps();
        let iface = maps.ifaces.get(&workload.index).unwrap().unwrap();
        maps.ifaces.put(&workload.index, &Iface { flags: RF_IFACE_NO_PORT_SECURITY, ..iface }).unwrap();
    }

    pub fn put_workload(&self, domain: u32, domain_id: u32, workload: &Workload) {
        let maps = self.datapath.maps();
        let iface = Iface {
            id: 1000 + workload.index,
            domain_id,
            domain,
            host: workload.host,
            vni: workload.vni,
            ifindex: workload.ifindex,
            flags: 0,
            mtu: 1450,
            mac: workload.mac,
            account: workload.index,
        };
        maps.ifaces.put(&workload.index, &iface).unwrap();
        for (n, address) in [workload.v4, workload.v6].into_iter().enumerate() {
            let addr = Addr {
                iface: workload.index,
                epoch: epoch_place(workload, n == 1),
                class_id: [workload.class; 2],
                gateway_vni: 0,
            };
            maps.addrs.put(&addr_key(domain_id, address), &addr).unwrap();
        }
        if workload.ifindex != 0 {
            let device = Device {
                kind: DeviceKind::RF_DEVICE_WORKLOAD,
                r#ref: workload.index,
                counter: workload.index,
                ..Device::zeroed()
            };
            maps.devices.put(workload.ifindex, &device).unwrap();
        }
    }

    /// One domain on another host's uplink, or none.
    pub fn uplink_at(&self, host: u32) {
        let maps = self.datapath.maps();
        let mut domain = maps.domains.get(&DOMAIN).unwrap().unwrap();
        domain.uplink_host = host;
        domain.uplink_ifindex = 0;
        maps.domains.put(&DOMAIN, &domain).unwrap();
        assert!(host == RF_HOST_NONE || host == FAR);
    }

    /// Puts a table of a row in one slot; its other tables and the other slot stay. Its rules are enforced and
    /// stateful.
    pub fn row(&mut self, slot: usize, from: u32, to: u32, table: u32, runs: &[TestRun]) {
        let runs: Vec<Run> = runs.iter().map(|run| enforced(*run, STATEFUL)).collect();
        self.row_of(slot, from, to, table, &runs);
    }

    /// The same, of runs as they are.
    pub fn row_of(&mut self, slot: usize, from: u32, to: u32, table: u32, runs: &[Run]) {
        let maps = self.datapath.maps();
        let key = RowKey { domain_id: DOMAIN_ID, from_class: from, to_class: to };
        let mut row = maps.rows.get(&key).unwrap().unwrap_or_else(Row::zeroed);
        let old = maps.profiles.get(&row.profile[slot]).unwrap();
        let mut profile = old.unwrap_or_else(Profile::zeroed);
        profile.table[table as usize].start = self.next_run;
        profile.table[table as usize].count = runs.len() as u32;
        for run in runs {
            maps.runs.put(&self.next_run, run).unwrap();
            self.next_run += 1;
        }
        // What is published is never changed.
        maps.profiles.put(&self.next_profile, &profile).unwrap();
        row.profile[slot] = self.next_profile;
        maps.rows.put(&key, &row).unwrap();
        self.next_profile += 1;
    }

    /// Allows a whole table between two classes, by rules 11 and 12, in both slots.
    pub fn allow(&mut self, from: u32, to: u32, table: u32) {
        for slot in [0, 1] {
            self.row(slot, from, to, table, &[(0, ALLOW, 11, 12)]);
        }
    }

    /// Raises the domain's epoch in the slot that is in force.
    pub fn bump_domain(&self) {
        let (slot, epoch) = self.datapath.maps().words.load(DOMAIN).unwrap();
        self.datapath.maps().words.store(DOMAIN, slot, epoch + 1).unwrap();
    }

    pub fn bump_address(&self, domain_id: u32, address: IpAddr) {
        let maps = self.datapath.maps();
        let place = match maps.addrs.get(&addr_key(domain_id, address)).unwrap() {
            Some(addr) => addr.epoch,
            None => bucket(domain_id, &address.into()),
        };
        maps.epochs.bump(place).unwrap();
    }

    /// A packet between two workloads of one network, as the sender's device hands it over.
    pub fn bridged(&self, from: &Workload, to: &Workload, packet: Packet) -> Vec<u8> {
        packet.macs(from.mac, to.mac).build()
    }

    /// A packet to the gateway.
    pub fn routed(&self, from: &Workload, packet: Packet) -> Vec<u8> {
        packet.macs(from.mac, GATEWAY_MAC).build()
    }
}

impl Drop for World {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.options.pin_dir);
    }
}

pub fn addr_key(domain_id: u32, address: IpAddr) -> AddrKey {
    AddrKey { domain_id, ip: address.into() }
}

fn epoch_place(workload: &Workload, v6: bool) -> u32 {
    RF_EPOCH_BUCKETS + workload.index * 2 + u32::from(v6)
}
