//! A dead controller changes nothing on the hosts.

use std::{fs, time::Duration};

use ringfence_lab::{probe::Outcome, registry, wait};

use super::{ACME, Fixture, fixture};

#[test]
fn enforcement_stays_when_the_controller_is_killed() {
    let mut fixture = fixture();
    fixture.lab.controller.as_mut().unwrap().kill().unwrap();
    let mut questions = fixture.questions();
    questions.retain(|it| fixture.endpoints[it.asker].domain == ACME);
    let answers = fixture.require_right(&questions);
    assert!(answers.iter().any(|it| it.observed == Outcome::Silence));
    assert!(answers.iter().any(|it| it.observed != Outcome::Silence));
}

#[test]
fn an_agent_that_starts_without_a_controller_enforces_what_it_knew() {
    let mut fixture = fixture();
    fixture.lab.controller.as_mut().unwrap().kill().unwrap();
    let starts_before = starts(&fixture);
    for agent in fixture.lab.agents() {
        agent.kill().unwrap();
        agent.start_again(&[]).unwrap();
    }
    // Until then it would be the agents of before whose word is asked for.
    let started = starts_before + fixture.layout().hosts.len();
    wait::until("every agent has loaded its programs", Duration::from_secs(30), || Ok(starts(&fixture) >= started))
        .unwrap();
    let mut questions = fixture.questions();
    questions.retain(|it| fixture.endpoints[it.asker].domain == ACME);
    // The maps are written a moment after; the second round is later than that.
    for _ in 0..2 {
        fixture.require_right(&questions);
    }
    fixture.lab.check_daemons().unwrap();
}

/// How often agents of the lab have loaded their programs, by their logs.
fn starts(fixture: &Fixture) -> usize {
    let directory = registry::directory_of(fixture.id());
    let logs = fixture.layout().hosts.iter().map(|host| directory.join(format!("{}.log", host.name)));
    logs.map(|log| fs::read_to_string(log).unwrap().matches("programs loaded").count()).sum()
}
