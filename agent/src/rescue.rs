//! The way out when a policy, or a fault of ours, keeps a machine's NICs closed: what runs there is taken off at once and
//! kept off, until somebody ends it.
//!
//! It is a note in the state directory, so it outlives a reboot, and any agent keeps to it from its next look on. Nobody has
//! to be asked: neither a controller nor an agent that runs.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::{
    bpf::{self, BpfError},
    config::Places,
};

/// The place of the note.
#[derive(Debug)]
pub(crate) struct Rescue {
    path: PathBuf,
}

/// Why a rescue did not begin or end as it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RescueError {
    /// The note cannot be written or removed.
    #[error("cannot {action} {path:?}: {source}; {advice}")]
    Note {
        /// What was tried.
        action: &'static str,
        /// The note.
        path: PathBuf,
        /// Why.
        source: io::Error,
        /// What the machine is like now, and what to do.
        advice: &'static str,
    },
    /// Programs.
    #[error(transparent)]
    Bpf(#[from] BpfError),
}

impl Rescue {
    /// In the state directory.
    pub(crate) fn new(state_dir: &Path) -> Self {
        Self { path: state_dir.join("rescued") }
    }

    /// Whether the machine is rescued.
    pub(crate) fn is_there(&self) -> bool {
        self.path.exists()
    }

    fn put(&self) -> io::Result<()> {
        if let Some(state_dir) = self.path.parent() {
            fs::create_dir_all(state_dir)?;
        }
        // On disk before anybody relies on it: the machine may be about to be reset.
        fs::File::create(&self.path)?.sync_all()
    }

    fn failed(&self, action: &'static str, source: io::Error, advice: &'static str) -> RescueError {
        RescueError::Note { action, path: self.path.clone(), source, advice }
    }
}

/// Takes the programs off this machine's NICs and keeps them off; what was done, for the operator.
///
/// # Errors
/// Also where the programs were taken off and the note could not be written: an agent that runs puts them back then.
pub fn begin(places: &Places) -> Result<String, RescueError> {
    let rescue = Rescue::new(&places.state_dir);
    // The note first, so that no agent puts back what goes; but a full disk must not keep a machine closed.
    let noted = rescue.put();
    let released = bpf::release_nics(&places.pin_dir)?;
    noted.map_err(|source| {
        rescue.failed("write", source, "the NICs are open now, and an agent that runs will close them: stop it")
    })?;
    Ok(format!(
        "rescued: nothing is enforced on this machine's NICs ({released} taken off); workloads on it are as before. End it \
         with `ringfence-agent rescue --end`"
    ))
}

/// Gives the NICs back to the agent; what was done, for the operator.
///
/// # Errors
/// The note cannot be removed.
pub fn end(places: &Places) -> Result<String, RescueError> {
    let rescue = Rescue::new(&places.state_dir);
    match fs::remove_file(&rescue.path) {
        Ok(()) => {
            Ok("the rescue has ended: an agent that runs enforces on this machine's NICs within two seconds, and \
                      one that does not when it starts"
                .to_owned())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok("this machine was not rescued".to_owned()),
        Err(source) => Err(rescue.failed("remove", source, "the machine stays rescued; mend that and end it again")),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn places(dir: &Path) -> Places {
        Places { pin_dir: dir.join("pins"), state_dir: dir.join("state/agent") }
    }

    #[test]
    fn a_rescue_stays_until_it_is_ended_and_needs_no_agent_to_have_run() {
        let dir = tempfile::tempdir().unwrap();
        let places = places(dir.path());
        let rescue = Rescue::new(&places.state_dir);
        assert!(!rescue.is_there());
        begin(&places).unwrap();
        begin(&places).unwrap();
        assert!(rescue.is_there());
        end(&places).unwrap();
        assert!(!rescue.is_there());
        assert_eq!(end(&places).unwrap(), "this machine was not rescued");
    }

    #[test]
    fn a_note_that_cannot_be_written_is_told() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("state"), "").unwrap();
        let told = begin(&places(dir.path())).unwrap_err().to_string();
        assert!(told.contains("are open now, and an agent that runs will close them"), "{told}");
    }
}
