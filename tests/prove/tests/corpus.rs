//! Kept cases that need no programs. With programs: `root/kept.rs`.
#![allow(clippy::unwrap_used, missing_docs)]

use std::path::Path;

use ringfence_policy::evaluate::evaluate;
use ringfence_prove::{corpus, ground::Ground, world::EPOCH};

#[test]
fn kept_cases_are_judged_as_they_expect_and_compiled_to_that() {
    let kept = corpus::read(Path::new("../corpus")).unwrap();
    assert!(!kept.is_empty());
    for kept in kept {
        assert_eq!(kept.misjudged().unwrap(), Vec::<String>::new(), "{}", kept.path);
        let Ground { domain, bundle, .. } = Ground::new(&kept.objects).unwrap();
        for flow in &kept.flows {
            let at = flow.at.unwrap_or(EPOCH);
            for asked in flow.questions(&domain).unwrap() {
                assert_eq!(bundle.judge(&asked, at), evaluate(&domain, &asked, at), "{}: {asked:?}", kept.path);
            }
        }
    }
}
