//! An agent that is killed and started again: no packet notices.

use super::{
    fixture,
    watch::{NONE, watched},
};

#[test]
fn killing_and_starting_an_agent_loses_nothing_and_opens_nothing() {
    let mut fixture = fixture();
    let harm = watched(&mut fixture, |fixture, flows| {
        for host in ["h1", "h2"] {
            fixture.lab.agent(host).unwrap().kill().unwrap();
            fixture.lab.wait_until_settled(false).unwrap();
            flows.go_on();
            fixture.lab.agent(host).unwrap().start_again(&[]).unwrap();
            fixture.lab.wait_until_settled(true).unwrap();
            flows.go_on();
        }
    });
    assert_eq!(harm, NONE);
}
