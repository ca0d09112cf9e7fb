//! One large domain, and one workload that joins it.

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr},
    sync::Arc,
};

use anyhow::Context;
use ringfence_policy::{
    bundle::Bundle,
    compile::Compilation,
    model::{Domain, Model},
    object::Object,
    wire,
};
use serde_json::{Value, json};

use crate::{
    measure::{Cost, median, timed},
    report::Report,
    world,
};

const DOMAIN: &str = "t/large";
const WORKLOADS: u32 = 10_000;
const POLICIES: u32 = 1000;
const APPS: u32 = 100;
const HOSTS: u32 = 200;
const RUNS: u32 = 7;
const JOINS: u32 = 51;

pub(super) fn run(report: &mut Report) -> anyhow::Result<()> {
    let mut model = world::model(&objects())?;
    let hosts: BTreeMap<String, Vec<IpAddr>> =
        (0..HOSTS).map(|host| (format!("h{host}"), vec![IpAddr::from(Ipv4Addr::from(0xac10_0000 + host))])).collect();
    let domain = in_force(&model)?;
    let ids = world::ids(&domain, 1);
    let mut costs = Vec::new();
    let (mut last, _) = timed(|| Compilation::new(&domain, &ids, &hosts, 1))?;
    for _ in 0..RUNS {
        let (compiled, cost) = timed(|| Compilation::new(&domain, &ids, &hosts, 1))?;
        costs.push(cost);
        last = compiled;
    }
    let mut last = last?;
    let bundle = last.bundle();
    let size = format!("{} rows, {} profiles", bundle.policy.rows.len(), bundle.policy.profiles.len());
    let whole = row("compile", median(costs)?, &size);
    let (_, digest) = timed(|| wire::digest(bundle))?;
    let mut joins = Joins::default();
    for number in WORKLOADS..WORKLOADS + JOINS {
        let generation = u64::from(number);
        let joining = world::workload(DOMAIN, number, "a0", "h0");
        let (change, changing) = timed(|| world::changed(&model, &[joining]))?;
        model = change?;
        let domain = in_force(&model)?;
        let mut ids = world::ids(&domain, 1);
        // A number once handed out stays, and a new one is greater.
        ids.interfaces.extend(last.bundle().interfaces.iter().map(|i| ((i.workload.clone(), i.name.clone()), i.id)));
        ids.interfaces.insert((format!("w{number}"), "eth0".to_owned()), number + 1);
        let (next, compiling) = timed(|| last.next(&domain, &ids, &hosts, generation))?;
        let next = next?;
        let (update, sending) = timed(|| wire::change_update(last.bundle(), next.bundle()))?;
        joined(last.bundle(), next.bundle(), update.interfaces.len())?;
        joins.changing.push(changing);
        joins.compiling.push(compiling);
        joins.sending.push(sending);
        last = next;
    }
    let [compiling, sending] = [median(joins.compiling)?, median(joins.sending)?];
    let together = Cost { wall: compiling.wall + sending.wall, cpu: compiling.cpu + sending.cpu };
    report.add(
        "one domain: 10,000 workloads, 1,000 policies, 3,000 rules",
        &["step", "wall ms", "CPU ms", "of"],
        &[
            whole,
            row("digest of it", digest, "10,000 interfaces"),
            row("one joins: compile", compiling, "its own entries"),
            row("one joins: update and digest", sending, "one interface"),
            row("one joins: together", together, ""),
            row("one joins: the model before that", median(joins.changing)?, "validation of the domain"),
        ],
    );
    Ok(())
}

/// What each join cost.
#[derive(Default)]
struct Joins {
    changing: Vec<Cost>,
    compiling: Vec<Cost>,
    sending: Vec<Cost>,
}

/// A measurement of something else than what it claims is none.
fn joined(before: &Bundle, after: &Bundle, sent: usize) -> anyhow::Result<()> {
    let one_more = after.interfaces.len() == before.interfaces.len() + 1;
    let shared = after.policy.is_same(&before.policy) && after.topology.is_same(&before.topology);
    (one_more && shared && sent == 1).then_some(()).context("a workload that joins did not cost its own entries alone")
}

fn in_force(model: &Model) -> anyhow::Result<Arc<Domain>> {
    model.domains().get(DOMAIN).cloned().context("the domain is not in its model")
}

fn row(step: &str, cost: Cost, of: &str) -> Vec<Value> {
    let milliseconds = |time: std::time::Duration| json!(format!("{:.2}", time.as_secs_f64() * 1000.0));
    vec![json!(step), milliseconds(cost.wall), milliseconds(cost.cpu), json!(of)]
}

/// Each policy has rules between two apps, and in from a prefix of its own.
fn objects() -> Vec<Object> {
    let app = |number: u32| format!("a{}", number % APPS);
    let mut objects = vec![world::tenant()];
    objects.extend(world::domain(DOMAIN));
    objects.extend((0..APPS).map(|number| world::segment(DOMAIN, &app(number))));
    objects.extend((0..WORKLOADS).map(|n| world::workload(DOMAIN, n, &app(n), &format!("h{}", n % HOSTS))));
    objects.extend((0..POLICIES).map(|number| {
        let (from, to) = (app(number), app(number * 7 + number / APPS));
        let prefix = format!("100.64.{}.{}/32", number / 256, number % 256);
        let rules = vec![
            world::rule(world::peer(&from), world::peer(&to), &format!("tcp/{}", 1000 + number)),
            world::rule(world::peer(&from), world::peer(&to), "icmp"),
            world::rule(world::cidr(prefix), world::peer(&to), "tcp/443"),
        ];
        world::policy(DOMAIN, &format!("p{number}"), rules)
    }));
    objects
}
