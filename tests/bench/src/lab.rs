//! What gets through between two hosts: Ringfence, Ringfence without policy, a plain bridge and VXLAN, and two ways to do
//! the same with netfilter.
//!
//! Every configuration is up from the beginning, and they take turns, so that each ratio is of one round.

use std::time::Duration;

use anyhow::Context;
use ringfence_lab::registry::Registration;
use serde_json::{Value, json};

use crate::{
    Amount,
    packets::cloud::{self, Scale},
    report::Report,
    turns::{Bar, Spread},
};

mod alone;
mod filter;
mod path;
mod traffic;

use path::{Config, Path};
use traffic::Kind;

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Effort {
    scales: &'static [Scale],
    /// Without regard to rules: at the first scale.
    once: &'static [Config],
    /// At each scale, one after the other.
    each: &'static [Config],
    rounds: usize,
    /// Of one turn. Less than 950 ms, after which the kernel would take a thread of the real-time class off its CPU.
    length: Duration,
    /// Connections that are there meanwhile, in the second half.
    alive: u16,
}

const FILTERS: [Config; 3] = [Config::Ringfence, Config::Iptables, Config::Nftables];

const FULL: Effort = Effort {
    scales: &SCALES,
    once: &[Config::Plain, Config::WithoutPolicy],
    each: &FILTERS,
    rounds: 31,
    length: Duration::from_millis(150),
    alive: 10_000,
};
const QUICK: Effort = Effort {
    scales: &[SCALES[0], Scale { rules: 1000, workloads: 1000 }],
    rounds: 5,
    length: Duration::from_millis(100),
    alive: 500,
    ..FULL
};
const GLANCE: Effort = Effort {
    scales: &[SCALES[0]],
    once: &[Config::Plain],
    each: &[Config::Ringfence],
    rounds: 1,
    length: Duration::from_millis(50),
    alive: 10,
};

/// Rules of a port, and members of the group that they let in.
const SCALES: [Scale; 3] = [
    Scale { rules: 10, workloads: 10 },
    Scale { rules: 1000, workloads: 10_000 },
    Scale { rules: 10_000, workloads: 10_000 },
];

/// Measures all of it.
pub(crate) fn run(amount: Amount) -> anyhow::Result<Report> {
    let effort = match amount {
        Amount::Full => FULL,
        Amount::Quick => QUICK,
        Amount::Glance => GLANCE,
    };
    let registration = Registration::new()?;
    let mut paths = Vec::new();
    for (number, scale) in effort.scales.iter().enumerate() {
        let bundle = cloud::group(*scale)?;
        let once = if number == 0 { effort.once } else { &[] };
        for config in once.iter().chain(effort.each) {
            let path = Path::raise(&registration, paths.len(), *config, (*scale, &bundle));
            paths.push(path.with_context(|| format!("{} with {} rules", config.name(), scale.rules))?);
        }
    }
    let mut report = Report::new()?;
    alone::take_cpu()?;
    measured(&paths, effort, 0, &mut report)?;
    paths.iter().try_for_each(|path| path.ends.leave_alive(effort.alive))?;
    measured(&paths, effort, effort.alive, &mut report)?;
    alone::give_cpu_back()?;
    Ok(report)
}

/// Measures everything while so many connections of each path are alive, in turns: one way through the paths and back,
/// so that who comes after whom is no advantage.
fn measured(paths: &[Path], effort: Effort, alive: u16, report: &mut Report) -> anyhow::Result<()> {
    let mut rows = Vec::new();
    for kind in Kind::ALL {
        let mut rates = vec![Vec::new(); paths.len()];
        for round in 0..=effort.rounds {
            let mut turns: Vec<_> = paths.iter().zip(&mut rates).collect();
            if round % 2 == 1 {
                turns.reverse();
            }
            for (path, rates) in turns {
                let rate = path.ends.measure(kind, effort.length);
                let rate = rate.with_context(|| format!("{} with {} rules", path.config.name(), path.scale.rules))?;
                // The first warms up.
                if round > 0 {
                    rates.push(rate);
                }
            }
        }
        rows.extend(paths.iter().zip(&rates).filter_map(|(path, of)| row((kind, alive), path, of, paths, &rates)));
    }
    let title = if alive == 0 { "with one flow alive".to_owned() } else { format!("with {alive} flows alive") };
    report.add(&title, &COLUMNS, &rows);
    Ok(())
}

const COLUMNS: [&str; 8] = ["what", "rules", "members", "by", "rate", "Ringfence to it", "bar", "kept"];

/// A configuration beside Ringfence with as many rules.
fn row((kind, alive): (Kind, u16), path: &Path, of: &[f64], paths: &[Path], rates: &[Vec<f64>]) -> Option<Vec<Value>> {
    let same = |other: &Path| other.config == Config::Ringfence && other.scale.rules == path.scale.rules;
    let ringfence = rates.get(paths.iter().position(same)?)?;
    let ratio = Spread::ratio(ringfence, of)?;
    let [bar, kept] = Bar::judged(bar(kind, alive, path), &ratio);
    let rate = json!(Spread::of(of.to_vec())?.median as u64);
    let ratio = if path.config == Config::Ringfence { json!("") } else { ratio.shown() };
    let size = [json!(path.scale.rules), json!(path.scale.workloads)];
    Some([&[json!(kind.name())][..], &size, &[json!(path.config.name()), rate, ratio, bar, kept]].concat())
}

/// What DESIGN asks of Ringfence beside another configuration.
fn bar(kind: Kind, alive: u16, path: &Path) -> Option<Bar> {
    let least = match (path.config, kind) {
        (Config::Plain | Config::Ringfence, _) | (Config::WithoutPolicy, Kind::Datagrams) => return None,
        (Config::WithoutPolicy, Kind::Stream) if alive == 0 => 0.98,
        (Config::WithoutPolicy, _) => 0.95,
        (Config::Iptables | Config::Nftables, _) if path.scale.rules > 10 => 1.0,
        // Not worse beyond noise.
        (Config::Iptables | Config::Nftables, _) => 0.95,
    };
    Some(Bar::AtLeast(least))
}
