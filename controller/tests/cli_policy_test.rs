//! `ringfence policy test`: expectations in files, checked without a controller.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cli_support;

use std::{io::Write as _, os::unix::process::CommandExt as _, time::Instant};

use cli_support::{Offline, Run, SHOP};
use serde_json::{Value, json};

/// An expectation with these flows.
fn expecting(flows: &[&str]) -> String {
    let flows: Vec<_> = flows.iter().map(|flow| format!("  - {{{flow}}}\n")).collect();
    format!("kind: Expectation\ndomain: acme/prod\nname: shop\nflows:\n{}", flows.concat())
}

/// SHOP with more documents, and what a test of these flows says.
fn test(more: &str, flows: &[&str], options: &str) -> Run {
    let offline = Offline::new();
    offline.file("shop.yaml", &format!("{SHOP}{more}"));
    offline.file("expect.yaml", &expecting(flows));
    offline.run(&format!("policy test shop.yaml expect.yaml {options}"))
}

const AS_POLICY_SAYS: &str = "from: web-1, to: app-1, traffic: tcp/8080, expect: allow, rule: shop/to-app";

#[test]
fn flows_that_are_as_expected_end_with_0() {
    let run = test("", &[AS_POLICY_SAYS, "from: 203.0.113.9, to: app-1, traffic: tcp/8080, expect: deny"], "");
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "2 flows: all as expected\n", ""));
}

#[test]
fn what_the_readme_tests_of_the_examples_is_as_expected() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let readme = std::fs::read_to_string(format!("{root}/README.md")).unwrap();
    let line = readme.lines().find_map(|line| line.strip_prefix("ringfence policy test examples/")).unwrap();
    let line = format!("policy test examples/{}", line.split('#').next().unwrap());
    let run = Run::of(Offline::new().command(&line).current_dir(root).output().unwrap());
    assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (0, "12 flows: all as expected\n", ""));
}

#[test]
fn a_flow_that_is_not_as_expected_is_shown_with_its_place_the_cause_and_what_to_write() {
    let run = test("", &[AS_POLICY_SAYS, "from: 203.0.113.9, to: app-1, traffic: tcp/22, expect: allow"], "");
    assert_eq!((run.code, run.stderr.as_str()), (1, ""));
    assert_eq!(
        run.stdout,
        "expect.yaml:6:61: Expectation acme/prod/shop: flows[1].expect: 203.0.113.9 to app-1, tcp/22: expected allow, got \
         deny: denied by default/deny on the to side\n \
         6 |   - {from: 203.0.113.9, to: app-1, traffic: tcp/22, expect: allow}\n   \
         |                                                             ^^^^^\n   \
         add to a policy of acme/prod: {name: 203-0-113-9-to-app-1, from: [{cidr: 203.0.113.9/32}], to: \
         [workload/app-1], action: allow, traffic: [tcp/22]}\n   \
         or correct the expectation: expect: deny, rule: default/deny\n\
         2 flows: 1 as expected, 1 not\n"
    );
}

#[test]
fn a_rule_that_is_not_the_one_expected_is_told() {
    let run = test("", &["from: web-1, to: app-1, traffic: tcp/8080, expect: allow, rule: shop/else"], "");
    assert_eq!(run.code, 1);
    assert!(
        run.stdout.contains("flows[0].rule: web-1 to app-1, tcp/8080: expected allow by shop/else, got allow: "),
        "{}",
        run.stdout
    );
    assert!(run.stdout.contains("\n   correct the expectation: expect: allow, rule: shop/to-app\n"), "{}", run.stdout);
}

#[test]
fn json_has_an_object_a_line_for_each_flow() {
    let run = test("", &[AS_POLICY_SAYS, "from: app-1, to: web-1, traffic: tcp/8080, expect: allow"], "-o json");
    assert_eq!(run.code, 1);
    let lines: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        lines,
        [
            json!({
                "domain": "acme/prod", "from": "web-1", "to": "app-1", "traffic": "tcp/8080", "expect": "allow",
                "got": "allow", "rule": "shop/to-app", "ok": true,
                "reason": "allowed by shop/to-app on the from side, allowed by shop/to-app on the to side",
            }),
            json!({
                "domain": "acme/prod", "from": "app-1", "to": "web-1", "traffic": "tcp/8080", "expect": "allow",
                "got": "deny", "rule": "default/deny", "ok": false,
                "reason": "denied by default/deny on the from side, denied by default/deny on the to side",
            }),
        ]
    );
}

