//! Every map of `agent/bpf/maps.h`, by name.

use libbpf_rs::{MapHandle, MapMut};

use super::skel::RingfenceMaps;
use super::table::failed;
use super::{
    Accounts, Addr, AddrKey, AuditKey, BpfError, BuiltinKey, Claims, Conn, Conn4Key, Conn6Key, Decision, Device,
    Domain, DropKey, Epochs, Frags, FragsKey, Group, Host, Iface, Limits, Passed, PerCpu, PrefixKey, Profile, Reply,
    Row, RowKey, Run, ServiceKey, Shared, Subnet, SubnetKey, Table, Vni, Words,
};

/// The maps, open and typed. What each is for stands in `maps.h`.
#[derive(Debug)]
#[allow(missing_docs, reason = "each is what maps.h says of rf_<field>")]
pub struct Maps {
    pub devices: Devices,
    pub ifaces: Table<u32, Iface>,
    pub hosts: Table<u32, Host>,
    pub domains: Table<u32, Domain>,
    pub words: Words,
    pub epochs: Epochs,
    pub vnis: Table<u32, Vni>,
    pub groups: Table<u32, Group>,
    pub addrs: Table<AddrKey, Addr>,
    pub prefixes: Table<PrefixKey, u32>,
    pub subnets: Table<SubnetKey, Subnet>,
    pub claims: Table<AddrKey, Claims>,
    pub shared: Table<AddrKey, Shared>,
    pub builtins: Table<BuiltinKey, u32>,
    pub rows: Table<RowKey, Row>,
    pub profiles: Table<u32, Profile>,
    pub runs: Table<u32, Run>,
    pub conns4: Table<Conn4Key, Conn>,
    pub conns6: Table<Conn6Key, Conn>,
    pub frags: Table<FragsKey, Frags>,
    pub accounts: Accounts,
    pub limits: Table<u32, Limits>,
    pub passed: PerCpu<u32, Passed>,
    pub drops: PerCpu<DropKey, u64>,
    pub audit: PerCpu<AuditKey, u64>,
    pub services: Table<ServiceKey, Reply>,
    pub decisions: Table<u32, Decision>,
}

impl Maps {
    pub(super) fn open(maps: &RingfenceMaps<'_>) -> Result<Self, BpfError> {
        Ok(Self {
            devices: Devices {
                near: Table::new("rf_devices", handle("rf_devices", &maps.rf_devices)?),
                far: Table::new("rf_devices_far", handle("rf_devices_far", &maps.rf_devices_far)?),
            },
            ifaces: Table::new("rf_ifaces", handle("rf_ifaces", &maps.rf_ifaces)?),
            hosts: Table::new("rf_hosts", handle("rf_hosts", &maps.rf_hosts)?),
            domains: Table::new("rf_domains", handle("rf_domains", &maps.rf_domains)?),
            words: Words::new(&handle("rf_domain_words", &maps.rf_domain_words)?)?,
            epochs: Epochs::new(&handle("rf_epochs", &maps.rf_epochs)?)?,
            vnis: Table::new("rf_vnis", handle("rf_vnis", &maps.rf_vnis)?),
            groups: Table::new("rf_groups", handle("rf_groups", &maps.rf_groups)?),
            addrs: Table::new("rf_addrs", handle("rf_addrs", &maps.rf_addrs)?),
            prefixes: Table::new("rf_prefixes", handle("rf_prefixes", &maps.rf_prefixes)?),
            subnets: Table::new("rf_subnets", handle("rf_subnets", &maps.rf_subnets)?),
            claims: Table::new("rf_claims", handle("rf_claims", &maps.rf_claims)?),
            shared: Table::new("rf_shared", handle("rf_shared", &maps.rf_shared)?),
            builtins: Table::new("rf_builtins", handle("rf_builtins", &maps.rf_builtins)?),
            rows: Table::new("rf_rows", handle("rf_rows", &maps.rf_rows)?),
            profiles: Table::new("rf_profiles", handle("rf_profiles", &maps.rf_profiles)?),
            runs: Table::new("rf_runs", handle("rf_runs", &maps.rf_runs)?),
            conns4: Table::new("rf_conns4", handle("rf_conns4", &maps.rf_conns4)?),
            conns6: Table::new("rf_conns6", handle("rf_conns6", &maps.rf_conns6)?),
            frags: Table::new("rf_frags", handle("rf_frags", &maps.rf_frags)?),
            accounts: Accounts::new(&handle("rf_accounts", &maps.rf_accounts)?)?,
            limits: Table::new("rf_limits", handle("rf_limits", &maps.rf_limits)?),
            passed: PerCpu::new("rf_passed", handle("rf_passed", &maps.rf_passed)?),
            drops: PerCpu::new("rf_drops", handle("rf_drops", &maps.rf_drops)?),
            audit: PerCpu::new("rf_audit", handle("rf_audit", &maps.rf_audit)?),
            services: Table::new("rf_services", handle("rf_services", &maps.rf_services)?),
            decisions: Table::new("rf_decisions", handle("rf_decisions", &maps.rf_decisions)?),
        })
    }
}

/// A handle that outlives the object it came from.
fn handle(name: &'static str, map: &MapMut<'_>) -> Result<MapHandle, BpfError> {
    MapHandle::try_from(map).map_err(failed(name, "open"))
}

/// What devices are, by interface index: an array for low numbers, a hash for those beyond.
#[derive(Debug)]
pub struct Devices {
    near: Table<u32, Device>,
    far: Table<u32, Device>,
}

impl Devices {
    /// What the device is known as.
    pub fn get(&self, ifindex: u32) -> Result<Option<Device>, BpfError> {
        self.table(ifindex).get(&ifindex)
    }

    /// Makes it known.
    pub fn put(&self, ifindex: u32, device: &Device) -> Result<(), BpfError> {
        self.table(ifindex).put(&ifindex, device)
    }

    /// Forgets it.
    pub fn delete(&self, ifindex: u32) -> Result<(), BpfError> {
        self.table(ifindex).delete(&ifindex)
    }

    /// Every known device.
    pub fn entries(&self) -> Result<Vec<(u32, Device)>, BpfError> {
        let mut entries = self.near.entries()?;
        entries.extend(self.far.entries()?);
        Ok(entries)
    }

    fn table(&self, ifindex: u32) -> &Table<u32, Device> {
        if ifindex < self.near.capacity() { &self.near } else { &self.far }
    }
}
