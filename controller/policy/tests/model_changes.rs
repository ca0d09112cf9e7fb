//! One model to the next: all or nothing, and what is refused.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use std::{net::IpAddr, sync::Arc};

use common::{DOMAIN, domain, generate, ground, model, network, objects, policy, segment, workload};
use proptest::prelude::*;
use ringfence_policy::{
    model::{Invalid, Model, What, derived_device},
    object::{AddressPairSpec, DomainSpec, HostSpec, Kind, NetworkSpec, Object, ObjectKey, PeerSpec, Spec, UplinkSpec},
};

/// `OBJECT: FIELD: MESSAGE`, one a line.
fn lines(invalid: &[Invalid]) -> String {
    let line = |i: &Invalid| format!("{}: {}: {}", i.key, i.field, i.message);
    invalid.iter().map(line).collect::<Vec<_>>().join("\n")
}

/// What is wrong with the ground and these objects on it.
fn refused(added: &[Object]) -> String {
    lines(&model(&ground()).change(added, &[]).unwrap_err())
}

/// One network with these fields changed.
fn network_with(change: impl FnOnce(&mut NetworkSpec)) -> Object {
    let mut network = network("extra", "10.9.0.0/24", "10.9.0.1");
    if let Spec::Network(spec) = &mut network.spec {
        change(spec);
    }
    network
}

fn uplink(change: impl FnOnce(&mut UplinkSpec)) -> Object {
    let mut domain = ground().remove(1);
    if let Spec::Domain(DomainSpec { uplink: Some(uplink), .. }) = &mut domain.spec {
        change(uplink);
    }
    domain
}

fn key(kind: Kind, name: &str) -> ObjectKey {
    let domain = if matches!(kind, Kind::Tenant | Kind::Domain) { "" } else { DOMAIN };
    ObjectKey { kind, domain: domain.into(), name: name.into() }
}

#[test]
fn names_are_labels_and_some_are_reserved() {
    for name in ["", "Web", "-web", "web-", "we b", "wéb", &"w".repeat(64)] {
        let told = refused(&[workload(name, "web", "front", 1, "10.1.0.11")]);
        assert!(told.contains(": name: "), "{name}: {told}");
    }
    for name in ["default", "quarantine", "*"] {
        let told = refused(&[policy(name, &["r allow any -> any any"])]);
        assert_eq!(told, format!("Policy {DOMAIN}/{name}: name: {name:?} is reserved: choose another name"));
    }
    let nameless = Object { domain: String::new(), name: "acme".into(), spec: Spec::Domain(DomainSpec::default()) };
    assert_eq!(refused(&[nameless]), "Domain acme: name: \"acme\" is no domain name: write TENANT/DOMAIN");
}

#[test]
fn a_domain_needs_its_tenant_and_an_object_its_domain() {
    let ground = ground();
    let told = lines(&Model::default().change(&ground[1..3], &[]).unwrap_err());
    assert_eq!(told, "Domain acme/prod: name: there is no Tenant acme: add it or correct the name");
    let told = lines(&Model::default().change(&ground[2..3], &[]).unwrap_err());
    assert_eq!(told, "Network acme/prod/front: domain: there is no Domain acme/prod: add it or correct the name");
}

#[test]
fn subnets_are_canonical_and_do_not_overlap_in_a_domain() {
    assert_eq!(
        refused(&[network("extra", "10.1.0.128/25", "10.1.0.129")]),
        "Network acme/prod/extra: subnets[0].cidr: 10.1.0.128/25 overlaps 10.1.0.0/24 of Network acme/prod/front \
         (subnets[0].cidr): choose another prefix"
    );
    assert_eq!(
        refused(&[network("extra", "10.0.0.0/8", "10.0.0.1")]),
        "Network acme/prod/extra: subnets[0].cidr: 10.0.0.0/8 overlaps 10.1.0.0/24 of Network acme/prod/front \
         (subnets[0].cidr): choose another prefix"
    );
    assert_eq!(
        refused(&[network("extra", "10.9.0.7/24", "10.9.0.1")]),
        "Network acme/prod/extra: subnets[0].cidr: 10.9.0.7/24 has bits set beyond its length: write 10.9.0.0/24"
    );
    assert_eq!(
        refused(&[network("extra", "192.0.2.0/25", "192.0.2.3")]),
        "Network acme/prod/extra: subnets[0].cidr: 192.0.2.0/25 overlaps 192.0.2.0/24 of Domain acme/prod \
         (uplink.addresses[0]): choose another prefix"
    );
}

