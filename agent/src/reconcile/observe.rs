//! The maps as they are.

use std::collections::BTreeMap;

use crate::{
    bpf::{BpfError, Maps, Pod, Table, consts::RF_DOMAINS},
    lower::image::{Image, Word},
};

/// One place in so many of an array costs as much to read by itself as all do at once.
const ALL_AT_ONCE: usize = 16;

/// Reads everything that the agent writes back from the kernel.
pub(crate) fn observe(maps: &Maps) -> Result<Image, BpfError> {
    let arrays = Image {
        ifaces: maps.ifaces.entries()?.into_iter().collect(),
        hosts: maps.hosts.entries()?.into_iter().collect(),
        domains: maps.domains.entries()?.into_iter().collect(),
        groups: maps.groups.entries()?.into_iter().collect(),
        profiles: maps.profiles.entries()?.into_iter().collect(),
        runs: maps.runs.entries()?.into_iter().collect(),
        words: words(maps, 0..RF_DOMAINS)?,
        ..Image::default()
    };
    with_keyed(maps, arrays)
}

/// Reads what the agent has written back: of the large arrays only the places that `known` has, since nothing refers to
/// others. It takes time by what is held, not by what might be.
pub(super) fn observe_known(maps: &Maps, known: &Image) -> Result<Image, BpfError> {
    let arrays = Image {
        ifaces: places(&maps.ifaces, &known.ifaces)?,
        hosts: places(&maps.hosts, &known.hosts)?,
        domains: places(&maps.domains, &known.domains)?,
        groups: places(&maps.groups, &known.groups)?,
        profiles: places(&maps.profiles, &known.profiles)?,
        runs: places(&maps.runs, &known.runs)?,
        words: words(maps, known.words.keys().copied())?,
        ..Image::default()
    };
    with_keyed(maps, arrays)
}

fn with_keyed(maps: &Maps, arrays: Image) -> Result<Image, BpfError> {
    Ok(Image {
        devices: maps.devices.entries()?.into_iter().collect(),
        vnis: maps.vnis.entries()?.into_iter().collect(),
        addrs: maps.addrs.entries()?.into_iter().collect(),
        prefixes: maps.prefixes.entries()?.into_iter().collect(),
        subnets: maps.subnets.entries()?.into_iter().collect(),
        claims: maps.claims.entries()?.into_iter().collect(),
        builtins: maps.builtins.entries()?.into_iter().collect(),
        rows: maps.rows.entries()?.into_iter().collect(),
        limits: maps.limits.get(&0)?.unwrap_or_default(),
        ..arrays
    })
}

/// Puts back by which state packets are judged: what a plan starts from must be an epoch that was never in force before
/// those that connections carry.
pub(super) fn put_words_back(
    maps: &Maps,
    known: &BTreeMap<u32, Word>,
    observed: &mut BTreeMap<u32, Word>,
) -> Result<(), BpfError> {
    for (domain, word) in known.iter().filter(|(domain, word)| observed.get(domain) != Some(word)) {
        maps.words.store(*domain, word.slot, word.epoch)?;
    }
    observed.clone_from(known);
    Ok(())
}

/// Places of an array are read one by one while they are few, and all at once when that is quicker.
fn places<V: Pod>(table: &Table<u32, V>, known: &BTreeMap<u32, V>) -> Result<BTreeMap<u32, V>, BpfError> {
    if known.len() > table.capacity() as usize / ALL_AT_ONCE {
        let mut entries = table.entries()?;
        entries.retain(|(place, _)| known.contains_key(place));
        return Ok(entries.into_iter().collect());
    }
    let read = |place: &u32| Ok(table.get(place)?.map(|value| (*place, value)));
    known.keys().map(read).filter_map(Result::transpose).collect()
}

fn words(maps: &Maps, domains: impl IntoIterator<Item = u32>) -> Result<BTreeMap<u32, Word>, BpfError> {
    let mut words = BTreeMap::new();
    for domain in domains {
        let (slot, epoch) = maps.words.load(domain)?;
        let word = Word { slot, epoch };
        if word != Word::default() {
            words.insert(domain, word);
        }
    }
    Ok(words)
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
        ("rf_groups", one.groups == other.groups),
        ("rf_addrs", one.addrs == other.addrs),
        ("rf_prefixes", one.prefixes == other.prefixes),
        ("rf_subnets", one.subnets == other.subnets),
        ("rf_claims", one.claims == other.claims),
        ("rf_builtins", one.builtins == other.builtins),
        ("rf_rows", one.rows == other.rows),
        ("rf_profiles", one.profiles == other.profiles),
        ("rf_runs", one.runs == other.runs),
        ("rf_limits", one.limits == other.limits),
    ];
    maps.into_iter().filter(|(_, same)| !same).map(|(name, _)| name).collect()
}
