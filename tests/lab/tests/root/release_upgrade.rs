//! Hosts that run an earlier release are upgraded one by one, while flows run that it let begin.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use ringfence_agent::bpf::consts::RF_LAYOUT;
use ringfence_lab::{
    daemon::find_program,
    fatal::{BpfCalls, kill_at},
    lab::Options,
    registry,
};

use super::{
    ACME, Fixture, fixture_with,
    watch::{NONE, watched},
};

/// Maps of its layout are pinned in the agent's folder itself.
const RELEASE: &str = "0.1.0";
/// One of its maps, pinned there as long as they are.
const ROWS: &str = "rf_rows";

/// The folder of the release's programs, built from its commit.
fn release() -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../releases.sh");
    let built = Command::new(script).arg(RELEASE).output().unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    PathBuf::from(String::from_utf8(built.stdout).unwrap().trim())
}

/// Names in the folder of an agent's pins.
fn pins(lab: &str, host: &str) -> Vec<String> {
    let entries = fs::read_dir(registry::pins_of(lab).join(host)).unwrap();
    let mut names: Vec<String> = entries.map(|it| it.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A lab of the release, whose controller is upgraded.
fn released() -> Fixture {
    let fixture = fixture_with(&Options { release: Some(release()), ..Options::default() });
    assert!(pins(fixture.id(), "h1").contains(&ROWS.to_owned()), "the release pins its maps elsewhere by now");
    fixture
}

fn upgrade_controller(fixture: &mut Fixture) {
    let controller = fixture.lab.controller.as_mut().unwrap();
    controller.kill().unwrap();
    controller.replace(find_program("ringfence-controller").unwrap());
    controller.start_again(&[]).unwrap();
    fixture.lab.wait_for_controller().unwrap();
}

/// Nothing is left of the release, and everything is as policy says.
fn require_upgraded(fixture: &Fixture, hosts: &[&str]) {
    for host in hosts {
        assert_eq!(pins(fixture.id(), host), ["links".to_owned(), format!("maps-{RF_LAYOUT}"), "rf_boot".to_owned()]);
    }
    let mut questions = fixture.questions();
    questions.retain(|it| fixture.endpoints[it.asker].domain == ACME);
    fixture.require_right(&questions);
}

#[test]
fn hosts_of_an_earlier_release_are_upgraded_under_the_flows_that_run() {
    let mut fixture = released();
    let hosts = ["h1", "h2", "h3"];
    let harm = watched(&mut fixture, |fixture, flows| {
        flows.go_on();
        upgrade_controller(fixture);
        flows.go_on();
        for host in hosts {
            let agent = fixture.lab.agent(host).unwrap();
            agent.stop().unwrap();
            agent.replace(find_program("ringfence-agent").unwrap());
            agent.start_again(&[]).unwrap();
            flows.go_on();
        }
        fixture.lab.wait_until_settled(true).unwrap();
        flows.go_on();
    });
    assert_eq!(harm, NONE);
    require_upgraded(&fixture, &hosts);
}

/// Each time the agent dies before another of the links of h1 gets its new program; the next start begins anew.
#[test]
fn an_upgrade_that_is_cut_off_between_any_two_links_is_finished_by_the_next_start_and_loses_nothing() {
    let mut fixture = released();
    let host = "h1";
    let mut deaths = 0;
    let harm = watched(&mut fixture, |fixture, flows| {
        upgrade_controller(fixture);
        let lab = fixture.id().to_owned();
        let agent = fixture.lab.agent(host).unwrap();
        agent.stop().unwrap();
        agent.replace(find_program("ringfence-agent").unwrap());
        loop {
            agent.start_again(&[]).unwrap();
            let is_over = || !pins(&lab, host).contains(&ROWS.to_owned());
            if !kill_at(agent.pid().unwrap(), BpfCalls::LINK_UPDATE, deaths + 1, is_over).unwrap() {
                break;
            }
            agent.kill().unwrap();
            assert!(!is_over(), "the release's maps went before its programs");
            flows.go_on();
            deaths += 1;
        }
        flows.go_on();
        fixture.lab.agent("h2").unwrap().check().unwrap();
    });
    assert!(deaths > 2, "the agent died {deaths} times");
    assert_eq!(harm, NONE);
    require_upgraded(&fixture, &[host]);
}
