//! `ringfence apply`.

use ringfence_policy::wire::object_to_wire;
use ringfence_proto::v1;

use crate::{
    args::{Apply, Wait},
    client::{Client, RequestError},
    commit::{self, Commit},
    error::{Error, Outcome},
    fault::Report,
    files::{self, FileSet, ReadError},
    output::Format,
};

/// Files that were read and hold only what can be sent.
pub(super) struct Prepared {
    set: FileSet,
    source: String,
    dry_run: bool,
    prune: bool,
    wait: Wait,
}

impl Prepared {
    /// Reads the files.
    pub(super) fn read(args: Apply) -> Result<Self, Error> {
        let Apply { files, dry_run, prune, source, wait } = args;
        // By an empty name everything without a source would go.
        if prune && source.as_ref().is_none_or(String::is_empty) {
            return Err(ReadError::NoName.into());
        }
        let set = FileSet::read(&files)?;
        let source = source.unwrap_or_else(|| files::set_name(&files));
        Ok(Self { set, source, dry_run, prune, wait })
    }

    /// Sends all objects in one request and shows what it did.
    pub(super) async fn send(self, client: &Client, format: Format) -> Result<Outcome, Error> {
        let Self { set: FileSet { files, documents, expectations: _ }, source, dry_run, prune, wait } = self;
        let objects = documents
            .iter()
            .map(|document| v1::Object { source: source.clone(), ..object_to_wire(&document.object) })
            .collect();
        let prune = if prune { source } else { String::new() };
        match client.apply(v1::ApplyRequest { objects, dry_run, if_revision: 0, prune }).await {
            Ok(response) => commit::finish(client, Commit::of_apply(response, dry_run)?, wait, format).await,
            Err(RequestError::Invalid(invalid)) => Err(Error::Faulty(Report::of_invalid(invalid, &documents, files))),
            Err(RequestError::Other(error)) => Err(error),
        }
    }
}
