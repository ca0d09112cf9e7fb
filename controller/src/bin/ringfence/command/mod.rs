//! The commands, one file each: ask, show, say how it ended.

mod apply;
mod counters;
mod delete;
mod get;
mod policy_test;
mod status;
mod trace;

use ringfence_policy::object::PLATFORM;
use ringfence_proto::v1;

use crate::{
    args::{Args, Command, Policy, PolicyCommand},
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
        Command::Policy(Policy { command: PolicyCommand::Test(args) }) => policy_test::run(args, output),
        Command::Trace(args) if args.files.is_empty() => trace::online(args, &connect().await?, output).await,
        Command::Trace(args) => trace::offline(&args, output),
    }
}

/// Refuses a domain that is not there: asked when an answer is empty, so that a misspelt name does not look like one.
async fn check_domain(client: &Client, name: Option<&str>) -> Result<(), Error> {
    let Some(name) = name.filter(|name| *name != PLATFORM) else { return Ok(()) };
    let request = v1::GetRequest { kind: v1::Kind::Domain.into(), domain: String::new(), name: name.to_owned() };
    match client.get(request).await?.objects.is_empty() {
        true => Err(Error::Refused(format!("there is no Domain {name}; see `ringfence get domains`"))),
        false => Ok(()),
    }
}

/// Refuses a host that neither registered nor is needed by a domain, as [`check_domain`] refuses a domain.
async fn check_host(client: &Client, name: Option<&str>) -> Result<(), Error> {
    let Some(name) = name else { return Ok(()) };
    match client.status().await?.hosts.iter().any(|host| host.name == name) {
        true => Ok(()),
        false => Err(Error::Refused(format!("there is no Host {name}; see `ringfence status`"))),
    }
}
