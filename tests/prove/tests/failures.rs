//! docs/FAILURES.md, what takes its protections out (`ringfence_prove::failures`), and the tests that there are agree.
#![allow(clippy::unwrap_used, missing_docs)]

use std::{collections::BTreeSet, fs, path::Path};

use ringfence_prove::failures::{PROTECTIONS, Protection};

/// A row of the table.
struct Row {
    failure: String,
    tests: BTreeSet<String>,
    /// The names of bugs.
    bugs: BTreeSet<String>,
}

#[test]
fn every_test_that_a_failure_names_exists() {
    let mut tests = BTreeSet::new();
    for folder in ["agent", "controller", "tests"] {
        collect(&Path::new("../..").join(folder), &mut tests);
    }
    for Row { failure, tests: named, .. } in rows() {
        assert!(!named.is_empty(), "{failure} names no test");
        let missing: Vec<_> = named.difference(&tests).collect();
        assert_eq!(missing, Vec::<&String>::new(), "{failure} names what is no test");
    }
}

#[test]
fn every_protection_can_be_taken_out() {
    for Protection { bug, .. } in protections() {
        let text = fs::read_to_string(Path::new("../..").join(bug.file)).unwrap();
        assert_eq!(text.matches(bug.right).count(), 1, "{}: {}", bug.name, bug.file);
        assert_ne!(bug.right, bug.wrong, "{}", bug.name);
    }
}

#[test]
fn every_failure_names_the_bugs_that_its_tests_find() {
    let rows = rows();
    for Protection { failure, bug, .. } in protections() {
        assert!(rows.iter().any(|row| row.failure == *failure), "{}: there is no row of {failure}", bug.name);
    }
    for Row { failure, tests, bugs } in rows {
        let of_it: Vec<_> = protections().filter(|protection| protection.failure == failure).collect();
        let planted: BTreeSet<_> = of_it.iter().map(|protection| protection.bug.name.to_owned()).collect();
        assert_eq!(bugs, planted, "{failure}: the bugs it names, and those there are");
        let failing: BTreeSet<_> = of_it.iter().flat_map(|protection| protection.tests()).map(str::to_owned).collect();
        // A row without a bug says so itself: nothing was tried.
        if !bugs.is_empty() {
            assert_eq!(tests, failing, "{failure}: the tests it names, and those that fail by some bug");
        }
    }
}

fn protections() -> impl Iterator<Item = &'static Protection> {
    PROTECTIONS.iter().copied().flatten()
}

/// Tests stand between backticks, bugs between quotes.
fn rows() -> Vec<Row> {
    let manual = fs::read_to_string("../../docs/FAILURES.md").unwrap();
    let between = |cell: &str, mark: char| cell.split(mark).skip(1).step_by(2).map(str::to_owned).collect();
    let rows = manual.lines().filter(|line| line.starts_with("| F")).map(|line| {
        let cells: Vec<_> = line.split('|').map(str::trim).collect();
        let failure = cells[1].split_once(':').unwrap().0.to_owned();
        Row { failure, tests: between(cells[2], '`'), bugs: between(cells[3], '"') }
    });
    let rows: Vec<_> = rows.collect();
    assert!(!rows.is_empty());
    rows
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
