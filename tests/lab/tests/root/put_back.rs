//! What somebody else does to programs and maps is put back within two seconds, and reported.

use std::{fs, path::PathBuf, time::Duration};

use libbpf_rs::{Link, MapCore, MapFlags, MapHandle};
use ringfence_agent::bpf::consts::RF_LAYOUT;
use ringfence_lab::{lab::Lab, registry, wait};

use super::{ACME, fixture};

const HOST: &str = "h1";
const WITHIN: Duration = Duration::from_secs(2);

fn pins(lab: &Lab) -> PathBuf {
    registry::pins_of(lab.id()).join(HOST)
}

/// How often, by the controller's word, the host has put this back.
fn reported(lab: &Lab, what: &str) -> u64 {
    let status = lab.cli(&["status", "-o", "json"]).unwrap();
    let status: serde_json::Value = serde_json::from_slice(&status.stdout).unwrap();
    let host = status["hosts"].as_array().unwrap().iter().find(|host| host["name"] == HOST).unwrap();
    let of_it = host["putBack"].as_array().unwrap().iter().filter(|it| it["what"] == what);
    of_it.map(|it| it["times"].as_u64().unwrap()).sum()
}

/// Does something, and waits until the host has put it back.
fn put_back(lab: &Lab, what: &str, disturb: impl FnOnce()) {
    let before = reported(lab, what);
    disturb();
    wait::until(&format!("{what} is put back"), WITHIN, || Ok(reported(lab, what) > before)).unwrap();
}

/// The pins of links of this hook, on devices of workloads of the example.
fn link_of(lab: &Lab, hook: &str) -> PathBuf {
    let links = fs::read_dir(pins(lab).join("links")).unwrap().map(|entry| entry.unwrap().path());
    links.into_iter().find(|path| path.file_name().unwrap().to_string_lossy().starts_with(hook)).unwrap()
}

fn map(lab: &Lab, name: &str) -> MapHandle {
    MapHandle::from_pinned_path(pins(lab).join(format!("maps-{RF_LAYOUT}")).join(name)).unwrap()
}

/// The first entry that holds anything.
fn some_entry(map: &MapHandle) -> (Vec<u8>, Vec<u8>) {
    let entries = map.keys().map(|key| (map.lookup(&key, MapFlags::ANY).unwrap().unwrap(), key));
    let (value, key) = entries.into_iter().find(|(value, _)| value.iter().any(|byte| *byte != 0)).unwrap();
    (key, value)
}

#[test]
fn an_edited_or_deleted_entry_of_any_map_is_put_back_and_reported() {
    let fixture = fixture();
    let maps = [
        "rf_devices",
        "rf_ifaces",
        "rf_hosts",
        "rf_domains",
        "rf_domain_words",
        "rf_vnis",
        "rf_addrs",
        "rf_prefixes",
        "rf_subnets",
        "rf_rows",
        "rf_profiles",
        "rf_runs",
        "rf_limits",
    ];
    for name in maps {
        let map = map(&fixture, name);
        put_back(&fixture, &format!("map {name}"), || {
            let (key, value) = some_entry(&map);
            let edited: Vec<u8> = value.iter().map(|byte| byte ^ 0x55).collect();
            map.update(&key, &edited, MapFlags::ANY).unwrap();
        });
    }
    for name in ["rf_vnis", "rf_addrs", "rf_prefixes", "rf_subnets", "rf_rows"] {
        let map = map(&fixture, name);
        put_back(&fixture, &format!("map {name}"), || map.delete(&some_entry(&map).0).unwrap());
    }
    let mut questions = fixture.questions();
    questions.retain(|it| fixture.endpoints[it.asker].domain == ACME);
    fixture.require_right(&questions);
}

#[test]
fn a_program_that_was_taken_off_is_put_back_and_reported() {
    let fixture = fixture();
    for hook in ["from_workload", "to_workload", "from_overlay", "from_uplink", "to_uplink"] {
        let path = link_of(&fixture, hook);
        put_back(&fixture, &format!("program {hook}"), || Link::open(&path).unwrap().detach().unwrap());
        put_back(&fixture, &format!("program {hook}"), || fs::remove_file(&path).unwrap());
        assert!(path.exists());
    }
    put_back(&fixture, "guard", || fs::remove_file(pins(&fixture).join("links/guard-ipv4")).unwrap());
    put_back(&fixture, "pin rf_rows", || {
        fs::remove_file(pins(&fixture).join(format!("maps-{RF_LAYOUT}/rf_rows"))).unwrap();
    });
    let mut questions = fixture.questions();
    questions.retain(|it| fixture.endpoints[it.asker].domain == ACME);
    fixture.require_right(&questions);
}
