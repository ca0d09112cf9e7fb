//! What a store promises, asked of the durable one.

use std::collections::BTreeMap;

use ringfence_policy::object::{Kind, ObjectKey};
use ringfence_proto::v1;
use tempfile::TempDir;

use super::*;
use crate::{catalog::ids::IdKey, store::Memory};

fn key(name: &str) -> ObjectKey {
    ObjectKey { kind: Kind::Segment, domain: "acme/prod".to_owned(), name: name.to_owned() }
}

fn object(name: &str) -> Arc<v1::Object> {
    Arc::new(v1::Object {
        domain: "acme/prod".to_owned(),
        name: name.to_owned(),
        source: "prod.yaml".to_owned(),
        meta: Some(v1::ObjectMeta { uid: 7, created_revision: 1, changed_revision: 1 }),
        spec: Some(v1::object::Spec::Segment(v1::SegmentSpec::default())),
    })
}

fn transaction(revision: u64, upserts: &[&str], deletes: &[&str]) -> Transaction {
    let interface = IdKey::Interface("acme/prod".to_owned(), "web-1".to_owned(), "eth0".to_owned());
    let rule = IdKey::Rule("acme/prod".to_owned(), "shop".to_owned(), "users".to_owned());
    Transaction {
        revision,
        counters: Counters { uid: 100 + revision, ..Counters::default() },
        upserts: upserts.iter().map(|name| (key(name), object(name))).collect(),
        deletes: deletes.iter().map(|name| key(name)).collect(),
        ids: BTreeMap::from([(interface, Some(3)), (rule, (revision == 1).then_some(4))]),
        generations: BTreeMap::from([("acme/prod".to_owned(), Some(revision)), ("acme/old".to_owned(), None)]),
        audit: AuditEntry {
            when: std::time::UNIX_EPOCH + std::time::Duration::from_secs(revision),
            what: vec!["created Segment acme/prod/web".to_owned()],
            from_revision: revision - 1,
            to_revision: revision,
        },
    }
}

fn open(directory: &TempDir) -> Disk {
    Disk::open(directory.path()).unwrap()
}

/// Writes to the file past the store.
fn tamper(store: &Disk, change: impl FnOnce(&redb::WriteTransaction)) {
    let slot = store.database.lock().unwrap();
    let write = slot.as_ref().unwrap().begin_write().unwrap();
    change(&write);
    write.commit().unwrap();
}

#[test]
fn what_was_committed_is_there_when_opened_again() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    store.commit(&transaction(1, &["web", "app"], &[])).unwrap();
    store.commit(&transaction(2, &["db"], &["app"])).unwrap();
    drop(store);

    let contents = open(&directory).load().unwrap();
    assert_eq!(contents.revision, 2);
    assert_eq!(contents.counters.uid, 102);
    assert_eq!(contents.objects.keys().collect::<Vec<_>>(), [&key("db"), &key("web")]);
    assert_eq!(contents.objects[&key("web")], object("web"));
    assert_eq!(contents.ids.values().collect::<Vec<_>>(), [&3]);
    assert_eq!(contents.generations, BTreeMap::from([("acme/prod".to_owned(), 2)]));
}

#[test]
fn both_stores_hold_the_same_after_the_same_commits() {
    let directory = TempDir::new().unwrap();
    let (disk, memory) = (open(&directory), Memory::default());
    for transaction in [transaction(1, &["web", "app"], &[]), transaction(2, &["web"], &["app"])] {
        disk.commit(&transaction).unwrap();
        memory.commit(&transaction).unwrap();
    }
    assert_eq!(disk.load().unwrap(), memory.load().unwrap());
    assert_eq!(disk.audit().unwrap(), memory.audit());
}

#[test]
fn a_commit_that_is_not_finished_leaves_nothing() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    store.commit(&transaction(1, &["web"], &[])).unwrap();
    {
        let slot = store.database.lock().unwrap();
        let write = slot.as_ref().unwrap().begin_write().unwrap();
        write.open_table(OBJECTS).unwrap().remove(record::object_key(&key("web")).as_str()).unwrap();
        write.open_table(META).unwrap().insert("revision", 2).unwrap();
        // Dropped without a commit, as by a crash.
    }
    let contents = store.load().unwrap();
    assert_eq!(contents.revision, 1);
    assert!(contents.objects.contains_key(&key("web")));
}

