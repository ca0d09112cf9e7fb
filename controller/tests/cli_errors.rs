//! What is wrong is said clearly, with the exit code that the manual gives, and changes nothing.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod cli_support;

use cli_support::{
    Controller, Offline, Run, SHOP,
    agent::{Agent, Answer},
    free_port, ringfence,
};

/// Applies SHOP with one thing changed, and expects this message, under it this line of the file with a mark under this
/// column, and nothing changed.
fn refused(good: &str, bad: &str, line: usize, column: usize, message: &str) {
    assert_eq!(SHOP.matches(good).count(), 1, "{good:?} stands once in the example");
    let controller = Controller::start();
    controller.file("good.yaml", SHOP);
    assert_eq!(controller.run("apply -f good.yaml --no-wait").code, 0);
    let revision = controller.revision();

    let text = SHOP.replace(good, bad);
    controller.file("bad.yaml", &text);
    let Run { code, stdout, stderr } = controller.run("apply -f bad.yaml");

    let source = text.lines().nth(line - 1).unwrap();
    let mark = format!("{}^", " ".repeat(column - 1));
    assert_eq!(
        stderr,
        format!(
            "bad.yaml:{line}:{column}: {message}\n {line} | {source}\n    | {mark}\n1 error; nothing was changed\n"
        )
    );
    assert_eq!((code, stdout.as_str()), (2, ""));
    assert_eq!(controller.revision(), revision, "nothing was changed");
}

#[test]
fn an_unknown_field() {
    refused(
        "match: {role: app}",
        "match: {role: app}\ncolour: red",
        45,
        1,
        "Segment acme/prod/app: colour: unknown field \"colour\": known are kind, domain, name, match",
    );
}

#[test]
fn a_reversed_port_range() {
    refused(
        "tcp/8080-8090",
        "tcp/8090-8080",
        50,
        85,
        "Policy acme/prod/shop: rules[0].traffic[0]: reversed port range 8090-8080: write 8080-8090",
    );
}

#[test]
fn a_duplicate_name() {
    refused(
        "name: app\nmatch",
        "name: web\nmatch",
        43,
        7,
        "Segment acme/prod/web: name: duplicate object: bad.yaml:38:7 is the same one; keep one of them",
    );
}

#[test]
fn a_segment_that_does_not_exist() {
    refused(
        "from: [segment/web]",
        "from: [segment/wbe]",
        50,
        27,
        "Policy acme/prod/shop: rules[0].from[0]: there is no Segment acme/prod/wbe: add it or correct the name",
    );
}

#[test]
fn a_duplicate_address_in_a_domain() {
    refused(
        "[10.1.0.12]",
        "[10.1.0.11]",
        32,
        17,
        "Workload acme/prod/app-1: interfaces[0].addresses[0]: 10.1.0.11 is the address of Workload acme/prod/web-1 \
         (interfaces[0].addresses[0]): choose another",
    );
}

#[test]
fn an_address_outside_its_network() {
    refused(
        "[10.1.0.12]",
        "[10.9.0.12]",
        32,
        17,
        "Workload acme/prod/app-1: interfaces[0].addresses[0]: 10.9.0.12 is outside its network front (10.1.0.0/24): \
         choose an address inside",
    );
}

#[test]
fn a_vni_that_is_taken() {
    refused(
        "name: front\n",
        "name: front\nvni: 1048576\n",
        10,
        6,
        "Network acme/prod/front: vni: VNI 1048576 is taken by the uplink of domain acme/prod; name another one or leave it \
         out",
    );
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
    let offline = Offline::new();
    offline.file("empty.yaml", "# nothing\n");
    offline.file("folder/notes.txt", "");
    for (path, said) in [
        ("missing.yaml", "cannot read missing.yaml: No such file or directory (os error 2)"),
        ("empty.yaml", "empty.yaml: no object is in there; a file needs at least `kind:` and `name:`"),
        ("folder", "folder: no *.yaml or *.yml file is in this directory or below it"),
    ] {
        for command in ["apply -f", "delete -f", "policy test", "trace a b tcp/1 -f"] {
            let run = offline.run(&format!("{command} {path}"));
            assert_eq!((run.code, run.stderr), (2, format!("{said}\n")), "{command}");
        }
    }
}

#[test]
fn a_file_that_is_not_utf_8_is_named_with_the_place() {
    let offline = Offline::new();
    // As an editor of another age saves "é"; the first one of its line is whole.
    let path = offline.file("latin.yaml", "");
    std::fs::write(path, b"kind: Tenant\n# \xc3\xa9 and \xe9\nname: acme\n").unwrap();
    for command in ["apply -f", "delete -f", "policy test", "trace a b tcp/1 -f"] {
        let run = offline.run(&format!("{command} latin.yaml"));
        let said = "latin.yaml:2:9: is not UTF-8: save the file as UTF-8\n";
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (2, "", said), "{command}");
    }
}

