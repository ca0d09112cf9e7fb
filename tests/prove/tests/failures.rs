//! docs/FAILURES.md names tests; they are there.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{collections::BTreeSet, fs, path::Path};

#[test]
fn every_test_that_a_failure_names_exists() {
    let mut tests = BTreeSet::new();
    for folder in ["agent", "controller", "tests"] {
        collect(&Path::new("../..").join(folder), &mut tests);
    }
    let manual = fs::read_to_string("../../docs/FAILURES.md").unwrap();
    let rows = manual.lines().filter(|line| line.starts_with("| F"));
    let mut named = 0;
    for row in rows {
        let cell = row.split('|').nth(2).unwrap();
        for test in cell.split('`').skip(1).step_by(2) {
            assert!(tests.contains(test), "no test {test}, which this names: {row}");
            named += 1;
        }
    }
    assert!(named > 0);
}

/// Names of the functions in Rust files under a folder that follow `#[test]`.
fn collect(folder: &Path, tests: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, tests);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).unwrap();
            let after = text.split("#[test]").skip(1).filter_map(|rest| rest.split_once("fn "));
            tests.extend(after.filter_map(|(_, rest)| Some(rest.split_once('(')?.0.to_owned())));
        }
    }
}
