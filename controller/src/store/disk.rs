//! The durable store: one redb file in the data directory.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use prost::Message;
use redb::{Builder, Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition, TableError};
use tracing::warn;

use super::{AuditEntry, Contents, SCHEMA, Store, StoreError, Transaction, record};
use crate::catalog::ids::Counters;

/// The store's file in the data directory.
pub const FILE: &str = "ringfence.redb";

const META: TableDefinition<'_, &str, u64> = TableDefinition::new(record::META);
const OBJECTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new(record::OBJECTS);
const IDS: TableDefinition<'_, &str, u32> = TableDefinition::new(record::IDS);
const GENERATIONS: TableDefinition<'_, &str, u64> = TableDefinition::new(record::GENERATIONS);
const AUDIT: TableDefinition<'_, u64, &[u8]> = TableDefinition::new(record::AUDIT);

/// A store in one file.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    /// `None` after a failure: the engine refuses everything after an I/O error, so that the file is
    /// opened again before it is used again.
    database: Mutex<Option<Database>>,
}

// === impl Disk ===

impl Disk {
    /// Opens the store in a directory; makes both when they are not there. All of it is read once, to see
    /// that it is what was written.
    ///
    /// # Errors
    /// When it cannot be opened, is damaged, another process has it open, or a newer version wrote it.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        fs::create_dir_all(directory).map_err(|source| StoreError::Directory { path: directory.to_owned(), source })?;
        let path = directory.join(FILE);
        // The engine would make a new store of it, which is older than what any host enforces.
        if fs::metadata(&path).is_ok_and(|file| file.len() == 0) {
            return Err(StoreError::Empty(path));
        }
        let database = open_file(&path, Builder::create)?;
        match number(&database, "schema").map_err(engine("read its schema"))? {
            Some(found) if found > SCHEMA => return Err(StoreError::NewerSchema { found }),
            _ => prepare(&database).map_err(engine("prepare"))?,
        }
        Ok(Self { path, database: Mutex::new(Some(database)) })
    }

    /// The audit trail, oldest first.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn audit(&self) -> Result<Vec<AuditEntry>, StoreError> {
        let rows = self.using("read the audit trail", |_| Ok(()), read_audit)?;
        rows.into_iter().map(|(revision, value)| record::parse_audit(revision, &value)).collect()
    }

    /// Uses the file, opened again if it has to be, when `check` agrees to what it holds by then. After a
    /// failure it is closed.
    fn using<T>(
        &self,
        action: &'static str,
        check: impl FnOnce(&Database) -> Result<(), StoreError>,
        work: impl FnOnce(&Database) -> Result<T, redb::Error>,
    ) -> Result<T, StoreError> {
        let mut slot = self.database.lock().unwrap_or_else(PoisonError::into_inner);
        let database = match slot.take() {
            Some(database) => database,
            None => {
                warn!(path = %self.path.display(), "the store is opened again after a failure");
                let database = open_file(&self.path, Builder::open)?;
                check(&database)?;
                database
            }
        };
        let result = work(&database).map_err(engine(action))?;
        *slot = Some(database);
        Ok(result)
    }
}

impl Store for Disk {
    fn load(&self) -> Result<Contents, StoreError> {
        self.using("load", |_| Ok(()), read)?.decode()
    }

    fn commit(&self, transaction: &Transaction) -> Result<(), StoreError> {
        // A commit that failed may have reached the disk all the same, and everyone was told otherwise.
        let check = |database: &Database| {
            let disk = number(database, "revision").map_err(engine("read its revision"))?.unwrap_or_default();
            let memory = transaction.revision.saturating_sub(1);
            if disk == memory { Ok(()) } else { Err(StoreError::Diverged { disk, memory }) }
        };
        self.using("commit", check, |database| write(database, transaction))
    }
}

/// Opens the file, and checks it: a plain opening would serve a damaged one, or panic.
fn open_file<'a>(
    path: &'a Path,
    open: impl FnOnce(&Builder, &'a Path) -> Result<Database, DatabaseError>,
) -> Result<Database, StoreError> {
    let mut builder = Database::builder();
    builder.set_check_integrity_on_open(true);
    open(&builder, path).map_err(|source| match source {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse(path.to_owned()),
        source => StoreError::Open { path: path.to_owned(), source },
    })
}

