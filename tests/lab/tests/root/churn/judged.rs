//! When the connections of a host were judged last, by its own word.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use libbpf_rs::{MapCore, MapFlags, MapHandle};
use ringfence_agent::bpf::{Conn, Pod, consts::RF_LAYOUT};
use ringfence_lab::registry;

/// The epochs at the last judgement of every IPv4 connection, by key.
pub(super) struct Judged(BTreeMap<Vec<u8>, [u32; 3]>);

impl Judged {
    pub(super) fn read(lab: &str, host: &str) -> Result<Self> {
        let path = registry::pins_of(lab).join(host).join(format!("maps-{RF_LAYOUT}")).join("rf_conns4");
        let map = MapHandle::from_pinned_path(&path).with_context(|| format!("cannot open {}", path.display()))?;
        let mut judged = BTreeMap::new();
        for key in map.keys() {
            let value = map.lookup(&key, MapFlags::ANY)?;
            if let Some(conn) = value.as_deref().and_then(Conn::from_bytes) {
                judged.insert(key, [conn.domain_epoch, conn.epoch[0], conn.epoch[1]]);
            }
        }
        Ok(Self(judged))
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Connections of before that are gone, or were judged since.
    pub(super) fn judged_since(&self, before: &Self) -> usize {
        before.0.iter().filter(|(key, epochs)| self.0.get(*key) != Some(epochs)).count()
    }
}
