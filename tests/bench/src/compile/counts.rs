//! What a host holds of a domain's policy, by how many workloads a segment has and how many rules there are
//! (DESIGN 4, "State must not explode").

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Context;
use ringfence_agent::lower::{Site, assign, image::Image, lower};
use ringfence_policy::{compile::compile, object::Object};
use serde_json::json;

use crate::{report::Report, world};

const DOMAIN: &str = "t/counted";
/// The host whose maps are counted; every second workload runs there.
const HERE: &str = "h0";

/// Entries of policy in a host's maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Policy {
    rows: usize,
    profiles: usize,
    runs: usize,
    prefixes: usize,
}

pub(super) fn run(report: &mut Report) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for rules in [1, 100, 10_000] {
        for workloads in [10, 10_000] {
            let (Policy { rows: entries, profiles, runs, prefixes }, addresses) = counted(workloads, rules)?;
            let figures = [rules, workloads].map(|number| json!(number));
            let counts = [entries, profiles, runs, prefixes, addresses].map(|number| json!(number));
            rows.push(figures.into_iter().chain(counts).collect());
        }
    }
    let columns = ["rules", "workloads", "rows", "profiles", "runs", "prefixes", "addresses"];
    report.add("entries on a host with members of the segment", &columns, &rows);
    Ok(())
}

/// What the host's maps hold of policy, and of addresses.
fn counted(workloads: u32, rules: u32) -> anyhow::Result<(Policy, usize)> {
    let model = world::model(&objects(workloads, rules))?;
    let domain = model.domains().get(DOMAIN).context("the domain is not in its model")?;
    let bundle = compile(domain, &world::ids(domain, 1), &BTreeMap::new(), 1)?;
    let site = Site { host: HERE.to_owned(), overlay_mtu: 1450, ..Site::default() };
    let image = assign(&lower([&bundle], &site, 0), &Image::default())?;
    // Both slots of an image that was never in force say the same.
    let profiles: BTreeSet<u32> = image.rows.values().map(|row| row.profile[0]).collect();
    let policy = Policy {
        rows: image.rows.len(),
        profiles: profiles.len(),
        runs: image.runs.len(),
        prefixes: image.prefixes.keys().filter(|key| key.slot == 0).count(),
    };
    Ok((policy, image.addrs.len()))
}

/// A segment of so many workloads, each with a label that no rule uses, half of them here; and rules to it from
/// another segment and from prefixes, by turns.
fn objects(workloads: u32, rules: u32) -> Vec<Object> {
    let mut objects = vec![world::tenant()];
    objects.extend(world::domain(DOMAIN));
    objects.extend(["web", "app"].map(|app| world::segment(DOMAIN, app)));
    objects.push(world::workload(DOMAIN, 0, "web", HERE));
    objects.extend((1..=workloads).map(|n| world::workload(DOMAIN, n, "app", if n % 2 == 0 { HERE } else { "h1" })));
    let rule = |number: u32| match number % 2 {
        0 => world::rule(world::peer("web"), world::peer("app"), &format!("tcp/{number}")),
        _ => {
            let prefix = format!("100.{}.{}.{}/32", number >> 16, number >> 8 & 255, number & 255);
            world::rule(world::cidr(prefix), world::peer("app"), &format!("udp/{}", number % 5))
        }
    };
    objects.push(world::policy(DOMAIN, "p", (0..rules).map(rule).collect()));
    objects
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn policy_entries_do_not_depend_on_how_many_workloads_a_segment_has() {
        for rules in [1, 20] {
            let ((few, few_addresses), (many, many_addresses)) =
                (counted(2, rules).unwrap(), counted(60, rules).unwrap());
            assert_eq!(few, many, "{rules} rules");
            assert!(few.rows > 0 && many_addresses > few_addresses);
        }
    }

    #[test]
    fn policy_entries_do_depend_on_rules() {
        assert_ne!(counted(2, 1).unwrap().0, counted(2, 20).unwrap().0);
    }
}
