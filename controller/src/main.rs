//! The controller daemon.

use std::{
    io::{IsTerminal, Write},
    process::ExitCode,
};

use clap::Parser;
use ringfence_controller::{
    args::{Args, Config},
    controller::Controller,
    server::{Server, Shutdown},
    store::Disk,
};
use tracing::info;
use tracing_subscriber::EnvFilter;

/// `EX_CONFIG` of sysexits.h: a restart will not help.
const BAD_CONFIG: u8 = 78;

fn main() -> ExitCode {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let colours = std::io::stderr().is_terminal();
    tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(std::io::stderr).init();
    let config = match Args::parse().config() {
        Ok(config) => config,
        Err(error) => return fail(BAD_CONFIG, &format!("{error}")),
    };
    match run(config) {
        Ok(()) => ExitCode::SUCCESS,
        // Its text has its cause: the chain would tell it twice.
        Err(error) => fail(1, &format!("{error}")),
    }
}

#[tokio::main]
async fn run(config: Config) -> anyhow::Result<()> {
    let Config { listen, data_dir, up_deadline } = config;
    let store = Disk::open(&data_dir)?;
    let controller = Controller::open(Box::new(store), up_deadline)?;
    let server = Server::bind(listen).await?;
    let (trigger, shutdown) = Shutdown::new();
    let signals = tokio::spawn(trigger.begin_on_signal());
    info!(address = %server.address(), data_dir = %data_dir.display(), "serving");
    server.serve(controller, shutdown).await?;
    signals.await??;
    info!("stopped");
    Ok(())
}

/// Errors go to stderr as they are: they are for the operator, and may have several lines.
fn fail(code: u8, message: &str) -> ExitCode {
    // Nobody reads stderr: the exit code tells.
    let _ = writeln!(std::io::stderr(), "ringfence-controller: {message}");
    ExitCode::from(code)
}
