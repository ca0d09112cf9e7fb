//! Durable state behind a trait: a commit is on disk, all of it, before anyone is told of it.
//!
//! The default is [`Disk`], on redb: pure Rust (no C library to build or patch), one file, ACID
//! transactions that are durable when `commit` returns, and an advisory lock that keeps a second
//! process out. SQLite in WAL mode would serve as well; neither was measured against the other,
//! since a commit is one small transaction and its cost is the disk's flush with either.

mod disk;
mod memory;
mod record;

pub use self::{
    disk::{Disk, FILE},
    memory::Memory,
};

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::SystemTime};

use ringfence_policy::object::ObjectKey;
use ringfence_proto::v1;

use crate::catalog::ids::{Counters, IdKey};

/// The layout of records that this version writes, and the newest it can read.
pub const SCHEMA: u64 = 1;

/// Where committed state lives.
pub trait Store: Send + Sync + 'static {
    /// Everything that was committed.
    ///
    /// # Errors
    /// When it cannot be read, or a record is not what its key says.
    fn load(&self) -> Result<Contents, StoreError>;

    /// Makes one change durable: after `Ok` all of it survives a crash, after `Err` none of it is there.
    ///
    /// # Errors
    /// When it cannot be written.
    fn commit(&self, transaction: &Transaction) -> Result<(), StoreError>;
}

/// Everything a store holds, except the audit trail.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contents {
    /// Of the last commit; 0: nothing was committed yet.
    pub revision: u64,
    /// The next numbers to hand out.
    pub counters: Counters,
    /// As committed, with meta.
    pub objects: BTreeMap<ObjectKey, Arc<v1::Object>>,
    /// Numbers handed out and in use.
    pub ids: BTreeMap<IdKey, u32>,
    /// By domain, the revision of the last commit that touched it.
    pub generations: BTreeMap<String, u64>,
}

/// One change to the store.
#[derive(Clone, Debug, PartialEq)]
pub struct Transaction {
    /// Of the store after it; one more than before it.
    pub revision: u64,
    /// The next numbers to hand out after it.
    pub counters: Counters,
    /// Objects made or replaced.
    pub upserts: BTreeMap<ObjectKey, Arc<v1::Object>>,
    /// Objects deleted.
    pub deletes: Vec<ObjectKey>,
    /// Numbers handed out (`Some`) and no longer in use (`None`).
    pub ids: BTreeMap<IdKey, Option<u32>>,
    /// Domains touched (`Some`: their generation) and gone (`None`).
    pub generations: BTreeMap<String, Option<u64>>,
    /// What the audit trail keeps of it.
    pub audit: AuditEntry,
}

/// What the audit trail keeps of one commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// When it was decided, by the controller's clock.
    pub when: SystemTime,
    /// One line for each object: `created Network acme/prod/front`.
    pub what: Vec<String>,
    /// Revision before it.
    pub from_revision: u64,
    /// Revision after it.
    pub to_revision: u64,
}

/// Why a store cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another process has it open.
    #[error("{}: another process has this store open; stop it, or give this one a data directory of its own", .0.display())]
    InUse(PathBuf),
    /// The file is there and holds nothing.
    #[error("{}: the store is empty; restore it from a backup, or, if there never was one, remove the file", .0.display())]
    Empty(PathBuf),
    /// A newer version wrote it.
    #[error("the store has schema {found}, this version reads up to {SCHEMA}: start the version that wrote it")]
    NewerSchema {
        /// What the store says.
        found: u64,
    },
    /// A commit that was told as failed is there.
    #[error(
        "the store is at revision {disk} on disk and {memory} in memory, after a commit that failed: \
         restart the controller"
    )]
    Diverged {
        /// On disk.
        disk: u64,
        /// In memory.
        memory: u64,
    },
    /// A record is not what its key says.
    #[error("record {key:?} in table `{table}` is corrupt: {reason}; restore the store from a backup")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The record's key.
        key: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The data directory cannot be made.
    #[error("cannot make the data directory {}: {source}", path.display())]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file cannot be opened.
    #[error("cannot open the store {}: {source}", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why.
        source: redb::DatabaseError,
    },
    /// Reading or writing failed.
    #[error("the store failed to {action}: {source}")]
    Engine {
        /// What it was asked to do.
        action: &'static str,
        /// Why it could not.
        source: redb::Error,
    },
}
