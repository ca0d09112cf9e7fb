//! Watching objects: all there is, then every change, with nothing between lost or told twice.

use std::{collections::VecDeque, sync::Arc};

use futures::{Stream, stream};
use ringfence_policy::{object::ObjectKey, wire};
use ringfence_proto::v1::{self, watch_event::Event};
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tonic::Status;

use super::objects::Filter;
use crate::controller::{Committed, Controller};

/// A watcher: what is still to be told, then what it listens to.
struct Watcher {
    filter: Filter,
    /// Objects are shared until they are told.
    pending: VecDeque<Pending>,
    commits: Receiver<Arc<Committed>>,
}

enum Pending {
    Upserted(Arc<v1::Object>),
    Deleted(ObjectKey),
    Synced(u64),
}

/// The events of what a filter lets through. Ends with an error when the controller stops, or when the
/// watcher is so slow that it has to start again.
pub(super) fn events(
    controller: &Controller,
    filter: Filter,
) -> impl Stream<Item = Result<v1::WatchEvent, Status>> + use<> {
    let (pending, commits) = controller.follow(|catalog| {
        let matching = catalog.objects().iter().filter(|(key, _)| filter.matches(key));
        let there = matching.map(|(_, object)| Pending::Upserted(object.clone()));
        there.chain([Pending::Synced(catalog.revision())]).collect()
    });
    let watcher = Watcher { filter, pending, commits };
    stream::try_unfold(watcher, |mut watcher| async move {
        let event = watcher.next().await?;
        Ok(Some((event, watcher)))
    })
}

// === impl Watcher ===

impl Watcher {
    async fn next(&mut self) -> Result<v1::WatchEvent, Status> {
        loop {
            if let Some(pending) = self.pending.pop_front() {
                let event = match pending {
                    Pending::Upserted(object) => Event::Upserted(Arc::unwrap_or_clone(object)),
                    Pending::Deleted(key) => Event::Deleted(wire::key_to_wire(&key)),
                    Pending::Synced(revision) => Event::Synced(revision),
                };
                return Ok(v1::WatchEvent { event: Some(event) });
            }
            let committed = self.commits.recv().await.map_err(|error| match error {
                RecvError::Lagged(_) => Status::aborted("this watcher is too far behind: start the watch again"),
                RecvError::Closed => Status::unavailable("the controller stops"),
            })?;
            let deleted = committed.deletes.iter().filter(|key| self.filter.matches(key));
            let upserted = committed.upserts.iter().filter(|(key, _)| self.filter.matches(key));
            self.pending.extend(deleted.map(|key| Pending::Deleted(key.clone())));
            self.pending.extend(upserted.map(|(_, object)| Pending::Upserted(object.clone())));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{pin::pin, time::Duration};

    use futures::StreamExt;
    use ringfence_policy::object::{Object, Spec};
    use tonic::Code;

    use super::*;
    use crate::{
        catalog::Change,
        controller::{Mode, WATCH_BACKLOG},
        store::Memory,
    };

    async fn make_tenant(controller: &Arc<Controller>, name: String) {
        let tenant = Object { domain: String::new(), name, spec: Spec::Tenant };
        let change = Change { upserts: vec![(tenant, String::new())], ..Change::default() };
        controller.change(change, Mode::Commit).await.unwrap();
    }

    #[tokio::test]
    async fn a_watcher_that_is_too_slow_is_told_to_start_again() {
        let controller = Controller::open(Box::<Memory>::default(), Duration::ZERO).unwrap();
        let mut slow = pin!(events(&controller, Filter::new(0, String::new()).unwrap()));
        for place in 0..=WATCH_BACKLOG {
            make_tenant(&controller, format!("t{place}")).await;
        }
        let synced = slow.next().await.unwrap().unwrap();
        assert_eq!(synced.event, Some(Event::Synced(0)));
        let status = slow.next().await.unwrap().unwrap_err();
        assert_eq!(status.code(), Code::Aborted, "{status}");
        assert!(slow.next().await.is_none());
    }
}
