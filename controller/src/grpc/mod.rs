//! The services: they decode, call, and encode. The only place that knows `tonic::Status`.

mod agent;
mod counters;
mod error;
mod objects;
mod rollout;
mod session;
mod status;
mod trace;
mod watch;

pub use self::{agent::AgentService, objects::RingfenceService};

use std::pin::Pin;

use futures::Stream;
use tonic::Status;

/// Bytes of the largest request: an apply of some 100,000 workloads. A larger one is refused by
/// tonic with OUT_OF_RANGE before it is decoded; split the file set.
pub const MAX_REQUEST: usize = 64 << 20;

/// Bytes of the largest message an agent may send. Its largest are the devices and counters of a host:
/// some 100 bytes for each interface.
pub const MAX_AGENT_MESSAGE: usize = 4 << 20;

/// A stream of answers.
type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;
