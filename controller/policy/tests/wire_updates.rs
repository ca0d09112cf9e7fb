//! Bundles and objects on the wire: what is sent is what arrives, and what is wrong is refused by name.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use common::{bundle, domain, generate, ground, policy, segment, workload};
use proptest::prelude::*;
use prost::Message;
use ringfence_policy::{
    bundle::Bundle,
    object::{HostSpec, Object, Spec},
    wire::{
        apply_update, change_update, digest, key_from_wire, key_to_wire, object_from_wire, object_to_wire, whole_update,
    },
};
use ringfence_proto::v1;
use sha2::{Digest, Sha256};

/// A bundle with something in each of its parts.
fn shop() -> Bundle {
    let mut objects = ground();
    objects.extend([
        workload("web-1", "web", "front", 1, "10.1.0.11"),
        workload("db-1", "db", "back", 2, "10.2.0.11"),
        segment("web"),
        segment("db"),
        policy("shop", &["to-db allow segment/web,10.0.0.0/8 -> segment/db tcp/5432,udp/1-9"]),
    ]);
    bundle(&domain(&objects))
}

/// The same, with a network that has every service.
fn served() -> Bundle {
    let mut objects = ground();
    if let Spec::Network(network) = &mut objects[2].spec {
        generate::serve(network);
    }
    objects.push(workload("web-1", "web", "front", 1, "10.1.0.11"));
    bundle(&domain(&objects))
}

/// What is wrong with the whole bundle after a change to the message.
fn refused(change: impl FnOnce(&mut v1::DomainUpdate)) -> String {
    let mut update = whole_update(&shop());
    change(&mut update);
    apply_update(None, update).unwrap_err().to_string()
}

fn policy_of(update: &mut v1::DomainUpdate) -> &mut v1::CompiledPolicy {
    update.policy.as_mut().unwrap()
}

#[test]
fn a_change_carries_only_what_differs() {
    let before = shop();
    let mut after = Bundle { generation: 6, ..before.clone() };
    after.interfaces[0].host = "h2".into();
    let gone = after.interfaces.remove(1).id;
    let update = change_update(&before, &after);
    assert_eq!((update.base_generation, update.generation), (5, 6));
    assert!(update.topology.is_none() && update.policy.is_none());
    assert_eq!(update.interfaces.len(), 1);
    assert_eq!(update.removed_interface_ids, [gone]);
    assert_eq!(apply_update(Some(&before), update).unwrap(), after);
}

#[test]
fn nothing_is_built_on_another_generation_or_domain() {
    let before = shop();
    let after = Bundle { generation: 6, ..before.clone() };
    let update = change_update(&before, &after);
    let told = apply_update(Some(&after), update.clone()).unwrap_err().to_string();
    assert_eq!(told, "base_generation: 5 is not the generation held, 6: ask for the whole bundle");
    let told = apply_update(None, update.clone()).unwrap_err().to_string();
    assert_eq!(told, "base_generation: 5 is not the generation held, 0: ask for the whole bundle");
    let other = Bundle { domain_id: 8, ..before };
    assert!(apply_update(Some(&other), update).is_err());
    assert_eq!(change_update(&other, &after).base_generation, 0);
}

#[test]
fn a_result_that_is_not_what_was_promised_is_refused() {
    let promised = "digest: does not match what the update makes: ask for the whole bundle";
    assert_eq!(refused(|update| update.digest[0] ^= 1), promised);
    assert_eq!(refused(|update| update.digest.clear()), promised);
    assert_eq!(refused(|update| update.interfaces[0].device = "other".into()), promised);
}

#[test]
fn the_generation_is_no_part_of_the_digest() {
    let bundle = shop();
    assert_eq!(digest(&bundle), digest(&Bundle { generation: 99, ..bundle.clone() }));
    assert_ne!(digest(&bundle), digest(&Bundle { domain_id: 99, ..bundle.clone() }));
}

#[test]
fn a_digest_is_of_what_is_said_now_however_it_is_shared() {
    let bundle = shop();
    let before = digest(&bundle);
    let mut other = bundle.clone();
    assert!(other.policy.is_same(&bundle.policy));
    for change in [
        |bundle: &mut Bundle| bundle.interfaces[1].device = "other".into(),
        |bundle: &mut Bundle| bundle.policy.default_allows = true,
        |bundle: &mut Bundle| bundle.topology.transit_vni += 1,
        |bundle: &mut Bundle| drop(bundle.interfaces.remove(0)),
    ] {
        let was = digest(&other);
        change(&mut other);
        assert_ne!(digest(&other), was);
    }
    assert_eq!(digest(&bundle), before, "it was a copy that was written to");
    assert_eq!(
        digest(&apply_update(None, whole_update(&bundle)).unwrap()),
        before,
        "nothing is shared with what is read"
    );
}

