//! What a session has yet to look at. It names what changed and holds no state, so that any number of
//! changes costs a slow session no more than one.

use std::{
    collections::BTreeSet,
    mem,
    sync::{Mutex, PoisonError},
};

use ringfence_proto::v1;
use tokio::sync::{Notify, oneshot};

/// A question to an agent, and where its answer goes.
#[derive(Debug)]
pub enum Question {
    /// What it counted.
    Counters(oneshot::Sender<v1::CountersReport>),
    /// What its programs would do with the first packet of a flow.
    Trace(v1::TraceAsked, oneshot::Sender<v1::TraceReport>),
}

/// What a session has yet to look at.
#[derive(Debug, Default)]
pub struct News {
    /// Domains whose state, or whose need on this host, changed.
    pub domains: BTreeSet<u32>,
    /// Which interfaces are admitted changed.
    pub admission: bool,
    /// What is asked of the agent.
    pub questions: Vec<Question>,
    /// A newer connection of the same host took its place.
    pub replaced: bool,
}

/// Where the fleet leaves news for a session.
#[derive(Debug, Default)]
pub struct Inbox {
    news: Mutex<News>,
    arrived: Notify,
}

// === impl Question ===

impl Question {
    /// Whether nobody waits for the answer any more.
    pub fn is_abandoned(&self) -> bool {
        match self {
            Self::Counters(answer) => answer.is_closed(),
            Self::Trace(_, answer) => answer.is_closed(),
        }
    }
}

// === impl Inbox ===

impl Inbox {
    /// Leaves news and wakes the session.
    pub fn leave(&self, change: impl FnOnce(&mut News)) {
        change(&mut self.news.lock().unwrap_or_else(PoisonError::into_inner));
        self.arrived.notify_one();
    }

    /// Waits for news and takes all there is. Nothing is lost when the wait is given up.
    pub async fn take(&self) -> News {
        self.arrived.notified().await;
        mem::take(&mut self.news.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
