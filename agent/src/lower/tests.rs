//! What lowering makes of a bundle on one host.

use ipnet::IpNet;
use proptest::strategy::{Strategy, ValueTree};
use ringfence_policy::bundle::{Bundle, ClassedPrefix, CompiledPair, Row};

use super::{
    desired::{GroupState, Owner, Place, Role},
    image::Image,
    *,
};
use crate::{
    bpf::consts::{RF_COPIES, RF_GROUP_MULTICAST, RF_HOST_V6, RF_PASSED, RF_PREFIXES},
    testing::bundles::{bundle, site},
};

/// One bundle that has what is asked for, out of the random ones.
fn some_bundle(wanted: impl Fn(&Bundle) -> bool) -> Bundle {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let strategy = bundle(1);
    std::iter::repeat_with(|| strategy.new_tree(&mut runner).unwrap().current()).find(wanted).unwrap()
}

#[test]
fn the_mtu_is_the_lesser_of_network_and_overlay() {
    let mut bundle = some_bundle(|bundle| !bundle.interfaces.is_empty());
    let id = bundle.interfaces[0].id;
    for (network, lowered) in [(0, 1450), (1300, 1300), (9000, 1450)] {
        bundle.topology.networks[0].mtu = network;
        assert_eq!(lower([&bundle], &site(), 0).domains[&1].interfaces[&id].mtu, lowered, "network mtu {network}");
    }
}

#[test]
fn another_mtu_of_network_or_underlay_changes_no_index() {
    let mut bundle = some_bundle(|bundle| !bundle.interfaces.is_empty());
    bundle.topology.networks[0].mtu = 0;
    let held = assign(&lower([&bundle], &site(), 0), &Image::default()).unwrap();
    bundle.topology.networks[0].mtu = 1300;
    let by_network = assign(&lower([&bundle], &site(), 0), &held).unwrap();
    let by_underlay = assign(&lower([&bundle], &Site { overlay_mtu: 1200, ..site() }, 0), &held).unwrap();
    for (image, mtu) in [(by_network, 1300), (by_underlay, 1200)] {
        assert_eq!(image.addrs, held.addrs);
        assert!(image.ifaces.values().all(|iface| iface.mtu == mtu), "{:?}", image.ifaces);
    }
}

#[test]
fn only_rows_with_a_local_class_are_kept() {
    let mut bundle = some_bundle(|bundle| !bundle.interfaces.is_empty() && bundle.topology.uplink.is_none());
    bundle.interfaces.truncate(1);
    bundle.interfaces[0].host = "h1".to_owned();
    bundle.interfaces[0].pairs.clear();
    bundle.interfaces[0].addresses[0].1 = 2;
    let outside = ClassedPrefix { prefix: "0.0.0.0/0".parse().unwrap(), class_id: 9, votes: false };
    bundle.policy.prefixes = vec![outside];
    bundle.policy.default_allows = false;
    let row = |from_class, to_class| Row { from_class, to_class, profile: 0, later: Vec::new() };
    bundle.policy.rows = vec![row(2, 3), row(3, 2), row(3, 4), row(9, 3), row(1, 2), row(2, 1), row(1, 3)];
    let kept = |bundle: &Bundle| lower([bundle], &site(), 0).domains[&1].rows.keys().copied().collect::<Vec<_>>();
    assert_eq!(kept(&bundle), [(1, 2), (2, 1), (2, 3), (3, 2)]);

    let with_uplink = some_bundle(|bundle| bundle.topology.uplink.as_ref().is_some_and(|uplink| uplink.host == "h1"));
    bundle.topology.uplink.clone_from(&with_uplink.topology.uplink);
    assert_eq!(kept(&bundle), [(1, 2), (2, 1), (2, 3), (3, 2), (9, 3)]);

    // An address pair of the interface here, though its prefix be that of a subnet.
    bundle.topology.uplink = None;
    let prefix: IpNet = "10.0.0.0/24".parse().unwrap();
    bundle.interfaces[0].pairs.push(CompiledPair { prefix, mac: [2; 6], shared: false });
    bundle.policy.prefixes.push(ClassedPrefix { prefix: "10.0.0.8/30".parse().unwrap(), class_id: 4, votes: true });
    assert_eq!(kept(&bundle), [(1, 2), (2, 1), (2, 3), (3, 2), (3, 4)]);
}

#[test]
fn a_host_is_tunnelled_to_over_the_family_that_both_have() {
    let mut bundle = some_bundle(|bundle| bundle.interfaces.iter().any(|interface| interface.host == "h2"));
    let id = bundle.interfaces.iter().find(|interface| interface.host == "h2").unwrap().id;
    let mut site = site();
    let place = |bundle: &Bundle, site: &Site| lower([bundle], site, 0).domains[&1].interfaces[&id].place;
    assert!(matches!(place(&bundle, &site), Place::At(host) if host.flags == 0));
    site.underlay = vec!["fd00::1".parse().unwrap()];
    assert_eq!(place(&bundle, &site), Place::Unreachable);
    bundle.topology.hosts[1].underlay.push("fd00::2".parse().unwrap());
    assert!(matches!(place(&bundle, &site), Place::At(host) if host.flags == RF_HOST_V6));
}