#[test]
fn a_bundle_of_the_release_before_is_digested_whole() {
    let bundle = Bundle { features: vec!["bundle-v1".into()], ..shop() };
    let content = v1::DomainUpdate { generation: 0, digest: Vec::new(), ..whole_update(&bundle) };
    assert_eq!(digest(&bundle)[..], Sha256::digest(content.encode_to_vec())[..]);
    assert_eq!(apply_update(None, whole_update(&bundle)).unwrap(), bundle);
}

#[test]
fn a_change_that_differs_in_nothing_carries_nothing() {
    let before = shop();
    let after = Bundle { generation: 6, ..apply_update(None, whole_update(&before)).unwrap() };
    assert!(!after.policy.is_same(&before.policy));
    let update = change_update(&before, &after);
    assert!(update.topology.is_none() && update.policy.is_none() && update.interfaces.is_empty());
}

#[test]
fn a_field_that_cannot_be_is_named() {
    assert_eq!(refused(|update| update.domain_id = 0), "domain_id: is 0, which stands for no domain");
    assert_eq!(refused(|update| update.topology = None), "topology: is missing");
    assert_eq!(refused(|update| update.interfaces[1].mac.truncate(5)), "interfaces[1].mac: has 5 bytes instead of 6");
    assert_eq!(
        refused(|update| update.interfaces[0].addresses[0].address.push(1)),
        "interfaces[0].addresses[0].address: has 5 bytes instead of 4 or 16"
    );
    assert_eq!(
        refused(|update| update.interfaces[0].addresses[0].class_id = 0),
        "interfaces[0].addresses[0].class_id: is 0, which stands for no class"
    );
    assert_eq!(refused(|update| update.interfaces[1].id = update.interfaces[0].id), "interfaces[1].id: 1 comes twice");
    assert_eq!(
        refused(|update| update.topology.as_mut().unwrap().networks[0].vni = 1 << 24),
        "topology.networks[0].vni: 16777216 is no VNI: it is not 1 to 16777215"
    );
    assert_eq!(
        refused(|update| update.topology.as_mut().unwrap().networks[0].subnets[0].cidr.as_mut().unwrap().length = 300),
        "topology.networks[0].subnets[0].cidr.length: 300 is too long"
    );
    assert_eq!(
        refused(|update| update.topology.as_mut().unwrap().uplink.as_mut().unwrap().next_hops[0].clear()),
        "topology.uplink.next_hops[0]: has 0 bytes instead of 4 or 16"
    );
}

#[test]
fn what_a_network_tells_its_workloads_arrives() {
    let bundle = served();
    let network = &bundle.topology.networks[0];
    assert!(network.name == "back" && network.lease == 0, "{network:?}");
    let network = &bundle.topology.networks[1];
    assert_eq!((network.multicast, network.lease, network.search_domains.len()), (true, 90, 2));
    assert!(network.subnets.iter().all(|subnet| subnet.dhcp && subnet.dns.len() == 1 && subnet.routes.len() == 1));
    assert_eq!(network.subnets.iter().map(|subnet| subnet.ra).collect::<Vec<_>>(), [false, true]);
    assert_eq!(apply_update(None, whole_update(&bundle)).unwrap(), bundle);
}

#[test]
fn what_a_subnet_tells_is_of_its_family() {
    let refused = |change: fn(&mut v1::CompiledSubnet)| {
        let mut update = whole_update(&served());
        change(&mut update.topology.as_mut().unwrap().networks[1].subnets[0]);
        apply_update(None, update).unwrap_err().to_string()
    };
    let field = "topology.networks[1].subnets[0]";
    let six = "fd00:: is of the other family than 10.1.0.0/24";
    assert_eq!(refused(|subnet| subnet.dns[0] = fd00()), format!("{field}.dns[0]: {six}"));
    assert_eq!(refused(|subnet| subnet.routes[0].via = fd00()), format!("{field}.routes[0].via: {six}"));
    let to = |subnet: &mut v1::CompiledSubnet| subnet.routes[0].to.as_mut().unwrap().address = fd00();
    assert_eq!(refused(to), format!("{field}.routes[0].to: {six}"));
}