#[test]
fn a_gateway_is_an_address_a_router_can_have_in_its_subnet() {
    for gateway in ["10.9.0.0", "10.9.0.255"] {
        assert_eq!(
            refused(&[network("extra", "10.9.0.0/24", gateway)]),
            format!(
                "Network acme/prod/extra: subnets[0].gateway: {gateway} is the network or broadcast address of \
                 10.9.0.0/24: choose one between them"
            )
        );
    }
    assert_eq!(
        refused(&[network("extra", "10.9.0.0/24", "10.8.0.1")]),
        "Network acme/prod/extra: subnets[0].gateway: 10.8.0.1 is outside 10.9.0.0/24: choose an address inside"
    );
    assert!(model(&ground()).change(&[network("extra", "10.9.0.0/31", "10.9.0.0")], &[]).is_ok());
}

#[test]
fn mtu_and_vni_are_in_range() {
    assert_eq!(
        refused(&[network_with(|network| (network.mtu, network.vni) = (Some(500), Some(0)))]),
        "Network acme/prod/extra: mtu: 500 is out of range: write 576 to 9000\n\
         Network acme/prod/extra: vni: 0 is out of range: write 1 to 16777215"
    );
    let ipv6 = network_with(|network| {
        network.mtu = Some(1000);
        network.subnets[0].cidr = "fd00:9::/64".into();
        network.subnets[0].gateway = "fd00:9::1".into();
    });
    assert_eq!(refused(&[ipv6]), "Network acme/prod/extra: mtu: 1000 is too small for IPv6: write 1280 or more");
}

#[test]
fn an_address_must_be_one_that_an_interface_can_have() {
    let cases = [
        ("10.1.0.1", "10.1.0.1 is the gateway of network front: choose another"),
        ("10.1.0.255", "10.1.0.255 is the network or broadcast address of 10.1.0.0/24: choose one between them"),
        ("10.1.0", "\"10.1.0\" is no IP address: write it like 10.1.0.11 or fd00:1::11"),
        ("224.0.0.5", "224.0.0.5 is no address a workload can have: write a unicast address that is routed"),
        ("::ffff:10.1.0.9", "::ffff:10.1.0.9 is an IPv4 address inside an IPv6 address: write the IPv4 address alone"),
    ];
    for (address, message) in cases {
        assert_eq!(
            refused(&[workload("web-1", "web", "front", 1, address)]),
            format!("Workload acme/prod/web-1: interfaces[0].addresses[0]: {message}")
        );
    }
}

#[test]
fn a_mac_address_is_unicast() {
    let cases = [
        ("01:00:5e:00:00:01", "01:00:5e:00:00:01 is no MAC address an interface can have: write a unicast address"),
        ("00:00:00:00:00:00", "00:00:00:00:00:00 is no MAC address an interface can have: write a unicast address"),
        ("02:00:00", "\"02:00:00\" is no MAC address: write six hexadecimal octets, like 02:00:00:00:01:01"),
    ];
    for (mac, message) in cases {
        let mut workload = workload("web-1", "web", "front", 1, "10.1.0.11");
        if let Spec::Workload(spec) = &mut workload.spec {
            spec.interfaces[0].mac = mac.into();
        }
        assert_eq!(refused(&[workload]), format!("Workload acme/prod/web-1: interfaces[0].mac: {message}"));
    }
}

#[test]
fn the_same_mac_may_be_in_two_networks() {
    let two = [workload("web-1", "web", "front", 1, "10.1.0.11"), workload("db-1", "db", "back", 1, "10.2.0.11")];
    assert!(model(&ground()).change(&two, &[]).is_ok());
}

#[test]
fn an_uplink_has_an_address_and_a_next_hop_of_each_family_it_has() {
    let told = refused(&[uplink(|uplink| uplink.next_hops = vec!["198.51.100.1".into()])]);
    assert_eq!(
        told,
        "Domain acme/prod: uplink.nextHops[0]: 198.51.100.1 is no neighbour in 192.0.2.0/24: \
         write a router on that link"
    );
    let told = refused(&[uplink(|uplink| uplink.addresses.push("2001:db8::2/64".into()))]);
    assert_eq!(told, "Domain acme/prod: uplink.nextHops: has no IPv6 next hop: add one");
    let told = refused(&[uplink(|uplink| uplink.addresses.push("192.0.2.3/24".into()))]);
    assert_eq!(told, "Domain acme/prod: uplink.addresses: has two IPv4 addresses: keep one");
    let told = refused(&[uplink(|uplink| uplink.device = "a-name-that-is-too-long".into())]);
    assert!(
        told.starts_with("Domain acme/prod: uplink.device: \"a-name-that-is-too-long\" is no device name"),
        "{told}"
    );
}

