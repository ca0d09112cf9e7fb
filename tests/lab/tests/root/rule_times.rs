//! Rules begin and end on time, and nobody needs to be there to say so.

use std::{
    fs, thread,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use ringfence_lab::stream::{DatagramStream, EchoStream};
use ringfence_policy::model::format_moment;

use super::{ACME, fixture};

/// By when a rule must have begun or ended.
const PATIENCE: Duration = Duration::from_secs(1);

#[test]
fn rules_begin_and_end_on_time_without_a_controller_and_after_a_restart() {
    let mut fixture = fixture();
    let [web, app] = ["web-1", "app-1"].map(|name| fixture.somebody(ACME, name));
    let turn = now().as_secs() + 8;
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("timed.yaml");
    fs::write(&file, timed(&format_moment(turn))).unwrap();
    fixture.apply(&file).unwrap();

    let ending = EchoStream::start(&web, &app, true, 9001, 64).unwrap();
    fixture.lab.controller.as_mut().unwrap().kill().unwrap();
    for agent in fixture.lab.agents() {
        agent.kill().unwrap();
        agent.start_again(&[]).unwrap();
    }
    let early = until(turn).saturating_sub(PATIENCE);
    assert!(!early.is_zero(), "the machine is too slow for this test: the rules turned before it was ready");
    thread::sleep(early);
    let echoes = ending.echoes();
    // Sends from a second before the rule begins, and is there once the first datagrams arrive.
    let begun = DatagramStream::start(&web, &app, false, 9002, 64).unwrap();
    let late = now().saturating_sub(Duration::from_secs(turn));
    assert!(late < PATIENCE, "the rule began {late:?} late");
    let denied_before = begun.finish().unwrap().lost.len();
    assert!(denied_before > 50, "only {denied_before} datagrams were denied before the rule began");

    thread::sleep(until(turn) + PATIENCE);
    let ended = now().saturating_sub(ending.last_echo().elapsed());
    assert!(ended + PATIENCE > Duration::from_secs(turn), "the flow was cut before its rule ended");
    assert!(ended < Duration::from_secs(turn) + PATIENCE, "the flow outlived its rule");
    assert!(ending.echoes() > echoes, "the flow had stopped before its rule ended");
    // Its connection is dead by design.
    let _ = ending.finish();
    fixture.lab.check_daemons().unwrap();
}

fn timed(turn: &str) -> String {
    format!(
        "kind: Policy\n\
         domain: {ACME}\n\
         name: timed\n\
         rules:\n\
         - {{name: ends, from: [segment/web], to: [segment/app], action: allow, traffic: [tcp/9001], notAfter: \"{turn}\"}}\n\
         - {{name: begins, from: [segment/web], to: [segment/app], action: allow, traffic: [udp/9002], notBefore: \"{turn}\"}}\n"
    )
}

/// Since 1970-01-01T00:00:00Z.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap()
}

fn until(second: u64) -> Duration {
    Duration::from_secs(second).saturating_sub(now())
}