/// A single number; `None`: not there, or no table of them yet.
fn number(database: &Database, name: &str) -> Result<Option<u64>, redb::Error> {
    match database.begin_read()?.open_table(META) {
        Ok(meta) => Ok(meta.get(name)?.map(|value| value.value())),
        Err(TableError::TableDoesNotExist(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Makes the tables and, in a new file, notes the schema.
fn prepare(database: &Database) -> Result<(), redb::Error> {
    let write = database.begin_write()?;
    {
        let mut meta = write.open_table(META)?;
        if meta.get("schema")?.is_none() {
            meta.insert("schema", SCHEMA)?;
        }
        write.open_table(OBJECTS)?;
        write.open_table(IDS)?;
        write.open_table(GENERATIONS)?;
        write.open_table(AUDIT)?;
    }
    write.commit()?;
    Ok(())
}

fn read_audit(database: &Database) -> Result<Vec<(u64, Vec<u8>)>, redb::Error> {
    let audit = database.begin_read()?.open_table(AUDIT)?;
    let mut rows = Vec::new();
    for row in audit.iter()? {
        let (revision, value) = row?;
        rows.push((revision.value(), value.value().to_owned()));
    }
    Ok(rows)
}

fn read(database: &Database) -> Result<Raw, redb::Error> {
    let read = database.begin_read()?;
    let mut raw = Raw::default();
    for row in read.open_table(META)?.iter()? {
        let (key, value) = row?;
        raw.meta.push((key.value().to_owned(), value.value()));
    }
    for row in read.open_table(OBJECTS)?.iter()? {
        let (key, value) = row?;
        raw.objects.push((key.value().to_owned(), value.value().to_owned()));
    }
    for row in read.open_table(IDS)?.iter()? {
        let (key, value) = row?;
        raw.ids.push((key.value().to_owned(), value.value()));
    }
    for row in read.open_table(GENERATIONS)?.iter()? {
        let (key, value) = row?;
        raw.generations.push((key.value().to_owned(), value.value()));
    }
    Ok(raw)
}

fn write(database: &Database, transaction: &Transaction) -> Result<(), redb::Error> {
    let Transaction { revision, counters, upserts, deletes, ids, generations, audit } = transaction;
    let write = database.begin_write()?;
    {
        let mut meta = write.open_table(META)?;
        for (name, value) in counter_rows(*revision, *counters) {
            meta.insert(name, value)?;
        }
        let mut objects = write.open_table(OBJECTS)?;
        for key in deletes {
            objects.remove(record::object_key(key).as_str())?;
        }
        for (key, object) in upserts {
            objects.insert(record::object_key(key).as_str(), object.encode_to_vec().as_slice())?;
        }
        let mut table = write.open_table(IDS)?;
        for (key, id) in ids {
            let key = record::id_key(key);
            match id {
                Some(id) => table.insert(key.as_str(), id)?,
                None => table.remove(key.as_str())?,
            };
        }
        let mut table = write.open_table(GENERATIONS)?;
        for (domain, generation) in generations {
            match generation {
                Some(generation) => table.insert(domain.as_str(), generation)?,
                None => table.remove(domain.as_str())?,
            };
        }
        let mut table = write.open_table(AUDIT)?;
        table.insert(audit.to_revision, record::audit(audit).as_slice())?;
    }
    write.commit()?;
    Ok(())
}

/// The tables as they are in the file.
#[derive(Default)]
struct Raw {
    meta: Vec<(String, u64)>,
    objects: Vec<(String, Vec<u8>)>,
    ids: Vec<(String, u32)>,
    generations: Vec<(String, u64)>,
}

// === impl Raw ===

impl Raw {
    fn decode(self) -> Result<Contents, StoreError> {
        let mut contents = Contents { generations: self.generations.into_iter().collect(), ..Contents::default() };
        for (name, value) in &self.meta {
            read_counter(&mut contents, name, *value)?;
        }
        if contents.revision > 0 {
            let written = counter_rows(contents.revision, contents.counters);
            let missing = written.iter().find(|(name, _)| self.meta.iter().all(|(there, _)| there != name));
            if let Some((name, _)) = missing {
                return Err(record::corrupt(record::META, name, "it is missing"));
            }
        }
        for (key, value) in self.objects {
            let (key, object) = record::parse_object(&key, &value)?;
            contents.objects.insert(key, Arc::new(object));
        }
        for (key, id) in self.ids {
            contents.ids.insert(record::parse_id_key(&key)?, id);
        }
        Ok(contents)
    }
}

/// The single numbers a commit writes; [`read_counter`] reads them back.
fn counter_rows(revision: u64, counters: Counters) -> [(&'static str, u64); 6] {
    let Counters { uid, domain, interface, rule, vni } = counters;
    [
        ("revision", revision),
        ("next uid", uid),
        ("next domain", domain.into()),
        ("next interface", interface.into()),
        ("next rule", rule.into()),
        ("next vni", vni.into()),
    ]
}

fn read_counter(contents: &mut Contents, name: &str, value: u64) -> Result<(), StoreError> {
    let narrow = || u32::try_from(value).map_err(|_| record::corrupt(record::META, name, "the number is out of range"));
    match name {
        "schema" => {}
        "revision" => contents.revision = value,
        "next uid" => contents.counters.uid = value,
        "next domain" => contents.counters.domain = narrow()?,
        "next interface" => contents.counters.interface = narrow()?,
        "next rule" => contents.counters.rule = narrow()?,
        "next vni" => contents.counters.vni = narrow()?,
        _ => return Err(record::corrupt(record::META, name, "no such number is known")),
    }
    Ok(())
}

fn engine(action: &'static str) -> impl FnOnce(redb::Error) -> StoreError {
    move |source| StoreError::Engine { action, source }
}

#[cfg(test)]
#[path = "disk_tests.rs"]
mod tests;
