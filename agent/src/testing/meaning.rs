//! What maps mean to the programs, with every index followed: two images that mean the same decide the same.

use std::collections::BTreeMap;

use crate::{
    bpf::{
        AddrKey, Claim, Claims, Device, DeviceKind, Domain, Group, Host, Iface, Row, Subnet, SubnetKey, Vni,
        consts::{RF_IFACE_SHARED, RF_PREFIX_FIXED_BITS},
    },
    lower::{desired::Tables, image::Image},
};

/// What one domain's packets are judged by, in one slot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Judgement {
    /// Interface id and class of each address that is an interface's.
    pub(crate) classes: BTreeMap<AddrKey, (u32, u32)>,
    /// Class of outside prefixes, by length and address.
    pub(crate) prefixes: BTreeMap<(u32, [u8; 16]), u32>,
    /// Runs by class pair.
    pub(crate) rows: BTreeMap<(u32, u32), Tables>,
}

/// Everything, with indexes replaced by what they stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Meaning {
    devices: BTreeMap<u32, (DeviceKind, u32)>,
    domains: BTreeMap<u32, (Domain, Option<Host>)>,
    ifaces: BTreeMap<AddrKey, (Iface, Option<Host>, u32)>,
    vnis: BTreeMap<u32, (Vni, Option<GroupMeaning>)>,
    subnets: BTreeMap<SubnetKey, Subnet>,
    claims: BTreeMap<AddrKey, Claims>,
    judgements: BTreeMap<u32, [Judgement; 2]>,
}

/// A group with the ids of its members here and its hosts, and no index.
type GroupMeaning = (Group, Vec<u32>, Vec<Option<Host>>);

/// By domain id, what its packets are judged by now.
pub(crate) fn in_force(image: &Image) -> BTreeMap<u32, Judgement> {
    let of = |(index, domain): (&u32, &Domain)| (domain.id, judgement(image, domain.id, image.word(*index).slot));
    image.domains.iter().map(of).collect()
}

/// Interface ids by stretch of addresses that is somebody's.
pub(crate) fn holders(image: &Image) -> BTreeMap<SubnetKey, u32> {
    let id = |subnet: &Subnet| image.ifaces.get(&subnet.iface).map(|iface| iface.id);
    image.subnets.iter().filter_map(|(key, subnet)| Some((*key, id(subnet)?))).collect()
}

/// What the image means.
pub(crate) fn meaning(image: &Image) -> Meaning {
    let host = |index: u32| image.hosts.get(&index).copied();
    let id_of = |index: u32| image.domains.get(&index).map_or(0, |domain| domain.id);
    let device = |device: &Device| match device.kind {
        DeviceKind::RF_DEVICE_WORKLOAD => image.ifaces.get(&device.r#ref).map_or(0, |iface| iface.id),
        DeviceKind::RF_DEVICE_UPLINK => id_of(device.r#ref),
        _ => 0,
    };
    let iface = |index: u32| image.ifaces.get(&index).copied().unwrap_or_default();
    let both = |id: u32| [judgement(image, id, 0), judgement(image, id, 1)];
    Meaning {
        devices: image.devices.iter().map(|(ifindex, held)| (*ifindex, (held.kind, device(held)))).collect(),
        domains: image
            .domains
            .values()
            .map(|domain| (domain.id, (Domain { uplink_host: 0, ..*domain }, host(domain.uplink_host))))
            .collect(),
        ifaces: image
            .addrs
            .iter()
            .map(|(key, addr)| {
                let held = iface(addr.iface);
                assert!(held.id == 0 || id_of(held.domain) == held.domain_id, "an interface in a foreign domain");
                (*key, (Iface { domain: 0, host: 0, account: 0, ..held }, host(held.host), addr.gateway_vni))
            })
            .collect(),
        vnis: image
            .vnis
            .iter()
            .map(|(number, vni)| {
                let group = image.groups.get(&vni.group).map(|group| group_meaning(image, group));
                (*number, (Vni { domain: id_of(vni.domain), group: 0, ..*vni }, group))
            })
            .collect(),
        subnets: image
            .subnets
            .iter()
            .map(|(key, subnet)| {
                let index = subnet.iface;
                (*key, Subnet { iface: if index == RF_IFACE_SHARED { index } else { iface(index).id }, ..*subnet })
            })
            .collect(),
        claims: image
            .claims
            .iter()
            .map(|(key, claims)| {
                (*key, Claims { of: claims.of.map(|claim| Claim { iface: iface(claim.iface).id, ..claim }), ..*claims })
            })
            .collect(),
        judgements: image.domains.values().map(|domain| (domain.id, both(domain.id))).collect(),
    }
}

fn group_meaning(image: &Image, group: &Group) -> GroupMeaning {
    let locals = group.local.iter().take(group.locals as usize);
    let ids = locals.map(|index| image.ifaces.get(index).map_or(0, |iface| iface.id)).collect();
    let hosts = group.host.iter().take(group.hosts as usize).map(|index| image.hosts.get(index).copied()).collect();
    (Group { local: [0; _], host: [0; _], ..*group }, ids, hosts)
}

fn judgement(image: &Image, domain_id: u32, slot: u32) -> Judgement {
    let place = slot as usize;
    let addrs = image.addrs.iter().filter(|(key, addr)| key.domain_id == domain_id && addr.class_id[place] != 0);
    let prefixes = image.prefixes.iter().filter(|(key, _)| key.domain_id == domain_id && key.slot == slot);
    let rows = image.rows.iter().filter(|(key, row)| key.domain_id == domain_id && row.profile[place] != 0);
    let id = |index: u32| image.ifaces.get(&index).map_or(0, |iface| iface.id);
    Judgement {
        classes: addrs.map(|(key, addr)| (*key, (id(addr.iface), addr.class_id[place]))).collect(),
        prefixes: prefixes
            .map(|(key, class_id)| ((key.prefixlen - RF_PREFIX_FIXED_BITS, key.ip.bytes), *class_id))
            .collect(),
        rows: rows.map(|(key, row)| ((key.from_class, key.to_class), tables(image, *row, place))).collect(),
    }
}

fn tables(image: &Image, row: Row, slot: usize) -> Tables {
    image.profiles.get(&row.profile[slot]).copied().unwrap_or_default().table.map(|span| image.table(span))
}
