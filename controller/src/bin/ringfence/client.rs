//! The connection to the controller: requests out, answers or [`Error`]s back. The only place that sees a gRPC status.

use std::{error::Error as StdError, future::Future};

use prost::Message;
use ringfence_policy::settings::Period;
use ringfence_proto::v1::{self, ringfence_client::RingfenceClient};
use tonic::{
    Code, Response, Status, Streaming,
    transport::{Channel, Endpoint},
};

use crate::{args::Address, error::Error, fault::Report};

/// Largest answer accepted, bytes: every object of the largest deployment, several times over.
const MAX_ANSWER: usize = 1 << 30;
/// Largest header list accepted, bytes: the list of what is wrong with a request travels in one.
const MAX_HEADERS: u32 = 16 << 20;

/// Why a request was not done.
#[derive(Debug)]
pub(crate) enum RequestError {
    /// Objects are invalid; the caller knows in which file they stand.
    Invalid(v1::InvalidList),
    /// Anything else.
    Other(Error),
}

/// A connection.
pub(crate) struct Client {
    grpc: RingfenceClient<Channel>,
    peer: Peer,
}

/// Whom is asked, and how long for one answer.
struct Peer {
    address: String,
    timeout: Period,
}

impl Client {
    /// Connects, or says within `timeout` why not; each request later has as long.
    pub(crate) async fn connect(address: &Address, timeout: Period) -> Result<Self, Error> {
        let peer = Peer { address: address.as_str().to_owned(), timeout };
        let channel = Endpoint::from_shared(peer.address.clone())
            .map_err(|error| peer.unreachable(&error))?
            .connect_timeout(timeout.0)
            .http2_max_header_list_size(MAX_HEADERS)
            .connect()
            .await
            .map_err(|error| peer.unreachable(&error))?;
        let grpc = RingfenceClient::new(channel).max_decoding_message_size(MAX_ANSWER);
        Ok(Self { grpc, peer })
    }

    /// Adds and changes objects.
    pub(crate) async fn apply(&self, request: v1::ApplyRequest) -> Result<v1::ApplyResponse, RequestError> {
        let dry_run = request.dry_run;
        let answer = self.peer.answer(self.grpc.clone().apply(request)).await;
        answer.map_err(|error| if dry_run { error } else { error.of_change() })
    }

    /// Deletes objects.
    pub(crate) async fn delete(&self, request: v1::DeleteRequest) -> Result<v1::DeleteResponse, RequestError> {
        self.peer.answer(self.grpc.clone().delete(request)).await.map_err(RequestError::of_change)
    }

    /// Fetches objects.
    pub(crate) async fn get(&self, request: v1::GetRequest) -> Result<v1::GetResponse, RequestError> {
        self.peer.answer(self.grpc.clone().get(request)).await
    }

    /// Asks how everything is.
    pub(crate) async fn status(&self) -> Result<v1::StatusResponse, RequestError> {
        self.peer.answer(self.grpc.clone().status(v1::StatusRequest {})).await
    }

    /// Asks the hosts for their counters.
    pub(crate) async fn counters(&self, request: v1::CountersRequest) -> Result<v1::CountersResponse, RequestError> {
        self.peer.answer(self.grpc.clone().counters(request)).await
    }

    /// Asks why a flow is decided as it is.
    pub(crate) async fn trace(&self, request: v1::TraceRequest) -> Result<v1::TraceResponse, RequestError> {
        self.peer.answer(self.grpc.clone().trace(request)).await
    }

    /// Follows generations to the hosts.
    pub(crate) async fn rollout(&self, wait_for: Vec<v1::DomainGeneration>) -> Result<Rollout<'_>, RequestError> {
        let stream = self.peer.answer(self.grpc.clone().rollout(v1::RolloutRequest { wait_for })).await?;
        Ok(Rollout { stream, peer: &self.peer })
    }
}

