//! A run: worlds from consecutive seeds, cases in each, until there are enough or something differs.

use std::time::{Duration, Instant};

use ringfence_agent::engine::Engine;
use ringfence_policy::object::Object;

use crate::{
    case::{Case, Maker},
    chain::{Chain, ChainError, Difference, Link, Reached},
    feature::Coverage,
    ground::{Ground, GroundError},
    history::{grown, shuffled},
    random::Random,
    shrink::shrink,
    world::{EPOCH, World},
};

/// How much to do.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The first world's seed.
    pub seed: u64,
    /// Cases that all four layers must have judged.
    pub cases: u64,
    /// Cases of one world at most.
    pub cases_of_a_world: usize,
}

/// What was done.
#[derive(Clone, Debug, Default)]
pub struct Done {
    /// Cases that all four layers judged.
    pub cases: u64,
    /// Cases that the programs dropped or answered before policy, as they must.
    pub before_policy: u64,
    /// Worlds.
    pub worlds: u64,
    /// Which features met.
    pub coverage: Coverage,
    /// How long it took.
    pub took: Duration,
}

/// A case of which two layers say different things.
#[derive(Clone, Debug)]
pub struct Found {
    /// The world.
    pub objects: Vec<Object>,
    /// The seed it is from.
    pub seed: u64,
    /// The moment.
    pub at: u64,
    /// The case; `None`: a history, which is of no flow.
    pub case: Option<Case>,
    /// Who differs.
    pub difference: Difference,
}

/// Runs until the plan is fulfilled or something differs.
///
/// # Errors
/// The programs cannot be asked, or a world that should be right is refused by the compiler.
pub fn run(
    engine: &mut Engine,
    plan: &Plan,
    mut progress: impl FnMut(&Done),
) -> Result<(Done, Option<Found>), ChainError> {
    let start = Instant::now();
    let mut done = Done::default();
    let mut seed = plan.seed;
    while done.cases < plan.cases {
        let found = world(engine, plan, seed, &mut done)?;
        done.took = start.elapsed();
        if found.is_some() {
            return Ok((done, found));
        }
        progress(&done);
        seed = seed.wrapping_add(1);
    }
    Ok((done, None))
}

/// One world: its histories, then its cases at each moment, from whatever world was in force before.
fn world(engine: &mut Engine, plan: &Plan, seed: u64, done: &mut Done) -> Result<Option<Found>, ChainError> {
    let World { objects } = World::generate(seed);
    let ground = Ground::new(&objects)?;
    done.worlds += 1;
    let mut maker = Maker::new(&ground, !seed);
    let found = |at, case, difference| Some(Found { objects: objects.clone(), seed, at, case, difference });
    if let Some(difference) = another_history(&objects, &ground, seed)? {
        return Ok(found(EPOCH, None, difference));
    }
    let moments = maker.moments(3);
    let share = plan.cases_of_a_world / moments.len().max(1);
    for at in moments {
        let mut chain = Chain::new(engine, &ground, at)?;
        for _ in 0..share {
            let Some(case) = maker.case() else { continue };
            match chain.check(&case)? {
                Ok(Reached::Programs) => {
                    done.cases += 1;
                    done.coverage.count(ground.features(&case.flow, at, case.made_for.as_ref()));
                }
                Ok(Reached::Maps) => done.before_policy += 1,
                Err(difference) => return Ok(found(at, Some(case), difference)),
            }
        }
    }
    Ok(None)
}

/// What the compiler says otherwise, given the same world by other ways.
fn another_history(objects: &[Object], ground: &Ground, seed: u64) -> Result<Option<Difference>, GroundError> {
    let mut random = Random::new(seed.wrapping_mul(3));
    let others = [shuffled(objects, &mut random)?, grown(objects, ground, &mut random)?];
    let other = others.iter().find(|other| **other != ground.bundle);
    Ok(other.map(|other| Difference::new(Link::History, &ground.bundle, other)))
}

/// The least world in which the same layers still differ, and what they say there.
pub fn shrunk(engine: &mut Engine, found: &Found) -> Found {
    let mut least = found.clone();
    let link = found.difference.link;
    least.objects = shrink(&found.objects, |objects| {
        let difference = ask_again(engine, objects, found).ok().flatten();
        match difference {
            Some(difference) if difference.link == link => {
                least.difference = difference;
                true
            }
            _ => false,
        }
    });
    least
}

/// What differs in another world, of the same case or history.
///
/// # Errors
/// The objects are no world; the programs cannot be asked.
pub fn ask_again(engine: &mut Engine, objects: &[Object], found: &Found) -> Result<Option<Difference>, ChainError> {
    let ground = Ground::new(objects)?;
    match &found.case {
        Some(case) => Ok(Chain::new(engine, &ground, found.at)?.check(case)?.err()),
        None => Ok(another_history(objects, &ground, found.seed)?),
    }
}
