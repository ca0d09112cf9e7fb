//! `make plant`: do the proof chain and packet fuzzing find bugs? Plants one after the other in a copy of the tree, builds
//! it and runs what should find it until it does. A bug that survives is a hole in that.

#![allow(clippy::print_stdout, reason = "it reports")]

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, ExitCode, Output},
    time::{Duration, Instant},
};

use clap::Parser;

mod compile;
mod frames;
mod lookup;
mod lowering;

/// A bug: a text that stands once in a file, and what it becomes.
struct Bug {
    /// What is wrong then.
    name: &'static str,
    /// In the tree.
    file: &'static str,
    /// As it is.
    right: &'static str,
    /// As it becomes.
    wrong: &'static str,
}

/// What should find a bug.
#[derive(Clone, Copy)]
enum Finder {
    /// The proof chain.
    Chain,
    /// Packet fuzzing.
    Fuzz,
}

/// The layers, with their bugs.
const LAYERS: [(&str, Finder, &[Bug]); 4] = [
    ("compile", Finder::Chain, compile::BUGS),
    ("lowering", Finder::Chain, lowering::BUGS),
    ("lookup", Finder::Chain, lookup::BUGS),
    ("frames", Finder::Fuzz, frames::BUGS),
];

/// Plants bugs in a copy of the tree, one at a time, and sees the proof chain or packet fuzzing find each. Root.
#[derive(Debug, Parser)]
struct Arguments {
    /// Cases, or frames, after which a bug has survived.
    #[arg(long, default_value_t = 250_000)]
    cases: u64,
    /// Only bugs of this layer.
    #[arg(long, default_value = "")]
    layer: String,
    /// Only bugs whose name contains this.
    #[arg(long, default_value = "")]
    only: String,
}

