//! The command line. The help texts here are the manual.

mod question;

pub(crate) use question::{EngineName, Policy, PolicyCommand, PolicyTest, Trace};

use std::{path::PathBuf, str::FromStr};

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};
use ringfence_policy::{object::Kind, settings::Period};

use crate::output::Format;

/// Segments the tenants of a cloud by the identity of their workloads.
///
/// This command speaks to ringfence-controller, which compiles what you apply and brings it to the agents on the
/// hosts. The answer goes to standard output, progress and complaints go to standard error.
#[derive(Debug, Parser)]
#[command(name = "ringfence", version, after_help = EXIT_CODES)]
pub(crate) struct Args {
    /// Where the controller listens: http://HOST:PORT.
    #[arg(long, global = true, value_name = "URL", env = "RINGFENCE_ADDRESS", default_value = "http://127.0.0.1:7420")]
    pub(crate) controller: Address,
    /// The form of the answer.
    #[arg(short, long, global = true, value_name = "FORM", default_value = "table")]
    pub(crate) output: Format,
    /// How long to wait for the controller's answer to one request: 500ms, 10s, 2m.
    #[arg(long, global = true, value_name = "TIME", default_value = "10s")]
    pub(crate) timeout: Period,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXIT_CODES: &str = "\
Exit codes:
  0  all is as asked
  1  not all is as asked: a host is behind, refused or does otherwise, an expectation does not hold, or the controller
     could not do it
  2  what was given is wrong; nothing was changed
  3  the controller cannot be reached or does not answer";

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Apply(Apply),
    Get(Get),
    Delete(Delete),
    Status(Status),
    Counters(Counters),
    Policy(Policy),
    Trace(Trace),
}

/// Adds and changes the objects in files: all of them or, on any error, none.
///
/// What is wrong is shown with file, line and column, and nothing is changed. What the files do not name stays as it
/// is, unless --prune is given. Afterwards the rollout is shown until every host concerned enforces the change; where
/// nothing changed there is none to wait for, and `ringfence status` says how the hosts are.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
With -o json or yaml:
  {\"dryRun\", \"revision\",
   \"changes\": [{\"kind\", \"domain\", \"name\", \"what\": created|changed|unchanged|deleted}],
   \"generations\": [{\"domain\", \"generation\"}],
   \"rollout\": null if not waited for, else
     {\"done\", \"domains\": [{\"domain\", \"generation\", \"hosts\": [{\"host\", \"connected\", \"acked\", \"nacked\"}]}]}}")]
pub(crate) struct Apply {
    /// A file, a directory (every *.yaml and *.yml in and below it) or `-` for standard input. May be
    /// given again.
    #[arg(short, long = "file", value_name = "PATH", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Check and compile everything, and store nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Delete, in the same step, the objects that this set of files made and that are no longer in it. If others still
    /// use one of them, nothing is changed. Needs --source: sets of the same paths may be of different people.
    #[arg(long)]
    pub(crate) prune: bool,
    /// The name of this set of files, kept with its objects: the same at every apply. Without it: the paths, from the
    /// current directory on.
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,
    #[command(flatten)]
    pub(crate) wait: Wait,
}

/// How long to follow a rollout.
#[derive(Clone, Copy, Debug, ClapArgs)]
pub(crate) struct Wait {
    /// Return as soon as the change is stored.
    #[arg(long)]
    pub(crate) no_wait: bool,
    /// How long the hosts may take to enforce the change before this ends with exit code 1: 500ms, 30s, 2m.
    #[arg(long, value_name = "TIME", default_value = "30s")]
    pub(crate) wait_timeout: Period,
}

/// Shows objects, or every interface and the device it appears as.
///
/// Without KIND: all objects. `get -o yaml` can be given to `apply` again; hosts, which agents make and nobody
/// applies, are in it only if asked for.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
With -o json:
  {\"revision\", \"objects\": [{\"object\": {\"kind\", \"domain\", \"name\", and the fields of a policy file},
    \"source\", \"uid\", \"createdRevision\", \"changedRevision\"}]}
`get interfaces` with -o json or yaml:
  {\"interfaces\": [{\"domain\", \"workload\", \"name\", \"network\", \"mac\", \"addresses\", \"host\", \"device\",
    \"addressPairs\", \"portSecurity\"}]}")]