#[test]
fn a_device_belongs_to_one_interface_or_uplink_of_its_host_whatever_the_domain() {
    let mut other = objects(&common::GROUND.replace("acme", "globex"));
    let mut taken = workload("web-1", "web", "front", 1, "10.1.0.11");
    taken.domain = "globex/prod".into();
    if let Spec::Workload(spec) = &mut taken.spec {
        spec.interfaces[0].device = Some("out".into());
    }
    other.push(taken);
    assert_eq!(
        refused(&other),
        "Workload globex/prod/web-1: interfaces[0].device: device \"out\" of host h1 belongs to Domain acme/prod \
         (uplink.device): choose another"
    );
}

#[test]
fn a_vni_belongs_to_one_network_whatever_the_domain() {
    let mut other = objects(&common::GROUND.replace("acme", "globex"));
    let asks = |network: &mut Object| {
        if let Spec::Network(spec) = &mut network.spec {
            spec.vni = Some(5000);
        }
    };
    asks(&mut other[2]);
    let mut network = network_with(|_| {});
    asks(&mut network);
    let before = model(&ground()).change(&[network], &[]).unwrap().model;
    let told = lines(&before.change(&other, &[]).unwrap_err());
    assert_eq!(
        told,
        "Network globex/prod/front: vni: VNI 5000 belongs to Network acme/prod/extra (vni): choose another"
    );
    // Given back, it can be taken, in the same change too.
    assert!(before.change(&other, &[key(Kind::Network, "extra")]).is_ok());
}

#[test]
fn tenants_may_use_the_same_addresses_and_macs() {
    let mut two = ground();
    two.push(workload("web-1", "web", "front", 1, "10.1.0.11"));
    let mut other = objects(&common::GROUND.replace("acme", "globex"));
    other.push(Object { domain: "globex/prod".into(), ..workload("web-1", "web", "front", 1, "10.1.0.11") });
    two.extend(other);
    assert_eq!(model(&two).domains().len(), 2);
}

#[test]
fn what_is_referred_to_cannot_be_deleted() {
    let mut all = ground();
    all.extend([
        workload("web-1", "web", "front", 1, "10.1.0.11"),
        segment("web"),
        policy("shop", &["r allow any -> segment/web any"]),
    ]);
    let before = model(&all);
    let refused = |key: ObjectKey| lines(&before.change(&[], &[key]).unwrap_err());
    let advice = "delete or change that first, or in the same change";
    assert_eq!(
        refused(key(Kind::Segment, "web")),
        format!("Segment acme/prod/web: : is still used by Policy acme/prod/shop (rules[0].to[0]): {advice}")
    );
    assert_eq!(
        refused(key(Kind::Network, "front")),
        format!(
            "Network acme/prod/front: : is still used by Workload acme/prod/web-1 (interfaces[0].network): {advice}"
        )
    );
    assert_eq!(
        refused(key(Kind::Tenant, "acme")),
        format!("Tenant acme: : is still used by Domain acme/prod (name): {advice}")
    );
    let told = refused(key(Kind::Domain, "acme/prod"));
    assert!(told.starts_with("Domain acme/prod: : is still used by Network acme/prod/back (domain), "), "{told}");
    let both = [key(Kind::Segment, "web"), key(Kind::Policy, "shop")];
    assert!(before.change(&[], &both).is_ok());
}

#[test]
fn deleting_what_is_not_there_is_an_error() {
    let told = lines(&model(&ground()).change(&[], &[key(Kind::Segment, "web")]).unwrap_err());
    assert_eq!(told, "Segment acme/prod/web: : there is no such object: nothing to delete");
}

#[test]
fn an_object_cannot_come_twice_in_a_change_nor_be_deleted_by_it() {
    let invalid = model(&ground()).change(&[segment("web"), segment("web")], &[]).unwrap_err();
    assert_eq!(lines(&invalid), "Segment acme/prod/web: name: object 0 of this change is the same one: keep one");
    assert_eq!(invalid[0].index, Some(1));
    let told = model(&ground()).change(&[network_with(|_| {})], &[key(Kind::Network, "extra")]).unwrap_err();
    assert_eq!(lines(&told), "Network acme/prod/extra: : is deleted by the same change: do one or the other");
}

