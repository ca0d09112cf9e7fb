//! The files a user names, and the name of the set they are.

mod read;

use std::{
    collections::BTreeSet,
    env, fs, io,
    path::{Component, Path, PathBuf},
};

use ringfence_policy::text::{self, Contents, Document, ExpectationDocument, Location, SourceFile};

use self::read::read;
use crate::{error::Error, fault::Report};

/// Standard input, as it is named in messages.
const STDIN: &str = "stdin";

/// Files that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    /// The system says no.
    #[error("cannot read {path}: {cause}")]
    Io {
        /// What was to be read.
        path: String,
        /// Why not.
        cause: io::Error,
    },
    /// A text in another encoding, or no text.
    #[error("{0}: is not UTF-8: save the file as UTF-8")]
    NotUtf8(Location),
    /// A directory was given that has no policy file.
    #[error("{path}: no *.yaml or *.yml file is in this directory or below it")]
    EmptyDirectory {
        /// The directory.
        path: String,
    },
    /// A set called by its paths may be another's of the same paths: elsewhere, or of other people.
    #[error("--prune deletes what a set of files made and has no longer: name the set with --source NAME")]
    NoName,
    /// There were files, and in them nothing but what `policy test` reads.
    #[error("{paths}: only expectations are in there, which `ringfence policy test` reads")]
    OnlyExpectations {
        /// All that was read.
        paths: String,
    },
    /// There was something, and no expectation.
    #[error("{paths}: no expectation is in there; write one with `kind: Expectation` and `flows:`")]
    NoExpectation {
        /// All that was read.
        paths: String,
    },
    /// There were files, and no object in them.
    #[error("{paths}: no object is in there; a file needs at least `kind:` and `name:`")]
    NoObject {
        /// All that was read.
        paths: String,
    },
}

/// What a set of files says.
#[derive(Debug)]
pub(crate) struct FileSet {
    /// The files as read.
    pub(crate) files: Vec<SourceFile>,
    /// Their objects, in order; at least one.
    pub(crate) documents: Vec<Document>,
    /// What their author expects of them, in order.
    pub(crate) expectations: Vec<ExpectationDocument>,
}

impl FileSet {
    /// Reads and parses files, directories (every `*.yaml` and `*.yml` in and below them, sorted) and `-`, standard input.
    pub(crate) fn read(paths: &[PathBuf]) -> Result<Self, Error> {
        let mut files: Vec<SourceFile> = Vec::new();
        for path in paths {
            for file in read(path)? {
                if !files.iter().any(|known| known.name == file.name) {
                    files.push(file);
                }
            }
        }
        let Contents { documents, expectations } = match text::parse_all(&files) {
            Ok(contents) => contents,
            Err(errors) => return Err(Error::Faulty(Report::of_text(errors, files))),
        };
        match (documents.is_empty(), expectations.is_empty()) {
            (true, true) => Err(ReadError::NoObject { paths: set_name(paths) }.into()),
            (true, false) => Err(ReadError::OnlyExpectations { paths: set_name(paths) }.into()),
            _ => Ok(Self { files, documents, expectations }),
        }
    }
}

/// The name of a file set that is given none: its paths, sorted, each once. However a path is written, it is named
/// from the current directory on if it is below it, so that the same checkout names the same set on every machine.
pub(crate) fn set_name(paths: &[PathBuf]) -> String {
    let here = env::current_dir().and_then(fs::canonicalize).unwrap_or_default();
    let names: BTreeSet<String> = paths.iter().map(|path| canonical_name(path, &here)).collect();
    names.into_iter().collect::<Vec<_>>().join(",")
}

/// The name of a path seen from a directory; what is not there keeps the name it was given.
fn canonical_name(path: &Path, here: &Path) -> String {
    match path.canonicalize() {
        Ok(whole) if path != Path::new("-") => display_name(whole.strip_prefix(here).unwrap_or(&whole)),
        _ => display_name(path),
    }
}

fn display_name(path: &Path) -> String {
    if path == Path::new("-") {
        return STDIN.to_owned();
    }
    let plain: PathBuf = path.components().filter(|part| *part != Component::CurDir).collect();
    if plain.as_os_str().is_empty() { ".".to_owned() } else { plain.display().to_string() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_set_is_named_by_its_paths_whatever_their_order() {
        let paths = |given: &[&str]| given.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(set_name(&paths(&["./b.yaml", "a/", "b.yaml"])), "a,b.yaml");
        assert_eq!(set_name(&paths(&["-"])), "stdin");
        assert_eq!(set_name(&paths(&["."])), ".");
    }

    #[test]
    fn a_path_has_one_name_however_it_is_written() {
        let dir = tempfile::tempdir().unwrap();
        let here = dir.path().canonicalize().unwrap();
        fs::create_dir(here.join("a")).unwrap();
        fs::write(here.join("a/b.yaml"), "").unwrap();
        for written in ["a/b.yaml", "a/../a/./b.yaml"] {
            assert_eq!(canonical_name(&here.join(written), &here), "a/b.yaml");
        }
        let elsewhere = here.join("a/b.yaml").display().to_string();
        assert_eq!(canonical_name(&here.join("a/b.yaml"), Path::new("/no/such")), elsewhere);
    }
}
