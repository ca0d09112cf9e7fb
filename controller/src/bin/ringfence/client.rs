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
    Invalid(Vec<v1::Invalid>),
    /// Anything else.
    Other(Error),
}

/// A connection.
pub(crate) struct Client {
    grpc: RingfenceClient<Channel>,
    address: String,
    timeout: Period,
}

impl Client {
    /// Connects, or says within `timeout` why not; each request later has as long.
    pub(crate) async fn connect(address: &Address, timeout: Period) -> Result<Self, Error> {
        let address = address.as_str().to_owned();
        let unreachable =
            |cause: &(dyn StdError + 'static)| Error::Unreachable { address: address.clone(), cause: innermost(cause) };
        let channel = Endpoint::from_shared(address.clone())
            .map_err(|error| unreachable(&error))?
            .connect_timeout(timeout.0)
            .http2_max_header_list_size(MAX_HEADERS)
            .connect()
            .await
            .map_err(|error| unreachable(&error))?;
        let grpc = RingfenceClient::new(channel).max_decoding_message_size(MAX_ANSWER);
        Ok(Self { grpc, address, timeout })
    }

    /// Adds and changes objects.
    pub(crate) async fn apply(&mut self, request: v1::ApplyRequest) -> Result<v1::ApplyResponse, RequestError> {
        let mut grpc = self.grpc.clone();
        self.answer(grpc.apply(request)).await
    }

    /// Deletes objects.
    pub(crate) async fn delete(&mut self, request: v1::DeleteRequest) -> Result<v1::DeleteResponse, RequestError> {
        let mut grpc = self.grpc.clone();
        self.answer(grpc.delete(request)).await
    }

    /// Fetches objects.
    pub(crate) async fn get(&mut self, request: v1::GetRequest) -> Result<v1::GetResponse, RequestError> {
        let mut grpc = self.grpc.clone();
        self.answer(grpc.get(request)).await
    }

    /// Asks how everything is.
    pub(crate) async fn status(&mut self) -> Result<v1::StatusResponse, RequestError> {
        let mut grpc = self.grpc.clone();
        self.answer(grpc.status(v1::StatusRequest {})).await
    }

    /// Asks the hosts for their counters.
    pub(crate) async fn counters(
        &mut self,
        request: v1::CountersRequest,
    ) -> Result<v1::CountersResponse, RequestError> {
        let mut grpc = self.grpc.clone();
        self.answer(grpc.counters(request)).await
    }

    /// Follows generations to the hosts.
    pub(crate) async fn rollout(&mut self, wait_for: Vec<v1::DomainGeneration>) -> Result<Rollout<'_>, RequestError> {
        let mut grpc = self.grpc.clone();
        let stream = self.answer(grpc.rollout(v1::RolloutRequest { wait_for })).await?;
        Ok(Rollout { stream, client: self })
    }

    async fn answer<T>(&self, call: impl Future<Output = Result<Response<T>, Status>>) -> Result<T, RequestError> {
        match tokio::time::timeout(self.timeout.0, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(self.request_error(&status)),
            Err(_) => Err(RequestError::Other(self.no_answer())),
        }
    }

    fn no_answer(&self) -> Error {
        Error::NoAnswer { address: self.address.clone(), timeout: self.timeout.0 }
    }

    fn request_error(&self, status: &Status) -> RequestError {
        if status.code() == Code::InvalidArgument
            && let Ok(list) = v1::InvalidList::decode(status.details())
            && !list.invalid.is_empty()
        {
            return RequestError::Invalid(list.invalid);
        }
        let address = self.address.clone();
        let message = status.message().to_owned();
        RequestError::Other(match status.code() {
            // Only a status made on this side, of a connection that broke, has a cause.
            _ if status.source().is_some() => Error::Unreachable { address, cause: innermost(status) },
            Code::InvalidArgument | Code::NotFound | Code::AlreadyExists | Code::FailedPrecondition => {
                Error::Refused(message)
            }
            Code::DeadlineExceeded => self.no_answer(),
            Code::Unimplemented => Error::Unknown { address, message },
            _ => Error::Failed(message),
        })
    }
}

/// How far generations have come, as told by the controller.
pub(crate) struct Rollout<'a> {
    stream: Streaming<v1::RolloutProgress>,
    client: &'a Client,
}

impl Rollout<'_> {
    /// The next state; `None` when the controller has no more to tell.
    pub(crate) async fn next(&mut self) -> Result<Option<v1::RolloutProgress>, Error> {
        self.stream.message().await.map_err(|status| self.client.request_error(&status).into())
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

impl From<RequestError> for Error {
    /// For requests whose objects stand in no file.
    fn from(error: RequestError) -> Self {
        match error {
            RequestError::Invalid(invalid) => Self::Faulty(Report::of_invalid(invalid, &[], Vec::new())),
            RequestError::Other(error) => error,
        }
    }
}
