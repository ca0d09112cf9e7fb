//! The service that people and programs ask.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use ringfence_policy::{
    object::{Kind, Object, ObjectKey},
    wire::{self, InvalidMessage},
};
use ringfence_proto::v1::{self, ringfence_server::Ringfence};
use tonic::{Request, Response, Status};

use super::{Answers, counters, error, rollout, status, trace, watch};
use crate::{
    catalog::Change,
    controller::{Controller, Mode},
    server::Shutdown,
};

/// How long hosts may take to answer.
const HOSTS_TIMEOUT: Duration = Duration::from_secs(2);

/// The service `ringfence.v1.Ringfence`.
pub struct RingfenceService {
    controller: Arc<Controller>,
    shutdown: Shutdown,
}

// === impl RingfenceService ===

impl RingfenceService {
    /// The service of a controller; its streams end at the shutdown.
    pub fn new(controller: Arc<Controller>, shutdown: Shutdown) -> Self {
        Self { controller, shutdown }
    }
}

#[tonic::async_trait]
impl Ringfence for RingfenceService {
    async fn apply(&self, request: Request<v1::ApplyRequest>) -> Result<Response<v1::ApplyResponse>, Status> {
        let v1::ApplyRequest { objects, dry_run, if_revision, prune } = request.into_inner();
        let upserts = read_objects(objects)?;
        let prune = (!prune.is_empty()).then_some(prune);
        let change = Change { upserts, deletes: Vec::new(), prune, if_revision: wanted(if_revision) };
        let mode = if dry_run { Mode::DryRun } else { Mode::Commit };
        let outcome = self.controller.change(change, mode).await.map_err(|failure| error::change(failure, |_| None))?;
        let (revision, changes, generations) = error::outcome(outcome);
        Ok(Response::new(v1::ApplyResponse { revision, changes, generations }))
    }

    async fn get(&self, request: Request<v1::GetRequest>) -> Result<Response<v1::GetResponse>, Status> {
        let v1::GetRequest { kind, domain, name } = request.into_inner();
        let filter = Filter::new(kind, domain)?;
        let catalog = self.controller.catalog();
        let matching =
            catalog.objects().iter().filter(|(key, _)| filter.matches(key) && (name.is_empty() || key.name == name));
        let objects = matching.map(|(_, object)| v1::Object::clone(object)).collect();
        Ok(Response::new(v1::GetResponse { objects, revision: catalog.revision() }))
    }

    async fn delete(&self, request: Request<v1::DeleteRequest>) -> Result<Response<v1::DeleteResponse>, Status> {
        let v1::DeleteRequest { keys, if_revision } = request.into_inner();
        let deletes = read_keys(keys)?;
        let asked = deletes.clone();
        let change = Change { deletes, if_revision: wanted(if_revision), ..Change::default() };
        let place = |key: &ObjectKey| asked.iter().position(|asked| asked == key);
        let outcome =
            self.controller.change(change, Mode::Commit).await.map_err(|failure| error::change(failure, place))?;
        let (revision, changes, generations) = error::outcome(outcome);
        Ok(Response::new(v1::DeleteResponse { revision, changes, generations }))
    }

    type WatchStream = Answers<v1::WatchEvent>;

    async fn watch(&self, request: Request<v1::WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let v1::WatchRequest { kind, domain } = request.into_inner();
        let events = watch::events(&self.controller, Filter::new(kind, domain)?);
        Ok(Response::new(events.take_until(self.shutdown.clone().begun()).boxed()))
    }

    type RolloutStream = Answers<v1::RolloutProgress>;

    async fn rollout(&self, request: Request<v1::RolloutRequest>) -> Result<Response<Self::RolloutStream>, Status> {
        let progress = rollout::follow(&self.controller, request.into_inner().wait_for)?;
        Ok(Response::new(progress.take_until(self.shutdown.clone().begun()).boxed()))
    }

