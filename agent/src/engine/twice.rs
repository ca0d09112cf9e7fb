//! Frames of open flows, sent twice: what the quick way of the programs (`quick.h`) makes of a frame has to be what the
//! long way makes of it. A flow that was silent for some time goes the long way, so the second frame meets the same entry
//! made older.

use super::{
    Engine, EngineError, LIVES, Tuple,
    raw::{Door, Sent, Way},
    tuple::Key,
};
use crate::{
    bpf::{self, Conn, ConnState},
    reconcile::clock::monotonic_ns,
};

/// Longer than the quick way bears (`RF_QUICK_NS`), and shorter than any open flow may be silent.
const SILENCE_NS: u64 = 2_000_000_000;

/// What became of a frame, and of the same one by the long way.
#[derive(Clone, Debug)]
pub struct Twice {
    /// As it came.
    pub sent: Sent,
    /// By the long way; `None`: it is of no open flow, and was sent once.
    pub long: Option<Sent>,
    /// All that can be seen of both, if that is not the same.
    pub differ: Option<[String; 2]>,
}

impl Engine {
    /// Sends a frame of a flow that has begun; if its connection is open, by the long way too. What is left behind is as
    /// of one frame, but for counters.
    ///
    /// # Errors
    /// As [`Engine::send_frame`].
    pub fn send_twice(&mut self, way: Way, frame: &[u8], gso_size: u32, flow: &Tuple) -> Result<Twice, EngineError> {
        let door = self.door(way, frame.len(), gso_size)?;
        let key = flow.key(self.stage()?.bundle().domain_id);
        let lives = |conn: &Conn| monotonic_ns().saturating_sub(conn.seen_ns) < LIVES.as_nanos() as u64 / 2;
        // What is over, the sweep may take away at any moment.
        let open = self.conn(&key)?.filter(|conn| conn.state != ConnState::RF_CONN_OPENING && lives(conn));
        let Some(open) = open else {
            return Ok(Twice { sent: self.run_frame(&door, frame)?.sent, long: None, differ: None });
        };
        let (sent, quick) = self.watched(&door, frame, &key)?;
        // A flow that begins anew has paid for that; it cannot twice.
        if self.conn(&key)?.is_some_and(|conn| conn.state == ConnState::RF_CONN_OPENING) {
            return Ok(Twice { sent, long: None, differ: None });
        }
        let older_ns = open.seen_ns.saturating_sub(SILENCE_NS);
        self.put_conn(&key, &Conn { seen_ns: older_ns, ..open })?;
        let (long, slow) = self.watched(&door, frame, &key)?;
        // What is refused does not make it younger.
        if let Some(left) = self.conn(&key)?.filter(|left| left.seen_ns == older_ns) {
            self.put_conn(&key, &Conn { seen_ns: open.seen_ns, ..left })?;
        }
        // Messages to senders have a bound on how many there are of them, so the second may be one too many.
        let same = quick == slow || sent.told;
        Ok(Twice { sent, long: Some(long), differ: (!same).then_some([quick, slow]) })
    }

    /// Sends a frame; all that can be seen of that but for times and the way it took: what became of it, what was counted, what its entry
    /// says then.
    fn watched(&self, door: &Door, frame: &[u8], key: &Key) -> Result<(Sent, String), EngineError> {
        let counter = self.image.devices.get(&door.ifindex).map_or(0, |device| device.counter);
        let passed = || self.datapath.maps().passed.get(&counter).map(Option::unwrap_or_default);
        let before = passed()?;
        let ran = self.run_frame(door, frame)?;
        let after = passed()?;
        let counted = [after.from.wrapping_sub(before.from), after.to.wrapping_sub(before.to)];
        let entry = self.conn(key)?.map(|conn| Conn { seen_ns: 0, ..conn });
        let record = ran.record.map(|record| bpf::Decision { count: 0, way: bpf::Way::RF_WAY_LONG, ..record });
        let seen = format!(
            "{:?} returns {} with mark {:x}, counts {counted:?}, leaves {entry:?} and {record:?}",
            ran.sent, ran.action, ran.mark
        );
        Ok((ran.sent, seen))
    }

    fn conn(&self, key: &Key) -> Result<Option<Conn>, EngineError> {
        let maps = self.datapath.maps();
        Ok(match key {
            Key::V4(key) => maps.conns4.get(key)?,
            Key::V6(key) => maps.conns6.get(key)?,
        })
    }

    fn put_conn(&self, key: &Key, conn: &Conn) -> Result<(), EngineError> {
        let maps = self.datapath.maps();
        match key {
            Key::V4(key) => maps.conns4.put(key, conn)?,
            Key::V6(key) => maps.conns6.put(key, conn)?,
        }
        Ok(())
    }

    /// Lets so much time pass for every connection that it is over, as if nothing had been sent meanwhile.
    ///
    /// # Errors
    /// Maps that cannot be written.
    pub fn be_silent(&self) -> Result<(), EngineError> {
        let maps = self.datapath.maps();
        let longest_ns = 2 * LIVES.as_nanos() as u64;
        let older = |conn: Conn| Conn { seen_ns: conn.seen_ns.saturating_sub(longest_ns), ..conn };
        maps.conns4.entries()?.into_iter().try_for_each(|(key, conn)| maps.conns4.put(&key, &older(conn)))?;
        maps.conns6.entries()?.into_iter().try_for_each(|(key, conn)| maps.conns6.put(&key, &older(conn)))?;
        Ok(())
    }
}