#[test]
fn a_second_opening_of_the_same_store_is_refused_by_path() {
    let directory = TempDir::new().unwrap();
    let _store = open(&directory);
    let error = Disk::open(directory.path()).unwrap_err();
    assert!(matches!(&error, StoreError::InUse(path) if *path == directory.path().join(FILE)), "{error}");
}

#[test]
fn an_empty_file_is_no_new_store() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join(FILE), "").unwrap();
    let error = Disk::open(directory.path()).unwrap_err();
    assert!(matches!(&error, StoreError::Empty(path) if *path == directory.path().join(FILE)), "{error}");
}

#[test]
fn a_store_of_a_newer_schema_is_refused() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    tamper(&store, |write| {
        write.open_table(META).unwrap().insert("schema", SCHEMA + 1).unwrap();
        write.delete_table(AUDIT).unwrap();
    });
    drop(store);
    let error = Disk::open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::NewerSchema { found } if found == SCHEMA + 1), "{error}");
    let database = Database::open(directory.path().join(FILE)).unwrap();
    let audit = database.begin_read().unwrap().open_table(AUDIT);
    assert!(matches!(audit, Err(TableError::TableDoesNotExist(_))), "nothing was written to it");
}

#[test]
fn a_corrupt_record_is_named() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    store.commit(&transaction(1, &["web"], &[])).unwrap();
    tamper(&store, |write| {
        write.open_table(OBJECTS).unwrap().insert(record::object_key(&key("web")).as_str(), &[0xff][..]).unwrap();
    });
    let error = store.load().unwrap_err().to_string();
    assert!(error.starts_with("record \"Segment acme/prod web\" in table `objects` is corrupt"), "{error}");
}

#[test]
fn a_number_that_is_missing_is_not_begun_again() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    store.commit(&transaction(1, &["web"], &[])).unwrap();
    tamper(&store, |write| {
        write.open_table(META).unwrap().remove("next rule").unwrap();
    });
    let error = store.load().unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { key, .. } if key == "next rule"), "{error}");
}

#[test]
fn a_record_under_another_objects_key_is_corrupt() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    let misplaced = Transaction { upserts: BTreeMap::from([(key("app"), object("web"))]), ..transaction(1, &[], &[]) };
    store.commit(&misplaced).unwrap();
    let error = store.load().unwrap_err();
    assert!(matches!(&error, StoreError::Corrupt { key, .. } if key == "Segment acme/prod app"), "{error}");
}

#[test]
fn a_file_that_was_altered_is_not_served() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    store.commit(&transaction(1, &["web"], &[])).unwrap();
    drop(store);
    let path = directory.path().join(FILE);
    let mut file = fs::read(&path).unwrap();
    let place = file.windows(9).rposition(|bytes| bytes == b"prod.yaml").unwrap();
    file[place] ^= 1;
    fs::write(&path, &file).unwrap();
    match Disk::open(directory.path()) {
        Err(StoreError::Open { .. }) => {}
        Err(error) => panic!("another error: {error}"),
        Ok(store) => panic!("served: {:?}", store.load()),
    }
}

#[test]
fn a_commit_after_a_failure_goes_on_from_what_is_on_disk_or_says_that_it_cannot() {
    let directory = TempDir::new().unwrap();
    let store = open(&directory);
    store.commit(&transaction(1, &["web"], &[])).unwrap();
    *store.database.lock().unwrap() = None;
    store.commit(&transaction(2, &["app"], &[])).unwrap();
    assert_eq!(store.load().unwrap().revision, 2);
    *store.database.lock().unwrap() = None;
    let error = store.commit(&transaction(2, &["db"], &[])).unwrap_err();
    assert!(matches!(error, StoreError::Diverged { disk: 2, memory: 1 }), "{error}");
}
