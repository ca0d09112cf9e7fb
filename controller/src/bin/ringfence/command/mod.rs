//! The commands, one file each: ask, show, say how it ended.

mod apply;
mod counters;
mod delete;
mod get;
mod status;

use crate::{
    args::{Args, Command},
    client::Client,
    error::{Error, Outcome},
};

/// Does what the command line asks.
pub(crate) async fn run(args: Args) -> Result<Outcome, Error> {
    let Args { controller, output, timeout, command } = args;
    let connect = || Client::connect(&controller, timeout);
    match command {
        // These two read files first: what is wrong with them is said with no controller near.
        Command::Apply(args) => {
            let prepared = apply::Prepared::read(args)?;
            prepared.send(&connect().await?, output).await
        }
        Command::Delete(args) => {
            let prepared = delete::Prepared::read(args)?;
            prepared.send(&connect().await?, output).await
        }
        Command::Get(args) => get::run(args, &connect().await?, output).await,
        Command::Status(args) => status::run(args, &connect().await?, output).await,
        Command::Counters(args) => counters::run(args, &connect().await?, output).await,
    }
}
