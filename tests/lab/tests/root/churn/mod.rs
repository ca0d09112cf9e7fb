//! Hundreds of workloads a second change, and flows that have nothing to do with it do not notice.

mod judged;

use std::{
    fmt::Write,
    fs, thread,
    time::{Duration, Instant},
};

use judged::Judged;
use ringfence_lab::files::example;

use super::{
    ACME, fixture,
    flows::{self, Flows},
};

/// Seconds of churn; CI has no minute for it.
const SECONDS: &str = "RINGFENCE_CHURN_SECONDS";
const SECONDS_IN_CI: usize = 10;

const WORKLOADS: usize = 500;
/// Changed at once; five times a second.
const BATCH: usize = 100;
const TICK: Duration = Duration::from_millis(200);

#[test]
fn five_hundred_changes_a_second_disturb_no_flow_of_others() {
    let seconds = std::env::var(SECONDS).ok().map_or(SECONDS_IN_CI, |text| text.parse().unwrap());
    let mut fixture = fixture();
    let [web, app] = ["web-1", "app-1"].map(|name| fixture.somebody(ACME, name));
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("churn.yaml");
    fs::write(&file, ground() + &workloads(0..WORKLOADS, 0)).unwrap();
    fixture.apply(&file).unwrap();

    let flows = Flows::start(&web, &app).unwrap();
    let hosts = ["h1", "h2"];
    let judged = |fixture: &super::Fixture| hosts.map(|host| Judged::read(fixture.id(), host).unwrap());
    let before = judged(&fixture);
    for (host, judged) in hosts.iter().zip(&before) {
        assert!(judged.len() >= flows.count(), "{host} has connections for {} flows alone", judged.len());
    }

    let begun = Instant::now();
    let batches = seconds * WORKLOADS / BATCH;
    let batch_file = |batch: usize| {
        let first = batch * BATCH % WORKLOADS;
        fs::write(&file, workloads(first..first + BATCH, batch * BATCH / WORKLOADS + 1)).unwrap();
        file.display().to_string()
    };
    for (batch, due) in (0..batches).zip(1..) {
        fixture.cli_ok(&["apply", "--no-wait", "-f", &batch_file(batch)]).unwrap();
        thread::sleep((begun + TICK * due).saturating_duration_since(Instant::now()));
    }
    let committed = begun.elapsed();
    // Ends once every host enforces it, and with it all before.
    fixture.cli_ok(&["apply", "-f", &batch_file(batches)]).unwrap();
    let behind = begun.elapsed() - committed;
    println!("{} changes in {committed:?}, enforced {behind:?} after the last", batches * BATCH);
    assert!(behind < Duration::from_secs(5), "the agents were {behind:?} behind");

    let after = judged(&fixture);
    for (host, (before, after)) in hosts.iter().zip(before.iter().zip(&after)) {
        assert_eq!(after.judged_since(before), 0, "flows were judged again on {host}");
    }
    // What must be judged again is, or nothing was measured.
    fixture.apply(&example("tightened.yaml")).unwrap();
    flows.wait_for_a_round().unwrap();
    for (host, (after, judged)) in hosts.iter().zip(after.iter().zip(&judged(&fixture))) {
        assert!(judged.judged_since(after) >= flows.count(), "a change of policy left flows on {host} as they were");
    }
    let lost: u64 = flows.finish().unwrap().iter().map(|flow| flow.sent - flow.arrived).sum();
    assert_eq!(lost, 0, "datagrams were lost");
}

/// Where the workloads are, and what the flows need.
fn ground() -> String {
    format!(
        "kind: Network\n\
         domain: {ACME}\n\
         name: churn\n\
         subnets:\n\
         - {{cidr: 10.50.0.0/16, gateway: 10.50.0.1}}\n\
         ---\n\
         kind: Policy\n\
         domain: {ACME}\n\
         name: flows\n\
         rules:\n\
         - {{name: many, from: [segment/web], to: [segment/app], action: allow, traffic: [udp/{}-{}]}}\n",
        flows::PORTS.start,
        flows::PORTS.end - 1
    )
}

/// Workloads that go from one class to another, round by round; all are known already. Their devices are nowhere.
fn workloads(numbers: std::ops::Range<usize>, round: usize) -> String {
    let mut text = String::new();
    for number in numbers {
        let role = if (number + round).is_multiple_of(2) { "web" } else { "app" };
        let [high, low] = u16::try_from(number + 256).unwrap().to_be_bytes();
        let host = if number.is_multiple_of(2) { "h1" } else { "h2" };
        write!(
            text,
            "---\n\
             kind: Workload\n\
             domain: {ACME}\n\
             name: churn-{number}\n\
             labels: {{app: shop, role: {role}}}\n\
             interfaces:\n\
             - {{name: eth0, network: churn, mac: \"02:00:00:50:{high:02x}:{low:02x}\", addresses: [10.50.{high}.{low}], \
                 host: {host}, device: churn-{number}}}\n"
        )
        .unwrap();
    }
    text
}