#[test]
fn what_is_named_wrongly_is_said_with_what_to_write() {
    let controller = Controller::start();
    controller.file("shop.yaml", SHOP);
    assert_eq!(controller.run("apply -f shop.yaml --no-wait").code, 0);
    let revision = controller.revision();
    for (line, said) in [
        ("delete network front", "Network front: say in which domain, with --domain TENANT/DOMAIN\n"),
        ("delete tenant acme --domain acme/prod", "Tenant acme: a Tenant is in no domain; leave out --domain\n"),
        (
            "delete workload web-9 --domain acme/prod",
            "Workload acme/prod/web-9: there is no such object: nothing to delete\n1 error; nothing was changed\n",
        ),
        (
            "delete policy floor --domain *",
            "Policy */floor: there is no such object: nothing to delete\n1 error; nothing was changed\n",
        ),
        ("delete host h9", "Host h9: there is no such object: nothing to delete\n1 error; nothing was changed\n"),
        (
            "delete segment web --domain acme/prod",
            "Segment acme/prod/web: is still used by Policy acme/prod/shop (rules[0].from[0]): delete or change that first, \
             or in the same change\n1 error; nothing was changed\n",
        ),
        (
            "delete tenant acme",
            "Tenant acme: is still used by Domain acme/prod (name): delete or change that first, or in the same change\n\
             1 error; nothing was changed\n",
        ),
        ("get workload web-9 --domain acme/prod", "there is no Workload web-9 in acme/prod\n"),
        ("get address-sets web-9", "there is no AddressSet web-9\n"),
    ] {
        let run = controller.run(line);
        assert_eq!((run.code, run.stdout.as_str(), run.stderr.as_str()), (2, "", said), "{line}");
    }
    assert_eq!(controller.revision(), revision);
}

#[test]
fn an_option_that_is_none_is_said_with_what_to_write() {
    for (line, said) in [
        ("status --controller localhost:7420", "'--controller <URL>': write it as http://HOST:PORT"),
        ("status --controller https://h:1", "'--controller <URL>': https is not supported yet; write http://HOST:PORT"),
        ("status --timeout 0", "'--timeout <TIME>': write a whole number and a unit: 500ms, 5s, 2m"),
        (
            "delete --file a --wait-timeout never",
            "'--wait-timeout <TIME>': write a whole number and a unit: 500ms, 5s, 2m",
        ),
        ("trace a b tcp/1 --live --at now", "the argument '--live' cannot be used with '--at <MOMENT>'"),
        ("trace a b tcp/1 --live -f shop.yaml", "the argument '--live' cannot be used with '--file <PATH>'"),
    ] {
        let run = Run::of(ringfence(line).output().unwrap());
        let first = run.stderr.lines().next().unwrap();
        assert_eq!((run.code, first.ends_with(said)), (2, true), "{line}: {}", run.stderr);
    }
}

#[test]
fn a_host_whose_agent_is_connected_is_not_deleted() {
    let controller = Controller::start();
    let _agent = Agent::start(&controller, "h1", Answer::Ack);
    let run = controller.run("delete host h1");
    assert_eq!(
        (run.code, run.stderr.as_str()),
        (
            2,
            "Host h1: its agent is connected and would register it again: stop the agent first\n1 error; nothing was \
             changed\n"
        )
    );
}

#[test]
fn a_controller_that_is_not_there_is_named_and_what_to_do() {
    let url = format!("http://127.0.0.1:{}", free_port());
    let run = Run::of(ringfence(&format!("status --controller {url}")).output().unwrap());
    assert_eq!(
        (run.code, run.stderr),
        (
            3,
            format!(
                "cannot reach the controller at {url}: Connection refused (os error 111)\ncheck that ringfence-controller runs \
                 there, or name its address with --controller or RINGFENCE_ADDRESS\n"
            )
        )
    );
}

#[test]
fn a_controller_that_does_not_answer_is_given_up_in_time() {
    // Accepts connections and says nothing.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let run = Run::of(ringfence(&format!("status --controller {url} --timeout 200ms")).output().unwrap());
    let said = format!(
        "the controller at {url} did not answer within 200ms; look at its log, or give it longer with --timeout\n"
    );
    assert_eq!((run.code, run.stderr), (3, said));
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
