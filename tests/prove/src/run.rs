//! A run: worlds from consecutive seeds, cases in each, until there are enough or something differs.

use std::time::{Duration, Instant};

use ringfence_agent::engine::Engine;
use ringfence_policy::object::Object;

use crate::{
    case::{Case, Maker},
    chain::{Chain, ChainError, Difference, Reached},
    feature::Coverage,
    ground::{Ground, GroundError},
    world::World,
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
    /// Seeds whose world the model refused.
    pub refused: u64,
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
    /// The case.
    pub case: Case,
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

/// The cases of one world, asked forwards, and every other world with its objects the other way round.
fn world(engine: &mut Engine, plan: &Plan, seed: u64, done: &mut Done) -> Result<Option<Found>, ChainError> {
    let World { mut objects } = World::generate(seed);
    if seed % 2 == 1 {
        objects.reverse();
    }
    let ground = match Ground::new(&objects) {
        Ok(ground) => ground,
        Err(GroundError::Invalid(_)) => {
            done.refused += 1;
            return Ok(None);
        }
        Err(error) => return Err(error.into()),
    };
    done.worlds += 1;
    let mut maker = Maker::new(&ground, !seed);
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
                Err(difference) => return Ok(Some(Found { objects, seed, at, case, difference })),
            }
        }
    }
    Ok(None)
}
