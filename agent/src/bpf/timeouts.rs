//! How long a connection lives without a packet, by protocol and state.

use std::time::Duration;

use nix::libc;

use super::ConnState;
use super::consts::{RF_CONN_STATES, RF_LIFE_ICMP, RF_LIFE_OTHER, RF_LIFE_SCTP, RF_LIFE_TCP, RF_LIFE_UDP, RF_LIVES};

/// All of them. The programs know them from load on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// TCP.
    pub tcp: TcpTimeouts,
    /// UDP.
    pub udp: AnswerTimeouts,
    /// ICMP and ICMPv6 echo.
    pub icmp: AnswerTimeouts,
    /// SCTP.
    pub sctp: AnswerTimeouts,
    /// Every other protocol.
    pub other: AnswerTimeouts,
}

/// Of a protocol with a beginning and an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TcpTimeouts {
    /// Until both sides have acknowledged.
    pub opening: Duration,
    /// From then on.
    pub established: Duration,
    /// From the first FIN on.
    pub closing: Duration,
    /// From the other FIN or a reset on.
    pub closed: Duration,
}

/// Of a protocol of which only is known who spoke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerTimeouts {
    /// Until who was asked answers.
    pub unanswered: Duration,
    /// From then on.
    pub answered: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let answer = |unanswered, answered| AnswerTimeouts {
            unanswered: Duration::from_secs(unanswered),
            answered: Duration::from_secs(answered),
        };
        Self {
            tcp: TcpTimeouts {
                opening: Duration::from_secs(60),
                // RFC 5382 REQ-5: not less than 2 h 4 min.
                established: Duration::from_secs(7440),
                closing: Duration::from_secs(120),
                // Long enough for the last FIN to be sent again.
                closed: Duration::from_secs(5),
            },
            // RFC 4787 REQ-5: not less than 2 min once there are two directions.
            udp: answer(30, 180),
            // RFC 5508 REQ-1: not less than 60 s.
            icmp: answer(60, 60),
            // RFC 9260: a heartbeat every 30 s keeps an association; as long as TCP, since either may rest.
            sctp: answer(60, 7440),
            other: answer(60, 600),
        }
    }
}

/// Which row is a protocol's (IANA), as `rf_life` in `conn.h`.
pub(super) fn life(l4_proto: u8) -> u32 {
    match i32::from(l4_proto) {
        libc::IPPROTO_TCP => RF_LIFE_TCP,
        libc::IPPROTO_UDP => RF_LIFE_UDP,
        libc::IPPROTO_ICMP | libc::IPPROTO_ICMPV6 => RF_LIFE_ICMP,
        libc::IPPROTO_SCTP => RF_LIFE_SCTP,
        _ => RF_LIFE_OTHER,
    }
}

/// As the programs have them: nanoseconds by `RF_LIFE_*` and state.
pub(super) type TimeoutTable = [[u64; RF_CONN_STATES as usize]; RF_LIVES as usize];

impl Timeouts {
    /// The same for every protocol and state, for tests.
    pub fn all(life: Duration) -> Self {
        let same = AnswerTimeouts { unanswered: life, answered: life };
        let tcp = TcpTimeouts { opening: life, established: life, closing: life, closed: life };
        Self { tcp, udp: same, icmp: same, sctp: same, other: same }
    }

    /// The table of the programs.
    pub(super) fn table(&self) -> TimeoutTable {
        let mut table = TimeoutTable::default();
        let TcpTimeouts { opening, established, closing, closed } = self.tcp;
        table[RF_LIFE_TCP as usize] = row(opening, established, closing, closed);
        for (life, AnswerTimeouts { unanswered, answered }) in
            [(RF_LIFE_UDP, self.udp), (RF_LIFE_ICMP, self.icmp), (RF_LIFE_SCTP, self.sctp), (RF_LIFE_OTHER, self.other)]
        {
            table[life as usize] = row(unanswered, answered, answered, answered);
        }
        table
    }
}

fn row(opening: Duration, established: Duration, closing: Duration, closed: Duration) -> [u64; 4] {
    let ns = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let mut row = [0; RF_CONN_STATES as usize];
    row[ConnState::RF_CONN_OPENING.0 as usize] = ns(opening);
    row[ConnState::RF_CONN_ESTABLISHED.0 as usize] = ns(established);
    row[ConnState::RF_CONN_CLOSING.0 as usize] = ns(closing);
    row[ConnState::RF_CONN_CLOSED.0 as usize] = ns(closed);
    row
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_protocol_has_its_own_row() {
        let table = Timeouts::default().table();
        let second = |life: u32, state: ConnState| table[life as usize][state.0 as usize] / 1_000_000_000;
        assert_eq!(second(RF_LIFE_TCP, ConnState::RF_CONN_ESTABLISHED), 7440);
        assert_eq!(second(RF_LIFE_TCP, ConnState::RF_CONN_CLOSED), 5);
        assert_eq!(second(RF_LIFE_UDP, ConnState::RF_CONN_OPENING), 30);
        assert_eq!(second(RF_LIFE_UDP, ConnState::RF_CONN_ESTABLISHED), 180);
        assert_eq!(second(RF_LIFE_SCTP, ConnState::RF_CONN_ESTABLISHED), 7440);
        assert!(table[..5].iter().flatten().all(|timeout| *timeout > 0));
    }
}
