//! The policy files a lab is raised from.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use ringfence_policy::{
    object::Object,
    text::{self, SourceFile},
};

/// Reads policy files; an error shows everything that is wrong with them.
pub fn read_objects(files: &[&Path]) -> Result<Vec<Object>> {
    let sources = files
        .iter()
        .map(|path| {
            let text = fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
            Ok(SourceFile { name: path.display().to_string(), text })
        })
        .collect::<Result<Vec<_>>>()?;
    match text::parse(&sources) {
        Ok(documents) => Ok(documents.into_iter().map(|document| document.object).collect()),
        Err(errors) => {
            let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
            bail!("{}", lines.join("\n"))
        }
    }
}

/// A file of the repository's examples.
pub fn example(name: &str) -> PathBuf {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    repository.unwrap_or(Path::new("/")).join("examples").join(name)
}
