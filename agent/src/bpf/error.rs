//! What can go wrong between the agent and the kernel.

use std::io;
use std::path::{Path, PathBuf};

/// An error of the datapath wrapper; each names the object and, where one helps, what to do.
#[derive(Debug, thiserror::Error)]
pub enum BpfError {
    /// The running kernel lacks something.
    #[error("kernel: {missing}; {remedy}")]
    Kernel {
        /// What it lacks.
        missing: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A file or folder under the pin folder.
    #[error("pin {path:?}: cannot {action}: {source}")]
    Pin {
        /// Which.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// A pinned map is of a version of the agent from which this one cannot take over: a later one, or none that was
    /// released.
    #[error(
        "pinned map {path:?}: {field} is {found}, this agent needs {wanted}; the programs of before go on deciding by what \
         they hold: start the agent that made them, or stop the workloads' traffic, remove the pin folder and start this one"
    )]
    Layout {
        /// Which.
        path: PathBuf,
        /// What differs.
        field: &'static str,
        /// As pinned.
        found: u64,
        /// As compiled in.
        wanted: u64,
    },
    /// The programs could not be loaded.
    #[error("programs: cannot {action}: {source:#}")]
    Load {
        /// What was tried.
        action: &'static str,
        /// Why it failed; the verifier's log is in the agent's log.
        source: libbpf_rs::Error,
    },
    /// A map operation.
    #[error("map {map}: cannot {action}: {source}")]
    Map {
        /// Its name in `maps.h`.
        map: &'static str,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
    /// An index beyond a map's end.
    #[error("map {map}: index {index} is beyond its {places} places")]
    Index {
        /// Its name in `maps.h`.
        map: &'static str,
        /// What was asked for.
        index: u32,
        /// How many it has.
        places: usize,
    },
    /// A link operation.
    #[error("link {name}: cannot {action}: {source}")]
    Link {
        /// Its name in the pin folder: hook and interface index.
        name: String,
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl BpfError {
    pub(super) fn layout(path: &Path, field: &'static str, found: u32, wanted: u32) -> Self {
        Self::Layout { path: path.to_owned(), field, found: found.into(), wanted: wanted.into() }
    }
}