/// Why planting ended early.
#[derive(Debug, thiserror::Error)]
enum Ended {
    #[error("cannot {action} {path}: {source}")]
    File { action: &'static str, path: String, source: io::Error },
    #[error("cannot run {command}: {source}")]
    Command { command: &'static str, source: io::Error },
    #[error("{name}: {file} has the text {count} times that is to be replaced; bring the bug up to date")]
    Stale { name: &'static str, file: &'static str, count: usize },
    #[error("{name}: the copy does not build\n{output}")]
    Build { name: String, output: String },
    #[error("without a bug it does not run clean\n{output}")]
    Unclean { output: String },
}

fn main() -> ExitCode {
    match plant(&Arguments::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(survived) => {
            println!("{survived} survived");
            ExitCode::FAILURE
        }
        Err(ended) => {
            println!("{ended}");
            ExitCode::from(2)
        }
    }
}

/// How many survived.
fn plant(arguments: &Arguments) -> Result<usize, Ended> {
    let copy = Copy::make()?;
    copy.build("without a bug")?;
    let layers = LAYERS.iter().filter(|(layer, ..)| layer.contains(&arguments.layer));
    for (_, finder, _) in layers.clone() {
        let clean = copy.search(*finder, arguments.cases)?;
        if !clean.output.status.success() {
            return Err(Ended::Unclean { output: told(&clean.output) });
        }
    }
    println!("{:<9} {:<64} {:<46} {:>8} {:>8}", "layer", "bug", "differ", "cases", "s");
    let mut survived = 0;
    for (layer, finder, bugs) in layers {
        for bug in bugs.iter().filter(|bug| bug.name.contains(&arguments.only)) {
            let right = copy.plant(bug)?;
            let ran = copy.build(bug.name).and_then(|()| copy.search(*finder, arguments.cases));
            copy.write(bug.file, &right)?;
            let ran = ran?;
            let (by, cases) = caught(&told(&ran.output)).unwrap_or(("SURVIVED".to_owned(), String::new()));
            survived += usize::from(by == "SURVIVED");
            println!("{layer:<9} {:<64} {by:<46} {cases:>8} {:>8.1}", bug.name, ran.took.as_secs_f64());
        }
    }
    Ok(survived)
}

/// Which layers differed, or what was wrong with a frame, and after how many cases or frames.
fn caught(output: &str) -> Option<(String, String)> {
    let wrong = |line: &str| Some(line.strip_prefix("# Found once: ")?.chars().take(46).collect::<String>());
    let by = |line: &str| line.strip_suffix(" differ").map(str::to_owned).or_else(|| wrong(line));
    let count = |line: &str| {
        let (count, _) = line.split_once(" cases through all").or_else(|| line.split_once(" frames in "))?;
        Some(count.to_owned())
    };
    Some((output.lines().find_map(by)?, output.lines().rev().find_map(count)?))
}

fn told(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

/// The manifest with a version of its own, so that cargo takes nothing built of the copy for the tree's.
fn apart(manifest: &[u8]) -> Vec<u8> {
    let mut apart = String::new();
    for line in String::from_utf8_lossy(manifest).lines() {
        match line.strip_prefix("version = \"").and_then(|rest| rest.strip_suffix('"')) {
            Some(version) => apart.push_str(&format!("version = \"{version}-planted\"\n")),
            None => apart.push_str(&format!("{line}\n")),
        }
    }
    apart.into_bytes()
}

/// A copy of the tree, built into the tree's own target folder, where it finds what the tree depends on.
struct Copy {
    root: PathBuf,
    target: PathBuf,
}

/// What the chain said, and how long it took.
struct Ran {
    output: Output,
    took: Duration,
}

impl Copy {
    fn make() -> Result<Self, Ended> {
        let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let target = tree.join("target");
        let copy = Self { root: target.join("plant"), target };
        let listed = output("git ls-files", Command::new("git").arg("ls-files").current_dir(&tree))?;
        for file in String::from_utf8_lossy(&listed.stdout).lines() {
            let path = tree.join(file);
            let Ok(mut text) = fs::read(&path) else { continue };
            if file == "Cargo.toml" {
                text = apart(&text);
            }
            // What is as it was keeps its time, so that it is not built again.
            if fs::read(copy.root.join(file)).ok().as_ref() != Some(&text) {
                copy.write_bytes(file, &text)?;
            }
        }
        Ok(copy)
    }

    fn write(&self, file: &str, text: &str) -> Result<(), Ended> {
        self.write_bytes(file, text.as_bytes())
    }

    fn write_bytes(&self, file: &str, text: &[u8]) -> Result<(), Ended> {
        let path = self.root.join(file);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text));
        written.map_err(|source| Ended::File { action: "write", path: path.display().to_string(), source })
    }

    /// Puts a bug in; the file as it was.
    fn plant(&self, bug: &Bug) -> Result<String, Ended> {
        let path = self.root.join(bug.file);
        let read = fs::read_to_string(&path);
        let text = read.map_err(|source| Ended::File { action: "read", path: path.display().to_string(), source })?;
        let count = text.matches(bug.right).count();
        if count != 1 {
            return Err(Ended::Stale { name: bug.name, file: bug.file, count });
        }
        self.write(bug.file, &text.replacen(bug.right, bug.wrong, 1))?;
        Ok(text)
    }

    fn build(&self, name: &str) -> Result<(), Ended> {
        let mut cargo = Command::new("cargo");
        cargo.args(["build", "--quiet", "--package", "ringfence-prove", "--bin", "ringfence-prove", "--bin", "fuzz"]);
        cargo.current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        let built = output("cargo build", &mut cargo)?;
        if built.status.success() {
            return Ok(());
        }
        Err(Ended::Build { name: name.to_owned(), output: told(&built) })
    }

    fn search(&self, finder: Finder, cases: u64) -> Result<Ran, Ended> {
        let start = Instant::now();
        let (name, count) = match finder {
            Finder::Chain => ("ringfence-prove", "--cases"),
            Finder::Fuzz => ("fuzz", "--frames"),
        };
        let mut search = Command::new(self.target.join("debug").join(name));
        let output = output(name, search.args([count, &cases.to_string()]))?;
        Ok(Ran { output, took: start.elapsed() })
    }
}

fn output(name: &'static str, command: &mut Command) -> Result<Output, Ended> {
    command.output().map_err(|source| Ended::Command { command: name, source })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn every_bug_can_be_planted() {
        let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        for bug in LAYERS.iter().flat_map(|(.., bugs)| *bugs) {
            let text = fs::read_to_string(tree.join(bug.file)).unwrap();
            assert_eq!(text.matches(bug.right).count(), 1, "{}: {}", bug.name, bug.file);
        }
    }
}
