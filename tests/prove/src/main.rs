//! `make prove`: as many cases as asked, and what they covered.

use std::process::ExitCode;

use clap::Parser;
use ringfence_agent::engine::Engine;
use ringfence_prove::{
    chain::ChainError,
    feature::Feature,
    run::{Done, Plan, run},
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
    #[arg(long, default_value_t = 90)]
    cases_of_a_world: usize,
}

#[allow(clippy::print_stdout, reason = "what it is for")]
fn main() -> ExitCode {
    let Arguments { cases, seed, cases_of_a_world } = Arguments::parse();
    let plan = Plan { seed, cases, cases_of_a_world };
    match prove(&plan) {
        Ok(code) => code,
        Err(error) => {
            println!("cannot go on: {error}");
            ExitCode::from(2)
        }
    }
}

#[allow(clippy::print_stdout, reason = "what it is for")]
fn prove(plan: &Plan) -> Result<ExitCode, ChainError> {
    let mut engine = Engine::open()?;
    let (done, found) = run(&mut engine, plan, |done| {
        if done.worlds % 1000 == 0 {
            println!("{} cases in {} worlds, {:.0} s", done.cases, done.worlds, done.took.as_secs_f64());
        }
    })?;
    report(&done);
    if let Some(found) = found {
        println!("seed {}: {:?} from port {} at {}", found.seed, found.case.flow, found.case.source_port, found.at);
        println!("{}", found.difference);
        println!("{}", ringfence_policy::text::render(&found.objects));
        return Ok(ExitCode::FAILURE);
    }
    let missing = done.coverage.pairs().iter().filter(|(cases, ..)| *cases == 0).count();
    Ok(if missing == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

#[allow(clippy::print_stdout, reason = "what it is for")]
fn report(done: &Done) {
    let pairs = done.coverage.pairs();
    let covered = pairs.iter().filter(|(cases, ..)| *cases > 0).count();
    let seconds = done.took.as_secs_f64();
    println!(
        "{} cases through all four layers in {} worlds, {} more decided before policy; {} worlds refused",
        done.cases, done.worlds, done.before_policy, done.refused
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
