//! Workloads that are machines: what they may be, and how they come through to the bundle.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use std::{collections::BTreeMap, sync::Arc};

use common::{DOMAIN, GROUND, ground, ids, model, objects, read, workload};
use ringfence_policy::{
    bundle::{Bundle, FEATURE_BARE_METAL, FEATURE_BUNDLE_V2},
    compile::Compilation,
    model::{Domain, Model},
    object::{Object, Spec},
    text::render,
    wire::{apply_update, change_update, whole_update},
};

const MACHINE: &str = r#"
kind: Workload
domain: acme/prod
name: db-9
bareMetal: true
interfaces:
  - {name: eth0, network: back, mac: "02:00:00:00:02:09", addresses: [10.2.0.9], host: h9, device: eno1}
"#;

fn machine(change: &[(&str, &str)]) -> String {
    change.iter().fold(MACHINE.to_owned(), |text, (from, to)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    })
}

/// What is wrong with the ground and this workload.
fn told(workload: &str) -> String {
    let told = |field: &str, message: &str| format!("{field}: {message}");
    let objects: Vec<Object> = match read(&format!("{GROUND}{workload}")) {
        Ok(documents) => documents.into_iter().map(|document| document.object).collect(),
        Err(errors) => return errors.iter().map(|it| told(&it.field, &it.message)).collect::<Vec<_>>().join("\n"),
    };
    let refused = Model::default().change(&objects, &[]).unwrap_err();
    refused.iter().map(|fault| told(&fault.field, &fault.message)).collect::<Vec<_>>().join("\n")
}

fn bundle(domain: &Arc<Domain>) -> Bundle {
    Compilation::new(domain, &ids(domain), &BTreeMap::new(), 1).unwrap().bundle().clone()
}

fn metal(workload: Object) -> Object {
    let Spec::Workload(mut spec) = workload.spec else { panic!("no workload") };
    spec.bare_metal = true;
    spec.interfaces[0].device = Some("eno1".into());
    Object { spec: Spec::Workload(spec), ..workload }
}

#[test]
fn a_machine_is_one_host_and_its_devices_are_named() {
    let other = "    host: h9, device: eno1}\n  - {name: eth1, network: back, mac: \"02:00:00:00:02:0a\", addresses: \
                 [10.2.0.10], host: h8, device: eno2}";
    assert_eq!(
        told(&machine(&[(" host: h9, device: eno1}", other)])),
        "interfaces[1].host: is \"h8\", and interfaces[0] is on \"h9\": a bare-metal machine is one host"
    );
    assert_eq!(
        told(&machine(&[(", device: eno1", "")])),
        "interfaces[0].device: is missing: name the machine's NIC, like eth0"
    );
}

#[test]
fn a_machine_has_port_security() {
    assert_eq!(
        told(&machine(&[("device: eno1", "device: eno1, portSecurity: false")])),
        "interfaces[0].portSecurity: is false: a machine may send from its own addresses and address pairs alone, so \
         list them"
    );
}

#[test]
fn a_network_has_machines_or_other_workloads() {
    let vm = "---\nkind: Workload\ndomain: acme/prod\nname: web-1\ninterfaces:\n  - {name: eth0, network: back, mac: \
              \"02:00:00:00:01:01\", addresses: [10.2.0.11], host: h1}\n";
    assert_eq!(
        told(&format!("{MACHINE}{vm}")),
        "interfaces[0].network: the other workloads of network back are bare metal: choose another, since the overlay \
         reaches no bare-metal machine"
    );
    assert_eq!(
        told(&format!("{vm}---{MACHINE}")),
        "interfaces[0].network: the other workloads of network back are none: choose another, since the overlay \
         reaches no bare-metal machine"
    );
}

/// Each change is judged against what the one before left: a network is free for the other kind once it is empty.
#[test]
fn a_network_changes_its_kind_only_while_it_is_empty() {
    let vm = |name: &str, mac, address: &str| workload(name, "db", "back", mac, address);
    let model = model(&ground()).change(&[vm("a", 1, "10.2.0.11")], &[]).unwrap().model;
    assert!(model.change(&[metal(vm("b", 2, "10.2.0.12"))], &[]).is_err());
    let key = vm("a", 1, "10.2.0.11").key();
    let emptied = model.change(&[], &[key]).unwrap().model;
    let metal_only = emptied.change(&[metal(vm("b", 2, "10.2.0.12"))], &[]).unwrap().model;
    assert!(metal_only.change(&[vm("a", 1, "10.2.0.11")], &[]).is_err());
    metal_only.change(&[vm("b", 2, "10.2.0.12")], &[]).unwrap();
}

#[test]
fn two_machines_do_not_share_a_nic() {
    let twin = machine(&[("db-9", "db-8"), ("02:09", "02:08"), ("10.2.0.9", "10.2.0.8")]);
    assert_eq!(
        told(&format!("{MACHINE}---{twin}")),
        "interfaces[0].device: device \"eno1\" of host h9 belongs to Workload acme/prod/db-9 (interfaces[0].device): \
         choose another"
    );
}

#[test]
fn a_machine_is_written_as_it_was_read() {
    let object = objects(MACHINE).remove(0);
    let again = objects(&render(std::slice::from_ref(&object))).remove(0);
    assert_eq!(again, object);
    assert!(matches!(again.spec, Spec::Workload(spec) if spec.bare_metal));
}

/// An agent that does not know machines would send their packets into the overlay.
#[test]
fn a_bundle_asks_for_the_feature_only_while_it_has_a_machine() {
    let with_vm = model(&ground()).change(&[workload("a", "db", "front", 1, "10.1.0.11")], &[]).unwrap().model;
    let before = &with_vm.domains()[DOMAIN];
    let first = Compilation::new(before, &ids(before), &BTreeMap::new(), 1).unwrap();
    assert_eq!(first.bundle().features, [FEATURE_BUNDLE_V2]);

    let joined = with_vm.change(&[metal(workload("b", "db", "back", 2, "10.2.0.12"))], &[]).unwrap().model;
    let after = &joined.domains()[DOMAIN];
    let second = first.next(after, &ids(after), &BTreeMap::new(), 2).unwrap();
    assert_eq!(second.bundle().features, [FEATURE_BUNDLE_V2, FEATURE_BARE_METAL]);
    assert_eq!(second.bundle().features, bundle(after).features);

    let back = second.next(before, &ids(before), &BTreeMap::new(), 3).unwrap();
    assert_eq!(back.bundle().features, [FEATURE_BUNDLE_V2]);
}

#[test]
fn an_agent_reads_that_an_interface_is_a_nic() {
    let objects = [ground(), vec![metal(workload("b", "db", "back", 2, "10.2.0.12"))]].concat();
    let sent = bundle(&model(&objects).domains()[DOMAIN]);
    let read = apply_update(None, whole_update(&sent)).unwrap();
    assert!(read.interfaces[0].bare_metal);
    assert_eq!(read, sent);
    let mut before = sent.clone();
    before.interfaces.clear();
    assert_eq!(apply_update(Some(&before), change_update(&before, &sent)).unwrap(), sent);
}
