//! What gets through between two hosts: Ringfence, a plain bridge and VXLAN, and two ways to do the same with netfilter.
//!
//! Every configuration is up from the beginning, and they take turns, so that each ratio is of one round.

use std::{process::Command, time::Duration};

use anyhow::{Context, ensure};
use ringfence_lab::registry::Registration;
use serde_json::{Value, json};

use crate::{
    packets::cloud::{self, Scale},
    report::Report,
    turns::{Bar, Spread},
};

mod filter;
mod path;
mod traffic;

use path::{Config, Path};
use traffic::Kind;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Effort {
    rounds: usize,
    /// Of one turn.
    length: Duration,
    /// Connections that are there meanwhile, in the second half.
    alive: usize,
}

const FULL: Effort = Effort { rounds: 11, length: Duration::from_millis(400), alive: 10_000 };
const QUICK: Effort = Effort { rounds: 3, length: Duration::from_millis(150), alive: 500 };

/// Rules of a port, and members of the group that they let in.
const SCALES: [Scale; 3] = [
    Scale { rules: 10, workloads: 10 },
    Scale { rules: 1000, workloads: 10_000 },
    Scale { rules: 10_000, workloads: 10_000 },
];
const QUICK_SCALES: [Scale; 2] = [SCALES[0], Scale { rules: 1000, workloads: 1000 }];
const FILTERS: [Config; 3] = [Config::Ringfence, Config::Iptables, Config::Nftables];

/// Measures all of it.
pub(crate) fn run(quick: bool) -> anyhow::Result<Report> {
    let (effort, scales) = if quick { (QUICK, &QUICK_SCALES[..]) } else { (FULL, &SCALES[..]) };
    allow_files(4 * effort.alive)?;
    let registration = Registration::new()?;
    let mut paths = Vec::new();
    for scale in scales {
        let bundle = cloud::group(*scale)?;
        let plain = paths.is_empty().then_some(Config::Plain);
        for config in plain.into_iter().chain(FILTERS) {
            let path = Path::raise(&registration, paths.len(), config, (*scale, &bundle));
            paths.push(path.with_context(|| format!("{} with {} rules", config.name(), scale.rules))?);
        }
    }
    let mut report = Report::new();
    measured(&paths, effort, "with one flow alive", &mut report)?;
    let title = format!("with {} flows alive", effort.alive);
    let held = paths.iter().map(|path| path.server.hold(&path.client, effort.alive));
    let held = held.collect::<anyhow::Result<Vec<_>>>()?;
    measured(&paths, effort, &title, &mut report)?;
    drop(held);
    Ok(report)
}

/// Both ends of every connection are this process's.
fn allow_files(count: usize) -> anyhow::Result<()> {
    let (process, files) = (std::process::id().to_string(), format!("--nofile={}", count * FILTERS.len() * 3 + 1024));
    let status = Command::new("prlimit").args(["--pid", &process, &files]).status();
    let status = status.context("cannot run prlimit; install util-linux")?;
    ensure!(status.success(), "prlimit {files}: {status}");
    Ok(())
}

const COLUMNS: [&str; 8] = ["what", "rules", "members", "by", "rate", "Ringfence to it", "bar", "kept"];

fn measured(paths: &[Path], effort: Effort, title: &str, report: &mut Report) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for kind in Kind::ALL {
        let mut rates = vec![Vec::new(); paths.len()];
        for round in 0..=effort.rounds {
            for (path, rates) in paths.iter().zip(&mut rates) {
                let rate = path.server.measure(&path.client, kind, effort.length);
                let rate = rate.with_context(|| format!("{} with {} rules", path.config.name(), path.scale.rules))?;
                // The first warms up.
                if round > 0 {
                    rates.push(rate);
                }
            }
        }
        rows.extend(paths.iter().zip(&rates).filter_map(|(path, of)| row(kind, path, of, paths, &rates)));
    }
    report.add(title, &COLUMNS, &rows);
    Ok(())
}

/// A configuration beside Ringfence with as many rules.
fn row(kind: Kind, path: &Path, of: &[f64], paths: &[Path], rates: &[Vec<f64>]) -> Option<Vec<Value>> {
    let same = |other: &Path| other.config == Config::Ringfence && other.scale.rules == path.scale.rules;
    let ringfence = rates.get(paths.iter().position(same)?)?;
    let ratio = Spread::ratio(ringfence, of)?;
    let bar = match path.config {
        Config::Iptables | Config::Nftables if path.scale.rules > 10 => Some(Bar::AtLeast(1.0)),
        // Not worse beyond noise.
        Config::Iptables | Config::Nftables => Some(Bar::AtLeast(0.95)),
        _ => None,
    };
    let [bar, kept] = Bar::judged(bar, &ratio);
    let rate = json!(format!("{:.0}", Spread::of(of.to_vec())?.median));
    let size = [json!(path.scale.rules), json!(path.scale.workloads)];
    Some([&[json!(kind.name())][..], &size, &[json!(path.config.name()), rate, ratio.shown(), bar, kept]].concat())
}
