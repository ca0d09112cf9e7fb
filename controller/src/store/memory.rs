//! A store that forgets: for tests.

use std::sync::{Mutex, PoisonError};

use super::{AuditEntry, Contents, Store, StoreError, Transaction};

/// Holds what was committed for as long as it lives.
#[derive(Debug, Default)]
pub struct Memory {
    held: Mutex<(Contents, Vec<AuditEntry>)>,
}

// === impl Memory ===

impl Memory {
    /// The audit trail, oldest first.
    pub fn audit(&self) -> Vec<AuditEntry> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).1.clone()
    }
}

impl Store for Memory {
    fn load(&self) -> Result<Contents, StoreError> {
        Ok(self.held.lock().unwrap_or_else(PoisonError::into_inner).0.clone())
    }

    fn commit(&self, transaction: &Transaction) -> Result<(), StoreError> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let (contents, audit) = &mut *held;
        let Transaction { revision, counters, upserts, deletes, ids, generations, audit: entry } = transaction;
        contents.revision = *revision;
        contents.counters = *counters;
        for key in deletes {
            contents.objects.remove(key);
        }
        contents.objects.extend(upserts.iter().map(|(key, object)| (key.clone(), object.clone())));
        for (key, id) in ids {
            match id {
                Some(id) => contents.ids.insert(key.clone(), *id),
                None => contents.ids.remove(key),
            };
        }
        for (domain, generation) in generations {
            match generation {
                Some(generation) => contents.generations.insert(domain.clone(), *generation),
                None => contents.generations.remove(domain),
            };
        }
        audit.push(entry.clone());
        Ok(())
    }
}
