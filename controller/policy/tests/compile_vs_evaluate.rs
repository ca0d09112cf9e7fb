//! The compiled form against the definition of what is right.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use common::{bundle, domain, generate};
use proptest::prelude::*;
use ringfence_policy::evaluate::evaluate;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn a_bundle_says_of_every_flow_what_the_evaluator_says(objects in generate::domain_objects()) {
        let domain = domain(&objects);
        let bundle = bundle(&domain);
        let moments = generate::moments(&domain);
        for (flow, at) in generate::flows(&domain).iter().zip(moments.iter().cycle()) {
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
