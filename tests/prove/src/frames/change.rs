//! What may happen to a world while frames are under way.

use std::fmt;

use ringfence_policy::object::{Object, Spec};

use super::script::HOSTS;
use crate::{
    ground::{Ground, GroundError},
    random::Random,
};

/// One thing that is otherwise than in the whole world. Objects are named by their keys: `policy acme/world/p0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An object is not there.
    Without(String),
    /// A policy denies what it allowed, and allows what it denied.
    Turned(String),
    /// A workload runs on the other host.
    Moved(String),
    /// Every interface of a workload lacks the last of its addresses.
    Barer(String),
}

impl Change {
    /// Some of those that a world bears, in any order.
    pub fn of(random: &mut Random, ground: &Ground, objects: &[Object], count: usize) -> Vec<Self> {
        let mut changes = Vec::new();
        for _ in 0..count {
            let Some(object) = random.pick(objects) else { break };
            let key = object.key().to_string();
            let change = match &object.spec {
                Spec::Workload(_) => random.one([Self::Without, Self::Moved, Self::Barer])(key),
                Spec::Policy(_) => random.one([Self::Without, Self::Turned])(key),
                _ => continue,
            };
            if ground.changed(&change.made(objects)).is_ok() {
                changes.push(change);
            }
        }
        changes
    }

    /// The world after it.
    pub fn made(&self, objects: &[Object]) -> Vec<Object> {
        let (Self::Without(key) | Self::Turned(key) | Self::Moved(key) | Self::Barer(key)) = self;
        let mut made = objects.to_vec();
        if let Self::Without(_) = self {
            made.retain(|object| object.key().to_string() != *key);
        }
        for object in made.iter_mut().filter(|object| object.key().to_string() == *key) {
            self.make(&mut object.spec);
        }
        made
    }

    fn make(&self, spec: &mut Spec) {
        match (self, spec) {
            (Self::Turned(_), Spec::Policy(policy)) => {
                for rule in &mut policy.rules {
                    rule.action = if rule.action == "deny" { "allow" } else { "deny" }.to_owned();
                }
            }
            (Self::Moved(_), Spec::Workload(workload)) => {
                for interface in &mut workload.interfaces {
                    let other = HOSTS.into_iter().find(|host| *host != interface.host);
                    interface.host = other.unwrap_or_default().to_owned();
                }
            }
            (Self::Barer(_), Spec::Workload(workload)) => {
                for interface in workload.interfaces.iter_mut().filter(|it| it.addresses.len() > 1) {
                    interface.addresses.pop();
                }
            }
            _ => {}
        }
    }

    /// Reads what [`Display`](fmt::Display) wrote.
    pub fn read(text: &str) -> Option<Self> {
        let (kind, key) = text.split_once(' ')?;
        let kind = match kind {
            "without" => Self::Without,
            "turned" => Self::Turned,
            "moved" => Self::Moved,
            "barer" => Self::Barer,
            _ => return None,
        };
        Some(kind(key.to_owned()))
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, key) = match self {
            Self::Without(key) => ("without", key),
            Self::Turned(key) => ("turned", key),
            Self::Moved(key) => ("moved", key),
            Self::Barer(key) => ("barer", key),
        };
        write!(f, "{kind} {key}")
    }
}

/// A world, and what becomes of it by each change.
#[derive(Clone, Debug)]
pub struct Worlds {
    /// As it is.
    pub whole: Ground,
    changed: Vec<Ground>,
}

impl Worlds {
    /// Validates and compiles all of them.
    ///
    /// # Errors
    /// Objects that are refused.
    pub fn new(objects: &[Object], changes: &[Change]) -> Result<Self, GroundError> {
        let whole = Ground::new(objects)?;
        let changed = changes.iter().map(|change| whole.changed(&change.made(objects))).collect::<Result<_, _>>()?;
        Ok(Self { whole, changed })
    }

    /// The whole one by 0, then those of the changes.
    pub fn at(&self, number: usize) -> &Ground {
        number.checked_sub(1).and_then(|place| self.changed.get(place)).unwrap_or(&self.whole)
    }
}
