//! Settings of connections: how long they live, and how many an interface may open.

use std::{num::NonZeroU32, str::FromStr, time::Duration};

use clap::Args;
use ringfence_policy::settings::{Period, Settings};

use crate::{
    bpf::{AnswerTimeouts, TcpTimeouts, Timeouts, consts::RF_CONNS},
    lower::DEFAULT_CONN_BUDGET,
};

/// The flags; all are text until they are judged together.
#[derive(Debug, Args)]
pub(super) struct ConnFlags {
    /// The most connections that one interface may open on this host; less if the tables do not hold so many of each
    /// [default: 65536]
    #[arg(long, global = true, env = "RINGFENCE_AGENT_CONN_BUDGET", value_name = "NUMBER")]
    conn_budget: Option<String>,
    /// How long a TCP connection lives that is not open yet [default: 60s]
    #[arg(long, global = true, env = "RINGFENCE_AGENT_TCP_OPENING_TIMEOUT", value_name = "TIME")]
    tcp_opening_timeout: Option<String>,
    /// How long a TCP connection that is open lives without a packet [default: 7440s]
    #[arg(long, global = true, env = "RINGFENCE_AGENT_TCP_ESTABLISHED_TIMEOUT", value_name = "TIME")]
    tcp_established_timeout: Option<String>,
    /// The same, after one side has closed it [default: 120s]
    #[arg(long, global = true, env = "RINGFENCE_AGENT_TCP_CLOSING_TIMEOUT", value_name = "TIME")]
    tcp_closing_timeout: Option<String>,
    /// The same, after both have, or one has reset it [default: 5s]
    #[arg(long, global = true, env = "RINGFENCE_AGENT_TCP_CLOSED_TIMEOUT", value_name = "TIME")]
    tcp_closed_timeout: Option<String>,
    /// How long a UDP flow lives that nobody answered [default: 30s]
    #[arg(long, global = true, env = "RINGFENCE_AGENT_UDP_UNANSWERED_TIMEOUT", value_name = "TIME")]
    udp_unanswered_timeout: Option<String>,
    /// How long one that was answered lives without a packet [default: 180s]
    #[arg(long, global = true, env = "RINGFENCE_AGENT_UDP_ANSWERED_TIMEOUT", value_name = "TIME")]
    udp_answered_timeout: Option<String>,
    /// The same of ICMP and ICMPv6 echo, unanswered [default: 60s]
    #[arg(long, global = true, env = "RINGFENCE_AGENT_ICMP_UNANSWERED_TIMEOUT", value_name = "TIME")]
    icmp_unanswered_timeout: Option<String>,
    /// and answered [default: 60s]
    #[arg(long, global = true, env = "RINGFENCE_AGENT_ICMP_ANSWERED_TIMEOUT", value_name = "TIME")]
    icmp_answered_timeout: Option<String>,
    /// The same of SCTP, unanswered [default: 60s]
    #[arg(long, global = true, env = "RINGFENCE_AGENT_SCTP_UNANSWERED_TIMEOUT", value_name = "TIME")]
    sctp_unanswered_timeout: Option<String>,
    /// and answered [default: 7440s]
    #[arg(long, global = true, env = "RINGFENCE_AGENT_SCTP_ANSWERED_TIMEOUT", value_name = "TIME")]
    sctp_answered_timeout: Option<String>,
    /// The same of every other protocol, unanswered [default: 60s]
    #[arg(long, global = true, env = "RINGFENCE_AGENT_OTHER_UNANSWERED_TIMEOUT", value_name = "TIME")]
    other_unanswered_timeout: Option<String>,
    /// and answered [default: 600s]
    #[arg(long, global = true, env = "RINGFENCE_AGENT_OTHER_ANSWERED_TIMEOUT", value_name = "TIME")]
    other_answered_timeout: Option<String>,
}

impl ConnFlags {
    /// What was given, by key.
    pub(super) fn given(self) -> [(&'static str, Vec<String>); 13] {
        [
            ("conn-budget", self.conn_budget),
            ("tcp-opening-timeout", self.tcp_opening_timeout),
            ("tcp-established-timeout", self.tcp_established_timeout),
            ("tcp-closing-timeout", self.tcp_closing_timeout),
            ("tcp-closed-timeout", self.tcp_closed_timeout),
            ("udp-unanswered-timeout", self.udp_unanswered_timeout),
            ("udp-answered-timeout", self.udp_answered_timeout),
            ("icmp-unanswered-timeout", self.icmp_unanswered_timeout),
            ("icmp-answered-timeout", self.icmp_answered_timeout),
            ("sctp-unanswered-timeout", self.sctp_unanswered_timeout),
            ("sctp-answered-timeout", self.sctp_answered_timeout),
            ("other-unanswered-timeout", self.other_unanswered_timeout),
            ("other-answered-timeout", self.other_answered_timeout),
        ]
        .map(|(key, value)| (key, value.into_iter().collect()))
    }
}

/// The timeouts.
pub(super) fn timeouts(settings: &mut Settings) -> Timeouts {
    let Timeouts { tcp, udp, icmp, sctp, other } = Timeouts::default();
    let mut of = |key, default| settings.or(key, Timeout(default)).0;
    Timeouts {
        tcp: TcpTimeouts {
            opening: of("tcp-opening-timeout", tcp.opening),
            established: of("tcp-established-timeout", tcp.established),
            closing: of("tcp-closing-timeout", tcp.closing),
            closed: of("tcp-closed-timeout", tcp.closed),
        },
        udp: AnswerTimeouts {
            unanswered: of("udp-unanswered-timeout", udp.unanswered),
            answered: of("udp-answered-timeout", udp.answered),
        },
        icmp: AnswerTimeouts {
            unanswered: of("icmp-unanswered-timeout", icmp.unanswered),
            answered: of("icmp-answered-timeout", icmp.answered),
        },
        sctp: AnswerTimeouts {
            unanswered: of("sctp-unanswered-timeout", sctp.unanswered),
            answered: of("sctp-answered-timeout", sctp.answered),
        },
        other: AnswerTimeouts {
            unanswered: of("other-unanswered-timeout", other.unanswered),
            answered: of("other-answered-timeout", other.answered),
        },
    }
}

/// The most connections of one interface.
pub(super) fn budget(settings: &mut Settings) -> u32 {
    settings.or("conn-budget", ConnBudget(DEFAULT_CONN_BUDGET)).0
}

/// Not so short that a packet's round trip outlasts it, nor longer than a week.
struct Timeout(Duration);

impl FromStr for Timeout {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let Period(time) = text.parse().map_err(|error: <Period as FromStr>::Err| error.to_string())?;
        let week = Duration::from_secs(7 * 24 * 3600);
        if (Duration::from_secs(1)..=week).contains(&time) {
            Ok(Self(time))
        } else {
            Err("write a time from 1s to 604800s, which is a week".to_owned())
        }
    }
}

/// At least one, at most a share of the table.
struct ConnBudget(u32);

impl FromStr for ConnBudget {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse::<NonZeroU32>() {
            Ok(number) if number.get() <= RF_CONNS / 4 => Ok(Self(number.get())),
            _ => Err(format!("write a number from 1 to {}", RF_CONNS / 4)),
        }
    }
}