fn fd00() -> Vec<u8> {
    "fd00::".parse::<std::net::Ipv6Addr>().unwrap().octets().to_vec()
}

#[test]
fn a_policy_that_points_nowhere_is_refused() {
    assert_eq!(
        refused(|update| policy_of(update).rows[0].profile = 9),
        "policy.rows[0].profile: 9 points to nothing: there are 2"
    );
    assert_eq!(
        refused(|update| policy_of(update).profiles[0].tcp[1].from_rule = 2),
        "policy.profiles[0].tcp[1].from_rule: 2 points to nothing: there are 2"
    );
    assert_eq!(
        refused(|update| policy_of(update).profiles[0].tcp[0].first = 1),
        "policy.profiles[0].tcp[0].first: 1 does not follow: a table starts at 0 and ascends"
    );
    assert_eq!(
        refused(|update| policy_of(update).profiles[0].tcp[1].first = 65536),
        "policy.profiles[0].tcp[1].first: 65536 is beyond 65535"
    );
    assert_eq!(
        refused(|update| policy_of(update).profiles[0].other.clear()),
        "policy.profiles[0].other: is empty: a table covers every number"
    );
    assert_eq!(
        refused(|update| {
            let rows = &mut policy_of(update).rows;
            rows.push(rows[0].clone());
        }),
        format!("policy.rows[{}]: is out of order or comes twice", shop().policy.rows.len())
    );
}

#[test]
fn an_object_that_is_nothing_is_refused() {
    let nothing = v1::Object { name: "x".into(), ..Default::default() };
    assert_eq!(object_from_wire(nothing).unwrap_err().to_string(), "spec: is missing");
    let rule = v1::Rule { to: vec![v1::Peer { peer: None }], ..Default::default() };
    let policy = v1::object::Spec::Policy(v1::PolicySpec { rules: vec![rule], ..v1::PolicySpec::default() });
    let object = v1::Object { spec: Some(policy), ..Default::default() };
    assert_eq!(object_from_wire(object).unwrap_err().to_string(), "rules[0].to[0].peer: is missing");
    let key = |kind| v1::ObjectKey { kind, ..Default::default() };
    assert_eq!(key_from_wire(key(0)).unwrap_err().to_string(), "kind: is missing");
    assert_eq!(key_from_wire(key(99)).unwrap_err().to_string(), "kind: 99 is unknown to this version");
}

#[test]
fn a_host_travels_like_any_object() {
    let spec = HostSpec {
        underlay: vec!["172.16.0.1".into()],
        agent_version: "0.1.0".into(),
        labels: [("rack".to_owned(), "a".to_owned())].into(),
    };
    let host = Object { domain: String::new(), name: "h1".into(), spec: Spec::Host(spec) };
    assert_eq!(object_from_wire(object_to_wire(&host)).unwrap(), host);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn an_object_arrives_as_it_was_sent(objects in generate::domain_objects()) {
        for object in objects {
            prop_assert_eq!(&object_from_wire(object_to_wire(&object)).unwrap(), &object);
            prop_assert_eq!(key_from_wire(key_to_wire(&object.key())).unwrap(), object.key());
        }
    }

    #[test]
    fn a_change_makes_of_one_bundle_the_other(
        before in generate::domain_objects(),
        after in generate::domain_objects(),
    ) {
        let before = bundle(&domain(&before));
        let after = Bundle { generation: 6, ..bundle(&domain(&after)) };
        prop_assert_eq!(&apply_update(None, whole_update(&before)).unwrap(), &before);
        prop_assert_eq!(&apply_update(Some(&before), change_update(&before, &after)).unwrap(), &after);
        prop_assert_eq!(digest(&before) == digest(&after), before == Bundle { generation: 5, ..after });
    }

    #[test]
    fn bytes_that_were_tampered_with_never_pass(objects in generate::domain_objects(), at: prop::sample::Index, bit in 0..8) {
        let bundle = bundle(&domain(&objects));
        let mut bytes = whole_update(&bundle).encode_to_vec();
        let at = at.index(bytes.len());
        bytes[at] ^= 1_u8 << bit;
        if let Ok(update) = v1::DomainUpdate::decode(&bytes[..])
            && let Ok(read) = apply_update(Some(&bundle), update)
        {
            // Only what the digest leaves out may differ.
            prop_assert_eq!(Bundle { generation: 5, ..read }, bundle);
        }
    }
}
