//! A share of what `make prove` does, on worlds of its own.

use ringfence_agent::engine::Engine;
use ringfence_prove::{
    feature::Feature,
    run::{Plan, run, shrunk},
};

/// Minutes at most in a debug build on two slow cores; `make prove` goes on as long as it is asked.
const CASES: u64 = 100_000;

#[test]
fn four_layers_say_the_same_of_every_pair_of_features() {
    let mut engine = Engine::open().unwrap();
    let plan = Plan { seed: 1 << 40, cases: CASES, cases_of_a_world: 90 };
    let (done, found) = run(&mut engine, &plan, |_| {}).unwrap();
    let found = found.map(|found| shrunk(&mut engine, &found));
    assert!(found.is_none(), "{found:#?}");
    assert!(done.cases >= CASES && done.worlds * 90 >= done.cases);
    assert_eq!(done.coverage.features(), Feature::ALL.len());
    let missing: Vec<_> = done.coverage.pairs().into_iter().filter(|(cases, ..)| *cases == 0).collect();
    assert_eq!(missing, []);
}
