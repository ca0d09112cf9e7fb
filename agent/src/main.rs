//! The daemon of a host.

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

use clap::Parser;
use ringfence_agent::{
    config::{Cli, Command, Config},
    run, teardown,
};
use tracing_subscriber::EnvFilter;

/// `EX_CONFIG` of sysexits.h: a restart will not help.
const BAD_CONFIG: u8 = 78;

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
    let cli = Cli::parse();
    let config = match Config::read(cli.flags) {
        Ok(config) => config,
        Err(error) => return fail(BAD_CONFIG, &error.to_string()),
    };
    match carry_out(cli.command, config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, &told_once(&error)),
    }
}

#[tokio::main]
async fn carry_out(command: Option<Command>, config: Config) -> anyhow::Result<()> {
    match command {
        None => run::run(config).await,
        Some(Command::Teardown) => teardown::teardown(&config).await,
    }
}

/// The error and its causes, without those that the text of an error before them has already.
fn told_once(error: &anyhow::Error) -> String {
    let mut told = String::new();
    for text in error.chain().map(ToString::to_string) {
        if told.is_empty() {
            told = text;
        } else if !told.contains(&text) {
            told = format!("{told}: {text}");
        }
    }
    told
}

/// Errors go to stderr as they are: they are for the operator, and may have several lines.
fn fail(code: u8, message: &str) -> ExitCode {
    // Nobody reads stderr: the exit code tells.
    let _ = writeln!(std::io::stderr(), "ringfence-agent: {message}");
    ExitCode::from(code)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::*;

    #[test]
    fn a_cause_is_told_unless_the_error_tells_it() {
        let error = anyhow!("no such file").context("pin \"x\": no such file").context("cannot start");
        assert_eq!(told_once(&error), "cannot start: pin \"x\": no such file");
    }
}
