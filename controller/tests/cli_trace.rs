//! `ringfence trace`, from files, from a controller, and with a host's own word.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cli_support;

use cli_support::{
    Controller, Offline, Run, SHOP,
    agent::{Agent, Answer},
};
use serde_json::{Value, json};

/// A guard that passes on, and a policy in audit that would deny.
const MORE: &str = r#"---
kind: Policy
domain: "*"
name: floor
tier: guard
rules:
  - {name: skip, from: [any], to: [any], action: pass, traffic: [tcp/8080], priority: 5}
  - {name: late, from: [any], to: [any], action: deny, traffic: [tcp/8080], priority: 9}
---
kind: Policy
domain: acme/prod
name: trial
mode: audit
rules:
  - {name: stop, from: [any], to: [segment/app], action: deny, traffic: [tcp], priority: 1, side: to}
"#;

fn offline() -> Offline {
    let offline = Offline::new();
    offline.file("shop.yaml", &format!("{SHOP}{MORE}"));
    offline
}

const SIDES: &str = "10.1.0.11 to 10.1.0.12: allowed; denied if policies in audit decided
  from side, web-1: allowed by shop/to-app
    TIER    PRIORITY  ACTION  RULE          WHAT BECOMES OF IT
    guard   5         pass    */floor/skip  passes to the next tier
    guard   9         deny    */floor/late  is not asked
    tenant  1000      allow   shop/to-app   decides
    without shop/to-app: denied by default/deny
  to side, app-1: allowed by shop/to-app
    TIER    PRIORITY  ACTION  RULE          WHAT BECOMES OF IT
    guard   5         pass    */floor/skip  passes to the next tier
    guard   9         deny    */floor/late  is not asked
    tenant  1         deny    trial/stop    in audit: would decide
    tenant  1000      allow   shop/to-app   decides
    without shop/to-app: denied by default/deny
    if policies in audit decided: denied by trial/stop
";

#[test]
fn files_say_what_matches_on_each_side_what_decides_and_what_would_without_it() {
    let run = offline().run("trace web-1 app-1 tcp/8080 -f shop.yaml --at 2026-12-01T07:00:00+01:00");
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert_eq!(
        run.stdout,
        format!("web-1 to app-1, tcp/8080 in acme/prod, from files, at 2026-12-01T06:00:00Z\n\n{SIDES}")
    );
}

#[test]
fn files_may_be_named_before_the_question_and_more_than_once() {
    let offline = offline();
    let (cloud, policies) = SHOP.rsplit_once("---\n").unwrap();
    offline.file("cloud.yaml", cloud);
    offline.file("policies/shop.yaml", policies);
    let run = offline.run("trace -f cloud.yaml -f policies/ web-1 app-1 tcp/8080 --at 2026-12-01T06:00:00Z");
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let told = "web-1 to app-1, tcp/8080 in acme/prod, from files, at 2026-12-01T06:00:00Z\n\n10.1.0.11 to 10.1.0.12: \
                allowed\n";
    assert!(run.stdout.starts_with(told), "{}", run.stdout);
}

#[test]
fn a_side_without_a_vote_is_told_and_the_default_is_not_taken_away() {
    let run = offline().run("trace 203.0.113.9 app-1 udp/53 -f shop.yaml");
    let flow = "203.0.113.9 to 10.1.0.12: denied\n  from side: no workload, no vote\n  to side, app-1: denied by \
                default/deny\n";
    assert!(run.stdout.ends_with(flow), "{}", run.stdout);
}

#[test]
fn json_has_stable_names() {
    let run = offline().run("trace web-1 app-1 tcp/8080 -f shop.yaml --at 1970-01-01T00:00:00Z -o json");
    let answer = run.json();
    assert_eq!(
        (&answer["domain"], &answer["generation"], &answer["at"]),
        (&json!("acme/prod"), &Value::Null, &json!("1970-01-01T00:00:00Z"))
    );
    let flow = &answer["flows"][0];
    assert_eq!((&flow["from"], &flow["to"], &flow["live"]), (&json!("10.1.0.11"), &json!("10.1.0.12"), &Value::Null));
    assert_eq!((&flow["allows"], &flow["shadowAllows"]), (&json!(true), &json!(false)));
    let side = &flow["toSide"];
    assert_eq!(side["workload"], "app-1");
    assert_eq!(side["enforced"], json!({"allows": true, "rule": "shop/to-app"}));
    assert_eq!(side["shadow"], json!({"allows": false, "rule": "trial/stop"}));
    assert_eq!(side["otherwise"], json!({"allows": false, "rule": "default/deny"}));
    assert_eq!(
        side["matched"][2],
        json!({"tier": "tenant", "priority": 1, "action": "deny", "rule": "trial/stop", "part": "wouldDecide"})
    );
}