    async fn status(&self, request: Request<v1::StatusRequest>) -> Result<Response<v1::StatusResponse>, Status> {
        let v1::StatusRequest {} = request.into_inner();
        Ok(Response::new(status::status(&self.controller)))
    }

    async fn counters(&self, request: Request<v1::CountersRequest>) -> Result<Response<v1::CountersResponse>, Status> {
        let v1::CountersRequest { domain, host } = request.into_inner();
        Ok(Response::new(counters::collect(&self.controller, &domain, &host, HOSTS_TIMEOUT).await))
    }

    async fn trace(&self, request: Request<v1::TraceRequest>) -> Result<Response<v1::TraceResponse>, Status> {
        Ok(Response::new(trace::trace(&self.controller, request.into_inner(), HOSTS_TIMEOUT).await?))
    }
}

/// Which objects a request is about.
pub(super) struct Filter {
    /// `None`: every kind.
    kind: Option<Kind>,
    /// Empty: every domain.
    domain: String,
}

// === impl Filter ===

impl Filter {
    pub(super) fn new(kind: i32, domain: String) -> Result<Self, Status> {
        let kind = wire::kind_from_wire(kind).map_err(|error| Status::invalid_argument(error.to_string()))?;
        Ok(Self { kind, domain })
    }

    /// A domain's own object is part of it.
    pub(super) fn matches(&self, key: &ObjectKey) -> bool {
        let own = key.kind == Kind::Domain && key.name == self.domain;
        self.kind.is_none_or(|kind| key.kind == kind) && (self.domain.is_empty() || key.domain == self.domain || own)
    }
}

fn read_objects(objects: Vec<v1::Object>) -> Result<Vec<(Object, String)>, Status> {
    let key = |object: &v1::Object| v1::ObjectKey {
        kind: kind_of(object).into(),
        domain: object.domain.clone(),
        name: object.name.clone(),
    };
    read_each(objects, key, |object| {
        let source = object.source.clone();
        Ok((wire::object_from_wire(object)?, source))
    })
}

fn read_keys(keys: Vec<v1::ObjectKey>) -> Result<Vec<ObjectKey>, Status> {
    read_each(keys, v1::ObjectKey::clone, wire::key_from_wire)
}

/// Reads every part of a request, or says everything that is wrong with any.
fn read_each<T, U>(
    parts: Vec<T>,
    key: impl Fn(&T) -> v1::ObjectKey,
    read: impl Fn(T) -> Result<U, InvalidMessage>,
) -> Result<Vec<U>, Status> {
    let mut all = Vec::new();
    let mut invalid = Vec::new();
    for (object_index, part) in (0_u32..).zip(parts) {
        let key = Some(key(&part));
        match read(part) {
            Ok(part) => all.push(part),
            Err(InvalidMessage { field, message }) => {
                invalid.push(v1::Invalid { key, object_index, field, message });
            }
        }
    }
    if invalid.is_empty() { Ok(all) } else { Err(error::invalid(invalid)) }
}

fn kind_of(object: &v1::Object) -> v1::Kind {
    use v1::object::Spec;
    match object.spec {
        None => v1::Kind::Unspecified,
        Some(Spec::Tenant(_)) => v1::Kind::Tenant,
        Some(Spec::DomainSpec(_)) => v1::Kind::Domain,
        Some(Spec::Network(_)) => v1::Kind::Network,
        Some(Spec::Workload(_)) => v1::Kind::Workload,
        Some(Spec::Segment(_)) => v1::Kind::Segment,
        Some(Spec::Policy(_)) => v1::Kind::Policy,
        Some(Spec::Host(_)) => v1::Kind::Host,
        Some(Spec::AddressSet(_)) => v1::Kind::AddressSet,
    }
}

/// On the wire 0 is "whatever it is".
fn wanted(if_revision: u64) -> Option<u64> {
    (if_revision != 0).then_some(if_revision)
}
