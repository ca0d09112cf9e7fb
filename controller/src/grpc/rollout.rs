//! Following a change to the hosts.

use std::sync::Arc;

use futures::{Stream, stream};
use ringfence_proto::v1;
use tokio::sync::watch;
use tonic::Status;

use crate::{
    controller::Controller,
    fleet::{DomainView, HostProgress},
};

/// A rollout being followed.
struct Follower {
    controller: Arc<Controller>,
    wait_for: Vec<v1::DomainGeneration>,
    progress: watch::Receiver<()>,
    told: Option<v1::RolloutProgress>,
}

/// How far the domains have come, told again whenever it changed; ends when every host concerned has
/// acked or nacked what is waited for. A domain deleted meanwhile concerns no host.
pub(super) fn follow(
    controller: &Arc<Controller>,
    wait_for: Vec<v1::DomainGeneration>,
) -> Result<impl Stream<Item = Result<v1::RolloutProgress, Status>> + use<>, Status> {
    let fleet = controller.fleet();
    if let Some(unknown) = wait_for.iter().find(|wanted| fleet.domain(&wanted.domain).is_none()) {
        return Err(Status::not_found(format!("there is no domain {}", unknown.domain)));
    }
    let progress = fleet.progress();
    drop(fleet);
    let follower = Follower { controller: controller.clone(), wait_for, progress, told: None };
    Ok(stream::unfold(follower, |mut follower| async move {
        let progress = follower.next().await?;
        Some((Ok(progress), follower))
    }))
}

// === impl Follower ===

impl Follower {
    /// The next state that differs from the one told last; `None` after the last.
    async fn next(&mut self) -> Option<v1::RolloutProgress> {
        if self.told.as_ref().is_some_and(settled) {
            return None;
        }
        loop {
            self.progress.mark_unchanged();
            let now = self.look();
            if self.told.as_ref() != Some(&now) {
                self.told = Some(now.clone());
                return Some(now);
            }
            self.progress.changed().await.ok()?;
        }
    }

    fn look(&self) -> v1::RolloutProgress {
        let fleet = self.controller.fleet();
        let domains = self.wait_for.iter().map(|wanted| v1::DomainRollout {
            domain: wanted.domain.clone(),
            generation: wanted.generation,
            hosts: fleet.domain(&wanted.domain).map_or(Vec::new(), |view| hosts(&view, wanted.generation)),
        });
        let domains: Vec<_> = domains.collect();
        let done = domains.iter().all(|domain| domain.hosts.iter().all(|host| host.acked >= domain.generation));
        v1::RolloutProgress { domains, done }
    }
}

/// Every host of a domain, as far as it has come toward a generation.
pub(super) fn hosts(view: &DomainView, generation: u64) -> Vec<v1::HostRollout> {
    let host = |progress: &HostProgress| {
        let HostProgress { host, connected, acked, refused } = progress;
        let refused = refused.as_ref().filter(|(refused, _)| *refused >= generation);
        v1::HostRollout {
            host: host.clone(),
            connected: *connected,
            acked: *acked,
            nacked: refused.map(|(_, reason)| reason.clone()).unwrap_or_default(),
        }
    };
    view.hosts.iter().map(host).collect()
}

/// Whether every host concerned has acked or nacked.
fn settled(progress: &v1::RolloutProgress) -> bool {
    progress
        .domains
        .iter()
        .all(|domain| domain.hosts.iter().all(|host| host.acked >= domain.generation || !host.nacked.is_empty()))
}
