//! The daemon of a host.

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

use clap::Parser;
use ringfence_agent::{
    config::{Cli, Command, Config, Flags, Places},
    rescue, run, teardown,
};
use tracing_subscriber::EnvFilter;

/// `EX_CONFIG` of sysexits.h: a restart will not help.
const BAD_CONFIG: u8 = 78;

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
    let cli = Cli::parse();
    match cli.command {
        None => configured(cli.flags, run::run),
        Some(Command::Teardown) => configured(cli.flags, async |config| teardown::teardown(&config).await),
        Some(Command::Rescue { end }) => match Places::read(cli.flags) {
            Ok(places) => done(rescue(&places, end)),
            Err(error) => fail(BAD_CONFIG, &error.to_string()),
        },
    }
}

fn configured(flags: Flags, work: impl AsyncFnOnce(Config) -> anyhow::Result<()>) -> ExitCode {
    match Config::read(flags) {
        Ok(config) => done(carry_out(work(config))),
        Err(error) => fail(BAD_CONFIG, &error.to_string()),
    }
}

fn done(result: anyhow::Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(1, &told_once(&error)),
    }
}

/// Needs nothing but this machine: no controller, no agent, no other settings.
fn rescue(places: &Places, end: bool) -> anyhow::Result<()> {
    let told = if end { rescue::end(places)? } else { rescue::begin(places)? };
    writeln!(std::io::stdout(), "{told}")?;
    Ok(())
}

#[tokio::main]
async fn carry_out(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<()> {
    work.await
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
