//! What fuzzing found, or found worth keeping: `tests/corpus/fuzz/TARGET`.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs, unreachable_pub)]

#[path = "../../../tests/fuzz/src/lib.rs"]
mod targets;

use std::path::Path;

/// Runs a target over its corpus.
fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/corpus/fuzz").join(name);
    let mut files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 20, "{} has only {} files", folder.display(), files.len());
    for file in files {
        let data = std::fs::read(&file).unwrap();
        let outcome = std::panic::catch_unwind(|| target(&data));
        assert!(outcome.is_ok(), "{} is no longer survived", file.display());
    }
}

#[test]
fn every_kept_file_is_read_or_told() {
    replay("yaml", targets::yaml);
}

#[test]
fn every_kept_object_is_read_or_told() {
    replay("object", targets::object);
}

#[test]
fn every_kept_update_arrives_as_what_it_makes() {
    replay("update", targets::update);
}
