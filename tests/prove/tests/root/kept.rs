//! Kept cases, through every layer.

use std::path::Path;

use ringfence_agent::engine::Engine;
use ringfence_prove::{case::Case, chain::Chain, corpus, ground::Ground, world::EPOCH};

/// Where questions come from: ports that rules name and such as none does, since answers are judged by them.
const SOURCE_PORTS: [u16; 6] = [40_000, 1, 80, 443, 8080, 65_535];

#[test]
fn kept_cases_stay_right_in_every_layer() {
    let mut engine = Engine::open().unwrap();
    for kept in corpus::read(Path::new("../corpus")).unwrap() {
        let ground = Ground::new(&kept.objects).unwrap();
        for flow in &kept.flows {
            let mut chain = Chain::new(&mut engine, &ground, flow.at.unwrap_or(EPOCH)).unwrap();
            for asked in flow.questions(&ground.domain).unwrap() {
                for source_port in SOURCE_PORTS {
                    let case = Case { flow: asked, source_port, made_for: None };
                    let difference = chain.check(&case).unwrap().err();
                    assert_eq!(difference, None, "{}: {case:?}", kept.path);
                }
            }
        }
    }
}
