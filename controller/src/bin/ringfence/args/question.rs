//! Commands that ask about policies and change nothing.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

/// Works on policies in files; needs no controller.
#[derive(Debug, ClapArgs)]
pub(crate) struct Policy {
    #[command(subcommand)]
    pub(crate) command: PolicyCommand,
}

/// What to do with policies.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    Test(PolicyTest),
}

/// Checks every Expectation in files and folders against the objects in them.
///
/// Nothing is sent anywhere. A flow that is not as expected is shown with its place, what came, by which rule, and what
/// to write instead. Exit code 0: all flows are as expected; 1: some are not; 2: the files cannot be tested.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
Example:
  kind: Expectation
  domain: acme/prod
  name: shop
  flows:
    - {from: web-1, to: app-1, traffic: tcp/8080, expect: allow, rule: shop/to-app}
    - {from: 203.0.113.9, to: db-1, traffic: tcp/5432, expect: deny}

  ringfence policy test policies/
  ringfence policy test shop.yaml expectations.yaml -o json
  sudo ringfence policy test policies/ --engine kernel

With -o json, one object a line for each flow:
  {\"domain\", \"from\", \"to\", \"traffic\", \"expect\": allow|deny|ambiguous, \"got\": allow|deny|ambiguous,
   \"rule\": the rule that decided, or null, \"reason\": why, \"ok\"}")]
pub(crate) struct PolicyTest {
    /// A file, a directory (every *.yaml and *.yml in and below it) or `-` for standard input.
    #[arg(value_name = "PATH", required = true)]
    pub(crate) paths: Vec<PathBuf>,
    /// Who judges the flows.
    #[arg(long, value_enum, default_value = "model")]
    pub(crate) engine: EngineName,
}

/// Who judges flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum EngineName {
    /// The definition of the policy language.
    Model,
    /// The programs that the agent loads, in a network namespace of their own; needs root.
    Kernel,
}

/// Explains, for a flow, which rules match on each side, which decides, and what would without it.
///
/// FROM and TO are a workload, WORKLOAD/INTERFACE, an address or `host`; every address pair of a common family is
/// explained. Rules stand in the order in which they are asked. With -f the answer comes from files, else from what the
/// controller has committed; with --live the host that sees the flow first is asked what its programs would do with it,
/// and whether that is the same is told: exit code 1 if it is not, or if a host does not answer.
#[derive(Debug, ClapArgs)]
#[command(after_long_help = "\
Examples:
  ringfence trace web-1 db-1 tcp/5432
  ringfence trace 203.0.113.9 web-1/eth0 tcp/https --domain acme/prod --live
  ringfence trace -f policies/ web-1 app-1 icmp --at 2027-01-01T00:00:00Z

With -o json or yaml:
  {\"domain\", \"generation\": null if read from files, \"at\",
   \"flows\": [{\"from\", \"to\", \"allows\", \"shadowAllows\",
     \"fromSide\" and \"toSide\": null without a vote, else
       {\"workload\", \"enforced\": {\"allows\", \"rule\"}, \"shadow\", \"otherwise\": null if the default decides,
        \"matched\": [{\"tier\", \"priority\", \"action\", \"rule\",
          \"part\": decides|passes|unasked|wouldDecide|wouldPass}]},
     \"live\": null if not asked, else
       {\"host\", \"error\", \"generation\", \"hook\", \"passes\", \"reason\", \"from\", \"to\", \"target\",
        \"agreement\": same|different|otherGeneration|notJudged|unknown}}]}")]
pub(crate) struct Trace {
    /// Who opens the flow.
    pub(crate) from: String,
    /// Who is asked.
    pub(crate) to: String,
    /// What is asked: tcp/8080, tcp/NAME, udp/53, icmp, icmp6/128/0, proto/47.
    pub(crate) traffic: String,
    /// The domain; it may be left out if there is but one.
    #[arg(long, value_name = "TENANT/DOMAIN")]
    pub(crate) domain: Option<String>,
    /// Only this family: ipv4 or ipv6.
    #[arg(long, value_name = "FAMILY")]
    pub(crate) family: Option<String>,
    /// When: RFC 3339. Without it: now.
    #[arg(long, value_name = "MOMENT", conflicts_with = "live")]
    pub(crate) at: Option<String>,
    /// Ask the host's programs, too.
    #[arg(long, conflicts_with = "files")]
    pub(crate) live: bool,
    /// Files to explain from, in place of the controller's state: a file, a directory or `-`. May be given again.
    #[arg(short, long = "file", value_name = "PATH")]
    pub(crate) files: Vec<PathBuf>,
}
