//! Which labs there are, and the removal of what a lab made: its own at its end, and what a killed
//! one left.
//!
//! Each lab has a directory under [`LABS`] with a file that it keeps locked while it lives; the
//! kernel lets go of the lock however the process ends. All that a lab makes bears its id: its
//! namespaces (`rf-ID-…`), its pins (`/sys/fs/bpf/rf-ID`), its directory.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    process,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use anyhow::{Context, Result, bail};
use nix::{
    sys::{
        signal::{Signal, kill},
        statfs::{BPF_FS_MAGIC, statfs},
    },
    unistd::{Pid, geteuid},
};

use crate::{cabling::ip, netns, wait};

/// Where labs are registered.
pub const LABS: &str = "/run/ringfence-lab";

const BPFFS: &str = "/sys/fs/bpf";

/// A living lab's place. Dropped, it takes with it all that bears its id.
#[derive(Debug)]
pub struct Registration {
    id: String,
    _alive: File,
}

impl Registration {
    /// Registers a new lab, after removing what dead ones left.
    pub fn new() -> Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);

        sweep()?;
        mount_bpffs()?;
        let _exclusive = lock_labs()?;
        let id = format!("{}x{}", process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let directory = directory_of(&id);
        fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let alive = File::create(directory.join("alive"))?;
        alive.lock().context("cannot lock the new lab's file")?;
        Ok(Self { id, _alive: alive })
    }

    /// The id that all it makes bears.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The name of one of its namespaces.
    pub fn namespace(&self, name: &str) -> String {
        format!("{}{name}", prefix_of(&self.id))
    }

    /// Where it may write.
    pub fn directory(&self) -> PathBuf {
        directory_of(&self.id)
    }

    /// Where its agents pin what they load.
    pub fn pins(&self) -> PathBuf {
        pins_of(&self.id)
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        if let Err(error) = remove(&self.id) {
            eprintln!("the lab {} could not be removed: {error:#}", self.id);
        }
    }
}

/// Removes what dead labs left; returns their ids.
pub fn sweep() -> Result<Vec<String>> {
    let _exclusive = lock_labs()?;
    let (_, dead) = by_life()?;
    for id in &dead {
        remove(id)?;
    }
    Ok(dead)
}

/// The ids of the labs that are up.
pub fn living() -> Result<Vec<String>> {
    let _exclusive = lock_labs()?;
    Ok(by_life()?.0)
}

/// Removes all that bears the id: processes, namespaces with the devices in them, pins, files.
fn remove(id: &str) -> Result<()> {
    let namespaces = namespaces(id)?;
    for name in &namespaces {
        end_processes_in(name)?;
    }
    for name in &namespaces {
        ip(&["netns", "del", name])?;
    }
    for directory in [pins_of(id), directory_of(id)] {
        if directory.exists() {
            fs::remove_dir_all(&directory).with_context(|| format!("cannot remove {}", directory.display()))?;
        }
    }
    Ok(())
}

/// The names of a lab's namespaces.
pub fn namespaces(id: &str) -> Result<Vec<String>> {
    netns::named(&prefix_of(id))
}

/// What of a lab is still there, as paths; empty after [`remove`].
pub fn leftovers(id: &str) -> Result<Vec<PathBuf>> {
    let mut found: Vec<PathBuf> = namespaces(id)?.iter().map(|name| Path::new(netns::NAMED).join(name)).collect();
    found.extend([pins_of(id), directory_of(id)].into_iter().filter(|path| path.exists()));
    Ok(found)
}

/// What the names of a lab's namespaces start with.
pub fn prefix_of(id: &str) -> String {
    format!("rf-{id}-")
}

/// Where a lab keeps its files.
pub fn directory_of(id: &str) -> PathBuf {
    Path::new(LABS).join(id)
}

/// Where a lab's agents pin what they load, each in a directory of its host's name.
pub fn pins_of(id: &str) -> PathBuf {
    Path::new(BPFFS).join(format!("rf-{id}"))
}

/// The living and the dead.
fn by_life() -> Result<(Vec<String>, Vec<String>)> {
    let (mut living, mut dead) = (Vec::new(), Vec::new());
    for entry in fs::read_dir(LABS).with_context(|| format!("cannot list {LABS}"))? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            let whose = if is_dead(&entry.path())? { &mut dead } else { &mut living };
            whose.push(entry.file_name().to_string_lossy().into_owned());
        }
    }
    Ok((living, dead))
}

fn is_dead(directory: &Path) -> Result<bool> {
    // A lab that died between making its directory and this file held no lock either.
    let Ok(file) = File::open(directory.join("alive")) else {
        return Ok(true);
    };
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error).context("cannot try a lab's lock"),
    }
}

/// Held while labs are registered or swept, so that a new one is not taken for dead.
fn lock_labs() -> Result<File> {
    require_root()?;
    fs::create_dir_all(LABS).with_context(|| format!("cannot make {LABS}"))?;
    let path = Path::new(LABS).join("lock");
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    file.lock().with_context(|| format!("cannot lock {LABS}"))?;
    Ok(file)
}

fn end_processes_in(namespace: &str) -> Result<()> {
    for pid in netns::processes_in(namespace)? {
        // It may have ended by itself meanwhile.
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    wait::until("killed processes are gone", Duration::from_secs(5), || Ok(netns::processes_in(namespace)?.is_empty()))
}

fn require_root() -> Result<()> {
    if !geteuid().is_root() {
        bail!("the lab makes network namespaces and loads eBPF programs: run it as root");
    }
    Ok(())
}

fn mount_bpffs() -> Result<()> {
    if statfs(BPFFS).is_ok_and(|fs| fs.filesystem_type() == BPF_FS_MAGIC) {
        return Ok(());
    }
    nix::mount::mount(Some("bpf"), BPFFS, Some("bpf"), nix::mount::MsFlags::empty(), None::<&str>)
        .with_context(|| format!("cannot mount a bpf file system on {BPFFS}"))
}
