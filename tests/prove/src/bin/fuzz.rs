//! `make fuzz`: frames into the programs for as long as asked, and what became of them.

#![allow(clippy::print_stdout, reason = "it reports")]

use std::{fs, io, path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use ringfence_agent::engine::Engine;
use ringfence_prove::{
    chain::ChainError,
    frames::run::{Done, Found, Plan, run, shrunk},
};

/// Sends generated and mutated frames into the real programs; nothing may pass that the definition denies. Root.
#[derive(Debug, Parser)]
struct Arguments {
    /// How long to send, in seconds.
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Frames to send at most.
    #[arg(long, default_value_t = u64::MAX)]
    frames: u64,
    /// Seed of the first world; the others' follow it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Shrinks what is found and keeps it in this folder.
    #[arg(long)]
    corpus: Option<PathBuf>,
}

/// Why a run ended early.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error(transparent)]
    Chain(#[from] ChainError),
    #[error("{path}: {source}")]
    File { path: String, source: io::Error },
}

fn main() -> ExitCode {
    match fuzz(&Arguments::parse()) {
        Ok(code) => code,
        Err(error) => {
            println!("cannot go on: {error}");
            ExitCode::from(2)
        }
    }
}

fn fuzz(arguments: &Arguments) -> Result<ExitCode, Ended> {
    let Arguments { seconds, frames, seed, corpus } = arguments;
    let plan = Plan { seed: *seed, frames: *frames, time: Duration::from_secs(*seconds) };
    let mut engine = Engine::open().map_err(ChainError::from)?;
    let (done, found) = run(&mut engine, &plan, |done| {
        if done.worlds % 1000 == 0 {
            println!("{} frames in {} worlds, {:.0} s", done.frames, done.worlds, done.took.as_secs_f64());
        }
    })?;
    report(&done);
    let Some(found) = found else { return Ok(ExitCode::SUCCESS) };
    let Found { seed, script, wrong } = shrunk(&mut engine, &found);
    let text = script.text(&wrong)?;
    println!("world {seed}: {wrong}\n{text}");
    if let Some(corpus) = corpus {
        let path = corpus.join(format!("found-{seed}.yaml"));
        fs::write(&path, text).map_err(|source| Ended::File { path: path.display().to_string(), source })?;
        println!("kept as {}", path.display());
    }
    Ok(ExitCode::FAILURE)
}

fn report(done: &Done) {
    for ((program, outcome), count) in &done.outcomes {
        println!("{count:>9} {program:<14} {outcome}");
    }
    for (shape, count) in &done.shapes {
        println!("{count:>9} passed: {shape}");
    }
    let seconds = done.took.as_secs_f64();
    let rate = done.frames as f64 / seconds;
    println!("{} frames in {} worlds, {seconds:.1} s, {rate:.0} frames a second", done.frames, done.worlds);
}
