//! What is wrong is said clearly, with the exit code that the manual gives, and changes nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cli_support;

use cli_support::{Controller, Run, SHOP, free_port, ringfence};

/// Line on which `text` stands, from 1; the last if it stands on several.
fn line_of(file: &str, text: &str) -> usize {
    file[..file.rfind(text).expect("stands in the file")].matches('\n').count() + 1
}

/// Applies SHOP with one thing changed, and expects an error on the line of `place` that names object, field and cause.
fn refused(good: &str, bad: &str, place: &str, object: &str, field: &str, cause: &str) {
    assert_eq!(SHOP.matches(good).count(), 1, "{good:?} stands once in the example");
    let controller = Controller::start();
    controller.file("good.yaml", SHOP);
    assert_eq!(controller.run("apply -f good.yaml --no-wait").code, 0);
    let revision = controller.revision();

    let text = SHOP.replace(good, bad);
    controller.file("bad.yaml", &text);
    let Run { code, stdout, stderr } = controller.run("apply -f bad.yaml");

    assert_eq!(code, 2, "{stderr}");
    assert_eq!(stdout, "");
    let line = line_of(&text, place);
    let first = stderr.lines().next().unwrap();
    assert!(first.starts_with(&format!("bad.yaml:{line}:")), "line {line} expected: {stderr}");
    for part in [object, field, cause] {
        assert!(first.contains(part), "{part:?} expected in: {first}");
    }
    let source = text.lines().nth(line - 1).unwrap();
    assert!(stderr.contains(&format!(" {line} | {source}\n")), "the line is shown: {stderr}");
    assert!(stderr.lines().nth(2).unwrap().ends_with('^'), "the place is marked: {stderr}");
    assert_eq!(controller.revision(), revision, "nothing was changed");
}

#[test]
fn an_unknown_field() {
    refused("match: {role: app}", "match: {role: app}\ncolour: red", "colour", "app", "colour", "colour");
}

#[test]
fn a_reversed_port_range() {
    refused("tcp/8080-8090", "tcp/8090-8080", "tcp/8090-8080", "shop", "rules[0].traffic[0]", "8090");
}

#[test]
fn a_duplicate_name() {
    refused("name: app\nmatch", "name: web\nmatch", "name: web\nmatch: {role: app}", "web", "", "web");
}

#[test]
fn a_segment_that_does_not_exist() {
    refused("from: [segment/web]", "from: [segment/wbe]", "segment/wbe", "shop", "rules[0].from[0]", "wbe");
}

#[test]
fn a_duplicate_address_in_a_domain() {
    refused(
        "[10.1.0.12]",
        "[10.1.0.11]",
        "[10.1.0.11]\n    host: h2",
        "app-1",
        "interfaces[0].addresses[0]",
        "10.1.0.11",
    );
}

#[test]
fn an_address_outside_its_network() {
    refused("[10.1.0.12]", "[10.9.0.12]", "[10.9.0.12]", "app-1", "interfaces[0].addresses[0]", "10.9.0.12");
}

#[test]
fn everything_wrong_is_told_at_once() {
    let controller = Controller::start();
    controller.file("bad.yaml", &SHOP.replace("match: {role: web}", "macth: {role: web}").replace("cidr", "cdir"));
    let run = controller.run("apply -f bad.yaml");
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("macth") && run.stderr.contains("cdir"), "{}", run.stderr);
}

#[test]
fn errors_are_told_as_far_as_a_usual_header_holds_them_and_the_rest_is_counted() {
    let controller = Controller::start();
    let mut text = SHOP.to_owned();
    for n in 0..300 {
        text.push_str(&format!(
            "  - {{name: r{n}, from: [segment/missing-{n}], to: [any], action: allow, traffic: [tcp]}}\n"
        ));
    }
    controller.file("bad.yaml", &text);
    let run = controller.run("apply -f bad.yaml");
    assert_eq!(run.code, 2, "{}", run.stderr);
    let told = run.stderr.lines().filter(|line| line.starts_with("bad.yaml:")).count();
    assert!((30..300).contains(&told), "{told} in: {}", run.stderr);
    let last = format!("and {} errors more; nothing was changed", 300 - told);
    assert!(run.stderr.trim_end().ends_with(&last), "{}", run.stderr);
}

#[test]
fn text_is_checked_with_no_controller_near() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("bad.yaml"), "kind: Tenant\nname: acme\ncolour: red\n").unwrap();
    let output = ringfence("apply -f bad.yaml --controller http://127.0.0.1:1").current_dir(dir.path()).output();
    let run = Run::of(output.unwrap());
    assert_eq!(run.code, 2);
    assert!(run.stderr.starts_with("bad.yaml:3:1: "), "{}", run.stderr);
}

