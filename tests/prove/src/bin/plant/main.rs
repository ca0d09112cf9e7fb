//! `make plant`: do the proof chain, packet fuzzing and the tests that docs/FAILURES.md names find bugs? Plants one after
//! the other in a copy of the tree, builds it and runs what should find it. A bug that survives is a hole in that.

#![allow(clippy::print_stdout, reason = "it reports")]

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    process::ExitCode,
    time::Instant,
};

use clap::Parser;
use ringfence_prove::failures::{Bug, PROTECTIONS, Protection, Suite};

use crate::{copy::Copy, search::Search};

mod compile;
mod copy;
mod frames;
mod lookup;
mod lowering;
mod named;
mod search;

/// The layers whose bugs a search finds.
const LAYERS: [(&str, Search, &[Bug]); 4] = [
    ("compile", Search::Chain, compile::BUGS),
    ("lowering", Search::Chain, lowering::BUGS),
    ("lookup", Search::Chain, lookup::BUGS),
    ("frames", Search::Fuzz, frames::BUGS),
];

/// The layer whose bugs named tests find.
const FAILURES: &str = "failures";

/// Plants bugs in a copy of the tree, one at a time, and sees each found by what should. Root.
#[derive(Debug, Parser)]
struct Arguments {
    /// Cases, or frames, after which a bug has survived a search.
    #[arg(long, default_value_t = 250_000)]
    cases: u64,
    /// Only bugs of this layer: compile, lowering, lookup, frames or failures.
    #[arg(long, default_value = "")]
    layer: String,
    /// Only bugs of this failure, as docs/FAILURES.md numbers them.
    #[arg(long)]
    failure: Option<String>,
    /// Only bugs whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
}

/// Why planting ended early.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("cannot {action} {path}: {source}")]
    File { action: &'static str, path: String, source: io::Error },
    #[error("cannot run {command}: {source}")]
    Command { command: &'static str, source: io::Error },
    #[error("{name}: {file} has the text {count} times that is to be replaced; bring the bug up to date")]
    Stale { name: &'static str, file: &'static str, count: usize },
    #[error("the copy does not build\n{output}")]
    Build { output: String },
    #[error("the kernel refuses the programs, so that no test says anything of the bug\n{output}")]
    Refused { output: String },
    #[error("{finder} ended without saying what it found\n{output}")]
    Untold { finder: &'static str, output: String },
    #[error("the suite has not one test of the name {name}")]
    NoTest { name: &'static str },
    #[error("without a bug {name} finds something: {found}")]
    Unclean { name: String, found: String },
    #[error("{bug}: {source}")]
    With { bug: &'static str, source: Box<Self> },
}

fn main() -> ExitCode {
    match plant(&Arguments::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(survived) => {
            println!("{survived} survived");
            ExitCode::FAILURE
        }
        Err(ended) => {
            println!("{ended}");
            ExitCode::from(2)
        }
    }
}

/// How many survived.
fn plant(arguments: &Arguments) -> Result<usize, Ended> {
    let copy = Copy::make()?;
    println!("{:<9} {:<64} {:>8} {:>8} found by", "layer", "bug", "cases", "s");
    let mut survived = 0;
    for (layer, search, bugs) in LAYERS {
        let named = bugs.iter().filter(|bug| bug.name.contains(&arguments.only));
        let bugs: Vec<_> = named.filter(|_| arguments.failure.is_none() && layer.contains(&arguments.layer)).collect();
        survived += searched(&copy, layer, search, &bugs, arguments.cases)?;
    }
    let asked = |protection: &&Protection| {
        let failure = arguments.failure.as_deref().is_none_or(|failure| failure == protection.failure);
        failure && FAILURES.contains(&arguments.layer) && protection.bug.name.contains(&arguments.only)
    };
    let protections: Vec<_> = PROTECTIONS.iter().copied().flatten().filter(asked).collect();
    Ok(survived + tested(&copy, &protections)?)
}

/// How many of a layer's bugs a search did not find.
fn searched(copy: &Copy, layer: &str, search: Search, bugs: &[&Bug], cases: u64) -> Result<usize, Ended> {
    let look = || {
        search.build(copy)?;
        let start = Instant::now();
        Ok((search.run(copy, cases)?, start.elapsed().as_secs_f64()))
    };
    if bugs.is_empty() {
        return Ok(0);
    }
    if let (Some(found), _) = look()? {
        return Err(Ended::Unclean { name: layer.to_owned(), found: found.what });
    }
    let mut survived = 0;
    for bug in bugs {
        let (found, seconds) = copy.with(bug, look)?;
        survived += usize::from(found.is_none());
        let (what, cases) = found.map_or(("SURVIVED".to_owned(), String::new()), |found| (found.what, found.cases));
        println!("{layer:<9} {:<64} {cases:>8} {seconds:>8.1} {what}", bug.name);
    }
    Ok(survived)
}

/// How many bugs, counted once for each test that should fail with one and does not.
fn tested(copy: &Copy, protections: &[&Protection]) -> Result<usize, Ended> {
    let mut suites = BTreeMap::<Suite, BTreeSet<&str>>::new();
    for (suite, names) in protections.iter().flat_map(|protection| protection.tests) {
        suites.entry(*suite).or_default().extend(*names);
    }
    for (suite, names) in suites {
        named::build(copy, suite)?;
        let names: Vec<_> = names.into_iter().collect();
        if let Some((name, found)) = named::failing(copy, suite, &names)?.pop() {
            return Err(Ended::Unclean { name: name.to_owned(), found });
        }
    }
    let mut survived = 0;
    for Protection { failure, bug, tests } in protections {
        copy.with(bug, || {
            for (suite, names) in *tests {
                named::build(copy, *suite)?;
                let start = Instant::now();
                let failed = BTreeMap::from_iter(named::failing(copy, *suite, names)?);
                let seconds = start.elapsed().as_secs_f64();
                survived += names.len() - failed.len();
                for name in *names {
                    let by = failed.get(name).map_or(format!("SURVIVED {name}"), |place| format!("{name}, at {place}"));
                    println!("{failure:<9} {:<64} {:>8} {seconds:>8.1} {by}", bug.name, "");
                }
            }
            Ok(())
        })?;
    }
    Ok(survived)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::{fs, path::Path};

    use super::*;

    #[test]
    fn every_bug_can_be_planted() {
        let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for bug in LAYERS.iter().flat_map(|(.., bugs)| *bugs) {
            let text = fs::read_to_string(tree.join(bug.file)).unwrap();
            assert_eq!(text.matches(bug.right).count(), 1, "{}: {}", bug.name, bug.file);
        }
    }
}
