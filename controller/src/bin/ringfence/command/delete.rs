//! `ringfence delete`.

use ringfence_policy::{
    object::{Kind, ObjectKey},
    text::{Document, SourceFile},
    wire::key_to_wire,
};
use ringfence_proto::v1;

use crate::{
    args::{Deletable, Delete, Wait},
    client::{Client, RequestError},
    commit::{self, Commit},
    error::{Error, Outcome},
    fault::Report,
    files::FileSet,
    output::Format,
};

/// What to delete, and where it stands if it stands in files.
pub(super) struct Prepared {
    keys: Vec<ObjectKey>,
    documents: Vec<Document>,
    files: Vec<SourceFile>,
    wait: Wait,
}

impl Prepared {
    /// Reads the files, or the kind and name.
    pub(super) fn read(args: Delete) -> Result<Self, Error> {
        let Delete { files, kind, name, domain, wait } = args;
        match kind.zip(name) {
            Some((kind, name)) => {
                let keys = vec![key(kind, name, domain)?];
                Ok(Self { keys, documents: Vec::new(), files: Vec::new(), wait })
            }
            None => {
                let FileSet { files, documents, expectations: _ } = FileSet::read(&files)?;
                let keys = documents.iter().map(|document| document.object.key()).collect();
                Ok(Self { keys, documents, files, wait })
            }
        }
    }

    /// Sends all keys in one request and shows what it did.
    pub(super) async fn send(self, client: &Client, format: Format) -> Result<Outcome, Error> {
        let Self { keys, documents, files, wait } = self;
        let keys = keys.iter().map(key_to_wire).collect();
        match client.delete(v1::DeleteRequest { keys, if_revision: 0 }).await {
            Ok(response) => commit::finish(client, Commit::of_delete(response)?, wait, format).await,
            Err(RequestError::Invalid(invalid)) => Err(Error::Faulty(Report::of_invalid(invalid, &documents, files))),
            Err(RequestError::Other(error)) => Err(error),
        }
    }
}

/// The key of an object named on the command line.
fn key(kind: Deletable, name: String, domain: Option<String>) -> Result<ObjectKey, Error> {
    let kind = kind.kind();
    match (matches!(kind, Kind::Tenant | Kind::Domain | Kind::Host), domain) {
        (true, None) => Ok(ObjectKey { kind, domain: String::new(), name }),
        (false, Some(domain)) => Ok(ObjectKey { kind, domain, name }),
        (true, Some(_)) => Err(Error::Refused(format!("{kind} {name}: a {kind} is in no domain; leave out --domain"))),
        (false, None) => {
            Err(Error::Refused(format!("{kind} {name}: say in which domain, with --domain TENANT/DOMAIN")))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_lives_in_a_domain_needs_one_and_what_does_not_takes_none() {
        let domain = || Some("acme/prod".to_owned());
        assert_eq!(key(Deletable::Network, "front".into(), domain()).unwrap().to_string(), "Network acme/prod/front");
        assert_eq!(key(Deletable::Domain, "acme/prod".into(), None).unwrap().to_string(), "Domain acme/prod");
        assert_eq!(key(Deletable::Host, "h1".into(), None).unwrap().to_string(), "Host h1");
        assert!(key(Deletable::Network, "front".into(), None).is_err());
        assert!(key(Deletable::Host, "h1".into(), domain()).is_err());
        assert!(key(Deletable::Tenant, "acme".into(), domain()).is_err());
    }
}