#[test]
fn files_that_are_not_there_or_say_nothing_are_named() {
    let controller = Controller::start();
    controller.file("empty.yaml", "# nothing\n");
    controller.file("folder/notes.txt", "");
    for (path, said) in [("missing.yaml", "missing.yaml"), ("empty.yaml", "no object"), ("folder", "*.yaml")] {
        let run = controller.run(&format!("apply -f {path}"));
        assert_eq!(run.code, 2);
        assert!(run.stderr.contains(path) && run.stderr.contains(said), "{}", run.stderr);
    }
}

#[test]
fn a_controller_that_is_not_there_is_named_and_what_to_do() {
    let url = format!("http://127.0.0.1:{}", free_port());
    let run = Run::of(ringfence(&format!("status --controller {url}")).output().unwrap());
    assert_eq!(run.code, 3);
    assert!(run.stderr.contains(&url) && run.stderr.contains("RINGFENCE_ADDRESS"), "{}", run.stderr);
    assert!(run.stderr.to_lowercase().contains("connection refused"), "{}", run.stderr);
}

#[test]
fn a_controller_that_does_not_answer_is_given_up_in_time() {
    // Accepts connections and says nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let run = Run::of(ringfence(&format!("status --controller {url} --timeout 200ms")).output().unwrap());
    assert_eq!(run.code, 3);
    assert!(run.stderr.contains(&url) && run.stderr.contains("200ms"), "{}", run.stderr);
}

#[test]
fn a_change_that_is_not_answered_may_have_been_made() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("a.yaml"), "kind: Tenant\nname: acme\n").unwrap();
    let run = |line: &str| {
        let mut command = ringfence(&format!("{line} --controller {url} --timeout 200ms"));
        Run::of(command.current_dir(dir.path()).output().unwrap())
    };
    for (line, may_be_done) in
        [("apply -f a.yaml", true), ("delete -f a.yaml", true), ("apply -f a.yaml --dry-run", false), ("status", false)]
    {
        let Run { code, stderr, .. } = run(line);
        assert_eq!(code, 3, "{line}: {stderr}");
        let said = stderr.contains("the change may have been made; see `ringfence status`");
        assert_eq!(said, may_be_done, "{line}: {stderr}");
    }
}

#[test]
fn a_url_that_is_none_is_bad_input() {
    let run = Run::of(ringfence("status --controller localhost:7420").output().unwrap());
    assert_eq!(run.code, 2);
    assert!(run.stderr.contains("http://HOST:PORT"), "{}", run.stderr);
}

#[test]
fn what_is_still_needed_is_not_deleted() {
    let controller = Controller::start();
    controller.file("shop.yaml", SHOP);
    assert_eq!(controller.run("apply -f shop.yaml --no-wait").code, 0);
    let revision = controller.revision();
    let run = controller.run("delete segment web --domain acme/prod --no-wait");
    assert_eq!(run.code, 2, "{}", run.stderr);
    assert!(run.stderr.contains("Segment acme/prod/web: ") && run.stderr.contains("shop"), "{}", run.stderr);
    assert_eq!(controller.revision(), revision);
}

#[test]
fn a_domain_that_does_not_exist_is_not_answered_with_an_empty_table() {
    let controller = Controller::start();
    let (ground, _) = SHOP.split_once("---\nkind: Network").unwrap();
    controller.file("ground.yaml", ground);
    assert_eq!(controller.run("apply -f ground.yaml --no-wait").code, 0);
    for command in ["get --domain", "get workloads --domain", "get interfaces --domain", "counters --domain"] {
        let run = controller.run(&format!("{command} no/such"));
        assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{command}: {}", run.stderr);
        assert_eq!(run.stderr, "there is no Domain no/such; see `ringfence get domains`\n");
        let run = controller.run(&format!("{command} acme/prod"));
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{command}: {}", run.stdout);
    }
}

#[test]
fn what_does_not_exist_is_not_found() {
    let controller = Controller::start();
    for line in ["get workload web-9 --domain acme/prod", "delete workload web-9 --domain acme/prod"] {
        let run = controller.run(line);
        assert_eq!(run.code, 2, "{line}: {}", run.stderr);
        assert!(run.stderr.contains("web-9"), "{}", run.stderr);
    }
}

#[test]
fn a_host_that_does_not_exist_is_told_from_one_that_is_away() {
    let controller = Controller::start();
    controller.file("shop.yaml", SHOP);
    assert_eq!(controller.run("apply -f shop.yaml --no-wait").code, 0);
    let run = controller.run("counters --host h9");
    assert_eq!((run.code, run.stdout.as_str()), (2, ""), "{}", run.stderr);
    assert_eq!(run.stderr, "there is no Host h9; see `ringfence status`\n");
    let run = controller.run("counters --host h1");
    assert_eq!((run.code, run.stderr.as_str()), (1, "h1: its agent is not connected\n"));
}

#[test]
fn the_version_is_told_under_the_command_s_own_name() {
    let run = Run::of(ringfence("--version").output().unwrap());
    assert_eq!(run.stdout, concat!("ringfence ", env!("CARGO_PKG_VERSION"), "\n"));
}
