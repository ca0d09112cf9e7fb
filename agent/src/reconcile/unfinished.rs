//! The note that a plan is being carried out: an agent that finds it judges every flow again.
//!
//! It is a folder beside the pinned maps, so it lives as long as they do and needs no room on a disk: a plan that is cut
//! off is noticed on a host whose disk is full, and none is after a reboot, when the maps are new.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// The place of the note.
#[derive(Debug)]
pub(super) struct Unfinished {
    path: PathBuf,
}

impl Unfinished {
    /// In the folder of the pins.
    pub(super) fn new(pin_dir: &Path) -> Self {
        Self { path: pin_dir.join("unfinished") }
    }

    /// A plan begins.
    pub(super) fn begin(&self) {
        self.report(fs::create_dir(&self.path), io::ErrorKind::AlreadyExists);
    }

    /// It ended.
    pub(super) fn end(&self) {
        self.report(fs::remove_dir(&self.path), io::ErrorKind::NotFound);
    }

    /// Whether one was begun and not ended.
    pub(super) fn is_there(&self) -> bool {
        self.path.exists()
    }

    /// Enforcement waits for no note.
    fn report(&self, result: io::Result<()>, expected: io::ErrorKind) {
        if let Err(error) = result
            && error.kind() != expected
        {
            tracing::error!(path = %self.path.display(), %error, "whether a plan was cut off cannot be noted");
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_is_unfinished_from_its_begin_to_its_end() {
        let dir = tempfile::tempdir().unwrap();
        let unfinished = Unfinished::new(dir.path());
        assert!(!unfinished.is_there());
        for _ in 0..2 {
            unfinished.begin();
            assert!(unfinished.is_there());
        }
        for _ in 0..2 {
            unfinished.end();
            assert!(!unfinished.is_there());
        }
    }
}