#[test]
fn what_is_in_no_domain_names_none() {
    let tenant = Object { domain: DOMAIN.into(), name: "globex".into(), spec: Spec::Tenant };
    assert_eq!(refused(&[tenant]), "Tenant acme/prod/globex: domain: this kind is in no domain: remove the field");
}

#[test]
fn hosts_are_made_by_the_controller() {
    let host = Object { domain: String::new(), name: "h1".into(), spec: Spec::Host(HostSpec::default()) };
    assert_eq!(
        refused(&[host]),
        "Host h1: : hosts are made by the controller when an agent registers: remove the object"
    );
}

#[test]
fn an_error_about_a_stored_object_has_no_place_in_the_request() {
    let mut all = ground();
    all.push(workload("web-1", "web", "front", 1, "10.1.0.11"));
    let moved = network("front", "10.7.0.0/24", "10.7.0.1");
    let invalid = model(&all).change(&[moved], &[]).unwrap_err();
    assert_eq!(invalid[0].index, None);
    assert!(lines(&invalid).contains("10.1.0.11 is outside its network front (10.7.0.0/24)"), "{}", lines(&invalid));
}

#[test]
fn a_change_tells_what_became_of_each_object_and_touches_only_what_differs() {
    let mut all = ground();
    all.extend(objects(&common::GROUND.replace("acme", "globex")));
    let before = model(&all);
    let asked = [ground().remove(1), segment("web"), network_with(|_| {})];
    let change = before.change(&asked, &[key(Kind::Network, "back")]).unwrap();
    let what: Vec<_> = change.objects.iter().map(|(key, what)| (key.name.as_str(), *what)).collect();
    assert_eq!(
        what,
        [("acme/prod", What::Unchanged), ("web", What::Created), ("extra", What::Created), ("back", What::Deleted)]
    );
    assert_eq!(Vec::from_iter(change.touched), ["acme/prod"]);
    assert!(Arc::ptr_eq(&before.domains()["globex/prod"], &change.model.domains()["globex/prod"]));
    assert_eq!(change.model.object(&segment("web").key()).map(|object| (**object).clone()), Some(segment("web")));

    let nothing = change.model.change(&asked, &[]).unwrap();
    assert!(nothing.touched.is_empty());
    assert!(nothing.objects.iter().all(|(_, what)| *what == What::Unchanged));
}

#[test]
fn a_change_that_a_step_would_get_wrong_is_told_as_one_from_nothing_is() {
    let mut all = ground();
    all.extend([workload("web-1", "web", "front", 1, "10.1.0.11"), workload("web-2", "web", "front", 2, "10.1.0.12")]);
    all.extend([segment("web"), policy("shop", &["r allow workload/web-2 -> segment/web any"])]);
    let before = model(&all);
    // Swapped in one change, nobody clashes.
    let swapped =
        [workload("web-1", "web", "front", 2, "10.1.0.12"), workload("web-2", "web", "front", 1, "10.1.0.11")];
    assert!(before.change(&swapped, &[]).is_ok());
    // The later of two that were asked for is at fault, though it is there already.
    let unchanged = workload("web-1", "web", "front", 1, "10.1.0.11");
    let third = workload("web-3", "web", "front", 3, "10.1.0.11");
    let told = lines(&before.change(&[third, unchanged], &[]).unwrap_err());
    assert_eq!(
        told,
        "Workload acme/prod/web-1: interfaces[0].addresses[0]: 10.1.0.11 is the address of Workload acme/prod/web-3 \
         (interfaces[0].addresses[0]): choose another"
    );
    // What a policy that stays refers to cannot go.
    let told = lines(&before.change(&[], &[key(Kind::Workload, "web-2")]).unwrap_err());
    assert_eq!(
        told,
        "Workload acme/prod/web-2: : is still used by Policy acme/prod/shop (rules[0].from[0]): delete or change that \
         first, or in the same change"
    );
}

#[test]
fn a_refused_change_leaves_nothing_behind() {
    let before = model(&ground());
    let wrong = [segment("web"), policy("shop", &["r allow any -> segment/none any"])];
    assert!(before.change(&wrong, &[]).is_err());
    assert_eq!(before.objects().count(), ground().len());
}

#[test]
fn a_device_name_is_derived_alike_every_time_and_fits() {
    let name = derived_device("acme/prod", "web-1", "eth0");
    assert_eq!(name, derived_device("acme/prod", "web-1", "eth0"));
    assert_ne!(name, derived_device("acme/prod", "web-1", "eth1"));
    assert!(name.len() == 14 && name.starts_with("rf"), "{name}");
}

