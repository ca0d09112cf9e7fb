//! Network namespaces, made and entered as `ip netns` does.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    thread::{self, JoinHandle},
};

use anyhow::{Context, Result, bail};
use nix::sched::{CloneFlags, setns};

use crate::{cabling::ip, sys};

/// Where `ip netns` keeps the names of namespaces.
pub const NAMED: &str = "/var/run/netns";

/// A named network namespace; cheap to clone.
///
/// It outlives the value: a lab removes its namespaces by name, so that the same code removes those
/// of a lab that was killed.
#[derive(Clone, Debug)]
pub struct Namespace {
    name: Arc<str>,
    file: Arc<File>,
}

impl Namespace {
    /// Makes a namespace with its loopback up.
    pub fn create(name: &str) -> Result<Self> {
        ip(&["netns", "add", name])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        Self::open(name)
    }

    /// The namespace of this name that is there already.
    pub fn open(name: &str) -> Result<Self> {
        let path = Path::new(NAMED).join(name);
        let file = File::open(&path).with_context(|| format!("cannot open the namespace {}", path.display()))?;
        Ok(Self { name: name.into(), file: Arc::new(file) })
    }

    /// Its name, as `ip netns exec` takes it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs `work` in the namespace, on a thread of its own, and waits for it. Sockets made there
    /// stay in the namespace and may be used from anywhere afterwards.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
        thread::scope(|scope| {
            let entered = scope.spawn(|| {
                self.enter()?;
                work()
            });
            match entered.join() {
                Ok(result) => result,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
        .with_context(|| format!("in the namespace {}", self.name))
    }

    /// Like [`Self::run`], without waiting.
    pub fn spawn<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> JoinHandle<Result<T>> {
        let namespace = self.clone();
        thread::spawn(move || {
            namespace.enter()?;
            work()
        })
    }

    /// A command that will run in the namespace.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Result<Command> {
        let mut command = Command::new(program);
        sys::run_in(&mut command, self.file.try_clone()?);
        Ok(command)
    }

    /// Writes a setting under /proc/sys, which shows each thread its own namespace's.
    pub fn sysctl(&self, path: &str, value: &str) -> Result<()> {
        let file = PathBuf::from("/proc/sys").join(path);
        self.run(|| fs::write(&file, value).with_context(|| format!("cannot write {value:?} to {}", file.display())))
    }

    /// Moves the calling thread into the namespace for good.
    fn enter(&self) -> Result<()> {
        setns(&*self.file, CloneFlags::CLONE_NEWNET)
            .with_context(|| format!("cannot enter the namespace {}; are you root?", self.name))
    }
}

/// Every named namespace whose name starts with `prefix`.
pub fn named(prefix: &str) -> Result<Vec<String>> {
    if !Path::new(NAMED).exists() {
        return Ok(Vec::new());
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(NAMED).with_context(|| format!("cannot list {NAMED}"))? {
        let name = entry?.file_name();
        if let Some(name) = name.to_str().filter(|name| name.starts_with(prefix)) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// The processes whose network namespace is the named one.
pub fn processes_in(name: &str) -> Result<Vec<i32>> {
    use std::os::unix::fs::MetadataExt;

    let path = Path::new(NAMED).join(name);
    let inode = match fs::metadata(&path) {
        Ok(metadata) => metadata.ino(),
        Err(error) => bail!("cannot look at {}: {error}", path.display()),
    };
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc").context("cannot list /proc")? {
        let entry = entry?;
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process may end while we look; then it is in no namespace.
        if fs::metadata(entry.path().join("ns/net")).is_ok_and(|ns| ns.ino() == inode) {
            found.push(pid);
        }
    }
    Ok(found)
}
