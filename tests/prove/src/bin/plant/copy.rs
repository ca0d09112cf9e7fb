//! A copy of the tree, in which bugs are planted and cargo runs.

use std::{
    fs, io,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use ringfence_prove::failures::Bug;

use crate::Ended;

/// A copy of the tree, built into the tree's own target folder, where it finds what the tree depends on.
pub(super) struct Copy {
    root: PathBuf,
    target: PathBuf,
}

impl Copy {
    pub(super) fn make() -> Result<Self, Ended> {
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
        copy.share_what_tests_make()?;
        Ok(copy)
    }

    /// Releases and what guests boot from take minutes to make, and are the same with a bug in the tree.
    fn share_what_tests_make(&self) -> Result<(), Ended> {
        let link = self.root.join("target");
        match symlink("..", &link) {
            Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
                Err(Ended::File { action: "link", path: link.display().to_string(), source })
            }
            _ => Ok(()),
        }
    }

    /// Runs `what` on the copy with a bug in it, and takes the bug out again.
    pub(super) fn with<T>(&self, bug: &Bug, what: impl FnOnce() -> Result<T, Ended>) -> Result<T, Ended> {
        let right = self.plant(bug)?;
        let done = what();
        self.write_bytes(bug.file, right.as_bytes())?;
        done.map_err(|source| Ended::With { bug: bug.name, source: Box::new(source) })
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
        self.write_bytes(bug.file, text.replacen(bug.right, bug.wrong, 1).as_bytes())?;
        Ok(text)
    }

    fn write_bytes(&self, file: &str, text: &[u8]) -> Result<(), Ended> {
        let path = self.root.join(file);
        let written = path.parent().map_or(Ok(()), fs::create_dir_all).and_then(|()| fs::write(&path, text));
        written.map_err(|source| Ended::File { action: "write", path: path.display().to_string(), source })
    }

    /// Runs cargo in the copy.
    pub(super) fn cargo(&self, arguments: &[&str]) -> Result<Output, Ended> {
        let mut cargo = Command::new("cargo");
        cargo.args(arguments).current_dir(&self.root).env("CARGO_TARGET_DIR", &self.target);
        // A build differs from the one before by a line.
        cargo.env("CARGO_INCREMENTAL", "1");
        output("cargo", &mut cargo)
    }

    /// Runs cargo for what must succeed for anything to be said of a bug.
    pub(super) fn build(&self, arguments: &[&str]) -> Result<(), Ended> {
        let built = self.cargo(arguments)?;
        if built.status.success() { Ok(()) } else { Err(Ended::Build { output: told(&built) }) }
    }

    /// A program that was built.
    pub(super) fn program(&self, name: &str) -> PathBuf {
        self.target.join("debug").join(name)
    }
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

/// Runs a program to its end.
pub(super) fn output(name: &'static str, command: &mut Command) -> Result<Output, Ended> {
    command.output().map_err(|source: io::Error| Ended::Command { command: name, source })
}

/// All that a program said.
pub(super) fn told(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}
