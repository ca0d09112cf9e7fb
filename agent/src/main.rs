//! The daemon of a host.

use anyhow::Result;
use clap::Parser;
use ringfence_agent::{
    config::{Cli, Command, Config},
    run, teardown,
};
use tracing_subscriber::EnvFilter;

#[tokio::main]
async fn main() -> Result<()> {
    let cli = Cli::parse();
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let config = Config::read(cli.flags)?;
    match cli.command {
        None => run::run(config).await,
        Some(Command::Teardown) => teardown::teardown(&config).await,
    }
}
