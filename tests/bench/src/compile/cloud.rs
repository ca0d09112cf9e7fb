//! A whole cloud at once, as a controller that starts compiles it: every domain, who needs it, and what is sent.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    time::{Duration, Instant},
};

use prost::Message;
use ringfence_controller::fleet::{Compiled, Fleet};
use ringfence_policy::{
    compile::{Compilation, DomainIds},
    object::{Object, PeerSpec},
    wire,
};
use serde_json::json;

use crate::{
    measure::{Cost, forget_peak, memory, peak_memory, timed},
    report::Report,
    world,
};

const DOMAINS: u32 = 25_000;
/// Domains made at once.
const BATCH: u32 = 500;
/// In each domain.
const WORKLOADS: u32 = 4;
/// In each domain.
const POLICIES: u32 = 3;
const HOSTS: u32 = 1000;

/// Megabytes, in which memory is printed.
const MB: u64 = 1_000_000;

pub(super) fn run(report: &mut Report) -> anyhow::Result<()> {
    let mut model = world::model(&[world::tenant()])?;
    for first in (0..DOMAINS).step_by(BATCH as usize) {
        // In batches, as it grew, so that what was asked for does not count as memory of what is.
        let objects: Vec<Object> = (first..first + BATCH).flat_map(domain).collect();
        model = world::changed(&model, &objects)?;
    }
    let ids: BTreeMap<&str, DomainIds> = model
        .domains()
        .iter()
        .zip(1..)
        .map(|((name, domain), number)| (name.as_str(), world::ids(domain, number)))
        .collect();
    let hosts: BTreeMap<String, Vec<IpAddr>> = (0..HOSTS).map(|host| (name_of(host), vec![underlay(host)])).collect();
    forget_peak()?;
    let before = memory()?;
    let (compiled, compiling) = timed(|| {
        let domains = model.domains().values().zip(ids.values());
        let compilations = domains.map(|(domain, ids)| Compilation::new(domain, ids, &hosts, 1));
        compilations.collect::<Result<Vec<_>, _>>()
    })?;
    let compilations = compiled?;
    let (compiled, digesting) = timed(|| {
        let bundles = compilations.iter().map(|compilation| compilation.bundle().clone());
        bundles.map(Compiled::new).collect::<Vec<_>>()
    })?;
    let (sent, serialising) = timed(|| {
        let update = |compiled: &Compiled| wire::whole_update(&compiled.bundle).encode_to_vec().len() as u64;
        compiled.iter().map(update).sum::<u64>()
    })?;
    let (fleet, projecting) = timed(|| Fleet::new(compiled, Duration::ZERO, Instant::now()))?;
    let needed: usize = fleet.hosts().values().map(|host| host.domains).sum();
    let total = [compiling, digesting, serialising, projecting]
        .iter()
        .fold((0.0, 0.0), |(wall, cpu), cost| (wall + cost.wall.as_secs_f64(), cpu + cost.cpu.as_secs_f64()));
    let row = |what: &str, (wall, cpu): (f64, f64), note: String| {
        vec![json!(what), json!(format!("{wall:.3}")), json!(format!("{cpu:.3}")), json!(note)]
    };
    let of = |cost: Cost| (cost.wall.as_secs_f64(), cost.cpu.as_secs_f64());
    let peak = peak_memory()?;
    report.add(
        "a cloud: 100,000 workloads, 75,000 policies, 25,000 domains",
        &["step", "wall s", "CPU s", "of"],
        &[
            row("compile", of(compiling), format!("{DOMAINS} domains")),
            row("digest", of(digesting), format!("{DOMAINS} bundles")),
            row("serialise", of(serialising), format!("{} MB", sent / MB)),
            row("project", of(projecting), format!("{needed} pairs of host and domain")),
            row("together", total, format!("peak memory {} MB, of it {} MB the model", peak / MB, before / MB)),
        ],
    );
    Ok(())
}

/// A domain with a front and a back of two workloads each, on hosts all over, and policies in, between and out.
fn domain(number: u32) -> Vec<Object> {
    let name = format!("t/d{number}");
    let mut objects: Vec<Object> = world::domain(&name).into();
    objects.extend(["front", "back"].map(|app| world::segment(&name, app)));
    objects.extend((0..WORKLOADS).map(|workload| {
        let host = name_of((number * WORKLOADS + workload) * 7919 % HOSTS);
        world::workload(&name, workload, ["front", "back"][workload as usize % 2], &host)
    }));
    let outside = || PeerSpec::Name("outside".to_owned());
    let peer = world::peer;
    let rules = [
        vec![world::rule(outside(), peer("front"), "tcp/443"), world::rule(outside(), peer("front"), "icmp/8")],
        vec![world::rule(peer("front"), peer("back"), "tcp/5432"), world::rule(peer("front"), peer("back"), "icmp")],
        vec![world::rule(peer("back"), world::cidr("198.51.100.0/24".to_owned()), "udp/53")],
    ];
    debug_assert_eq!(rules.len(), POLICIES as usize);
    objects.extend((0..POLICIES).zip(rules).map(|(place, rules)| world::policy(&name, &format!("p{place}"), rules)));
    objects
}

fn name_of(host: u32) -> String {
    format!("h{host}")
}

fn underlay(host: u32) -> IpAddr {
    let [_, _, high, low] = host.to_be_bytes();
    IpAddr::from(Ipv4Addr::new(172, 16, high, low))
}