/// The rule that a failed test says to add, with the tier of the policy that it goes to.
fn advised(run: &Run) -> (String, String) {
    let line = run.stdout.lines().find_map(|line| line.trim().strip_prefix("add to a policy of acme/prod"));
    let (to, rule) = line.unwrap_or_else(|| panic!("no rule in: {}", run.stdout)).split_once(": {").unwrap();
    (to.strip_prefix(" in tier ").unwrap_or("tenant").to_owned(), format!("{{{rule}"))
}

#[test]
fn the_rule_that_is_advised_makes_the_flow_as_expected() {
    let policy = |tier: &str, rule: &str| {
        format!("---\nkind: Policy\ndomain: acme/prod\nname: p-{tier}\ntier: {tier}\nrules:\n  - {rule}\n")
    };
    let all = |action: &str, priority: u32| {
        format!("{{name: all, from: [any], to: [any], action: {action}, traffic: [any], priority: {priority}}}")
    };
    let allow = "from: app-1, to: web-1, traffic: udp/53, expect: allow";
    let deny = "from: web-1, to: app-1, traffic: tcp/8080, expect: deny";
    for (tier, action, priority, flow) in [
        ("tenant", "deny", 1000, allow),
        ("tenant", "deny", 0, allow),
        ("guard", "deny", 7, allow),
        ("baseline", "deny", 0, allow),
        ("tenant", "allow", 3, deny),
        ("guard", "allow", 0, deny),
        ("baseline", "allow", 9, deny),
        ("tenant", "deny", 2000, "from: host, to: web-1, traffic: icmp, expect: allow"),
        ("tenant", "deny", 10, "from: 10.1.0.12, to: web-1/eth0, traffic: proto/47, expect: allow"),
    ] {
        let world = policy(tier, &all(action, priority));
        let before = test(&world, &[flow], "");
        assert_eq!(before.code, 1, "{}{}", before.stdout, before.stderr);
        let (tier, rule) = advised(&before);
        let more = format!("{world}{}", policy(&tier, &rule).replace("name: p-", "name: new-"));
        let after = test(&more, &[flow], "");
        assert_eq!(after.code, 0, "{rule} in {tier}: {}{}", after.stdout, after.stderr);
    }
}

#[test]
fn where_nothing_is_asked_before_a_rule_it_is_the_one_to_change() {
    let world = "---\nkind: Policy\ndomain: acme/prod\nname: g\ntier: guard\nrules:\n  - {name: stop, from: [any], to: \
                 [any], action: deny, traffic: [any], priority: 0}\n";
    let run = test(world, &[AS_POLICY_SAYS], "");
    assert!(run.stdout.contains("\n   change g/stop: no rule is asked before\n"), "{}", run.stdout);
}

#[test]
fn what_cannot_be_asked_ends_with_2_and_its_place() {
    let run = test("", &["from: wbe-1, to: app-1, traffic: tcp/1, expect: deny"], "");
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert_eq!(
        run.stderr,
        "expect.yaml:5:12: Expectation acme/prod/shop: flows[0].from: there is no workload wbe-1 in acme/prod: add it or \
         correct the name\n \
         5 |   - {from: wbe-1, to: app-1, traffic: tcp/1, expect: deny}\n   \
         |            ^\n1 error; nothing was asked\n"
    );
}

#[test]
fn a_flow_between_addresses_that_no_workload_has_is_an_error_and_no_denial() {
    let run = test("", &["from: 203.0.113.9, to: 10.1.0.99, traffic: tcp/5432, expect: deny"], "");
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert_eq!(
        run.stderr,
        "expect.yaml:5:29: Expectation acme/prod/shop: flows[0].to: 203.0.113.9 to 10.1.0.99, tcp/5432: neither end is a \
         workload of acme/prod, so no policy is asked: name a workload, or an address that one has\n \
         5 |   - {from: 203.0.113.9, to: 10.1.0.99, traffic: tcp/5432, expect: deny}\n   \
         |                             ^\n1 error; nothing was asked\n"
    );
}

#[test]
fn an_expectation_of_a_domain_that_is_not_there_is_told() {
    let offline = Offline::new();
    offline.file("all.yaml", &format!("{SHOP}---\n{}", expecting(&[AS_POLICY_SAYS]).replace("acme/prod", "acme/lab")));
    let run = offline.run("policy test all.yaml");
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains(": domain: there is no domain acme/lab in these files: add it\n"), "{}", run.stderr);
}

