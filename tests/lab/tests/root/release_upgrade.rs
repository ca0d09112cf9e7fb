//! Hosts that run an earlier release are upgraded one by one, while flows run that it let begin.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use ringfence_agent::bpf::consts::RF_LAYOUT;
use ringfence_lab::{daemon::find_program, lab::Options, registry};

use super::{
    ACME, fixture_with,
    watch::{NONE, watched},
};

/// Maps of its layout are pinned in the agent's folder itself.
const RELEASE: &str = "0.1.0";

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

#[test]
fn hosts_of_an_earlier_release_are_upgraded_under_the_flows_that_run() {
    let mut fixture = fixture_with(&Options { release: Some(release()), ..Options::default() });
    assert!(pins(fixture.id(), "h1").contains(&"rf_rows".to_owned()), "the release pins its maps elsewhere by now");
    let harm = watched(&mut fixture, |fixture, flows| {
        flows.go_on();
        let controller = fixture.lab.controller.as_mut().unwrap();
        controller.kill().unwrap();
        controller.replace(find_program("ringfence-controller").unwrap());
        controller.start_again(&[]).unwrap();
        fixture.lab.wait_for_controller().unwrap();
        flows.go_on();
        for host in ["h1", "h2", "h3"] {
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
    for host in ["h1", "h2", "h3"] {
        assert_eq!(pins(fixture.id(), host), ["links".to_owned(), format!("maps-{RF_LAYOUT}"), "rf_boot".to_owned()]);
    }
    let mut questions = fixture.questions();
    questions.retain(|it| fixture.endpoints[it.asker].domain == ACME);
    fixture.require_right(&questions);
}
