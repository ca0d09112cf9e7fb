//! The image of a host says of every flow that is judged there what the bundle says.

use proptest::{prelude::*, sample::select};
use ringfence_policy::{
    bundle::Bundle,
    evaluate::{Decision, End, Flow, Traffic, Vote},
};

use super::Judgement;
use crate::{
    bpf::consts::{
        RF_ALLOW_FROM, RF_ALLOW_TO, RF_LOG_FROM, RF_LOG_TO, RF_SHADOW_FROM, RF_SHADOW_TO, RF_STATEFUL_FROM,
        RF_STATEFUL_TO,
    },
    lower::{assign, image::Image, lower},
    testing::{
        bundles::{MOMENTS, bundle, site},
        flows::{ADDRESSES, same_family, standing},
    },
};

fn end() -> impl Strategy<Value = End> {
    let address = select(&ADDRESSES[..]).prop_map(|text| End::Address(text.parse().unwrap()));
    prop_oneof![1 => Just(End::Host), 9 => address]
}

fn traffic() -> impl Strategy<Value = Traffic> {
    prop_oneof![(0..10_u16).prop_map(Traffic::Tcp), (0..10_u16).prop_map(Traffic::Udp), Just(Traffic::Icmp(8, 0))]
}

/// What the image says of one side, in the words of the evaluator.
fn vote(bundle: &Bundle, judgement: &Judgement, is_from: bool) -> Vote {
    let run = judgement.run;
    let bit = |bits: u8, from: u32, to: u32| u32::from(bits) & if is_from { from } else { to } != 0;
    let name = |id: u32| {
        let default = if bundle.policy.default_allows { "default/allow" } else { "default/deny" };
        let rule = bundle.policy.rules.iter().skip(1).find(|rule| rule.id == id);
        rule.map_or(default, |rule| rule.name.as_str()).to_owned()
    };
    let of_rule = |id: u32| bundle.policy.rules.iter().skip(1).find(|rule| rule.id == id);
    let [enforced, shadow] =
        if is_from { [run.from_rule, run.shadow_from_rule] } else { [run.to_rule, run.shadow_to_rule] };
    Vote {
        enforced: Decision {
            allows: bit(run.verdict, RF_ALLOW_FROM, RF_ALLOW_TO),
            rule: name(enforced),
            stateful: bit(run.notes, RF_STATEFUL_FROM, RF_STATEFUL_TO),
            log: bit(run.notes, RF_LOG_FROM, RF_LOG_TO),
        },
        shadow: Decision {
            allows: bit(run.verdict, RF_SHADOW_FROM, RF_SHADOW_TO),
            rule: name(shadow),
            // Of the rule: the maps note what the enforced one says.
            stateful: of_rule(shadow).is_none_or(|rule| !rule.stateless),
            log: of_rule(shadow).is_some_and(|rule| rule.log),
        },
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn an_image_says_what_the_bundle_says(
        one in bundle(1),
        other in bundle(2),
        flows in proptest::collection::vec((end(), end(), traffic()), 20),
        at in 0..=MOMENTS,
    ) {
        let image = assign(&lower([&one, &other], &site(), at), &Image::default()).unwrap();
        for (source, destination, traffic) in flows {
            let flow = Flow { source, destination, traffic };
            let ((from_votes, from_here), (to_votes, to_here)) = (standing(&one, source), standing(&one, destination));
            if !same_family(source, destination) || !(from_here || to_here) || !(from_votes || to_votes) {
                continue;
            }
            let expected = one.judge(&flow, at);
            let judgement = image.judge(1, &flow);
            prop_assert_eq!((from_votes, to_votes), (expected.from.is_some(), expected.to.is_some()));
            let known = judgement.run != Default::default();
            for (is_from, expected) in [(true, &expected.from), (false, &expected.to)] {
                let Some(expected) = expected else { continue };
                let mut said = vote(&one, &judgement, is_from);
                // Nothing is tracked of what is denied for want of a run.
                if !known {
                    said.enforced.stateful = expected.enforced.stateful;
                }
                prop_assert_eq!(&said, expected, "from side: {}, {:?}", is_from, judgement);
            }
        }
    }
}