#[test]
fn not_in_matches_a_workload_without_the_label() {
    let text = "kind: Segment\ndomain: acme/prod\nname: s\nmatch: [{key: stage, notIn: [test]}]\n";
    let mut all = ground();
    all.extend(objects(text));
    all.extend([workload("web-1", "web", "front", 1, "10.1.0.11"), policy("p", &["r allow any -> segment/s any"])]);
    let flow = ringfence_policy::evaluate::Flow {
        source: IpAddr::from([203, 0, 113, 9]).into(),
        destination: IpAddr::from([10, 1, 0, 11]).into(),
        traffic: ringfence_policy::evaluate::Traffic::Tcp(80),
    };
    assert!(ringfence_policy::evaluate::evaluate(&domain(&all), &flow, 0).allows());
}

/// The objects of a model, to make it from nothing.
fn from_nothing(model: &Model) -> Model {
    let objects: Vec<Object> = model.objects().map(|object| (**object).clone()).collect();
    common::model(&objects)
}

/// Ways to change an object so that it may clash with others, or no longer fit them.
fn disturb(object: &Object, how: usize) -> Object {
    let mut object = object.clone();
    match &mut object.spec {
        Spec::Workload(spec) => {
            let interface = &mut spec.interfaces[0];
            match how % 6 {
                0 => interface.addresses[0] = format!("10.1.0.{}", 11 + how % 5),
                1 => interface.mac = format!("02:00:00:00:00:{:02x}", 11 + how % 5),
                2 => interface.device = Some(format!("tap{}", how % 3)),
                3 => {
                    interface.address_pairs =
                        vec![AddressPairSpec { mac: None, prefix: format!("10.9.{}.0/24", how % 3) }];
                }
                4 => interface.host = format!("h{}", how % 3),
                _ => interface.network = ["front", "back", "none"][how % 3].into(),
            }
        }
        Spec::Policy(spec) => {
            let peers = ["any", "segment/s0", "segment/none", "workload/w11", "workload/w13", "addresses/a"];
            spec.rules[0].to = vec![PeerSpec::Name(peers[how % peers.len()].into())];
        }
        Spec::Segment(spec) => spec.requirements[0].key = format!("k{how}"),
        Spec::Network(spec) => spec.vni = Some(u32::try_from(5000 + how % 2).unwrap()),
        Spec::Domain(spec) => spec.default = Some(["allow", "deny"][how % 2].into()),
        _ => {}
    }
    object
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn a_model_changed_step_by_step_is_the_one_made_from_nothing(
        all in generate::domain_objects(),
        steps in prop::collection::vec((prop::collection::vec((any::<prop::sample::Index>(), 0_usize..60), 1..4), any::<bool>()), 1..24),
    ) {
        let mut stepped = model(&all);
        for (asked, deletes) in steps {
            let picked = asked.iter().map(|(which, how)| (which.get(&all), *how));
            let change = match deletes {
                true => stepped.change(&[], &picked.map(|(object, _)| object.key()).collect::<Vec<_>>()),
                false => {
                    let objects: Vec<Object> = picked.map(|(object, how)| if how < 30 { disturb(object, how) } else { object.clone() }).collect();
                    stepped.change(&objects, &[])
                }
            };
            if let Ok(change) = change {
                prop_assert_eq!(&change.model, &from_nothing(&change.model));
                stepped = change.model;
            }
        }
    }

    #[test]
    fn a_model_is_its_objects_not_their_history(all in generate::domain_objects(), cut in 4_usize..12) {
        let whole = model(&all);
        let mut reversed = all.clone();
        reversed.reverse();
        prop_assert_eq!(&whole.domains()[DOMAIN], &domain(&reversed));

        // Taken away and put back, in two steps each.
        let (first, rest) = all.split_at(cut.min(all.len()));
        let keys: Vec<ObjectKey> = rest.iter().map(Object::key).collect();
        if let Ok(smaller) = whole.change(&[], &keys) {
            prop_assert_eq!(&smaller.model.domains()[DOMAIN], &domain(first));
            let again = smaller.model.change(rest, &[]).unwrap();
            prop_assert_eq!(&whole.domains()[DOMAIN], &again.model.domains()[DOMAIN]);
        }

        // Said again, nothing differs; deleted whole, nothing is left.
        prop_assert!(whole.change(&all, &[]).unwrap().touched.is_empty());
        let keys: Vec<ObjectKey> = all.iter().map(Object::key).collect();
        let nothing = whole.change(&[], &keys).unwrap();
        prop_assert_eq!(nothing.model.objects().count(), 0);
        prop_assert!(nothing.model.domains().is_empty());
    }
}
