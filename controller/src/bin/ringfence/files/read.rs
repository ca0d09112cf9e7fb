//! Which files a path stands for, and their texts.

use std::{
    collections::BTreeSet,
    fs,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use ringfence_policy::text::{Location, SourceFile};

use super::{ReadError, display_name};

/// A file, the policy files in and below a directory, sorted by path, or `-`, standard input.
pub(super) fn read(path: &Path) -> Result<Vec<SourceFile>, ReadError> {
    if path == Path::new("-") {
        let mut bytes = Vec::new();
        io::stdin().read_to_end(&mut bytes).map_err(fault(path))?;
        return Ok(vec![decode(path, bytes)?]);
    }
    if !path.is_dir() {
        return Ok(vec![file(path)?]);
    }
    let mut inside = Vec::new();
    collect(path, &mut BTreeSet::new(), &mut inside)?;
    if inside.is_empty() {
        return Err(ReadError::EmptyDirectory { path: display_name(path) });
    }
    inside.sort();
    inside.iter().map(|path| file(path)).collect()
}

/// The policy files in and below a directory; none of a hidden folder, and of a folder that links lead to more than once
/// only the first time. `seen`: the folders met so far, without links.
fn collect(folder: &Path, seen: &mut BTreeSet<PathBuf>, inside: &mut Vec<PathBuf>) -> Result<(), ReadError> {
    if !seen.insert(folder.canonicalize().map_err(fault(folder))?) {
        return Ok(());
    }
    let entries = fs::read_dir(folder).map_err(fault(folder))?;
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>().map_err(fault(folder))?;
    // So that of two ways to one folder the same one is taken everywhere.
    paths.sort();
    for path in paths {
        match path.is_dir() {
            true if is_hidden(&path) => {}
            true => collect(&path, seen, inside)?,
            false if is_yaml(&path) => inside.push(path),
            false => {}
        }
    }
    Ok(())
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
}

fn is_yaml(path: &Path) -> bool {
    path.extension().is_some_and(|extension| ["yaml", "yml"].iter().any(|yaml| extension.eq_ignore_ascii_case(yaml)))
}

fn file(path: &Path) -> Result<SourceFile, ReadError> {
    decode(path, fs::read(path).map_err(fault(path))?)
}

/// Its text, or where it ceases to be one: columns count characters, as those of every other complaint do.
fn decode(path: &Path, bytes: Vec<u8>) -> Result<SourceFile, ReadError> {
    let name = display_name(path);
    match String::from_utf8(bytes) {
        Ok(text) => Ok(SourceFile { name, text }),
        Err(error) => {
            let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
            let good = String::from_utf8_lossy(good);
            let (lines, last) = (good.matches('\n').count(), good.rsplit('\n').next().unwrap_or_default());
            let at = |passed: usize| u64::try_from(passed).unwrap_or(u64::MAX).saturating_add(1);
            Err(ReadError::NotUtf8(Location { file: name, line: at(lines), column: at(last.chars().count()) }))
        }
    }
}

fn fault(path: &Path) -> impl FnOnce(io::Error) -> ReadError {
    let path = display_name(path);
    move |cause| ReadError::Io { path, cause }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::os::unix::fs::symlink;

    use super::*;

    /// A directory with these files.
    fn folder(files: &[&str]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for name in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, name).unwrap();
        }
        dir
    }

    fn names(dir: &Path) -> Vec<String> {
        let name = |file: SourceFile| file.name.replace(&format!("{}/", dir.display()), "");
        read(dir).unwrap().into_iter().map(name).collect()
    }

    #[test]
    fn a_directory_is_its_yaml_files_sorted() {
        let dir = folder(&["b.yaml", "a.yml", "C.YAML", "notes.txt", "c.yaml.bak", "d.Yml"]);
        assert_eq!(names(dir.path()), ["C.YAML", "a.yml", "b.yaml", "d.Yml"]);
    }

    #[test]
    fn folders_in_it_are_read_and_hidden_ones_are_not() {
        let dir = folder(&["b.yaml", "a/z.yaml", "a/deep/er/x.yml", "c.yaml/y.yaml", ".git/a.yaml", "a/.old/b.yaml"]);
        assert_eq!(names(dir.path()), ["a/deep/er/x.yml", "a/z.yaml", "b.yaml", "c.yaml/y.yaml"]);
    }

    #[test]
    fn a_folder_that_links_lead_to_is_read_once() {
        let dir = folder(&["a/x.yaml", "b/y.yaml"]);
        symlink(dir.path(), dir.path().join("a/up")).unwrap();
        symlink(dir.path().join("b"), dir.path().join("c")).unwrap();
        assert_eq!(names(dir.path()), ["a/x.yaml", "b/y.yaml"]);
    }

    #[test]
    fn a_directory_without_yaml_is_an_error_that_names_it() {
        let dir = folder(&["folder/notes.txt", ".git/a.yaml"]);
        let error = read(dir.path()).unwrap_err().to_string();
        let said = format!("{}: no *.yaml or *.yml file is in this directory or below it", dir.path().display());
        assert_eq!(error, said);
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = read(Path::new("./no/such.yaml")).unwrap_err().to_string();
        assert!(error.starts_with("cannot read no/such.yaml: "), "{error}");
    }
}
