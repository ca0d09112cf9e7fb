//! The proof chain and packet fuzzing as finders: they look for anything wrong until they find it.

use std::process::Command;

use crate::{
    Ended,
    copy::{Copy, output, told},
};

/// Which of the two.
#[derive(Clone, Copy)]
pub(super) enum Search {
    Chain,
    Fuzz,
}

/// What was found: which layers differed, or what was wrong with a frame, and after how many cases or frames.
pub(super) struct Found {
    pub(super) what: String,
    pub(super) cases: String,
}

impl Search {
    /// The program, and how it is told how long to look.
    fn program(self) -> (&'static str, &'static str) {
        match self {
            Self::Chain => ("ringfence-prove", "--cases"),
            Self::Fuzz => ("fuzz", "--frames"),
        }
    }

    /// Builds it of the copy as it is now.
    pub(super) fn build(self, copy: &Copy) -> Result<(), Ended> {
        copy.build(&["build", "--quiet", "-pringfence-prove", "--bin", self.program().0])
    }

    /// What it finds in the copy that was built; None: nothing.
    pub(super) fn run(self, copy: &Copy, cases: u64) -> Result<Option<Found>, Ended> {
        let (name, count) = self.program();
        let ran = output(name, Command::new(copy.program(name)).args([count, &cases.to_string()]))?;
        if ran.status.success() {
            return Ok(None);
        }
        let told = told(&ran);
        caught(&told).map(Some).ok_or(Ended::Untold { finder: name, output: told })
    }
}

fn caught(output: &str) -> Option<Found> {
    let wrong = |line: &str| Some(line.strip_prefix("# Found once: ")?.chars().take(46).collect::<String>());
    let by = |line: &str| line.strip_suffix(" differ").map(str::to_owned).or_else(|| wrong(line));
    let count = |line: &str| {
        let (count, _) = line.split_once(" cases through all").or_else(|| line.split_once(" frames in "))?;
        Some(count.to_owned())
    };
    Some(Found { what: output.lines().find_map(by)?, cases: output.lines().rev().find_map(count)? })
}
