//! What a plan is made of: one step each, as data.

use crate::{
    bpf::{
        Addr, AddrKey, BuiltinKey, Claims, Device, Domain, Group, Host, Iface, Limits, PrefixKey, Profile, Row, RowKey,
        Run, Subnet, SubnetKey, Vni,
    },
    lower::image::{Image, Word},
};

/// One step on the maps.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "Put and Delete say what they do to the map they name")]
pub enum Action {
    PutDevice(u32, Device),
    DeleteDevice(u32),
    PutIface(u32, Iface),
    PutHost(u32, Host),
    PutDomain(u32, Domain),
    DeleteDomain(u32),
    /// Apart from the others, which are small: a plan may have a hundred thousand of them.
    PutGroup(u32, Box<Group>),
    PutVni(u32, Vni),
    DeleteVni(u32),
    PutAddr(AddrKey, Addr),
    DeleteAddr(AddrKey),
    PutPrefix(PrefixKey, u32),
    DeletePrefix(PrefixKey),
    PutSubnet(SubnetKey, Subnet),
    DeleteSubnet(SubnetKey),
    PutClaims(AddrKey, Claims),
    /// Nobody holds it any more, either.
    DeleteClaims(AddrKey),
    PutBuiltin(BuiltinKey, u32),
    DeleteBuiltin(BuiltinKey),
    PutRow(RowKey, Row),
    DeleteRow(RowKey),
    PutProfile(u32, Profile),
    PutRun(u32, Run),
    PutLimits(Limits),
    /// A counter row's device is new under it: counts from zero, and its drops too.
    ResetCounters {
        /// The device.
        ifindex: u32,
        /// Its row among the passed counters.
        counter: u32,
    },
    /// Waits until no program runs that began before.
    Grace,
    /// Packets of a domain (index) are judged by another state from here on.
    StoreWord(u32, Word),
    /// Flows of the address at this place are judged again.
    BumpEpoch(u32),
}

impl Image {
    /// The image after an action.
    pub fn apply(&mut self, action: &Action) {
        match *action {
            Action::PutDevice(key, value) => drop(self.devices.insert(key, value)),
            Action::DeleteDevice(key) => drop(self.devices.remove(&key)),
            // All zero is absent in an array.
            Action::PutIface(key, value) if value == Iface::default() => drop(self.ifaces.remove(&key)),
            Action::PutIface(key, value) => drop(self.ifaces.insert(key, value)),
            Action::PutHost(key, value) => drop(self.hosts.insert(key, value)),
            Action::PutDomain(key, value) => drop(self.domains.insert(key, value)),
            Action::DeleteDomain(key) => drop(self.domains.remove(&key)),
            Action::PutGroup(key, ref value) => drop(self.groups.insert(key, **value)),
            Action::PutVni(key, value) => drop(self.vnis.insert(key, value)),
            Action::DeleteVni(key) => drop(self.vnis.remove(&key)),
            Action::PutAddr(key, value) => drop(self.addrs.insert(key, value)),
            Action::DeleteAddr(key) => drop(self.addrs.remove(&key)),
            Action::PutPrefix(key, value) => drop(self.prefixes.insert(key, value)),
            Action::DeletePrefix(key) => drop(self.prefixes.remove(&key)),
            Action::PutSubnet(key, value) => drop(self.subnets.insert(key, value)),
            Action::DeleteSubnet(key) => drop(self.subnets.remove(&key)),
            Action::PutClaims(key, value) => drop(self.claims.insert(key, value)),
            Action::DeleteClaims(key) => drop(self.claims.remove(&key)),
            Action::PutBuiltin(key, value) => drop(self.builtins.insert(key, value)),
            Action::DeleteBuiltin(key) => drop(self.builtins.remove(&key)),
            Action::PutRow(key, value) => drop(self.rows.insert(key, value)),
            Action::DeleteRow(key) => drop(self.rows.remove(&key)),
            Action::PutProfile(key, value) => drop(self.profiles.insert(key, value)),
            Action::PutRun(key, value) if value == Run::default() => drop(self.runs.remove(&key)),
            Action::PutRun(key, value) => drop(self.runs.insert(key, value)),
            Action::PutLimits(limits) => self.limits = limits,
            Action::StoreWord(key, value) => drop(self.words.insert(key, value)),
            Action::ResetCounters { .. } | Action::Grace | Action::BumpEpoch(_) => {}
        }
    }
}
