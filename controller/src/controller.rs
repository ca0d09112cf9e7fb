//! One writer over catalog, store and fleet: a change is decided, made durable, then told.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
    time::{Duration, Instant, SystemTime},
};

use ringfence_policy::{
    model::{Invalid, What},
    object::{Kind, ObjectKey},
};
use ringfence_proto::v1;
use tokio::sync::broadcast;
use tracing::info;

use crate::{
    catalog::{Catalog, Change, Commit, LoadError, Plan, Refusal, host::Registration},
    fleet::{Compiled, Fleet},
    store::{Store, StoreError},
};

/// Commits that a watcher may be behind before it has to start again.
pub(crate) const WATCH_BACKLOG: usize = 1024;

/// The controller's state and its only writer.
pub struct Controller {
    catalog: RwLock<Catalog>,
    fleet: Mutex<Fleet>,
    store: Box<dyn Store>,
    /// Held from the decision to the telling of a change.
    writer: Arc<tokio::sync::Mutex<()>>,
    commits: broadcast::Sender<Arc<Committed>>,
}

/// What a commit did to the objects, for watchers.
#[derive(Debug)]
pub struct Committed {
    /// Objects made or replaced.
    pub upserts: BTreeMap<ObjectKey, Arc<v1::Object>>,
    /// Objects deleted.
    pub deletes: Vec<ObjectKey>,
}

/// What became of a change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Of the store after it.
    pub revision: u64,
    /// Of each object, in the order asked for.
    pub changes: Vec<(ObjectKey, What)>,
    /// The domains that it touched and that are still there, with their generation.
    pub generations: BTreeMap<String, u64>,
}

/// Whether a change is made or only judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Made.
    Commit,
    /// Judged.
    DryRun,
}

/// Why the controller cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What it holds cannot be served.
    #[error(transparent)]
    Load(#[from] LoadError),
}

/// Why a change was not made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ChangeError {
    /// It cannot be.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// It could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The controller stops, or the task that made it failed.
    #[error("the change was abandoned: {0}")]
    Abandoned(#[from] tokio::task::JoinError),
}

// === impl Controller ===

impl Controller {
    /// A controller of what a store holds. `patience`: how long an interface waits for the other hosts
    /// of its domain to know it.
    ///
    /// # Errors
    /// When the store cannot be read, or what it holds is not valid.
    pub fn open(store: Box<dyn Store>, patience: Duration) -> Result<Arc<Self>, OpenError> {
        let (catalog, bundles) = Catalog::load(store.load()?)?;
        info!(revision = catalog.revision(), domains = bundles.len(), "state loaded");
        let compiled = bundles.into_iter().map(Compiled::new);
        Ok(Arc::new(Self {
            fleet: Mutex::new(Fleet::new(compiled, patience, Instant::now())),
            catalog: RwLock::new(catalog),
            store,
            writer: Arc::default(),
            commits: broadcast::Sender::new(WATCH_BACKLOG),
        }))
    }

    /// Makes or judges a change, all of it or none. Once decided it is made even if the caller goes away.
    ///
    /// # Errors
    /// When it cannot be, or cannot be stored.
    pub async fn change(self: &Arc<Self>, change: Change, mode: Mode) -> Result<Outcome, ChangeError> {
        self.write(mode, move |controller| {
            let fleet = controller.fleet();
            let connected = |key: &&ObjectKey| key.kind == Kind::Host && fleet.connected(&key.name);
            let refused: Vec<Invalid> = change.deletes.iter().filter(connected).map(still_connected).collect();
            drop(fleet);
            if !refused.is_empty() {
                return Err(Refusal::Invalid(refused));
            }
            controller.catalog().plan(&change, SystemTime::now())
        })
        .await
    }

