//! Named tests as finders: each must fail.

use std::{collections::BTreeSet, fs};

use ringfence_prove::failures::Suite;

use crate::{
    Ended,
    copy::{Copy, told},
};

/// What the lab starts. Gone after its tests, so that nobody takes one with a bug in it for the tree's.
const PROGRAMS: [&str; 3] = ["ringfence-agent", "ringfence-controller", "ringfence-lab"];

/// What libbpf says of a program that the kernel refuses. Every test fails then, and none has found anything.
const REFUSED: &str = "BEGIN PROG LOAD LOG";

/// How cargo is told of a suite.
fn target(suite: Suite) -> [&'static str; 4] {
    match suite {
        Suite::Agent => ["test", "-pringfence-agent", "--lib", "--quiet"],
        Suite::Packets => ["test", "-pringfence-agent", "--test=packets", "--quiet"],
        Suite::Programs => ["test", "-pringfence-prove", "--test=programs", "--quiet"],
        Suite::Lab => ["test", "-pringfence-lab", "--test=lab", "--quiet"],
    }
}

/// Builds the suite of the copy as it is now, and what it starts.
pub(super) fn build(copy: &Copy, suite: Suite) -> Result<(), Ended> {
    if suite == Suite::Lab {
        copy.build(&["build", "--quiet", "--workspace", "--bins"])?;
    }
    copy.build(&[&target(suite)[..], &["--no-run"]].concat())
}

/// Which of some tests of a suite that was built fail: their names, and where each did.
pub(super) fn failing(copy: &Copy, suite: Suite, names: &[&'static str]) -> Result<Vec<(&'static str, String)>, Ended> {
    let target = target(suite);
    let listed = told(&copy.cargo(&[&target[..], &["--", "--list"]].concat())?);
    let paths = names.iter().map(|name| path_of(&listed, name)).collect::<Result<Vec<_>, _>>()?;
    let exactly = ["--", "--exact", "--test-threads=1"];
    let ran = told(&copy.cargo(&[&target[..], &exactly, &paths].concat())?);
    if suite == Suite::Lab {
        for program in PROGRAMS {
            // The next build puts it there again.
            drop(fs::remove_file(copy.program(program)));
        }
    }
    if ran.contains(REFUSED) {
        return Err(Ended::Refused { output: ran });
    }
    let failed = failed(&ran, paths.len()).ok_or_else(|| Ended::Untold { finder: target[2], output: ran.clone() })?;
    let named = names.iter().zip(&paths).filter(|(_, path)| failed.contains(**path));
    Ok(named.map(|(name, path)| (*name, place(&ran, path).unwrap_or_default().to_owned())).collect())
}

/// A test with its modules, as the test program lists it.
fn path_of<'a>(listed: &'a str, name: &'static str) -> Result<&'a str, Ended> {
    let tests = listed.lines().filter_map(|line| line.strip_suffix(": test"));
    let mut so_named = tests.filter(|path| path.rsplit("::").next() == Some(name));
    match (so_named.next(), so_named.next()) {
        (Some(path), None) => Ok(path),
        _ => Err(Ended::NoTest { name }),
    }
}

/// Those that failed, if as many as were asked for ran.
fn failed(output: &str, asked: usize) -> Option<BTreeSet<&str>> {
    let result = output.lines().rev().find_map(|line| line.strip_prefix("test result: "))?;
    let count = |what: &str| result.split([';', '.']).find_map(|part| part.trim().strip_suffix(what)?.parse().ok());
    let (passed, failed): (usize, usize) = (count(" passed")?, count(" failed")?);
    let (_, list) = output.rsplit_once("\nfailures:\n").unwrap_or_default();
    let list: BTreeSet<_> = list.lines().map_while(|line| line.strip_prefix("    ")).collect();
    (passed + failed == asked && list.len() == failed).then_some(list)
}

/// Where a test panicked: file, line and column.
fn place<'a>(output: &'a str, path: &str) -> Option<&'a str> {
    let (_, said) = output.split_once(&format!("---- {path} stdout ----"))?;
    let (_, place) = said.split_once(" panicked at ")?;
    place.lines().next()?.strip_suffix(':')
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    const RAN: &str = "\nrunning 2 tests\nF.\nfailures:\n\n---- root::a::one stdout ----\n\n\
        thread 'root::a::one' (7) panicked at agent/tests/a.rs:3:5:\nno\n\n\nfailures:\n    root::a::one\n\n\
        test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 9 filtered out; finished in 0.10s\n";

    #[test]
    fn who_failed_and_where_is_read_from_what_the_tests_say() {
        assert_eq!(failed(RAN, 2), Some(BTreeSet::from(["root::a::one"])));
        assert_eq!(place(RAN, "root::a::one"), Some("agent/tests/a.rs:3:5"));
    }

    #[test]
    fn a_run_that_says_nothing_of_some_test_says_nothing() {
        assert_eq!(failed(RAN, 3), None);
        assert_eq!(failed("Killed", 2), None);
    }

    #[test]
    fn a_name_must_be_of_one_test() {
        let listed = "root::a::one: test\nroot::b::one: test\nroot::b::two: test\n3 tests, 0 benchmarks\n";
        assert_eq!(path_of(listed, "two").unwrap(), "root::b::two");
        assert!(path_of(listed, "one").is_err());
        assert!(path_of(listed, "wo").is_err());
    }
}
