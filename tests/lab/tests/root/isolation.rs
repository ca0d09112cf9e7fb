//! Two tenants with the same addresses never meet.

use std::net::IpAddr;

use ringfence_lab::{
    lab::Options,
    layout::Underlay,
    probe::{Outcome, Question},
};

use super::{ACME, Fixture, fixture, fixture_with};

#[test]
fn every_pair_does_what_the_policy_says_and_nothing_crosses() {
    let fixture = fixture();
    let answers = fixture.require_right(&fixture.questions());
    for answer in &answers {
        if let Outcome::Answered { domain, .. } = &answer.observed {
            assert_eq!(*domain, fixture.endpoints[answer.question.asker].domain);
        }
    }
    for ipv4 in [true, false] {
        let answered = answers.iter().filter(|it| it.observed != Outcome::Silence);
        let of_family = answered.filter(|it| it.question.target.is_ipv4() == ipv4).count();
        assert!(of_family > 20, "only {of_family} probes of a family were answered");
    }
    assert_eq!(fixture.responders.leaks(), []);
}

#[test]
fn an_address_that_only_globex_has_does_not_exist_for_acme() {
    let fixture = fixture();
    let crossing = from_acme_to(&fixture, &["10.3.0.11", "fd00:3::11"]);
    assert!(crossing.iter().any(|it| it.target.is_ipv6()) && crossing.iter().any(|it| it.target.is_ipv4()));
    for answer in fixture.require_right(&crossing) {
        assert_eq!(answer.observed, Outcome::Silence);
    }
    assert_eq!(fixture.responders.leaks(), []);
}

#[test]
fn an_overlay_over_ipv6_does_the_same() {
    let fixture = fixture_with(&Options { underlay: Underlay::Ipv6, ..Options::default() });
    fixture.require_right(&fixture.questions());
    assert_eq!(fixture.responders.leaks(), []);
}

fn from_acme_to(fixture: &Fixture, targets: &[&str]) -> Vec<Question> {
    let targets: Vec<IpAddr> = targets.iter().map(|it| it.parse().unwrap()).collect();
    let mut questions = fixture.questions();
    questions.retain(|it| fixture.endpoints[it.asker].domain == ACME && targets.contains(&it.target));
    questions
}
