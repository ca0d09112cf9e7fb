//! A lab leaves nothing behind, however it ends.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    process::{Command, Stdio},
    time::Duration,
};

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use ringfence_lab::{
    files::example,
    lab::{Lab, Options},
    registry, wait,
};

use super::{fixture, turn};

#[test]
fn a_lab_that_ends_leaves_nothing() {
    let fixture = fixture();
    let id = fixture.id().to_owned();
    assert!(!registry::leftovers(&id).unwrap().is_empty());
    drop(fixture);
    assert_eq!(registry::leftovers(&id).unwrap(), [""; 0].map(std::path::PathBuf::from));
}

#[test]
fn a_lab_whose_test_panics_leaves_nothing() {
    let _turn = turn();
    let mut id = String::new();
    let panicked = catch_unwind(AssertUnwindSafe(|| {
        let lab = Lab::raise(&[&example("shop.yaml")], &Options::default()).unwrap();
        id = lab.id().to_owned();
        panic!("as a failing test does");
    }));
    assert!(panicked.is_err());
    assert!(!id.is_empty());
    assert!(registry::leftovers(&id).unwrap().is_empty());
}

#[test]
fn what_a_killed_lab_leaves_the_next_sweep_removes() {
    let _turn = turn();
    let (mut lab, id) = up();
    lab.kill().unwrap();
    lab.wait().unwrap();
    assert!(!registry::leftovers(&id).unwrap().is_empty(), "it had no chance to tidy up");
    // A daemon it was just starting holds the lab's lock, inherited, until its exec.
    wait::until("a sweep takes the killed lab for dead", Duration::from_secs(20), || {
        Ok(registry::sweep()?.contains(&id))
    })
    .unwrap();
    assert!(registry::leftovers(&id).unwrap().is_empty());
}

#[test]
fn a_lab_that_is_asked_to_end_removes_itself() {
    let _turn = turn();
    let (mut lab, id) = up();
    kill(Pid::from_raw(lab.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    lab.wait().unwrap();
    assert!(registry::leftovers(&id).unwrap().is_empty());
}

/// `ringfence-lab up` as a process of its own, once its daemons run; and its lab's id.
fn up() -> (std::process::Child, String) {
    let lab = Command::new(env!("CARGO_BIN_EXE_ringfence-lab"))
        .arg("up")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let id = format!("{}x0", lab.id());
    let agent_log = registry::directory_of(&id).join("h3.log");
    wait::until("the last agent runs", Duration::from_secs(20), || Ok(agent_log.exists())).unwrap();
    (lab, id)
}
