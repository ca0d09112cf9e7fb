//! Desired state → maps: gives everything an index.
//!
//! What the maps hold already keeps its index, so an unchanged state comes out as it is. What changed gets an index that
//! nothing in the maps refers to, so a packet in flight never sees one entry turn into another. Both slots of the result
//! are equal; which slot is written first is the plan's to decide.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    adopt::is_of_interface,
    budgets,
    desired::{Desired, DomainState, GroupState, Holder, InterfaceState, Owner, Place, Role, SubnetState, Tables},
    image::{Image, builtin_keys, prefix_key, subnet_entries},
    indexes::{Indexes, Stretches},
};
use crate::bpf::{
    Addr, AddrKey, Claim, Claims, Device, DeviceKind, Domain, Group, Host, Iface, Ip, Pod, Profile, Row, RowKey, Run,
    Span, Subnet, Vni, be32,
    consts::{
        RF_ACCOUNTS, RF_ADDRS, RF_BUILTINS, RF_CLAIMANTS, RF_CLAIMS, RF_COPIES, RF_DOMAINS, RF_EPOCH_BUCKETS,
        RF_GROUPS, RF_HOST_HERE, RF_HOST_NONE, RF_HOSTS, RF_IFACE_SHARED, RF_IFACES, RF_PASSED, RF_PREFIXES,
        RF_PROFILES, RF_ROWS, RF_RUNS, RF_SUBNETS, RF_TABLES, RF_VNIS,
    },
};

/// A table has no room for what is desired beside what packets still use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "table {table} of this host is full: it has room for {room} entries, and the old and the new state must fit side by \
     side; change less at once, or move workloads or rules to other hosts"
)]
pub struct Full {
    /// The map.
    pub table: &'static str,
    /// How many entries it takes.
    pub room: u32,
}

/// Writes the desired state as maps, next to what was observed in them. The words of the result are the observed ones.
pub fn assign(desired: &Desired, observed: &Image) -> Result<Image, Full> {
    let mut assigner = Assigner::new(observed);
    assigner.image.hosts.insert(RF_HOST_HERE, desired.here);
    assigner.image.limits = budgets::limits(desired);
    let domains = assigner.domain_indexes(desired)?;
    for (domain_id, domain) in &desired.domains {
        assigner.domain(*domain_id, domains[domain_id], domain)?;
    }
    assigner.devices(desired, &domains)?;
    assigner.builtins(desired);
    let image = assigner.image;
    // Until a plan ends, what was and what will be stand side by side.
    room("rf_addrs", RF_ADDRS, &observed.addrs, &image.addrs)?;
    room("rf_rows", RF_ROWS, &observed.rows, &image.rows)?;
    room("rf_prefixes", RF_PREFIXES, &observed.prefixes, &image.prefixes)?;
    room("rf_subnets", RF_SUBNETS, &observed.subnets, &image.subnets)?;
    room("rf_claims", RF_CLAIMS, &observed.claims, &image.claims)?;
    room("rf_builtins", RF_BUILTINS, &observed.builtins, &image.builtins)?;
    room("rf_vnis", RF_VNIS, &observed.vnis, &image.vnis)?;
    Ok(image)
}

fn room<K: Ord, V>(
    table: &'static str,
    room: u32,
    observed: &BTreeMap<K, V>,
    target: &BTreeMap<K, V>,
) -> Result<(), Full> {
    let fresh = target.keys().filter(|key| !observed.contains_key(key)).count();
    if observed.len() + fresh > room as usize { Err(Full { table, room }) } else { Ok(()) }
}

/// What of an interface keeps its index: its device and its MTU may change under it, since neither is part of a verdict
/// and a program reads each at once.
pub(crate) fn lasting(iface: &Iface) -> Iface {
    Iface { ifindex: 0, mtu: 0, ..*iface }
}

