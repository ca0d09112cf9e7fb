//! A domain's bundle with all that its hosts share of it: made once, not once for each host.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use ringfence_policy::{bundle::Bundle, wire};
use ringfence_proto::v1;

/// One domain at one generation.
#[derive(Debug)]
pub struct Compiled {
    /// What the compiler made.
    pub bundle: Bundle,
    /// Of the content, whatever its history.
    pub digest: [u8; 32],
    /// Updates made so far, by the generation they start from (0: whole). Hosts come from a few
    /// generations, so that few are made for many.
    updates: Mutex<BTreeMap<u64, v1::DomainUpdate>>,
}

// === impl Compiled ===

impl Compiled {
    /// A bundle to share.
    pub fn new(bundle: Bundle) -> Self {
        Self { digest: wire::digest(&bundle), bundle, updates: Mutex::default() }
    }

    /// What takes a host that has `base` of this domain (`None`: nothing) here.
    pub fn update_from(&self, base: Option<&Self>) -> v1::DomainUpdate {
        let from = base.map_or(0, |base| base.bundle.generation);
        let mut updates = self.updates.lock().unwrap_or_else(PoisonError::into_inner);
        let update = updates.entry(from).or_insert_with(|| match base {
            Some(base) => wire::change_update(&base.bundle, &self.bundle),
            None => wire::whole_update(&self.bundle),
        });
        update.clone()
    }
}
