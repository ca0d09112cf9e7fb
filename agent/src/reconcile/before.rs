//! Devices that were there before us: which of this host's existed when its first agent of this boot started. Flows may
//! run through them that no program saw begin.
//!
//! They are folders beside the pinned maps, so they live as long as those do: an agent that restarts finds none that an
//! earlier one has taken in, and none after a reboot.

use std::{
    collections::BTreeSet,
    fs, io,
    path::{Path, PathBuf},
};

/// Their interface indexes.
#[derive(Debug)]
pub(super) struct Before {
    dir: PathBuf,
    devices: BTreeSet<u32>,
}

impl Before {
    /// Those that were noted in the folder of the pins and not taken in since.
    pub(super) fn open(pin_dir: &Path) -> Self {
        let dir = pin_dir.join("before");
        let names = fs::read_dir(&dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
        let devices = names.filter_map(|name| name.to_str()?.parse().ok()).collect();
        Self { dir, devices }
    }

    /// These are there, and no program of ours ever ran.
    pub(super) fn note(&mut self, ifindexes: impl IntoIterator<Item = u32>) {
        for ifindex in ifindexes {
            self.devices.insert(ifindex);
            self.report(fs::create_dir_all(self.path(ifindex)), ifindex);
        }
    }

    /// Those that are to be taken in still.
    pub(super) fn devices(&self) -> &BTreeSet<u32> {
        &self.devices
    }

    /// Forgets all but these: they are gone, or taken in.
    pub(super) fn retain(&mut self, keep: impl Fn(u32) -> bool) {
        let gone: Vec<u32> = self.devices.iter().copied().filter(|ifindex| !keep(*ifindex)).collect();
        for ifindex in gone {
            self.devices.remove(&ifindex);
            self.report(fs::remove_dir(self.path(ifindex)), ifindex);
        }
    }

    fn path(&self, ifindex: u32) -> PathBuf {
        self.dir.join(ifindex.to_string())
    }

    /// Enforcement waits for no note. Without it a flow that runs already is cut after a restart, never let through.
    fn report(&self, result: io::Result<()>, ifindex: u32) {
        if let Err(error) = result
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::error!(path = %self.path(ifindex).display(), %error, "which devices were there before cannot be noted");
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noted_is_found_by_the_next_agent_until_it_is_taken_in() {
        let dir = tempfile::tempdir().unwrap();
        let mut before = Before::open(dir.path());
        assert!(before.devices().is_empty());
        before.note([4, 7]);
        assert_eq!(Before::open(dir.path()).devices(), &BTreeSet::from([4, 7]));
        before.retain(|ifindex| ifindex != 4);
        assert_eq!(Before::open(dir.path()).devices(), &BTreeSet::from([7]));
    }
}