    /// Notes what an agent says of its host, which enforces `held`.
    ///
    /// # Errors
    /// When it cannot be, or cannot be stored.
    pub async fn register(
        self: &Arc<Self>,
        registration: Registration,
        held: Vec<v1::HeldDomain>,
    ) -> Result<Outcome, ChangeError> {
        self.write(Mode::Commit, move |controller| {
            if controller.fleet().connected(&registration.name) {
                controller.catalog().check_stays(&registration)?;
            }
            controller.catalog().check_held(&registration.name, &held)?;
            let hosted = controller.fleet().domains_on(&registration.name);
            controller.catalog().plan_registration(&registration, hosted, SystemTime::now())
        })
        .await
    }

    /// The committed state, to look at.
    pub fn catalog(&self) -> RwLockReadGuard<'_, Catalog> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// The hosts and what they need, to look at or to tell what an agent said. Not to be held for long.
    pub fn fleet(&self) -> MutexGuard<'_, Fleet> {
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What `look` sees in the catalog, and every commit after that and none before.
    pub fn follow<T>(&self, look: impl FnOnce(&Catalog) -> T) -> (T, broadcast::Receiver<Arc<Committed>>) {
        let catalog = self.catalog();
        (look(&catalog), self.commits.subscribe())
    }

    /// Admits interfaces when their deadline passes, for ever.
    pub async fn admit_in_time(&self) {
        let mut progress = self.fleet().progress();
        loop {
            let deadline = self.fleet().next_deadline();
            let passed = async {
                match deadline {
                    Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = passed => self.fleet().expire(Instant::now()),
                _ = progress.changed() => {}
            }
        }
    }

    /// Decides a change by `plan` and makes it, off the threads that serve.
    async fn write(
        self: &Arc<Self>,
        mode: Mode,
        plan: impl FnOnce(&Self) -> Result<Plan, Refusal> + Send + 'static,
    ) -> Result<Outcome, ChangeError> {
        let turn = self.writer.clone().lock_owned().await;
        let controller = self.clone();
        let work = tokio::task::spawn_blocking(move || {
            let _turn = turn;
            let Plan { changes, commit } = plan(&controller)?;
            let mut outcome =
                Outcome { revision: controller.catalog().revision(), changes, generations: BTreeMap::new() };
            if let Some(commit) = commit {
                let touched = commit.transaction.generations.iter();
                outcome.generations =
                    touched.filter_map(|(name, generation)| Some((name.clone(), (*generation)?))).collect();
                if mode == Mode::Commit {
                    outcome.revision = commit.transaction.revision;
                    controller.make(commit)?;
                }
            }
            Ok(outcome)
        });
        work.await?
    }

    fn make(&self, commit: Commit) -> Result<(), StoreError> {
        self.store.commit(&commit.transaction)?;
        info!(
            revision = commit.transaction.revision,
            objects = commit.transaction.audit.what.len(),
            "change committed"
        );
        let hosts = commit.transaction.deletes.iter().filter(|key| key.kind == Kind::Host);
        let deleted_hosts: Vec<String> = hosts.map(|key| key.name.clone()).collect();
        let committed =
            Committed { upserts: commit.transaction.upserts.clone(), deletes: commit.transaction.deletes.clone() };
        let bundles = {
            let mut catalog = self.catalog.write().unwrap_or_else(PoisonError::into_inner);
            // Nobody follows: nobody to tell.
            let _ = self.commits.send(Arc::new(committed));
            catalog.install(commit)
        };
        let compiled: Vec<_> = bundles.into_iter().map(|(name, bundle)| (name, bundle.map(Compiled::new))).collect();
        let mut fleet = self.fleet();
        for (name, compiled) in compiled {
            match compiled {
                Some(compiled) => fleet.publish(compiled, Instant::now()),
                None => fleet.withdraw(&name),
            }
        }
        for host in deleted_hosts {
            fleet.forget(&host);
        }
        Ok(())
    }
}

fn still_connected(key: &ObjectKey) -> Invalid {
    Invalid {
        key: key.clone(),
        index: None,
        field: String::new(),
        message: "its agent is connected and would register it again: stop the agent first".to_owned(),
    }
}
