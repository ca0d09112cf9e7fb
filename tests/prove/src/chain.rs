//! The chain: what four layers say of one flow.
//!
//! ```text
//! definition (evaluate) = compiled form (Bundle::judge) = maps (Image::judge) = programs (test run)
//! ```

use std::fmt;

use ringfence_agent::engine::{Answer, Engine, EngineError, Reply, Share};
use ringfence_policy::evaluate::{Traffic, Verdict, evaluate, reply_passes};

use crate::{
    before::{Instead, instead_of_policy, is_echo_reply},
    case::Case,
    ground::{Ground, GroundError},
};

/// Between which layers a disagreement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Link {
    /// The definition and the compiled form.
    Compiled,
    /// The definition and the maps.
    Maps,
    /// The definition and the programs.
    Programs,
    /// The definition and what the programs do with the answer.
    Reply,
    /// The compiled form and itself, by another history.
    History,
}

/// Two layers that say different things of one flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// Which layers.
    pub link: Link,
    /// What is right.
    pub right: String,
    /// What the other said.
    pub said: String,
}

/// How far a case came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reached {
    /// All four layers judged it.
    Programs,
    /// The programs dropped or answered it as they must, before policy or without a vote.
    Maps,
}

/// Why nothing could be said.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// The objects are no world.
    #[error(transparent)]
    Ground(#[from] GroundError),
    /// The programs could not be asked.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

/// A world in force in the programs, at a moment.
pub struct Chain<'a> {
    engine: &'a mut Engine,
    ground: &'a Ground,
    /// What each host is given of it, where workloads run on several.
    shares: Vec<Share>,
    at: u64,
}

impl<'a> Chain<'a> {
    /// Puts a world in force, from whatever was.
    ///
    /// # Errors
    /// The programs' maps cannot be written.
    pub fn new(engine: &'a mut Engine, ground: &'a Ground, at: u64) -> Result<Self, ChainError> {
        engine.load(&ground.bundle, at)?;
        let hosts = ground.bundle.topology.hosts.iter();
        let shares = hosts.map(|host| Share::new(&ground.bundle, &host.name, at)).collect::<Result<_, _>>();
        Ok(Self { engine, ground, shares: shares.map_err(EngineError::from)?, at })
    }

    /// Asks every layer.
    ///
    /// # Errors
    /// The programs cannot be asked; a disagreement is a result.
    pub fn check(&mut self, case: &Case) -> Result<Result<Reached, Difference>, ChainError> {
        let flow = &case.flow;
        let right = evaluate(&self.ground.domain, flow, self.at);
        let compiled = self.ground.bundle.judge(flow, self.at);
        if compiled != right {
            return Ok(Err(Difference::new(Link::Compiled, &right, &compiled)));
        }
        // The maps know gateways, but not what rules say of them: nothing goes there by policy.
        let of_gateway = [flow.source, flow.destination].map(|end| self.ground.is_gateways(end)) != [false; 2];
        let maps = if of_gateway { right.clone() } else { self.engine.judge_by_maps(flow)? };
        let shares = self.shares.iter().filter(|_| !of_gateway).filter_map(|share| share.judge(flow));
        if let Some(maps) = shares.chain([maps]).find(|maps| *maps != right) {
            return Ok(Err(Difference::new(Link::Maps, &right, &maps)));
        }
        let exchange = self.engine.exchange(flow, case.source_port)?;
        let nobody_votes = right.from.is_none() && right.to.is_none();
        let expected = if nobody_votes { None } else { instead_of_policy(self.ground, flow, &right) };
        match (&exchange.opened, expected) {
            (Answer::Judged { verdict, passes }, None) => {
                if *verdict != right {
                    return Ok(Err(Difference::new(Link::Programs, &right, verdict)));
                }
                if *passes != right.allows() {
                    return Ok(Err(Difference::new(Link::Programs, &right.allows(), passes)));
                }
            }
            (Answer::Dropped(reason), Some(Instead::Dropped(reasons))) if reasons.contains(reason) => {
                return Ok(Ok(Reached::Maps));
            }
            (Answer::Answered, Some(Instead::Answered)) => return Ok(Ok(Reached::Maps)),
            (other, _) => return Ok(Err(Difference::new(Link::Programs, &(expected, right), other))),
        }
        if let Some(reply) = exchange.reply {
            let expected = self.expected_of(&right, &reply);
            if expected != reply.passes {
                return Ok(Err(Difference::new(Link::Reply, &(expected, right), &reply)));
            }
        }
        Ok(Ok(if nobody_votes { Reached::Maps } else { Reached::Programs }))
    }

    /// What becomes of the answer to a flow that passed: by its connection; without one it is judged as a first packet,
    /// and what cannot be the first passes only where nobody wants a connection.
    fn expected_of(&self, opened: &Verdict, reply: &Reply) -> bool {
        if opened.is_tracked() {
            return reply_passes(&self.ground.domain, opened, &reply.flow, self.at);
        }
        let afresh = evaluate(&self.ground.domain, &reply.flow, self.at);
        let never_first = matches!(reply.flow.traffic, Traffic::Tcp(_)) || is_echo_reply(reply.flow.traffic);
        afresh.allows() && !(never_first && afresh.is_tracked())
    }
}

impl Difference {
    /// What is right, and what another layer said.
    pub fn new(link: Link, right: &impl fmt::Debug, said: &impl fmt::Debug) -> Self {
        Self { link, right: format!("{right:?}"), said: format!("{said:?}") }
    }
}

impl fmt::Display for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Compiled => "definition and compiled form",
            Self::Maps => "definition and maps",
            Self::Programs => "definition and programs",
            Self::Reply => "definition and programs, of the answer",
            Self::History => "compiled form and itself, by another history",
        })
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} differ\n  right: {}\n  said:  {}", self.link, self.right, self.said)
    }
}
