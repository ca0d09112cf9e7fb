//! A dead controller changes nothing on the hosts.

use ringfence_lab::probe::Outcome;

use super::{ACME, fixture};

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
    for agent in fixture.lab.agents() {
        agent.kill().unwrap();
        agent.start_again(&[]).unwrap();
    }
    let mut questions = fixture.questions();
    questions.retain(|it| fixture.endpoints[it.asker].domain == ACME);
    fixture.require_right(&questions);
    fixture.lab.check_daemons().unwrap();
}
