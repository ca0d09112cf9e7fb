//! `ringfence`, the command line: a client of `ringfence.v1` and nothing more.
//!
//! ```text
//!  args ──▶ command/* ──▶ client ──▶ controller
//!               │
//!               ├──▶ files, fault      what the user wrote, and what is wrong with it
//!               ├──▶ view/*            answers as data: tables, JSON and YAML are made from these
//!               └──▶ commit, rollout   what a change did, and how far the hosts have come
//! ```
//!
//! Standard output carries the answer; progress and complaints go to standard error.

mod advice;
mod args;
mod client;
mod command;
mod commit;
mod engine;
mod error;
mod fault;
mod files;
mod output;
mod rollout;
mod view;
mod world;

use std::process::ExitCode;

use clap::Parser;

use crate::error::Outcome;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = args::Args::parse();
    match command::run(args).await {
        Ok(Outcome::AsAsked) => ExitCode::SUCCESS,
        Ok(Outcome::NotAll) => ExitCode::from(error::EXIT_NOT_ALL),
        Err(error) => {
            output::complain(&error.to_string());
            ExitCode::from(error.exit_code())
        }
    }
}
