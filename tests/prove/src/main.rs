//! `make prove`: as many cases as asked, and what they covered.

#![allow(clippy::print_stdout, reason = "it reports")]

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::Parser;
use ringfence_agent::engine::Engine;
use ringfence_prove::{
    chain::ChainError,
    corpus::{CorpusError, keep},
    feature::Feature,
    run::{Done, Found, Plan, run, shrunk},
};

/// Sets the definition, the compiled form, the maps and the real programs against each other on generated worlds. Root.
#[derive(Debug, Parser)]
struct Arguments {
    /// Cases that all four layers must judge.
    #[arg(long, default_value_t = 100_000)]
    cases: u64,
    /// Seed of the first world; the others' follow it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Cases of one world at most.
    #[arg(long, default_value_t = 160)]
    cases_of_a_world: usize,
    /// Shrinks a disagreement and keeps it in this folder.
    #[arg(long)]
    corpus: Option<PathBuf>,
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error(transparent)]
    Corpus(#[from] CorpusError),
}

fn main() -> ExitCode {
    let Arguments { cases, seed, cases_of_a_world, corpus } = Arguments::parse();
    let plan = Plan { seed, cases, cases_of_a_world };
    match prove(&plan, corpus.as_deref()) {
        Ok(code) => code,
        Err(error) => {
            println!("cannot go on: {error}");
            ExitCode::from(2)
        }
    }
}

fn prove(plan: &Plan, corpus: Option<&Path>) -> Result<ExitCode, Ended> {
    let mut engine = Engine::open().map_err(ChainError::from)?;
    let (done, found) = run(&mut engine, plan, |done| {
        if done.worlds % 1000 == 0 {
            println!("{} cases in {} worlds, {:.0} s", done.cases, done.worlds, done.took.as_secs_f64());
        }
    })?;
    report(&done);
    if let Some(mut found) = found {
        if let Some(corpus) = corpus {
            found = shrunk(&mut engine, &found);
            println!("kept as {}", keep(corpus, &found)?);
        }
        let Found { seed, at, case, difference, .. } = found;
        println!("world {seed}, at {at}, {case:?}\n{difference}");
        return Ok(ExitCode::FAILURE);
    }
    let missing = done.coverage.pairs().iter().filter(|(cases, ..)| *cases == 0).count();
    Ok(if missing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn report(done: &Done) {
    let pairs = done.coverage.pairs();
    let covered = pairs.iter().filter(|(cases, ..)| *cases > 0).count();
    let seconds = done.took.as_secs_f64();
    println!(
        "{} cases through all four layers in {} worlds, {} more decided before policy",
        done.cases, done.worlds, done.before_policy
    );
    println!(
        "{} of {} features, {covered} of {} pairs of features",
        done.coverage.features(),
        Feature::ALL.len(),
        pairs.len()
    );
    println!("{seconds:.1} s, {:.0} cases a second", done.cases as f64 / seconds);
    for (cases, one, other) in pairs.iter().take_while(|(cases, ..)| *cases < 3) {
        println!("  {cases} cases: {one} with {other}");
    }
}
