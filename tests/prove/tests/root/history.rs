//! The maps come out the same from nothing, from another world and from the same one.

use ringfence_agent::engine::Engine;
use ringfence_prove::{
    case::Maker,
    chain::Chain,
    ground::Ground,
    world::{EPOCH, World},
};

const WORLDS: std::ops::Range<u64> = 7_000..7_004;
const CASES: usize = 100;

fn agree(engine: &mut Engine, ground: &Ground, seed: u64) {
    let mut maker = Maker::new(ground, seed);
    let mut chain = Chain::new(engine, ground, EPOCH).unwrap();
    for _ in 0..CASES {
        let Some(case) = maker.case() else { continue };
        assert_eq!(chain.check(&case).unwrap().err(), None, "world {seed}: {case:?}");
    }
}

#[test]
fn from_empty_and_from_what_was_before_the_programs_say_the_same() {
    let grounds = WORLDS.map(|seed| (seed, Ground::new(&World::generate(seed).objects).unwrap()));
    let grounds: Vec<(u64, Ground)> = grounds.collect();
    let mut used = Engine::open().unwrap();
    for (seed, ground) in grounds.iter().chain(grounds.iter().rev()) {
        agree(&mut used, ground, *seed);
    }
    for (seed, ground) in &grounds {
        agree(&mut Engine::open().unwrap(), ground, *seed);
    }
}

#[test]
fn the_same_world_twice_is_no_change() {
    let mut engine = Engine::open().unwrap();
    let [one, other] = [7_100, 7_101].map(|seed| Ground::new(&World::generate(seed).objects).unwrap());
    for ground in [&one, &other, &one] {
        engine.load(&ground.bundle, EPOCH).unwrap();
        assert_ne!(engine.steps(), 0);
        engine.load(&ground.bundle, EPOCH).unwrap();
        assert_eq!(engine.steps(), 0);
    }
}