/// The result so far, what is held by content, and the free indexes of each table.
struct Assigner<'a> {
    observed: &'a Image,
    image: Image,
    held_ifaces: BTreeMap<u32, u32>,
    held_hosts: BTreeMap<Host, u32>,
    held_groups: BTreeMap<Group, u32>,
    held_profiles: BTreeMap<Tables, (u32, Profile)>,
    held_tables: BTreeMap<Vec<Run>, Span>,
    domains: Indexes,
    ifaces: Indexes,
    /// By interface id.
    held_accounts: BTreeMap<u32, u32>,
    accounts: Indexes,
    hosts: Indexes,
    groups: Indexes,
    epochs: Indexes,
    counters: Indexes,
    profiles: Indexes,
    runs: Stretches,
}

impl<'a> Assigner<'a> {
    fn new(observed: &'a Image) -> Self {
        let of_devices = observed
            .devices
            .values()
            .filter(|device| matches!(device.kind, DeviceKind::RF_DEVICE_WORKLOAD | DeviceKind::RF_DEVICE_NIC))
            .map(|device| device.r#ref);
        let of_addrs = observed.addrs.values().map(|addr| addr.iface);
        let of_pairs = observed.subnets.values().map(|subnet| subnet.iface).filter(|index| *index != 0);
        let groups: BTreeMap<u32, Group> = observed
            .vnis
            .values()
            .filter_map(|vni| observed.groups.get(&vni.group).map(|group| (vni.group, *group)))
            .collect();
        let of_claims = observed.claims.values().flat_map(|claims| claims.of).map(|claim| claim.iface);
        let of_groups = groups.values().flat_map(|group| group.local.into_iter().take(group.locals as usize));
        let ifaces: BTreeSet<u32> = of_addrs
            .chain(of_pairs)
            .chain(of_devices)
            .chain(of_groups)
            .chain(of_claims)
            .filter(|index| *index != 0)
            .collect();
        let hosts: BTreeSet<u32> = ifaces
            .iter()
            .filter_map(|index| observed.ifaces.get(index))
            .map(|iface| iface.host)
            .chain(observed.domains.values().map(|domain| domain.uplink_host))
            .chain(groups.values().flat_map(|group| group.host.into_iter().take(group.hosts as usize)))
            .filter(|index| *index != RF_HOST_HERE)
            .collect();
        let profile_indexes: BTreeSet<u32> = observed.rows.values().flat_map(|row| row.profile).collect();
        let profiles: Vec<(u32, Profile)> = profile_indexes
            .iter()
            .filter_map(|index| observed.profiles.get(index).map(|profile| (*index, *profile)))
            .collect();
        // Whatever has an index, has it under its account: an index that nothing refers to may bear an older one.
        let held_accounts: BTreeMap<u32, u32> = ifaces
            .iter()
            .filter_map(|index| observed.ifaces.get(index))
            .filter(|iface| iface.account != 0)
            .map(|iface| (iface.id, iface.account))
            .collect();
        let accounts = held_accounts.values().copied().collect();
        let spans = || profiles.iter().flat_map(|(_, profile)| profile.table);
        Self {
            observed,
            image: Image { words: observed.words.clone(), ..Image::default() },
            held_ifaces: ifaces
                .iter()
                .filter_map(|index| observed.ifaces.get(index).map(|iface| (iface.id, *index)))
                .collect(),
            held_hosts: hosts
                .iter()
                .filter_map(|index| observed.hosts.get(index).map(|host| (*host, *index)))
                .collect(),
            held_groups: groups.iter().map(|(index, group)| (*group, *index)).collect(),
            held_profiles: profiles
                .iter()
                .map(|(index, profile)| (profile.table.map(|span| observed.table(span)), (*index, *profile)))
                .collect(),
            held_tables: spans().map(|span| (observed.table(span), span)).collect(),
            domains: Indexes::new("rf_domains", 0, RF_DOMAINS, observed.domains.keys().copied().collect()),
            ifaces: Indexes::new("rf_ifaces", 1, RF_IFACES, ifaces),
            held_accounts,
            accounts: Indexes::new("rf_accounts", 1, RF_ACCOUNTS, accounts),
            hosts: Indexes::new("rf_hosts", RF_HOST_HERE + 1, RF_HOSTS, hosts),
            groups: Indexes::new("rf_groups", 1, RF_GROUPS, groups.into_keys().collect()),
            epochs: Indexes::new(
                "rf_epochs",
                RF_EPOCH_BUCKETS,
                RF_EPOCH_BUCKETS + RF_ADDRS,
                observed.addrs.values().map(|addr| addr.epoch).collect(),
            ),
            counters: Indexes::new(
                "rf_passed",
                1,
                RF_PASSED,
                observed.devices.values().map(|device| device.counter).collect(),
            ),
            runs: Stretches::new("rf_runs", RF_RUNS, spans()),
            profiles: Indexes::new("rf_profiles", 1, RF_PROFILES, profile_indexes),
        }
    }

    fn domain_indexes(&mut self, desired: &Desired) -> Result<BTreeMap<u32, u32>, Full> {
        let held: BTreeMap<u32, u32> =
            self.observed.domains.iter().map(|(index, domain)| (domain.id, *index)).collect();
        desired
            .domains
            .keys()
            .map(|id| {
                let index = match held.get(id) {
                    Some(index) => *index,
                    None => self.domains.take()?,
                };
                Ok((*id, index))
            })
            .collect()
    }

    fn domain(&mut self, domain_id: u32, domain: u32, state: &DomainState) -> Result<(), Full> {
        let entry = self.domain_entry(domain_id, state)?;
        self.image.domains.insert(domain, entry);
        let mut ifaces = BTreeMap::new();
        for (id, interface) in &state.interfaces {
            ifaces.insert(*id, self.iface(*id, domain_id, domain, interface)?);
        }
        let vni = Vni { domain, domain_id, ..Vni::default() };
        for (number, network) in &state.networks {
            let gateway4 = network.gateway4.map_or(0, be32);
            let gateway6 = network.gateway6.map_or_else(Ip::default, |v6| Ip::from(std::net::IpAddr::V6(v6)));
            let group = state.groups.get(number).map_or(Ok(0), |group| self.group(group, &ifaces))?;
            self.image.vnis.insert(*number, Vni { gateway4, gateway6, group, ..vni });
        }
        if state.transit_vni != 0 {
            self.image.vnis.insert(state.transit_vni, vni);
        }
        self.addrs(domain_id, state, &ifaces)?;
        for (net, SubnetState { vni, holder, shared }) in &state.subnets {
            let iface = if *shared { RF_IFACE_SHARED } else { 0 };
            let vacant = Subnet { vni: *vni, iface, ..Subnet::default() };
            let subnet =
                holder.and_then(|held| Some(Subnet { iface: *ifaces.get(&held.interface)?, mac: held.mac, ..vacant }));
            let subnet = subnet.unwrap_or(vacant);
            self.image.subnets.extend(subnet_entries(domain_id, *net, subnet));
        }
        for (address, claims) in &state.claims {
            let mut of = [Claim::default(); RF_CLAIMANTS as usize];
            for (place, Holder { interface, mac }) in of.iter_mut().zip(&claims.claimants) {
                *place = Claim { iface: ifaces.get(interface).copied().unwrap_or(0), mac: *mac, ..Claim::default() };
            }
            let key = AddrKey { domain_id, ip: Ip::from(*address) };
            self.image.claims.insert(key, Claims { vni: claims.vni, of });
        }
        for (net, class_id) in &state.prefixes {
            for slot in [0, 1] {
                self.image.prefixes.insert(prefix_key(domain_id, slot, *net), *class_id);
            }
        }
        self.rows(domain_id, state)
    }

    fn domain_entry(&mut self, id: u32, state: &DomainState) -> Result<Domain, Full> {
        let closed = Domain { id, transit_vni: state.transit_vni, uplink_host: RF_HOST_NONE, ..Domain::default() };
        let Some(uplink) = &state.uplink else { return Ok(closed) };
        Ok(Domain {
            uplink_host: self.host(uplink.place)?,
            uplink_ifindex: uplink.ifindex,
            uplink_mtu: uplink.mtu,
            next_hop4: uplink.next_hop4.map_or(0, be32),
            next_hop6: uplink.next_hop6.map_or_else(Ip::default, |v6| Ip::from(std::net::IpAddr::V6(v6))),
            ..closed
        })
    }

    fn host(&mut self, place: Place) -> Result<u32, Full> {
        let host = match place {
            Place::Here => return Ok(RF_HOST_HERE),
            Place::Unreachable => return Ok(RF_HOST_NONE),
            Place::At(host) => host,
        };
        let index = match self.held_hosts.get(&host) {
            Some(index) => *index,
            None => self.hosts.take()?,
        };
        self.held_hosts.insert(host, index);
        self.image.hosts.insert(index, host);
        Ok(index)
    }

    /// Beyond what is listed only the count goes on: the programs copy nothing then.
    fn group(&mut self, state: &GroupState, ifaces: &BTreeMap<u32, u32>) -> Result<u32, Full> {
        let mut local = [0; RF_COPIES as usize + 1];
        let mut host = [0; RF_COPIES as usize];
        for (place, id) in local.iter_mut().zip(&state.local) {
            *place = ifaces.get(id).copied().unwrap_or(0);
        }
        for (place, at) in host.iter_mut().zip(&state.hosts) {
            *place = self.host(*at)?;
        }
        let count = |length: usize| u32::try_from(length).unwrap_or(u32::MAX);
        let (locals, hosts) = (count(state.local.len()), count(state.hosts.len()));
        let group = Group { flags: state.flags, mtu: state.mtu, locals, hosts, local, host };
        let index = match self.held_groups.get(&group) {
            Some(index) => *index,
            None => self.groups.take()?,
        };
        self.held_groups.insert(group, index);
        self.image.groups.insert(index, group);
        Ok(index)
    }

    fn iface(&mut self, id: u32, domain_id: u32, domain: u32, state: &InterfaceState) -> Result<u32, Full> {
        let account = match self.held_accounts.get(&id) {
            Some(account) => *account,
            None => self.accounts.take()?,
        };
        let iface = Iface {
            id,
            domain_id,
            domain,
            host: self.host(state.place)?,
            vni: state.vni,
            ifindex: state.ifindex,
            flags: state.flags,
            mtu: state.mtu,
            mac: state.mac,
            account,
        };
        let same =
            |index: &&u32| self.observed.ifaces.get(index).is_some_and(|observed| lasting(observed) == lasting(&iface));
        let index = match self.held_ifaces.get(&id).filter(same) {
            Some(index) => *index,
            None => self.ifaces.take()?,
        };
        self.image.ifaces.insert(index, iface);
        Ok(index)
    }

    fn addrs(&mut self, domain_id: u32, state: &DomainState, ifaces: &BTreeMap<u32, u32>) -> Result<(), Full> {
        for (address, owner) in &state.addrs {
            let key = AddrKey { domain_id, ip: Ip::from(*address) };
            let epoch = match self.observed.addrs.get(&key) {
                Some(addr) => addr.epoch,
                None => self.epochs.take()?,
            };
            let addr = match owner {
                Owner::Interface { id, class_id } => Addr {
                    iface: ifaces.get(id).copied().unwrap_or(0),
                    epoch,
                    class_id: [*class_id; 2],
                    gateway_vni: 0,
                },
                Owner::Gateway(vni) => Addr { iface: 0, epoch, class_id: [0; 2], gateway_vni: *vni },
            };
            self.image.addrs.insert(key, addr);
        }
        Ok(())
    }

    fn rows(&mut self, domain_id: u32, state: &DomainState) -> Result<(), Full> {
        let mut indexes: BTreeMap<usize, u32> = BTreeMap::new();
        for ((from_class, to_class), place) in &state.rows {
            let index = match indexes.get(place) {
                Some(index) => *index,
                None => self.profile(&state.profiles[*place])?,
            };
            indexes.insert(*place, index);
            let key = RowKey { domain_id, from_class: *from_class, to_class: *to_class };
            self.image.rows.insert(key, Row { profile: [index; 2] });
        }
        Ok(())
    }

    fn profile(&mut self, content: &Tables) -> Result<u32, Full> {
        let (index, profile) = match self.held_profiles.get(content) {
            Some(held) => *held,
            None => {
                let mut table = [Span::default(); RF_TABLES as usize];
                for (span, runs) in table.iter_mut().zip(content) {
                    *span = self.table(runs)?;
                }
                (self.profiles.take()?, Profile { table })
            }
        };
        for (span, runs) in profile.table.iter().zip(content) {
            self.image.runs.extend((span.start..).zip(runs.iter().copied()));
        }
        self.held_profiles.insert(content.clone(), (index, profile));
        self.image.profiles.insert(index, profile);
        Ok(index)
    }

    /// Where these runs lie; tables of equal content share one place.
    fn table(&mut self, runs: &[Run]) -> Result<Span, Full> {
        if let Some(span) = self.held_tables.get(runs) {
            return Ok(*span);
        }
        let span = self.runs.take(u32::try_from(runs.len()).unwrap_or(u32::MAX))?;
        self.held_tables.insert(runs.to_vec(), span);
        Ok(span)
    }

    fn builtins(&mut self, desired: &Desired) {
        for (net, kinds) in &desired.builtins {
            self.image.builtins.extend(builtin_keys(*net).map(|key| (key, *kinds)));
        }
    }

    fn devices(&mut self, desired: &Desired, domains: &BTreeMap<u32, u32>) -> Result<(), Full> {
        let ifaces: BTreeMap<u32, u32> = self.image.ifaces.iter().map(|(index, iface)| (iface.id, *index)).collect();
        for (ifindex, role) in &desired.devices {
            let (kind, reference) = match role {
                Role::Workload(id) => (DeviceKind::RF_DEVICE_WORKLOAD, ifaces.get(id).copied().unwrap_or(0)),
                Role::Nic(id) => (DeviceKind::RF_DEVICE_NIC, ifaces.get(id).copied().unwrap_or(0)),
                Role::Uplink(id) => match domains.get(id) {
                    Some(domain) => (DeviceKind::RF_DEVICE_UPLINK, *domain),
                    None => (DeviceKind::RF_DEVICE_UNKNOWN, 0),
                },
                Role::Overlay => (DeviceKind::RF_DEVICE_OVERLAY, 0),
                Role::Host => (DeviceKind::RF_DEVICE_HOST, 0),
            };
            let counter = match self.observed.devices.get(ifindex).filter(|device| device.counter != 0) {
                Some(device) => device.counter,
                None => self.counters.take()?,
            };
            let mut device = Device { kind, r#ref: reference, counter, ..Device::zeroed() };
            device.adopt_until_ns = self.adopts_until(*ifindex, device);
            self.image.devices.insert(*ifindex, device);
        }
        Ok(())
    }

    /// What a device was given stays while it is the same interface's.
    fn adopts_until(&self, ifindex: u32, device: Device) -> u64 {
        let id = |image: &Image, device: &Device| image.ifaces.get(&device.r#ref).map(|iface| iface.id);
        let held = self.observed.devices.get(&ifindex).filter(|held| {
            is_of_interface(held) && held.kind == device.kind && id(self.observed, held) == id(&self.image, &device)
        });
        held.map_or(0, |held| held.adopt_until_ns)
    }
}