pub(crate) struct Get {
    /// What to show.
    #[arg(value_enum)]
    pub(crate) kind: Option<View>,
    /// Only the object of this name (for interfaces: of the workload of this name).
    pub(crate) name: Option<String>,
    /// Only what is in this domain.
    #[arg(long, value_name = "TENANT/DOMAIN")]
    pub(crate) domain: Option<String>,
}

/// What `get` shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum View {
    #[value(alias = "tenant")]
    Tenants,
    #[value(alias = "domain")]
    Domains,
    #[value(alias = "network")]
    Networks,
    #[value(alias = "workload")]
    Workloads,
    #[value(alias = "segment")]
    Segments,
    #[value(alias = "addressset", alias = "address-set", alias = "addresssets")]
    AddressSets,
    /// Those of the platform are in domain `*`.
    #[value(alias = "policy")]
    Policies,
    #[value(alias = "host")]
    Hosts,
    /// Every interface of every workload, with the host-side device it appears as.
    #[value(alias = "interface")]
    Interfaces,
}

/// Deletes the objects named in files, or one object: all of them or, on any error, none.
///
/// The order does not matter; what others still need is refused, and so is a host whose agent is connected. Afterwards
/// the rollout is shown as by `apply`, and -o json and yaml have the same shape.
#[derive(Debug, ClapArgs)]
#[command(
    override_usage = "ringfence delete [OPTIONS] --file <PATH>\n       ringfence delete [OPTIONS] <KIND> <NAME> [--domain <TENANT/DOMAIN>]"
)]
pub(crate) struct Delete {
    /// A file, a directory (every *.yaml and *.yml in and below it) or `-` for standard input. May be
    /// given again.
    #[arg(short, long = "file", value_name = "PATH", required_unless_present = "kind", conflicts_with_all = ["kind", "name", "domain"])]
    pub(crate) files: Vec<PathBuf>,
    /// The kind of the object.
    #[arg(value_enum, requires = "name")]
    pub(crate) kind: Option<Deletable>,
    /// The name of the object; that of a domain is TENANT/DOMAIN.
    pub(crate) name: Option<String>,
    /// The domain of the object, unless it is a tenant, a domain or a host.
    #[arg(long, value_name = "TENANT/DOMAIN")]
    pub(crate) domain: Option<String>,
    #[command(flatten)]
    pub(crate) wait: Wait,
}

/// Kinds that a user can delete; a host only once its agent is gone for good, for an agent registers its host again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Deletable {
    #[value(alias = "tenants")]
    Tenant,
    #[value(alias = "domains")]
    Domain,
    #[value(alias = "networks")]
    Network,
    #[value(alias = "workloads")]
    Workload,
    #[value(alias = "segments")]
    Segment,
    #[value(alias = "address-sets", alias = "addressset", alias = "addresssets")]
    AddressSet,
    #[value(alias = "policies")]
    Policy,
    #[value(alias = "hosts")]
    Host,
}

/// Shows the hosts, the generation of each domain, who enforces it, and which interfaces are up.
///
/// Exit code 0 if every host is connected, every host concerned enforces the newest generation of its domains and
/// every interface is up; 1 otherwise.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
With -o json or yaml:
  {\"ok\", \"revision\",
   \"hosts\": [{\"name\", \"underlay\", \"connected\", \"agentVersion\", \"domains\", \"interfaces\", \"interfacesUp\"}],
   \"domains\": [{\"name\", \"generation\", \"hosts\": [{\"host\", \"connected\", \"acked\", \"nacked\"}],
     \"interfaces\": [{\"workload\", \"name\", \"host\", \"device\", \"state\": noDevice|enforced|up, \"hostsBehind\"}]}]}")]
pub(crate) struct Status {}