/// How far generations have come, as told by the controller.
pub(crate) struct Rollout<'a> {
    stream: Streaming<v1::RolloutProgress>,
    peer: &'a Peer,
}

impl Rollout<'_> {
    /// The next state; `None` when the controller has no more to tell.
    pub(crate) async fn next(&mut self) -> Result<Option<v1::RolloutProgress>, Error> {
        self.stream.message().await.map_err(|status| self.peer.request_error(&status).into())
    }
}

// === impl Peer ===

impl Peer {
    async fn answer<T>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, RequestError> {
        match tokio::time::timeout(self.timeout.0, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(self.request_error(&status)),
            Err(_) => Err(RequestError::Other(self.no_answer())),
        }
    }

    fn request_error(&self, status: &Status) -> RequestError {
        if status.code() == Code::InvalidArgument
            && let Ok(list) = v1::InvalidList::decode(status.details())
            && !list.invalid.is_empty()
        {
            return RequestError::Invalid(list);
        }
        let message = status.message().to_owned();
        RequestError::Other(match status.code() {
            // Only a status made on this side, of a connection that broke, has a cause.
            _ if status.source().is_some() => self.unreachable(status),
            Code::InvalidArgument | Code::NotFound | Code::AlreadyExists | Code::FailedPrecondition => {
                Error::Refused(message)
            }
            Code::DeadlineExceeded => self.no_answer(),
            Code::Unimplemented => Error::Unknown { address: self.address.clone(), message },
            _ => Error::Failed(message),
        })
    }

    fn no_answer(&self) -> Error {
        Error::NoAnswer { address: self.address.clone(), timeout: self.timeout.0 }
    }

    fn unreachable(&self, error: &(dyn StdError + 'static)) -> Error {
        Error::Unreachable { address: self.address.clone(), cause: innermost(error) }
    }
}

/// The cause at the bottom: "connection refused" rather than "transport error".
fn innermost(error: &(dyn StdError + 'static)) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

// === impl RequestError ===

impl RequestError {
    /// Of a request to change something: one that was not answered may be done all the same.
    fn of_change(self) -> Self {
        match self {
            Self::Other(error @ (Error::NoAnswer { .. } | Error::Unreachable { .. })) => {
                Self::Other(Error::MayBeDone(Box::new(error)))
            }
            _ => self,
        }
    }
}

impl From<RequestError> for Error {
    /// For requests whose objects stand in no file.
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Invalid(invalid) => Self::Faulty(Report::of_invalid(invalid, &[], Vec::new())),
            RequestError::Other(error) => error,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn error(status: &Status) -> Error {
        Peer { address: "http://c:1".into(), timeout: "10s".parse().unwrap() }.request_error(status).into()
    }

    #[test]
    fn what_the_controller_answers_decides_the_exit_code() {
        for (code, exit) in [
            (Code::InvalidArgument, 2),
            (Code::NotFound, 2),
            (Code::FailedPrecondition, 2),
            (Code::Aborted, 1),
            (Code::Internal, 1),
            (Code::Unavailable, 1),
            (Code::Unimplemented, 1),
            (Code::DeadlineExceeded, 3),
        ] {
            assert_eq!(error(&Status::new(code, "because")).exit_code(), exit, "{code:?}");
        }
    }

    #[test]
    fn a_request_that_the_controller_does_not_know_says_what_to_do() {
        let shown = error(&Status::unimplemented("no Watch")).to_string();
        assert_eq!(
            shown,
            "the controller at http://c:1 does not know this request: no Watch\n\
             use the version of ringfence that it is of"
        );
    }

    #[test]
    fn a_connection_that_breaks_names_the_innermost_cause() {
        let broken = std::io::Error::new(std::io::ErrorKind::ConnectionReset, "reset by peer");
        let shown = error(&Status::from_error(Box::new(broken)));
        assert_eq!(shown.exit_code(), 3);
        assert!(shown.to_string().contains("http://c:1: reset by peer"), "{shown}");
    }
}
