//! Applying, showing and deleting objects.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cli_support;

use std::process::Stdio;

use cli_support::{Controller, SHOP, ringfence};
use serde_json::{Value, json};

/// An address set, and a policy of the platform.
const MORE: &str = r#"
{kind: AddressSet, domain: acme/prod, name: partners, addresses: [192.0.2.0/24, "2001:db8::1"]}
---
kind: Policy
domain: "*"
name: floor
tier: guard
mode: audit
rules:
  - {name: no-telnet, from: [any], to: [any], action: deny, traffic: [tcp/23], log: true}
"#;

fn shop() -> Controller {
    let controller = Controller::start();
    controller.file("shop.yaml", SHOP);
    let run = controller.run("apply -f shop.yaml --no-wait");
    assert_eq!(run.code, 0, "{}", run.stderr);
    controller
}

fn what(answer: &Value) -> Vec<&str> {
    answer["changes"].as_array().unwrap().iter().map(|change| change["what"].as_str().unwrap()).collect()
}

#[test]
fn a_second_apply_changes_nothing() {
    let controller = Controller::start();
    controller.file("shop.yaml", SHOP);
    let first = controller.json("apply -f shop.yaml --no-wait -o json");
    assert_eq!(what(&first), ["created"; 8]);
    assert_eq!(first["generations"][0]["domain"], "acme/prod");
    let second = controller.json("apply -f shop.yaml --no-wait -o json");
    assert_eq!(what(&second), ["unchanged"; 8]);
    assert_eq!(second["revision"], first["revision"]);
    assert_eq!(second["generations"], json!([]));
}

#[test]
fn an_apply_lists_every_object() {
    let controller = Controller::start();
    controller.file("shop.yaml", SHOP);
    let run = controller.run("apply -f shop.yaml --no-wait");
    assert!(run.stdout.contains("Policy    acme/prod  shop       created\n"), "{}", run.stdout);
    assert!(run.stdout.contains("8 created; the store is at revision "), "{}", run.stdout);
}

#[test]
fn a_dry_run_stores_nothing() {
    let controller = Controller::start();
    controller.file("shop.yaml", SHOP);
    let answer = controller.json("apply -f shop.yaml --dry-run -o json");
    assert_eq!((what(&answer), &answer["dryRun"]), (vec!["created"; 8], &json!(true)));
    assert_eq!(controller.json("get -o json")["objects"], json!([]));
}

#[test]
fn yaml_that_was_got_applies_again_as_unchanged() {
    let controller = shop();
    let got = controller.run("get -o yaml");
    assert_eq!(got.code, 0, "{}", got.stderr);
    let again = controller.run_with_stdin("apply -f - --source shop.yaml --no-wait -o json", &got.stdout);
    assert_eq!(again.code, 0, "{}", again.stderr);
    assert_eq!(what(&again.json()), ["unchanged"; 8]);
}

#[test]
fn objects_that_come_from_another_file_only_change_their_source() {
    let controller = shop();
    let generation = || controller.run("status -o json").json()["domains"][0]["generation"].clone();
    let before = generation();
    controller.file("got.yaml", &controller.run("get -o yaml").stdout);
    let run = controller.run("apply -f got.yaml");
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    assert!(run.stdout.contains("8 changed (source only); the store"), "{}", run.stdout);
    assert_eq!(generation(), before);
    assert_eq!(controller.json("get tenant acme -o json")["objects"][0]["source"], "got.yaml");
}

#[test]
fn a_source_that_changes_beside_a_real_change_is_told_apart() {
    let controller = shop();
    controller.file("new.yaml", &SHOP.replace("8080-8090", "9090"));
    let answer = controller.json("apply -f new.yaml --no-wait -o json");
    assert_eq!(what(&answer), [vec!["sourceChanged"; 7], vec!["changed"]].concat());
}

#[test]
fn a_file_is_the_same_source_however_its_path_is_written() {
    let controller = shop();
    let path = controller.file("shop.yaml", SHOP).display().to_string();
    for path in ["./shop.yaml", path.as_str()] {
        let answer = controller.json(&format!("apply -f {path} --no-wait -o json"));
        assert_eq!(what(&answer), ["unchanged"; 8], "{path}");
    }
}

#[test]
fn a_folder_is_applied_as_one_set_named_by_its_path() {
    let controller = Controller::start();
    let (first, rest) = SHOP.split_once("---\n").unwrap();
    controller.file("cloud/2-tenant.yml", first);
    controller.file("cloud/1-rest.yaml", rest);
    let run = controller.run("apply -f ./cloud/ --no-wait");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert_eq!(controller.json("get tenant acme -o json")["objects"][0]["source"], "cloud");
}

