//! A change of policy meets flows that run.

use std::time::{Duration, Instant};

use ringfence_lab::{
    files::example,
    stream::{DatagramStream, EchoStream},
    wait,
};

use super::{ACME, fixture, model_of};

#[test]
fn a_new_deny_cuts_its_flow_within_a_second_and_harms_no_other() {
    let mut fixture = fixture();
    let [web, app, db] = ["web-1", "app-1", "db-1"].map(|name| fixture.somebody(ACME, name));
    let denied = [true, false].map(|ipv4| EchoStream::start(&web, &app, ipv4, 8084, 64).unwrap());
    let allowed = EchoStream::start(&web, &app, true, 8086, 64).unwrap();
    let elsewhere = EchoStream::start(&app, &db, false, 5433, 64).unwrap();
    let datagrams = DatagramStream::start(&web, &app, false, 4001, 64).unwrap();
    let before = [&allowed, &elsewhere].map(|flow| flow.retransmissions().unwrap());

    let changed = Instant::now();
    fixture.apply(&example("tightened.yaml")).unwrap();
    let echoes = allowed.echoes();
    wait::until("allowed flows go on", Duration::from_secs(5), || Ok(allowed.echoes() > echoes + 200)).unwrap();

    for flow in denied {
        let lasted = flow.last_echo().saturating_duration_since(changed);
        assert!(lasted < Duration::from_secs(1), "the denied flow lasted {lasted:?}");
        // Its connection is dead by design.
        let _ = flow.finish();
    }
    let after = [&allowed, &elsewhere].map(|flow| flow.retransmissions().unwrap());
    assert_eq!(after, before, "segments of allowed flows had to be sent again");
    assert_eq!(datagrams.finish().unwrap().lost, [0_u64; 0]);
    allowed.finish().unwrap();
    elsewhere.finish().unwrap();

    fixture.model = model_of(&[&example("shop.yaml"), &example("tightened.yaml")]);
    let mut questions = fixture.questions();
    questions.retain(|it| fixture.endpoints[it.asker].domain == ACME);
    fixture.require_right(&questions);
}
