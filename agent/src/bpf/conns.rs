//! Collection of connections that are over. The programs judge expiry themselves: an entry that
//! should have gone only takes room, it lets nothing pass.

use super::consts::{
    RF_TIMEOUT_ANSWERED_S, RF_TIMEOUT_CLOSED_S, RF_TIMEOUT_CLOSING_S, RF_TIMEOUT_OPENING_S, RF_TIMEOUT_TCP_S,
};
use super::{BpfError, Conn, ConnState, Maps, Pod, Table};

const SECOND_NS: u64 = 1_000_000_000;
const IPPROTO_TCP: u8 = 6;

impl Maps {
    /// Deletes the connections that are over at `now_ns` (CLOCK_MONOTONIC); how many.
    pub fn collect_expired(&self, now_ns: u64) -> Result<usize, BpfError> {
        let v4 = collect(&self.conns4, now_ns, |key| key.l4_proto)?;
        let v6 = collect(&self.conns6, now_ns, |key| key.l4_proto)?;
        Ok(v4 + v6)
    }
}

fn collect<K: Pod>(conns: &Table<K, Conn>, now_ns: u64, l4_proto: impl Fn(&K) -> u8) -> Result<usize, BpfError> {
    let mut collected = 0;
    for (key, conn) in conns.entries()? {
        if !expired(&conn, l4_proto(&key), now_ns) {
            continue;
        }
        match conns.take(&key)? {
            // A packet opened it anew since it was listed: that flow must not be cut.
            Some(conn) if !expired(&conn, l4_proto(&key), now_ns) => {
                conns.put_new(&key, &conn)?;
            }
            Some(_) => collected += 1,
            None => {}
        }
    }
    Ok(collected)
}

/// As `rf_conn_expired` in `conn.h`.
fn expired(conn: &Conn, l4_proto: u8, now_ns: u64) -> bool {
    let seconds = match conn.state {
        ConnState::RF_CONN_OPENING => RF_TIMEOUT_OPENING_S,
        ConnState::RF_CONN_ESTABLISHED if l4_proto == IPPROTO_TCP => RF_TIMEOUT_TCP_S,
        ConnState::RF_CONN_ESTABLISHED => RF_TIMEOUT_ANSWERED_S,
        ConnState::RF_CONN_CLOSING => RF_TIMEOUT_CLOSING_S,
        _ => RF_TIMEOUT_CLOSED_S,
    };
    // A program on another CPU may have stamped it after `now_ns` was read.
    now_ns.saturating_sub(conn.seen_ns) > u64::from(seconds) * SECOND_NS
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_established_tcp_flow_outlives_a_udp_one() {
        let conn = Conn { state: ConnState::RF_CONN_ESTABLISHED, seen_ns: 5, ..Conn::zeroed() };
        let after = 5 + u64::from(RF_TIMEOUT_ANSWERED_S) * SECOND_NS + 1;
        assert!(expired(&conn, 17, after));
        assert!(!expired(&conn, 17, after - 1));
        assert!(!expired(&conn, IPPROTO_TCP, after));
    }

    #[test]
    fn a_stamp_from_the_future_is_not_expired() {
        let conn = Conn { state: ConnState::RF_CONN_CLOSED, seen_ns: u64::MAX, ..Conn::zeroed() };
        assert!(!expired(&conn, IPPROTO_TCP, 0));
    }
}
