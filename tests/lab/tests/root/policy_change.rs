//! A change of policy meets flows that run.

use std::{
    fs,
    time::{Duration, Instant},
};

use ringfence_lab::{
    files::example,
    stream::{DatagramStream, EchoStream},
    wait,
};

use super::{
    ACME, fixture,
    flows::{Flows, PORTS},
    model_of,
};

/// How long what is denied by now may go on.
const SECOND: Duration = Duration::from_secs(1);

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
    // Before the second is over, a flow that goes on looks like one that was cut.
    wait::until("more than the second is over", Duration::from_secs(5), || Ok(changed.elapsed() > 2 * SECOND)).unwrap();

    for flow in denied {
        let lasted = flow.last_echo().saturating_duration_since(changed);
        assert!(lasted < SECOND, "the denied flow lasted {lasted:?}");
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

/// What the change leaves allowed.
const KEPT: std::ops::Range<u16> = PORTS.start..PORTS.start + 50;

#[test]
fn of_ten_thousand_flows_those_that_a_change_denies_are_cut_within_a_second_and_no_other_loses_a_datagram() {
    let mut fixture = fixture();
    let [web, app] = ["web-1", "app-1"].map(|name| fixture.somebody(ACME, name));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("flows.yaml");
    fs::write(&file, many(PORTS.end - 1)).unwrap();
    fixture.apply(&file).unwrap();
    let flows = Flows::start(&web, &app).unwrap();
    assert_eq!(flows.count(), 10_000);

    fs::write(&file, many(KEPT.end - 1)).unwrap();
    // Returns once it is committed.
    fixture.cli_ok(&["apply", "--no-wait", "-f", &file.display().to_string()]).unwrap();
    let committed = Instant::now();
    flows.wait_for_a_round().unwrap();
    flows.wait_for_a_round().unwrap();

    let (kept, cut): (Vec<_>, Vec<_>) = flows.finish().unwrap().into_iter().partition(|flow| KEPT.contains(&flow.port));
    let lost: u64 = kept.iter().map(|flow| flow.sent - flow.arrived).sum();
    let lasted = cut.iter().filter_map(|flow| flow.last).max().unwrap().saturating_duration_since(committed);
    println!(
        "{} flows kept, {lost} datagrams of theirs lost; {} cut, the last after {lasted:?}",
        kept.len(),
        cut.len()
    );
    assert_eq!(lost, 0, "datagrams of allowed flows were lost");
    assert!(lasted < SECOND, "a denied flow lasted {lasted:?} after the commit");
    assert!(cut.iter().all(|flow| flow.arrived < flow.sent), "a denied flow lost nothing");
}

/// The policy of the flows, up to a port.
fn many(last: u16) -> String {
    format!(
        "kind: Policy\n\
         domain: {ACME}\n\
         name: flows\n\
         rules:\n\
         - {{name: many, from: [segment/web], to: [segment/app], action: allow, traffic: [udp/{}-{last}]}}\n",
        PORTS.start
    )
}