#[test]
fn objects_that_are_wrong_together_are_told_where_they_stand() {
    let offline = Offline::new();
    offline.file(
        "all.yaml",
        &format!("{}---\n{}", SHOP.replace("segment/web", "segment/wbe"), expecting(&[AS_POLICY_SAYS])),
    );
    let run = offline.run("policy test all.yaml");
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.starts_with("all.yaml:50:27: "), "{}", run.stderr);
    assert!(run.stderr.ends_with("1 error; nothing was asked\n"), "{}", run.stderr);
}

#[test]
fn files_without_an_expectation_are_told() {
    let offline = Offline::new();
    offline.file("shop.yaml", SHOP);
    let run = offline.run("policy test shop.yaml");
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (2, "shop.yaml: no expectation is in there; write one with `kind: Expectation` and `flows:`\n")
    );
    offline.file("expect.yaml", &expecting(&[AS_POLICY_SAYS]));
    let run = offline.run("apply -f expect.yaml");
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (2, "expect.yaml: only expectations are in there, which `ringfence policy test` reads\n")
    );
}

#[test]
fn a_folder_is_tested_whole_and_at_is_a_moment_of_its_own() {
    let offline = Offline::new();
    offline.file(
        "f/a.yaml",
        &SHOP.replace("traffic: [tcp/8080-8090]", "traffic: [tcp], notAfter: \"2026-01-01T00:00:00Z\""),
    );
    offline.file(
        "f/b.yml",
        &expecting(&[
            "from: web-1, to: app-1, traffic: tcp/1, expect: allow, at: \"2025-12-31T23:59:59Z\"",
            "from: web-1, to: app-1, traffic: tcp/1, expect: deny, at: \"2026-01-01T00:00:00Z\"",
        ]),
    );
    let run = offline.run("policy test f");
    assert_eq!((run.code, run.stdout.as_str()), (0, "2 flows: all as expected\n"));
}

#[test]
fn thousands_of_flows_in_a_large_domain_are_asked_in_seconds() {
    let offline = Offline::new();
    let mut world = SHOP.to_owned();
    world.push_str(
        "---\nkind: Network\ndomain: acme/prod\nname: wide\nsubnets:\n  - {cidr: 10.64.0.0/16, gateway: 10.64.0.1}\n",
    );
    for n in 0..500 {
        world.push_str(&format!(
            "---\nkind: Workload\ndomain: acme/prod\nname: w-{n}\nlabels: {{role: app}}\ninterfaces: [{{name: eth0, network: \
             wide, mac: \"02:00:00:01:{:02x}:{:02x}\", addresses: [10.64.{}.{}], host: h1}}]\n",
            n / 256,
            n % 256,
            1 + n / 200,
            1 + n % 200
        ));
    }
    let flows: Vec<String> =
        (0..4000).map(|n| format!("from: web-1, to: w-{}, traffic: tcp/8080, expect: allow", n % 500)).collect();
    let flows: Vec<&str> = flows.iter().map(String::as_str).collect();
    offline.file("all.yaml", &format!("{world}---\n{}", expecting(&flows)));
    let start = Instant::now();
    let run = offline.run("policy test all.yaml");
    assert_eq!((run.code, run.stdout.as_str()), (0, "4000 flows: all as expected\n"));
    assert!(start.elapsed().as_secs() < 10, "{:?}", start.elapsed());
}

/// Whether programs can be loaded here. CI runs as root and skips nothing.
fn is_root() -> bool {
    let root = nix::unistd::geteuid().is_root();
    assert!(root || std::env::var_os("CI").is_none(), "CI runs as root: the programs are to be asked");
    if !root {
        // Not by `eprintln!`, which is kept back of a test that passes.
        let _ = writeln!(std::io::stderr(), "not asked of the programs: loading them needs root");
    }
    root
}

#[test]
fn the_kernel_says_what_the_model_says() {
    if !is_root() {
        return;
    }
    let flows = [
        AS_POLICY_SAYS,
        "from: app-1, to: web-1, traffic: tcp/8080, expect: allow",
        "from: 203.0.113.9, to: app-1, traffic: udp/53, expect: deny",
        "from: web-1, to: app-1, traffic: icmp, expect: allow",
        "from: web-1, to: app-1, traffic: proto/47, expect: deny, rule: default/deny",
    ];
    let [model, kernel] = ["model", "kernel"].map(|engine| test("", &flows, &format!("-o json --engine {engine}")));
    assert_eq!(kernel.stderr, "");
    assert_eq!((kernel.code, kernel.stdout), (model.code, model.stdout));
}

