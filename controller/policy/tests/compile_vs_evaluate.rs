//! The compiled form against the definition of what is right.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use common::{bundle, domain, generate};
use proptest::prelude::*;
use ringfence_policy::evaluate::evaluate;

/// Of the flows of a case so many are asked, spread over all.
const FLOWS: usize = 1500;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_bundle_says_of_every_flow_what_the_evaluator_says(objects in generate::domain_objects(), first in 0..64_usize) {
        let domain = domain(&objects);
        let bundle = bundle(&domain);
        let moments = generate::flows::moments(&domain);
        let flows = generate::flows::all(&domain);
        let step = (flows.len() / FLOWS).max(1);
        for (flow, at) in flows.iter().skip(first % step).step_by(step).zip(moments.iter().cycle()) {
            prop_assert_eq!(bundle.judge(flow, *at), evaluate(&domain, flow, *at), "{:?} at {}", flow, at);
        }
    }

    #[test]
    fn a_bundle_does_not_depend_on_the_order_of_objects(objects in generate::domain_objects()) {
        let mut reversed = objects.clone();
        reversed.reverse();
        prop_assert_eq!(bundle(&domain(&objects)), bundle(&domain(&reversed)));
    }
}
