//! What things cost, measured on the machine it runs on: tables for people on standard output, JSON for comparison
//! in `target/bench/`.
#![allow(clippy::print_stdout)]

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

mod compile;
mod lab;
mod measure;
mod packets;
mod report;
mod turns;
mod world;

/// Measures what Ringfence costs.
#[derive(Parser)]
struct Args {
    /// Where the JSON goes.
    #[arg(long, default_value = "target/bench")]
    out: PathBuf,
    /// How much is measured. Only what was measured in full is there to compare.
    #[arg(long, value_enum, default_value_t = Amount::Full)]
    amount: Amount,
    #[command(subcommand)]
    what: What,
}

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Amount {
    /// Enough to compare by.
    Full,
    /// Little of everything, in a minute or two: to see that it works.
    Quick,
    /// Once, at the smallest scale, in seconds: for the test that all of it still runs.
    Glance,
}

#[derive(Subcommand)]
enum What {
    /// The compiler: a whole cloud, one large domain, one workload that joins it, and what a host holds.
    Compile,
    /// The programs: nanoseconds of a packet against the floor, at several sizes of a domain (root).
    Packets,
    /// What gets through between two hosts, beside a plain bridge, iptables and nftables (root).
    Lab,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    match args.what {
        What::Compile => compile::run()?.write(&args.out.join("compile.json")),
        What::Packets => packets::run(args.amount)?.write(&args.out.join("packets.json")),
        What::Lab => lab::run(args.amount)?.write(&args.out.join("lab.json")),
    }
}
