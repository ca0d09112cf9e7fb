//! Namespaces of the calling thread's own, with a bpffs that goes away with them.

use std::{io, path::PathBuf};

use nix::{
    mount::{MsFlags, mount},
    sched::{CloneFlags, unshare},
};

use super::EngineError;

/// Where a bpffs is by custom; in the private mount namespace it is another one than the host's.
const BPFFS: &str = "/sys/fs/bpf";

/// Moves the calling thread into a network and a mount namespace of its own for good, so call it on a thread made for
/// this; the result is a folder for pins that nobody else sees.
///
/// # Errors
/// Without root, or on a kernel without namespaces.
pub fn enter() -> Result<PathBuf, EngineError> {
    let failed = |action| move |errno: nix::Error| EngineError::Namespace { action, source: io::Error::from(errno) };
    let nothing = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).map_err(failed("enter them"))?;
    mount(nothing, "/", nothing, MsFlags::MS_REC | MsFlags::MS_PRIVATE, nothing)
        .map_err(failed("make mounts private"))?;
    mount(Some("bpf"), BPFFS, Some("bpf"), MsFlags::empty(), nothing).map_err(failed("mount a bpffs"))?;
    Ok(PathBuf::from(BPFFS).join("ringfence-engine"))
}
