//! Objects in files as the domains they make, with no controller near.

use std::{
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use ringfence_policy::{
    model::Model,
    object::Object,
    text::{ExpectationDocument, SourceFile},
};

use crate::{error::Error, fault::Report, files::FileSet};

/// What files say, validated.
pub(crate) struct World {
    /// The files as read.
    pub(crate) files: Vec<SourceFile>,
    /// What their author expects, in order.
    pub(crate) expectations: Vec<ExpectationDocument>,
    /// The domains.
    pub(crate) model: Model,
}

impl World {
    /// Reads files, directories and standard input as [`FileSet::read`] does.
    pub(crate) fn read(paths: &[PathBuf]) -> Result<Self, Error> {
        let FileSet { files, documents, expectations } = FileSet::read(paths).map_err(|error| match error {
            Error::Faulty(report) => Error::Faulty(report.of_question()),
            error => error,
        })?;
        let objects: Vec<Object> = documents.iter().map(|document| document.object.clone()).collect();
        match Model::default().change(&objects, &[]) {
            Ok(change) => Ok(Self { files, expectations, model: change.model }),
            Err(invalid) => Err(Error::Faulty(Report::of_model(invalid, &documents, files))),
        }
    }
}

/// Now, in seconds since 1970-01-01T00:00:00Z.
pub(crate) fn now() -> u64 {
    // A clock before 1970 is 1970.
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
