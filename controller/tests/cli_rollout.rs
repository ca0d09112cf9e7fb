//! Following a change to the hosts, and how the hosts are.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cli_support;

use cli_support::{
    Controller, SHOP,
    agent::{Agent, Answer},
};
use serde_json::json;

fn controller() -> Controller {
    let controller = Controller::start();
    controller.file("shop.yaml", SHOP);
    controller
}

#[test]
fn an_apply_ends_when_every_host_concerned_enforces_it() {
    let controller = controller();
    let _agents = ["h1", "h2"].map(|host| Agent::start(&controller, host, Answer::Ack));
    let run = controller.run("apply -f shop.yaml");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.ends_with(": 2/2 hosts enforce it\n"), "{}", run.stderr);
}

#[test]
fn a_host_that_is_not_connected_is_named_at_the_deadline() {
    let controller = controller();
    let _h1 = Agent::start(&controller, "h1", Answer::Ack);
    let run = controller.run("apply -f shop.yaml --wait-timeout 1s");
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains(": 1/2 hosts enforce it (waiting for h2: not connected)\n"), "{}", run.stderr);
    assert!(run.stderr.contains("not every host enforces it after 1s"), "{}", run.stderr);
}

#[test]
fn a_host_that_says_nothing_is_waited_for_until_the_deadline() {
    let controller = controller();
    let _agents = [("h1", Answer::Ack), ("h2", Answer::Nothing)].map(|(h, a)| Agent::start(&controller, h, a));
    let run = controller.run("apply -f shop.yaml --wait-timeout 1s");
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.contains("waiting for h2: enforces none yet"), "{}", run.stderr);
}

#[test]
fn a_host_that_refuses_ends_the_waiting_with_its_reason() {
    let controller = controller();
    let _agents = [("h1", Answer::Ack), ("h2", Answer::Nack("no room"))].map(|(h, a)| Agent::start(&controller, h, a));
    let run = controller.run("apply -f shop.yaml");
    assert_eq!(run.code, 1, "{}", run.stderr);
    assert!(run.stderr.ends_with("acme/prod: h2: refused it: no room\n"), "{}", run.stderr);
    assert!(!run.stderr.contains("after 30s"), "it did not wait for the deadline: {}", run.stderr);
}

#[test]
fn deleting_everything_leaves_nobody_to_wait_for() {
    let controller = controller();
    let _agents = ["h1", "h2"].map(|host| Agent::start(&controller, host, Answer::Ack));
    assert_eq!(controller.run("apply -f shop.yaml").code, 0);
    let run = controller.run("delete -f shop.yaml");
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{}", run.stdout);
}

#[test]
fn a_deletion_is_followed_to_the_hosts() {
    let controller = controller();
    let _agents = ["h1", "h2"].map(|host| Agent::start(&controller, host, Answer::Ack));
    assert_eq!(controller.run("apply -f shop.yaml").code, 0);
    let run = controller.run("delete policy shop --domain acme/prod");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stderr.ends_with(": 2/2 hosts enforce it\n"), "{}", run.stderr);
}

#[test]
fn a_host_is_deleted_once_its_agent_is_gone() {
    let controller = Controller::start();
    let h9 = Agent::start(&controller, "h9", Answer::Ack);
    let run = controller.run("delete host h9");
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(run.stderr.contains("Host h9: its agent is connected"), "{}", run.stderr);

    drop(h9);
    let run = controller.until("delete host h9", |run| run.code == 0);
    assert!(run.stdout.contains("Host  -       h9    deleted\n"), "{}", run.stdout);
    assert_eq!(controller.json("get hosts -o json")["objects"], json!([]));
}

#[test]
fn json_ends_with_the_last_state_of_the_rollout() {
    let controller = controller();
    let _agents = ["h1", "h2"].map(|host| Agent::start(&controller, host, Answer::Ack));
    let answer = controller.json("apply -f shop.yaml -o json");
    assert_eq!(answer["rollout"]["done"], json!(true));
    let domain = &answer["rollout"]["domains"][0];
    assert_eq!(domain["generation"], answer["generations"][0]["generation"]);
    assert_eq!(domain["hosts"].as_array().unwrap().len(), 2);
}

#[test]
fn status_is_well_only_when_all_hosts_and_interfaces_are() {
    let controller = controller();
    let h1 = Agent::start(&controller, "h1", Answer::Ack);
    let h2 = Agent::start(&controller, "h2", Answer::Ack);
    assert_eq!(controller.run("apply -f shop.yaml").code, 0);
    let well = controller.until("status -o json", |run| run.code == 0);
    assert_eq!(well.json()["ok"], json!(true));
    let table = controller.run("status").stdout;
    assert!(table.contains("2/2              2/2            -\n"), "{table}");

    drop(h2);
    let ill = controller.until("status -o json", |run| run.code == 1);
    assert_eq!(ill.json()["ok"], json!(false));
    drop(h1);
}

#[test]
fn counters_come_from_the_hosts_and_silent_ones_are_named() {
    let controller = controller();
    let _h1 = Agent::start(&controller, "h1", Answer::Ack);
    let run = controller.run("counters");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("unknown_device=3"), "{}", run.stdout);

    let _h2 = Agent::start(&controller, "h2", Answer::Nothing);
    let run = controller.run("counters -o json --timeout 30s");
    assert_eq!(run.code, 1, "{}", run.stdout);
    assert!(run.stderr.starts_with("h2: "), "{}", run.stderr);
    assert_eq!(run.json()["interfaces"][0]["drops"], json!({"unknown_device": 3}));
    assert_eq!(run.json()["errors"][0]["host"], "h2");
}
