//! The maps as they are.

use crate::{
    bpf::{BpfError, Maps, consts::RF_DOMAINS},
    lower::image::{Image, Word},
};

/// Reads everything that the agent writes back from the kernel.
pub(super) fn observe(maps: &Maps) -> Result<Image, BpfError> {
    let mut image = Image {
        devices: maps.devices.entries()?.into_iter().collect(),
        ifaces: maps.ifaces.entries()?.into_iter().collect(),
        hosts: maps.hosts.entries()?.into_iter().collect(),
        domains: maps.domains.entries()?.into_iter().collect(),
        vnis: maps.vnis.entries()?.into_iter().collect(),
        addrs: maps.addrs.entries()?.into_iter().collect(),
        prefixes: maps.prefixes.entries()?.into_iter().collect(),
        subnets: maps.subnets.entries()?.into_iter().collect(),
        rows: maps.rows.entries()?.into_iter().collect(),
        profiles: maps.profiles.entries()?.into_iter().collect(),
        runs: maps.runs.entries()?.into_iter().collect(),
        ..Image::default()
    };
    for domain in 0..RF_DOMAINS {
        let (slot, epoch) = maps.words.load(domain)?;
        let word = Word { slot, epoch };
        if word != Word::default() {
            image.words.insert(domain, word);
        }
    }
    Ok(image)
}

/// Names of the maps in which two images differ.
pub(super) fn differences(one: &Image, other: &Image) -> Vec<&'static str> {
    let maps = [
        ("rf_devices", one.devices == other.devices),
        ("rf_ifaces", one.ifaces == other.ifaces),
        ("rf_hosts", one.hosts == other.hosts),
        ("rf_domains", one.domains == other.domains),
        ("rf_domain_words", one.words == other.words),
        ("rf_vnis", one.vnis == other.vnis),
        ("rf_addrs", one.addrs == other.addrs),
        ("rf_prefixes", one.prefixes == other.prefixes),
        ("rf_subnets", one.subnets == other.subnets),
        ("rf_rows", one.rows == other.rows),
        ("rf_profiles", one.profiles == other.profiles),
        ("rf_runs", one.runs == other.runs),
    ];
    maps.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
}
