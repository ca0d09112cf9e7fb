//! What a change did, and its rollout: shared by `apply` and `delete`.

use std::{io::IsTerminal, pin::pin};

use ringfence_policy::{settings::Period, wire::key_from_wire};
use ringfence_proto::v1;
use serde::Serialize;

use crate::{
    args::Wait,
    client::Client,
    error::{Error, Outcome},
    output::{self, Format},
    rollout::{End, Progress, Shown},
};

/// What a change did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Commit {
    /// Nothing was stored; this is what would have been done.
    dry_run: bool,
    /// Revision of the store after it.
    revision: u64,
    changes: Vec<Change>,
    generations: Vec<Generation>,
    /// The last that was seen of the rollout; `None`: it was not waited for.
    rollout: Option<Progress>,
}

/// What happened to one object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Change {
    kind: String,
    domain: String,
    name: String,
    what: What,
}

/// What can happen to an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum What {
    Created,
    Changed,
    Unchanged,
    /// It says the same and comes from another file.
    SourceChanged,
    Deleted,
}

/// A domain and the generation that the change gave it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
struct Generation {
    domain: String,
    generation: u64,
}

/// Shows what a change did, follows its rollout unless told not to, and says whether every host enforces it.
pub(crate) async fn finish(client: &Client, mut commit: Commit, wait: Wait, format: Format) -> Result<Outcome, Error> {
    // People read the list before the rollout; a document is whole only after it.
    if format == Format::Table {
        output::print(&commit.listing())?;
    }
    let mut outcome = Ok(Outcome::AsAsked);
    if !commit.dry_run && !wait.no_wait {
        let followed = follow(client, &commit.generations, wait.wait_timeout).await;
        outcome = followed.map_err(|error| Error::NotFollowed(Box::new(error))).map(|progress| {
            let outcome = if progress.done { Outcome::AsAsked } else { Outcome::NotAll };
            commit.rollout = Some(progress);
            outcome
        });
    }
    if format != Format::Table {
        output::print(&output::formatted(format, &commit, Commit::listing)?)?;
    }
    outcome
}

/// Shows a rollout on standard error until it is done, nobody is left to be waited for, or time is up.
async fn follow(client: &Client, generations: &[Generation], time: Period) -> Result<Progress, Error> {
    let wait_for: Vec<_> = generations.iter().map(Generation::to_wire).collect();
    let mut last = Progress { done: wait_for.is_empty(), domains: Vec::new() };
    if last.done {
        return Ok(last);
    }
    let on_terminal = std::io::stderr().is_terminal();
    let mut shown = Shown::default();
    let mut deadline = pin!(tokio::time::sleep(time.0));
    let mut rollout = client.rollout(wait_for).await?;
    let end = loop {
        let next = tokio::select! {
            next = rollout.next() => next?,
            () = &mut deadline => break End::Deadline(time.0),
        };
        let Some(progress) = next else { break End::Told };
        last = progress.into();
        output::progress(&if on_terminal { shown.repaint(&last) } else { shown.append(&last) });
        if last.done {
            break End::Told;
        }
    };
    for line in last.shortfall(end) {
        output::complain(&line);
    }
    Ok(last)
}

// === impl Commit ===

impl Commit {
    /// What `apply` was answered.
    pub(crate) fn of_apply(response: v1::ApplyResponse, dry_run: bool) -> Result<Self, Error> {
        let v1::ApplyResponse { revision, changes, generations } = response;
        Self::new(dry_run, revision, changes, generations)
    }

    /// What `delete` was answered.
    pub(crate) fn of_delete(response: v1::DeleteResponse) -> Result<Self, Error> {
        let v1::DeleteResponse { revision, changes, generations } = response;
        Self::new(false, revision, changes, generations)
    }

    fn new(
        dry_run: bool,
        revision: u64,
        changes: Vec<v1::Change>,
        generations: Vec<v1::DomainGeneration>,
    ) -> Result<Self, Error> {
        let changes = changes.into_iter().map(Change::from_wire).collect::<Result<_, _>>()?;
        let generation = |message| {
            let v1::DomainGeneration { domain, generation } = message;
            Generation { domain, generation }
        };
        let generations = generations.into_iter().map(generation).collect();
        Ok(Self { dry_run, revision, changes, generations, rollout: None })
    }