#[test]
fn a_device_that_is_absent_has_no_role_and_its_addresses_stay_known() {
    let mut bundle = some_bundle(|bundle| bundle.interfaces.iter().any(|interface| interface.host == "h1"));
    let interface = bundle.interfaces.iter_mut().find(|interface| interface.host == "h1").unwrap();
    interface.device = "not-there".to_owned();
    let (id, address) = (interface.id, interface.addresses[0].0);
    let desired = lower([&bundle], &site(), 0);
    assert!(!desired.devices.values().any(|role| *role == Role::Workload(id)));
    assert!(matches!(desired.domains[&1].addrs[&address], Owner::Interface { id: owner, .. } if owner == id));
}

#[test]
fn a_full_table_is_named() {
    let site = Site { own: (1..=RF_PASSED).collect(), ..site() };
    let full = assign(&lower([], &site, 0), &Image::default()).unwrap_err();
    assert_eq!(full, Full { table: "rf_passed", room: RF_PASSED });
}

#[test]
fn old_and_new_must_fit_a_table_together() {
    let net = |number: u32| IpNet::new(IpAddr::V4(number.into()), 32).unwrap();
    let mut bundle = some_bundle(|_| true);
    bundle.policy.prefixes =
        (1..RF_PREFIXES / 2).map(|number| ClassedPrefix { prefix: net(number), class_id: 9, votes: false }).collect();
    let held = assign(&lower([&bundle], &site(), 0), &Image::default()).unwrap();
    assert!(assign(&lower([&bundle], &site(), 0), &held).is_ok());
    bundle.policy.prefixes[0].prefix = net(RF_PREFIXES);
    let full = assign(&lower([&bundle], &site(), 0), &held).unwrap_err();
    assert_eq!(full, Full { table: "rf_prefixes", room: RF_PREFIXES });
}

#[test]
fn an_account_stays_while_the_interface_does_whatever_index_it_has() {
    let mut bundle = some_bundle(|bundle| bundle.interfaces.len() > 1);
    let accounts = |image: &Image| image.ifaces.values().map(|i| (i.id, i.account)).collect::<BTreeMap<_, _>>();
    let held = assign(&lower([&bundle], &site(), 0), &Image::default()).unwrap();
    let first = accounts(&held);
    // Dense, from 1 on, of local and remote interfaces alike.
    assert_eq!(first.values().copied().collect::<std::collections::BTreeSet<_>>().len(), bundle.interfaces.len());
    assert!(first.values().all(|account| (1..=bundle.interfaces.len() as u32).contains(account)));
    bundle.interfaces[0].mac = [2, 9, 9, 9, 9, 9];
    let moved = assign(&lower([&bundle], &site(), 0), &held).unwrap();
    assert_ne!(moved.ifaces.keys().collect::<Vec<_>>(), held.ifaces.keys().collect::<Vec<_>>(), "a new index");
    assert_eq!(accounts(&moved), first);
    // One that goes leaves its account to the next.
    let gone = bundle.interfaces.remove(0).id;
    let without = assign(&lower([&bundle], &site(), 0), &moved).unwrap();
    assert_eq!(accounts(&without), first.into_iter().filter(|(id, _)| *id != gone).collect());
}

/// A network of interfaces on these hosts.
fn network_of(hosts: &[&str]) -> Bundle {
    let mut bundle = some_bundle(|bundle| !bundle.interfaces.is_empty());
    let first = bundle.interfaces[0].clone();
    bundle.topology.networks[0].multicast = true;
    bundle.interfaces = (10..)
        .zip(hosts)
        .map(|(id, host)| {
            let mut interface = first.clone();
            (interface.id, interface.host) = (id, (*host).to_owned());
            interface
        })
        .collect();
    bundle
}

#[test]
fn a_group_is_the_members_here_and_every_other_host_with_members_once() {
    let mut bundle = network_of(&["h1", "h2", "h1", "h2", "h3"]);
    let vni = bundle.topology.networks[0].vni;
    let group = |bundle: &Bundle| lower([bundle], &site(), 0).domains[&1].groups.get(&vni).cloned();
    let GroupState { flags, mtu, local, hosts } = group(&bundle).unwrap();
    let of_interface = lower([&bundle], &site(), 0).domains[&1].interfaces[&10].mtu;
    assert_eq!((flags, mtu, local), (RF_GROUP_MULTICAST, of_interface.into(), vec![10, 12]));
    assert!(matches!(hosts[..], [Place::At(_), Place::Unreachable]), "{hosts:?}");
    bundle.topology.networks[0].multicast = false;
    assert_eq!(group(&bundle), None);
    assert_eq!(group(&network_of(&["h2", "h3"])), None);
}

#[test]
fn a_group_whose_members_change_gets_another_index_and_goes_on_counting_beyond_its_lists() {
    let many = vec!["h1"; RF_COPIES as usize + 9];
    let held = assign(&lower([&network_of(&many[..3])], &site(), 0), &Image::default()).unwrap();
    let vni = network_of(&many).topology.networks[0].vni;
    let same = assign(&lower([&network_of(&many[..3])], &site(), 0), &held).unwrap();
    assert_eq!(same.vnis[&vni].group, held.vnis[&vni].group);
    let more = assign(&lower([&network_of(&many)], &site(), 0), &held).unwrap();
    assert_ne!(more.vnis[&vni].group, held.vnis[&vni].group);
    assert_eq!(more.groups[&more.vnis[&vni].group].locals, RF_COPIES + 9);
}