#[test]
fn json_shows_an_object_as_its_file_says_it() {
    let controller = shop();
    let answer = controller.json("get workload web-1 --domain acme/prod -o json");
    assert_eq!(answer["objects"].as_array().unwrap().len(), 1);
    let shown = &answer["objects"][0];
    assert_eq!(shown["source"], "shop.yaml");
    assert!(shown["uid"].as_u64().unwrap() > 0);
    assert_eq!(shown["object"]["kind"], "Workload");
    assert_eq!(shown["object"]["labels"], json!({"role": "web", "version": "1.0"}));
    assert_eq!(shown["object"]["interfaces"][0]["addresses"], json!(["10.1.0.11"]));
}

#[test]
fn every_kind_has_a_table() {
    let controller = shop();
    controller.file("more.yaml", MORE);
    assert_eq!(controller.run("apply -f more.yaml --no-wait").code, 0);
    for (kind, row) in [
        ("tenants", "acme  shop.yaml\n"),
        ("domains", "acme/prod  deny     -       -          -          shop.yaml\n"),
        ("networks", "acme/prod  front  10.1.0.0/24  10.1.0.1  auto  auto  shop.yaml\n"),
        ("workloads", "acme/prod  web-1  role=web,version=1.0  10.1.0.11  h1     shop.yaml\n"),
        ("segments", "acme/prod  web   role=web  shop.yaml\n"),
        ("addresssets", "acme/prod  partners  192.0.2.0/24,2001:db8::1  more.yaml\n"),
        (
            "policies",
            "acme/prod  shop    tenant  enforce  to-app     1000      allow   segment/web  segment/app  tcp/8080-8090  -\n",
        ),
        (
            "policies",
            "*          floor   guard   audit    no-telnet  1000      deny    any          any          tcp/23         log\n",
        ),
    ] {
        let run = controller.run(&format!("get {kind}"));
        assert!(run.stdout.contains(row), "{kind}: {row}\n{}", run.stdout);
    }
    let all = controller.run("get").stdout;
    assert!(all.contains("Tenant\nNAME") && all.contains("\nPolicy\nDOMAIN"), "{all}");
}

#[test]
fn interfaces_show_the_device_named_or_derived() {
    let controller = shop();
    let answer = controller.json("get interfaces --domain acme/prod -o json");
    let rows = answer["interfaces"].as_array().unwrap();
    let device = |workload: &str| rows.iter().find(|row| row["workload"] == workload).unwrap()["device"].clone();
    assert_eq!(device("app-1"), "tap-app");
    assert_eq!(device("web-1"), ringfence_policy::model::derived_device("acme/prod", "web-1", "eth0"));
}

#[test]
fn one_object_is_deleted_by_kind_and_name() {
    let controller = shop();
    let answer = controller.json("delete policy shop --domain acme/prod --no-wait -o json");
    assert_eq!(what(&answer), ["deleted"]);
    assert_eq!(controller.json("get policies -o json")["objects"], json!([]));
    assert_eq!(controller.json("get segments -o json")["objects"].as_array().unwrap().len(), 2);
}

#[test]
fn address_sets_and_policies_of_the_platform_are_shown_and_deleted_like_the_rest() {
    let controller = shop();
    controller.file("more.yaml", MORE);
    let again = || controller.json("apply -f more.yaml --no-wait -o json");
    assert_eq!((what(&again()), what(&again())), (vec!["created"; 2], vec!["unchanged"; 2]));
    let named = |line: &str| {
        let objects = controller.json(line)["objects"].as_array().unwrap().clone();
        objects.iter().map(|entry| entry["object"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(named("get policies --domain * -o json"), ["floor"]);
    assert_eq!(named("get address-sets -o json"), ["partners"]);
    let got = controller.run("get -o yaml").stdout;
    let back = controller.run_with_stdin("apply -f - --dry-run -o json", &got).json();
    assert_eq!(what(&back), ["sourceChanged"; 10]);
    for line in ["delete policy floor --domain *", "delete address-set partners --domain acme/prod"] {
        assert_eq!(what(&controller.json(&format!("{line} --no-wait -o json"))), ["deleted"]);
    }
    let none = controller.run("get policies --domain *");
    assert_eq!((none.code, none.stderr.as_str()), (0, ""), "the platform is there, though nothing is in it");
}

#[test]
fn everything_in_a_file_is_deleted_whatever_the_order() {
    let controller = shop();
    let run = controller.run("delete -f shop.yaml --no-wait");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("8 deleted"), "{}", run.stdout);
    assert_eq!(controller.json("get -o json")["objects"], json!([]));
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let controller = shop();
    let mut command = ringfence("get -o json");
    let mut process = command.env("RINGFENCE_ADDRESS", controller.url()).stdout(Stdio::piped()).spawn().unwrap();
    drop(process.stdout.take());
    let output = process.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stderr.as_slice()), (Some(0), &b""[..]));
}