    /// A line for each object and one for all of them.
    fn listing(&self) -> String {
        let mut text = output::columns(
            ["KIND", "DOMAIN", "NAME", "CHANGE"],
            self.changes.iter().map(|change| {
                let Change { kind, domain, name, what } = change.clone();
                [kind, domain, name, what.word().to_owned()]
            }),
        );
        let count = |what| self.changes.iter().filter(|change| change.what == what).count();
        let counts: Vec<_> = [What::Created, What::Changed, What::SourceChanged, What::Unchanged, What::Deleted]
            .into_iter()
            .map(|what| (count(what), what.word()))
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        text.push_str(&counts.join(", "));
        text.push_str(&if self.dry_run {
            format!(" if it were applied; dry run, the store stays at revision {}\n", self.revision)
        } else {
            format!("; the store is at revision {}\n", self.revision)
        });
        text
    }
}

// === impl Generation ===

impl Generation {
    fn to_wire(&self) -> v1::DomainGeneration {
        let Self { domain, generation } = self;
        v1::DomainGeneration { domain: domain.clone(), generation: *generation }
    }
}

// === impl Change ===

impl Change {
    fn from_wire(message: v1::Change) -> Result<Self, Error> {
        let garbled = |message: String| Error::Garbled { what: "a change".to_owned(), message };
        let what = message.what();
        let key = key_from_wire(message.key.unwrap_or_default()).map_err(|invalid| garbled(invalid.to_string()))?;
        let what = match what {
            v1::change::What::Unspecified => return Err(garbled("what: it is none known here".to_owned())),
            v1::change::What::Created => What::Created,
            v1::change::What::Changed => What::Changed,
            v1::change::What::Unchanged => What::Unchanged,
            v1::change::What::Source => What::SourceChanged,
            v1::change::What::Deleted => What::Deleted,
        };
        Ok(Self { kind: key.kind.to_string(), domain: key.domain, name: key.name, what })
    }
}

// === impl What ===

impl What {
    fn word(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::SourceChanged => "changed (source only)",
            Self::Deleted => "deleted",
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn change(kind: v1::Kind, domain: &str, name: &str, what: v1::change::What) -> v1::Change {
        let key = v1::ObjectKey { kind: kind.into(), domain: domain.into(), name: name.into() };
        v1::Change { key: Some(key), what: what.into() }
    }

    fn commit(dry_run: bool) -> Commit {
        let changes = vec![
            change(v1::Kind::Tenant, "", "acme", v1::change::What::Unchanged),
            change(v1::Kind::Segment, "acme/prod", "web", v1::change::What::Created),
        ];
        let generations = vec![v1::DomainGeneration { domain: "acme/prod".into(), generation: 7 }];
        Commit::of_apply(v1::ApplyResponse { revision: 7, changes, generations }, dry_run).unwrap()
    }

    #[test]
    fn every_object_is_listed_and_all_are_counted() {
        assert_eq!(
            commit(false).listing(),
            "KIND     DOMAIN     NAME  CHANGE\n\
             Tenant   -          acme  unchanged\n\
             Segment  acme/prod  web   created\n\
             1 created, 1 unchanged; the store is at revision 7\n"
        );
    }

    #[test]
    fn a_dry_run_says_that_nothing_was_stored() {
        let listing = commit(true).listing();
        assert!(listing.ends_with("dry run, the store stays at revision 7\n"), "{listing}");
    }

    #[test]
    fn the_document_has_stable_names() {
        assert_eq!(
            serde_json::to_value(commit(false)).unwrap(),
            serde_json::json!({
                "dryRun": false, "revision": 7, "rollout": null,
                "changes": [
                    {"kind": "Tenant", "domain": "", "name": "acme", "what": "unchanged"},
                    {"kind": "Segment", "domain": "acme/prod", "name": "web", "what": "created"},
                ],
                "generations": [{"domain": "acme/prod", "generation": 7}],
            })
        );
    }

    #[test]
    fn a_change_of_a_later_version_is_refused_and_not_misread() {
        let mut unknown = change(v1::Kind::Tenant, "", "acme", v1::change::What::Created);
        unknown.what = 77;
        assert!(Change::from_wire(unknown).is_err());
    }
}
