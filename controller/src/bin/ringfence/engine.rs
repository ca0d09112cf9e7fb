//! Who judges flows: the definition, or the programs of this kernel.

use std::collections::BTreeMap;

use ringfence_agent::engine::{Answer, Engine as Programs, EngineError};
use ringfence_controller::catalog::ids::{IdError, Ids};
use ringfence_policy::{
    compile::{CompileError, compile},
    evaluate::{Flow, Verdict, evaluate},
    expectation::AskError,
    model::Domain,
};

use crate::args::EngineName;

/// Why a flow could not be judged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum JudgeError {
    /// The domain does not have what it asks about.
    #[error(transparent)]
    Ask(#[from] AskError),
    /// The programs could not be asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The domain has no compiled form.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// It is larger than a host.
    #[error("a host cannot hold this domain: {0}")]
    Full(EngineError),
    /// Its networks cannot be numbered.
    #[error(transparent)]
    Number(#[from] IdError),
}

/// Judges flows.
pub(crate) enum Engine {
    /// By the reference evaluator.
    Model,
    /// By the programs, which hold one domain at one moment.
    Kernel {
        /// The programs.
        programs: Box<Programs>,
        /// What they hold: a domain's name and a moment.
        held: Option<(String, u64)>,
    },
}

/// What a judge says of a flow.
pub(crate) struct Judged {
    /// What both sides say.
    pub(crate) verdict: Verdict,
    /// What became of the packet before policy was asked; only programs know.
    pub(crate) before: Option<String>,
}

impl Engine {
    /// Makes it ready. The programs take the calling thread into namespaces of its own.
    pub(crate) fn open(name: EngineName) -> Result<Self, EngineError> {
        Ok(match name {
            EngineName::Model => Self::Model,
            EngineName::Kernel => Self::Kernel { programs: Box::new(Programs::open()?), held: None },
        })
    }

    /// Judges the first packet of a flow at a moment, in seconds since 1970-01-01T00:00:00Z.
    pub(crate) fn judge(&mut self, domain: &Domain, flow: &Flow, at: u64) -> Result<Judged, JudgeError> {
        let Self::Kernel { programs, held } = self else {
            return Ok(Judged { verdict: evaluate(domain, flow, at), before: None });
        };
        let wanted = (domain.name().to_owned(), at);
        if held.as_ref() != Some(&wanted) {
            load(programs, domain, at)?;
            *held = Some(wanted);
        }
        let nobody = Verdict { from: None, to: None };
        Ok(match programs.ask(flow)? {
            Answer::Judged { verdict, .. } => Judged { verdict, before: None },
            Answer::Dropped(reason) => {
                Judged { verdict: nobody, before: Some(format!("dropped before policy is asked: {}", reason.name())) }
            }
            Answer::Answered => Judged { verdict: nobody, before: Some("answered by the gateway".to_owned()) },
        })
    }
}

/// Compiles a domain as a controller that has nothing else would, and gives it to the programs.
fn load(programs: &mut Programs, domain: &Domain, at: u64) -> Result<(), JudgeError> {
    let touched = BTreeMap::from([(domain.name().to_owned(), Some(domain))]);
    let allocation = Ids::default().allocate(&touched)?;
    let ids = allocation.domains.into_values().flatten().next().unwrap_or_default();
    let bundle = compile(domain, &ids, &BTreeMap::new(), 1)?;
    programs.load(&bundle, at).map_err(|error| match error {
        EngineError::Full(_) => JudgeError::Full(error),
        error => JudgeError::Engine(error),
    })
}