#[test]
fn what_cannot_be_traced_is_told_with_its_part() {
    let offline = offline();
    offline.file("two.yaml", &format!("{SHOP}---\n{{kind: Domain, name: acme/lab}}\n"));
    for (line, said) in [
        ("wbe-1 app-1 tcp/1 -f shop.yaml", "from: there is no workload wbe-1 in acme/prod: add it or correct the name"),
        (
            "web-1 app-1 tcp -f shop.yaml",
            "traffic: \"tcp\" is more than one question: write tcp/PORT, udp/PORT, sctp/PORT, icmp, icmp/TYPE, \
             icmp/TYPE/CODE, icmp6 or proto/NUMBER",
        ),
        ("web-1 app-1 tcp/1 --family inet -f shop.yaml", "family: \"inet\" is no family: write ipv4 or ipv6"),
        (
            "web-1 app-1 tcp/1 --at noon -f shop.yaml",
            "at: \"noon\" is no moment: write a date, a time and an offset, like 2026-12-01T06:00:00Z or \
             2026-12-01T07:00:00+01:00",
        ),
        ("web-1 app-1 tcp/1 -f two.yaml", "say in which domain, with --domain: acme/lab, acme/prod"),
        (
            "web-1 app-1 tcp/1 --domain acme/pord -f two.yaml",
            "there is no Domain acme/pord; there are: acme/lab, acme/prod",
        ),
    ] {
        let Run { code, stdout, stderr } = offline.run(&format!("trace {line}"));
        assert_eq!((code, stdout.as_str(), stderr), (2, "", format!("{said}\n")), "{line}");
    }
}

#[test]
fn a_controller_says_what_the_files_say_and_of_which_generation() {
    let controller = Controller::start();
    controller.file("shop.yaml", &format!("{SHOP}{MORE}"));
    let nothing = controller.run("trace web-1 app-1 tcp/8080");
    assert_eq!((nothing.code, nothing.stderr.as_str()), (2, "there is no domain; `ringfence apply -f` makes one\n"));
    assert_eq!(controller.run("apply -f shop.yaml --no-wait").code, 0);
    let run = controller.run("trace web-1 app-1 tcp/8080 --at 1970-01-01T00:00:00Z");
    assert_eq!(
        (run.code, run.stdout),
        (0, format!("web-1 to app-1, tcp/8080 in acme/prod, generation 1, at 1970-01-01T00:00:00Z\n\n{SIDES}"))
    );
    let bad = controller.run("trace web-1 wbe-1 tcp/8080");
    assert_eq!(
        (bad.code, bad.stderr.as_str()),
        (2, "to: there is no workload wbe-1 in acme/prod: add it or correct the name\n")
    );
}

#[test]
fn a_host_is_asked_and_what_it_says_is_held_against_the_explanation() {
    let controller = Controller::start();
    controller.file("shop.yaml", SHOP);
    let _h1 = Agent::start(&controller, "h1", Answer::Ack);
    controller.run("apply -f shop.yaml --no-wait");
    let run = controller.until("trace web-1 app-1 tcp/8080 --live", |run| run.code == 0);
    let live = "  host h1, generation 2, from_workload: passes, to overlay h2\n    from side: allowed by shop/to-app\n    \
                to side: allowed by shop/to-app\n    policy is as explained\n";
    assert!(run.stdout.ends_with(live), "{}", run.stdout);

    let other = controller.run("trace web-1 app-1 tcp/22 --live");
    assert_eq!(
        (other.code, other.stderr.as_str()),
        (1, "10.1.0.11 to 10.1.0.12: policy on host h1 is not as explained\n")
    );
}

#[test]
fn a_host_that_cannot_answer_is_named() {
    let controller = Controller::start();
    controller.file("shop.yaml", SHOP);
    assert_eq!(controller.run("apply -f shop.yaml --no-wait").code, 0);
    let run = controller.run("trace web-1 app-1 tcp/8080 --live");
    assert_eq!((run.code, run.stderr.as_str()), (1, "10.1.0.11 to 10.1.0.12: host h1: its agent is not connected\n"));
    assert!(run.stdout.contains("10.1.0.11 to 10.1.0.12: allowed\n"), "{}", run.stdout);
    let nowhere = controller.run("trace 203.0.113.9 203.0.113.10 tcp/1 --live");
    assert_eq!(
        nowhere.stderr,
        "203.0.113.9 to 203.0.113.10: no host was asked: neither end is on a host, and the domain has no uplink\n"
    );
    let _silent = Agent::start(&controller, "h1", Answer::Nothing);
    let run = controller.run("trace web-1 app-1 tcp/8080 --live");
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (1, "10.1.0.11 to 10.1.0.12: host h1: its agent did not answer within 2s\n")
    );
}
