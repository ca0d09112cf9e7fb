//! How a command can end, and with which exit code.

use std::time::Duration;

use ringfence_agent::engine::EngineError;

use crate::{fault::Report, files::ReadError};

/// Not everything is as asked: a host is behind, a rollout missed its deadline, the server failed.
pub(crate) const EXIT_NOT_ALL: u8 = 1;
/// What the user gave is wrong; nothing was changed.
const EXIT_BAD_INPUT: u8 = 2;
/// The controller cannot be reached or does not answer.
const EXIT_UNREACHABLE: u8 = 3;

/// How a command that got its answers ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All is as asked.
    AsAsked,
    /// The command worked and says what is not as asked.
    NotAll,
}

/// Why a command could not do its work.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// No connection, or it broke.
    #[error(
        "cannot reach the controller at {address}: {cause}\n\
         check that ringfence-controller runs there, or name its address with --controller or RINGFENCE_ADDRESS"
    )]
    Unreachable {
        /// Where it was sought.
        address: String,
        /// The innermost reason.
        cause: String,
    },
    /// Connected, but no answer in time.
    #[error(
        "the controller at {address} did not answer within {timeout:?}; look at its log, or give it longer with --timeout"
    )]
    NoAnswer {
        /// Where it was asked.
        address: String,
        /// How long it was waited for.
        timeout: Duration,
    },
    /// The controller does not know the request.
    #[error(
        "the controller at {address} does not know this request: {message}\nuse the version of ringfence that it is of"
    )]
    Unknown {
        /// Where it was asked.
        address: String,
        /// What it said.
        message: String,
    },
    /// The controller sent what this version cannot read.
    #[error("cannot understand {what} from the controller: {message}\nuse the version of ringfence that it is of")]
    Garbled {
        /// Which part of the answer.
        what: String,
        /// What is wrong with it.
        message: String,
    },
    /// The request was understood and could not be done.
    #[error("the controller could not do it: {0}")]
    Failed(String),
    /// The request asks for something that cannot be.
    #[error("{0}")]
    Refused(String),
    /// Something is wrong with objects; each fault says with which.
    #[error("{0}")]
    Faulty(Report),
    /// The files could not be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The programs cannot be asked on this machine.
    #[error("--engine kernel: {0}")]
    Engine(#[from] EngineError),
    /// The answer could not be written in the form asked for.
    #[error("cannot write the answer as {form}: {message}")]
    Write {
        /// JSON or YAML, or where to.
        form: &'static str,
        /// Why not.
        message: String,
    },
    /// A change was sent and what became of it is not known.
    #[error("{0}\nthe change may have been made; see `ringfence status`")]
    MayBeDone(Box<Error>),
    /// The change is stored and something failed afterwards.
    #[error("the change is stored, but its rollout could not be followed: {0}")]
    NotFollowed(Box<Error>),
}

impl Error {
    /// What the process exits with.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Unreachable { .. } | Self::NoAnswer { .. } => EXIT_UNREACHABLE,
            Self::Refused(_) | Self::Faulty(_) | Self::Read(_) | Self::Engine(_) => EXIT_BAD_INPUT,
            Self::Unknown { .. } | Self::Garbled { .. } | Self::Failed(_) | Self::Write { .. } => EXIT_NOT_ALL,
            // Whatever ended it, something was changed.
            Self::NotFollowed(_) => EXIT_NOT_ALL,
            Self::MayBeDone(cause) => cause.exit_code(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_that_was_made_never_ends_as_if_nothing_was_changed() {
        let refused = Error::Refused("generation 9 of acme/prod is not there".into());
        assert_eq!(Error::NotFollowed(Box::new(refused)).exit_code(), EXIT_NOT_ALL);
    }
}
