//! `apply --prune`: deletes what a set of files made and has no longer, and nothing else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cli_support;

use cli_support::{Controller, Run, SHOP};
use serde_json::Value;

const SEGMENT_EDGE: &str = "---\nkind: Segment\ndomain: acme/prod\nname: edge\nmatch: {role: edge}\n";

/// A controller on which `shop.yaml` was applied as set `shop`, with a segment that the file has no longer, and one of another file.
fn shop_without_edge() -> Controller {
    let controller = Controller::start();
    controller.file("shop.yaml", &format!("{SHOP}{SEGMENT_EDGE}"));
    assert_eq!(controller.run("apply -f shop.yaml --source shop --no-wait").code, 0);
    controller.file("other.yaml", &SEGMENT_EDGE.replace("edge", "other"));
    assert_eq!(controller.run("apply -f other.yaml --no-wait").code, 0);
    controller.file("shop.yaml", SHOP);
    controller
}

fn segments(controller: &Controller) -> Vec<String> {
    let objects = controller.json("get segments -o json")["objects"].clone();
    let name = |entry: &Value| entry["object"]["name"].as_str().unwrap().to_owned();
    objects.as_array().unwrap().iter().map(name).collect()
}

#[test]
fn what_the_set_made_and_has_no_longer_is_deleted_and_what_others_made_is_not() {
    let controller = shop_without_edge();
    let run = controller.run("apply -f shop.yaml --source shop --prune --no-wait");
    assert_eq!(run.code, 0, "{}", run.stderr);
    assert!(run.stdout.contains("Segment   acme/prod  edge       deleted\n"), "{}", run.stdout);
    assert!(run.stdout.contains("8 unchanged, 1 deleted; the store is at revision "), "{}", run.stdout);
    assert_eq!(segments(&controller), ["app", "other", "web"]);
}

#[test]
fn without_the_flag_nothing_is_deleted() {
    let controller = shop_without_edge();
    assert_eq!(controller.run("apply -f shop.yaml --no-wait").code, 0);
    assert_eq!(segments(&controller), ["app", "edge", "other", "web"]);
}

#[test]
fn a_dry_run_shows_what_would_be_deleted_and_deletes_nothing() {
    let controller = shop_without_edge();
    let run = controller.run("apply -f shop.yaml --source shop --prune --dry-run");
    assert!(run.stdout.contains("Segment   acme/prod  edge       deleted\n"), "{}", run.stdout);
    assert!(run.stdout.contains("1 deleted if it were applied; dry run"), "{}", run.stdout);
    assert_eq!(segments(&controller), ["app", "edge", "other", "web"]);
}

#[test]
fn what_others_still_use_is_refused_by_name_and_nothing_is_changed() {
    let controller = shop_without_edge();
    controller.file(
        "user.yaml",
        "kind: Policy\ndomain: acme/prod\nname: user\nrules:\n  - {name: a, from: [segment/edge], to: [any], \
         action: allow, traffic: [tcp]}\n",
    );
    assert_eq!(controller.run("apply -f user.yaml --no-wait").code, 0);
    controller.file("shop.yaml", &SHOP.replace("8080-8090", "9090"));
    let before = controller.revision();
    for line in ["apply -f shop.yaml --source shop --prune", "apply -f shop.yaml --source shop --prune --dry-run"] {
        let Run { code, stdout, stderr } = controller.run(line);
        assert_eq!((code, stdout.as_str()), (2, ""));
        assert_eq!(
            stderr,
            "Segment acme/prod/edge: is no longer in file set \"shop\" and would be pruned, but is still used by \
             Policy acme/prod/user (rules[0].from[0]): delete or change that first, or in the same change\n\
             1 error; nothing was changed\n"
        );
    }
    assert_eq!(controller.revision(), before);
}

#[test]
fn an_object_that_moved_to_another_file_set_is_its() {
    let controller = shop_without_edge();
    controller.file("edge.yaml", SEGMENT_EDGE);
    assert_eq!(controller.run("apply -f edge.yaml --no-wait").code, 0);
    assert_eq!(controller.run("apply -f shop.yaml --source shop --prune --no-wait").code, 0);
    assert_eq!(segments(&controller), ["app", "edge", "other", "web"]);
}

#[test]
fn what_stands_in_folders_of_a_folder_is_of_the_set() {
    let controller = Controller::start();
    let apply = "apply -f cloud --source cloud --prune --no-wait";
    let segment = SEGMENT_EDGE.trim_start_matches("---\n");
    controller.file("cloud/shop.yaml", SHOP);
    controller.file("cloud/edge.yaml", segment);
    assert_eq!(controller.run(apply).code, 0);
    std::fs::remove_file(controller.file("cloud/edge.yaml", "")).unwrap();
    controller.file("cloud/segments/Edge.YML", segment);
    let run = controller.run(apply);
    assert!(run.stdout.ends_with("9 unchanged; the store is at revision 1\n"), "{}{}", run.stdout, run.stderr);
    assert_eq!(segments(&controller), ["app", "edge", "web"]);
}

#[test]
fn a_set_that_is_not_named_prunes_nothing() {
    let controller = shop_without_edge();
    let before = controller.revision();
    for line in ["-f shop.yaml --prune", "-f . --prune --dry-run", "-f - --prune", "-f shop.yaml --prune --source="] {
        let Run { code, stdout, stderr } = controller.run(&format!("apply {line}"));
        assert_eq!((code, stdout.as_str()), (2, ""), "{line}");
        assert_eq!(
            stderr,
            "--prune deletes what a set of files made and has no longer: name the set with --source NAME\n"
        );
    }
    assert_eq!(controller.revision(), before);
    let named = controller.run_with_stdin("apply -f - --prune --source shop --no-wait", SHOP);
    assert_eq!(named.code, 0, "{}", named.stderr);
    assert_eq!(segments(&controller), ["app", "other", "web"]);
}
