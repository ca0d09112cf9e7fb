//! What happens to devices and to hosts: nothing leaks meanwhile, and afterwards everything is as policy says.

use std::{fs, time::Duration};

use ringfence_lab::{
    cabling::{attach, ip_batch},
    netns::Namespace,
    registry, wait,
};

use super::{
    ACME, Fixture, fixture,
    watch::{NONE, watched},
};

const DEVICE: &str = "acme-web-1";

fn ip(fixture: &Fixture, commands: &str) {
    ip_batch(&fixture.host("h1").unwrap().namespace, commands).unwrap();
}

fn require_acme_right(fixture: &Fixture) {
    let mut questions = fixture.questions();
    questions.retain(|it| fixture.endpoints[it.asker].domain == ACME);
    fixture.require_right(&questions);
}

#[test]
fn a_device_that_gets_another_mac_or_another_name_for_a_while_opens_nothing_and_comes_back() {
    let mut fixture = fixture();
    let harm = watched(&mut fixture, |fixture, flows| {
        ip(fixture, &format!("link set {DEVICE} address 02:00:00:00:99:99\n"));
        flows.go_on();
    });
    assert_eq!(harm, NONE, "the host's end has a MAC that nobody asks for");
    // Under another name it is nobody's: what it sends is dropped, and what was under way goes on once it is back.
    watched(&mut fixture, |fixture, flows| {
        ip(fixture, &format!("link set {DEVICE} name stranger\n"));
        fixture.wait_until_settled(false).unwrap();
        ip(fixture, &format!("link set stranger name {DEVICE}\n"));
        fixture.wait_until_settled(true).unwrap();
        flows.go_on();
    });
    require_acme_right(&fixture);
}

#[test]
fn a_device_that_leaves_for_another_namespace_and_comes_back_is_enforced_again() {
    let mut fixture = fixture();
    let elsewhere = Namespace::create(&format!("{}elsewhere", registry::prefix_of(fixture.id()))).unwrap();
    watched(&mut fixture, |fixture, flows| {
        ip(fixture, &format!("link set {DEVICE} netns {}\n", elsewhere.name()));
        fixture.wait_until_settled(false).unwrap();
        let host = fixture.host("h1").unwrap().namespace.name().to_owned();
        ip_batch(&elsewhere, &format!("link set {DEVICE} netns {host}\n")).unwrap();
        fixture.wait_until_settled(true).unwrap();
        flows.go_on();
    });
    require_acme_right(&fixture);
}

#[test]
fn a_device_that_is_made_again_under_its_name_is_enforced_from_its_first_packet() {
    let mut fixture = fixture();
    let plan = fixture.layout().attachments.iter().find(|it| it.device == DEVICE).unwrap().clone();
    for _ in 0..3 {
        ip(&fixture, &format!("link del {DEVICE}\n"));
        let web = fixture.somebody(ACME, "web-1").namespace;
        attach(&fixture.host("h1").unwrap().namespace, &web, &plan).unwrap();
        fixture.wait_until_up().unwrap();
        require_acme_right(&fixture);
    }
}

#[test]
fn a_host_that_reboots_without_a_controller_enforces_what_it_knew() {
    let mut fixture = fixture();
    fixture.controller.as_mut().unwrap().kill().unwrap();
    fixture.agent("h1").unwrap().kill().unwrap();
    // As after a boot: nothing is pinned, and no device is up that an agent sets up.
    fs::remove_dir_all(registry::pins_of(fixture.id()).join("h1")).unwrap();
    let devices: Vec<String> =
        fixture.layout().attachments.iter().filter(|it| it.host == "h1").map(|it| it.device.clone()).collect();
    for device in &devices {
        ip(&fixture, &format!("link set {device} down\n"));
    }
    ip(&fixture, "link del rf-overlay\n");
    fixture.agent("h1").unwrap().start_again(&[]).unwrap();
    fixture.wait_until_up().unwrap();
    require_acme_right(&fixture);
}

#[test]
fn damaged_state_on_disk_leaves_in_force_what_the_programs_hold() {
    let mut fixture = fixture();
    fixture.controller.as_mut().unwrap().kill().unwrap();
    let state = registry::directory_of(fixture.id()).join("h1");
    let harm = watched(&mut fixture, |fixture, flows| {
        fixture.agent("h1").unwrap().kill().unwrap();
        let files = fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path());
        for file in files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("domain-")) {
            fs::write(file, "no state").unwrap();
        }
        fixture.agent("h1").unwrap().start_again(&[]).unwrap();
        let log = registry::directory_of(fixture.id()).join("h1.log");
        wait::until("the agent says that it knows no state", Duration::from_secs(10), || {
            Ok(fs::read_to_string(&log)?.contains("no state of these is here"))
        })
        .unwrap();
        flows.go_on();
        flows.go_on();
    });
    assert_eq!(harm, NONE);
    require_acme_right(&fixture);
}
