//! What things cost, measured on the machine it runs on: tables for people on standard output, JSON for comparison
//! in `target/bench/`.
#![allow(clippy::print_stdout)]

use std::path::PathBuf;

use clap::{Parser, Subcommand};

mod compile;
mod measure;
mod report;
mod world;

/// Measures what Ringfence costs.
#[derive(Parser)]
struct Args {
    /// Where the JSON goes.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// The compiler: a whole cloud, one large domain, one workload that joins it, and what a host holds.
    Compile,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    match args.what {
        What::Compile => compile::run()?.write(&args.out.join("compile.json")),
    }
}