#[test]
fn what_is_dropped_before_policy_is_asked_is_told_and_no_rule_is_advised() {
    if !is_root() {
        return;
    }
    let open = "---\nkind: Policy\ndomain: acme/prod\nname: open\nrules:\n  - {name: all, from: [any], to: [any], action: \
                allow, traffic: [any]}\n";
    let run = test(open, &["from: web-1, to: 10.1.0.99, traffic: tcp/22, expect: allow"], "--engine kernel");
    assert_eq!((run.code, run.stderr.as_str()), (1, ""));
    assert_eq!(
        run.stdout,
        "expect.yaml:5:59: Expectation acme/prod/shop: flows[0].expect: web-1 to 10.1.0.99, tcp/22: expected allow, got \
         deny: dropped before policy is asked: no_route\n \
         5 |   - {from: web-1, to: 10.1.0.99, traffic: tcp/22, expect: allow}\n   \
         |                                                           ^^^^^\n   \
         correct the expectation: expect: deny\n\
         1 flow: 0 as expected, 1 not\n"
    );
}

#[test]
fn a_domain_that_the_programs_cannot_hold_is_told_once_and_not_for_each_flow() {
    if !is_root() {
        return;
    }
    let offline = Offline::new();
    offline.file("shop.yaml", &format!("{SHOP}{}", too_many_classes()));
    offline.file("one.yaml", &expecting(&[AS_POLICY_SAYS, AS_POLICY_SAYS]));
    offline.file("two.yaml", &expecting(&[AS_POLICY_SAYS]).replace("name: shop", "name: more"));
    let run = offline.run("policy test shop.yaml one.yaml two.yaml --engine kernel");
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    let told = "one.yaml:2:9: Expectation acme/prod/shop: domain: domain acme/prod: its rules tell more than 4096 classes of \
                interface addresses apart: use fewer overlapping segments, prefixes and port names; those that split most are ";
    assert!(run.stderr.starts_with(told), "{}", run.stderr);
    let end = "\n 2 | domain: acme/prod\n   |         ^\n1 error; nothing was asked\n";
    assert!(run.stderr.ends_with(end) && run.stderr.lines().count() == 4, "{}", run.stderr);
}

/// A policy that tells more workloads apart than a host does: each by the bits of its number.
fn too_many_classes() -> String {
    let bits = 0..13;
    let peers: Vec<_> = bits.clone().map(|bit| format!("{{labels: {{b{bit}: \"1\"}}}}")).collect();
    let mut text = format!(
        "---\nkind: Network\ndomain: acme/prod\nname: wide\nsubnets: [{{cidr: 10.64.0.0/16, gateway: 10.64.0.1}}]\n---\nkind: \
         Policy\ndomain: acme/prod\nname: many\nrules: [{{name: r, from: [{}], to: [outside], action: allow, traffic: \
         [any]}}]\n",
        peers.join(", ")
    );
    for n in 0..4100 {
        let labels: Vec<_> = bits.clone().filter(|bit| n >> bit & 1 == 1).map(|bit| format!("b{bit}: \"1\"")).collect();
        let (high, low) = (n / 256, n % 256);
        text.push_str(&format!(
            "---\nkind: Workload\ndomain: acme/prod\nname: w-{n}\nlabels: {{{}}}\ninterfaces: [{{name: eth0, network: wide, \
             mac: \"02:00:00:01:{high:02x}:{low:02x}\", addresses: [10.64.{}.{low}], host: h1}}]\n",
            labels.join(", "),
            high + 1
        ));
    }
    text
}

#[test]
fn without_root_the_kernel_cannot_be_asked() {
    let offline = Offline::new();
    let path = offline.file("all.yaml", &format!("{SHOP}---\n{}", expecting(&[AS_POLICY_SAYS])));
    let mut command = offline.command(&format!("policy test {} --engine kernel", path.display()));
    if nix::unistd::geteuid().is_root() {
        std::fs::set_permissions(offline.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        command.uid(65_534).gid(65_534);
    }
    let run = Run::of(command.output().unwrap());
    assert_eq!((run.code, run.stdout.as_str()), (2, ""));
    assert!(run.stderr.starts_with("--engine kernel: ") && run.stderr.contains("run as root"), "{}", run.stderr);
}