/// Shows, for each interface, the packets that passed and those dropped, by reason, and its connections; and what policies
/// in audit would turn.
///
/// The hosts are asked now. One that does not answer is named on standard error, and the exit code is 1. Rows without
/// a domain are of devices that are no workload's: the overlay, uplinks, unknown devices.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
With -o json or yaml:
  {\"interfaces\": [{\"host\", \"domain\", \"workload\", \"interface\", \"device\", \"passedFrom\", \"passedTo\",
    \"passedBuiltIn\", \"drops\": {REASON: PACKETS}}],
   \"connections\": [{\"host\", \"domain\", \"workload\", \"interface\", \"own\": BUDGET, \"inbound\": BUDGET, \"outside\": BUDGET,
    \"filledBy\": [{\"domain\", \"workload\", \"interface\", \"connections\"}]}],
    BUDGET: {\"used\", \"limit\", \"halfOpen\", \"halfOpenLimit\", \"refused\", \"halfOpenRefused\"},
   \"audit\": [{\"host\", \"domain\", \"rule\", \"would\": allow|deny, \"judgements\"}],
   \"errors\": [{\"host\", \"message\"}]}")]
pub(crate) struct Counters {
    /// Only interfaces in this domain.
    #[arg(long, value_name = "TENANT/DOMAIN")]
    pub(crate) domain: Option<String>,
    /// Only this host.
    #[arg(long, value_name = "NAME")]
    pub(crate) host: Option<String>,
}

/// Where the controller listens: `http://HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address(String);

/// A text that is no address of a controller.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub(crate) enum InvalidAddress {
    /// TLS was asked for.
    #[error("https is not supported yet; write http://HOST:PORT")]
    Tls,
    /// Not a URL, or not of a host.
    #[error("write it as http://HOST:PORT")]
    Form,
}

// === impl View ===

impl View {
    /// The kind of object that is fetched for it.
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Tenants => Kind::Tenant,
            Self::Domains => Kind::Domain,
            Self::Networks => Kind::Network,
            Self::Workloads | Self::Interfaces => Kind::Workload,
            Self::Segments => Kind::Segment,
            Self::AddressSets => Kind::AddressSet,
            Self::Policies => Kind::Policy,
            Self::Hosts => Kind::Host,
        }
    }
}

// === impl Deletable ===

impl Deletable {
    /// The kind it is.
    pub(crate) fn kind(self) -> Kind {
        match self {
            Self::Tenant => Kind::Tenant,
            Self::Domain => Kind::Domain,
            Self::Network => Kind::Network,
            Self::Workload => Kind::Workload,
            Self::Segment => Kind::Segment,
            Self::AddressSet => Kind::AddressSet,
            Self::Policy => Kind::Policy,
            Self::Host => Kind::Host,
        }
    }
}

// === impl Address ===

impl Address {
    /// As it was given.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.starts_with("https://") {
            return Err(InvalidAddress::Tls);
        }
        let uri: tonic::codegen::http::Uri = text.parse().map_err(|_| InvalidAddress::Form)?;
        let has_host = uri.host().is_some_and(|host| !host.is_empty());
        if uri.scheme_str() == Some("http") && has_host && uri.path() == "/" && uri.query().is_none() {
            Ok(Self(text.trim_end_matches('/').to_owned()))
        } else {
            Err(InvalidAddress::Form)
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_contradicts_itself_nowhere() {
        Args::command().debug_assert();
    }

    #[test]
    fn an_address_is_a_plain_http_url_of_a_host() {
        for good in ["http://127.0.0.1:7420", "http://[2001:db8::1]:7420", "http://controller/"] {
            assert_eq!(good.parse::<Address>().unwrap().as_str(), good.trim_end_matches('/'));
        }
        for bad in ["127.0.0.1:7420", "http://", "grpc://h:1", "http://h:1/path", "http://h:1?x", ""] {
            assert_eq!(bad.parse::<Address>(), Err(InvalidAddress::Form), "{bad}");
        }
        assert_eq!("https://h:1".parse::<Address>(), Err(InvalidAddress::Tls));
    }

    #[test]
    fn delete_takes_files_or_one_object_and_not_both() {
        let parse = |line: &str| Args::try_parse_from(line.split(' '));
        assert!(parse("ringfence delete -f a.yaml -f b.yaml").is_ok());
        assert!(parse("ringfence delete network front --domain acme/prod").is_ok());
        assert!(parse("ringfence delete").is_err());
        assert!(parse("ringfence delete network").is_err());
        assert!(parse("ringfence delete network front -f a.yaml").is_err());
        assert!(parse("ringfence delete host h1").is_ok());
    }
}
