//! Every flow whose verdict or whose ends changed is judged again, and no other.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use proptest::{collection::vec, prelude::*};
use ringfence_policy::{
    bundle::{
        Bundle, CLASS_HOST, ClassedPrefix, CompiledInterface, CompiledPair, CompiledPolicy, Outcome, Profile, Row, Run,
    },
    evaluate::{End, Flow, Traffic},
};

use super::{Action, Kernel, Start};
use crate::{
    bpf::{AddrKey, Ip, bucket, consts::RF_HOST_HERE},
    lower::image::Image,
    testing::{
        bundles::{State, bundle, states},
        flows::{ADDRESSES, same_family},
    },
};

const TRAFFIC: [Traffic; 3] = [Traffic::Tcp(1), Traffic::Tcp(4), Traffic::Udp(2)];

/// Of an address: the place of its epoch, the interface that has it, and whether that is here.
struct Standing {
    place: u32,
    holder: Option<(u32, u32)>,
    is_here: bool,
}

fn standing(image: &Image, domain_id: u32, end: End) -> Standing {
    let End::Address(address) = end else { return Standing { place: 0, holder: None, is_here: false } };
    let ip = Ip::from(address);
    let addr = image.addrs.get(&AddrKey { domain_id, ip });
    let stretches = image.subnets.iter().filter(|(key, _)| {
        let bits = key.prefixlen - 32;
        let cut = |ip: Ip| u128::from_be_bytes(ip.bytes).checked_shr(128 - bits).unwrap_or(0);
        key.domain_id == domain_id && cut(key.ip) == cut(ip)
    });
    let stretch = || stretches.max_by_key(|(key, _)| key.prefixlen).map_or(0, |(_, subnet)| subnet.iface);
    let index = addr.map_or_else(stretch, |addr| addr.iface);
    let iface = image.ifaces.get(&index).filter(|_| index != 0);
    Standing {
        place: addr.map_or_else(|| bucket(domain_id, &ip), |addr| addr.epoch),
        holder: iface.map(|iface| (iface.id, iface.host)),
        is_here: match iface {
            Some(iface) => iface.host == RF_HOST_HERE,
            None => image.domains.values().any(|d| d.id == domain_id && d.uplink_host == RF_HOST_HERE),
        },
    }
}

fn ends() -> impl Iterator<Item = End> {
    let addresses = ADDRESSES.iter().filter_map(|text| text.parse::<IpAddr>().ok());
    addresses.map(End::Address).chain([End::Host])
}

fn epoch(image: &Image, domain_id: u32) -> Option<u32> {
    let (index, _) = image.domains.iter().find(|(_, domain)| domain.id == domain_id)?;
    Some(image.word(*index).epoch)
}

/// Whether what a flow is judged by may be otherwise after a step.
fn is_judged_by(step: &Action) -> bool {
    let is_entry = matches!(step, Action::PutAddr(..) | Action::DeleteAddr(_));
    let is_holder = matches!(step, Action::PutSubnet(..) | Action::DeleteSubnet(_));
    is_entry || is_holder || matches!(step, Action::StoreWord(..) | Action::BumpEpoch(_))
}

/// Flows that are judged otherwise after the steps have a stale connection, and no epoch is raised before the switch.
pub(super) fn check_judged_again(before: &Kernel, after: &Kernel, steps: &[Action]) {
    check_stale(before, after, steps);
    let mut slots: BTreeMap<u32, u32> = before.image.words.iter().map(|(index, word)| (*index, word.slot)).collect();
    let switches = |step: &Action| match step {
        Action::StoreWord(index, word) => slots.insert(*index, word.slot).unwrap_or(0) != word.slot,
        _ => false,
    };
    let switches: Vec<bool> = steps.iter().map(switches).collect();
    let last_switch = switches.iter().rposition(|switches| *switches);
    let first_bump = steps.iter().position(|step| matches!(step, Action::BumpEpoch(_)));
    assert!(
        first_bump.is_none_or(|bump| last_switch.is_none_or(|switch| switch < bump)),
        "an epoch is raised before the switch"
    );
}

/// A flow that is judged on this host now, whatever step this is, and otherwise at the end has a stale connection then.
fn check_stale(before: &Kernel, after: &Kernel, steps: &[Action]) {
    let raised = |place: u32| before.epochs.get(&place) != after.epochs.get(&place);
    let (old, new) = (&before.image, &after.image);
    for domain_id in [1, 2] {
        if epoch(old, domain_id).is_none() || epoch(old, domain_id) != epoch(new, domain_id) {
            continue;
        }
        for (source, destination) in ends().flat_map(|one| ends().map(move |other| (one, other))) {
            let was = [source, destination].map(|end| standing(old, domain_id, end));
            let is = [source, destination].map(|end| standing(new, domain_id, end));
            if !same_family(source, destination)
                || was.iter().all(|end| !end.is_here)
                || is.iter().all(|end| !end.is_here)
            {
                continue;
            }
            let moved = was.iter().zip(&is).any(|(was, is)| was.holder != is.holder);
            let flow = |traffic| Flow { source, destination, traffic };
            let otherwise =
                TRAFFIC.map(flow).iter().any(|flow| old.judge(domain_id, flow).run != new.judge(domain_id, flow).run);
            let stale = was.iter().any(|end| raised(end.place));
            assert!(
                stale || !moved && !otherwise,
                "{source:?} to {destination:?} is not judged again after {steps:#?}"
            );
        }
    }
}

/// Places whose epoch is raised, and domains whose is.
fn judged_again(kernel: &Kernel, state: &State) -> (BTreeSet<u32>, Vec<u32>) {
    let mut places = BTreeSet::new();
    let mut domains = Vec::new();
    for step in kernel.steps_to(state, Start::Settled) {
        match step {
            Action::BumpEpoch(place) => drop(places.insert(place)),
            Action::StoreWord(index, word) if word.epoch != kernel.image.word(index).epoch => domains.push(index),
            _ => {}
        }
    }
    (places, domains)
}

/// The same under other names of its classes.
fn renumbered(mut bundle: Bundle, by: u32) -> Bundle {
    let other = |class: &mut u32| *class += if *class == CLASS_HOST { 0 } else { by };
    for interface in &mut bundle.interfaces {
        interface.addresses.iter_mut().for_each(|(_, class)| other(class));
    }
    bundle.policy.prefixes.iter_mut().for_each(|classed| other(&mut classed.class_id));
    for row in &mut bundle.policy.rows {
        other(&mut row.from_class);
        other(&mut row.to_class);
    }
    bundle
}

fn joined(mut bundle: Bundle, host: usize) -> Option<(Bundle, IpAddr)> {
    let like = bundle.interfaces.first()?.clone();
    let address = IpAddr::from([10, 0, 0, 200]);
    bundle.interfaces.push(
        CompiledInterface {
            id: 999,
            workload: "new".to_owned(),
            mac: [2, 0, 0, 0, 0, 99],
            host: format!("h{}", host + 1),
            device: "rf-new".to_owned(),
            addresses: vec![(address, like.addresses[0].1)],
            pairs: Vec::new(),
            ..(*like).clone()
        }
        .into(),
    );
    Some((bundle, address))
}

/// Seven interfaces: the first of `first`, then three each of `classes`.
fn of_classes(first: u32, classes: [u32; 2]) -> State {
    let interface = |place: u8, class: u32| CompiledInterface {
        id: place.into(),
        workload: format!("w{place}"),
        name: "eth0".to_owned(),
        vni: 1000,
        mac: [2, 0, 0, 0, 0, place],
        host: "h1".to_owned(),
        device: format!("rf{place}"),
        addresses: vec![(IpAddr::from([10, 0, 0, 100 + place]), class)],
        pairs: Vec::new(),
        port_security: true,
        bare_metal: false,
    };
    let of = |place: u8| if place == 1 { first } else { classes[usize::from(place > 4)] };
    let allowed = Outcome { from_allows: true, to_allows: true, from_rule: 0, to_rule: 0 };
    let table = vec![Run { first: 0, enforced: allowed, shadow: allowed }];
    let profile = Profile { tcp: table, ..Profile::default() };
    let row = Row { from_class: 2, to_class: 3, profile: 0, later: Vec::new() };
    let policy = CompiledPolicy { rows: vec![row], profiles: vec![profile], ..CompiledPolicy::default() };
    let interfaces = (1..=7).map(|place| interface(place, of(place)).into()).collect();
    State { bundles: vec![Bundle { domain_id: 1, policy: policy.into(), interfaces, ..Bundle::default() }], at: 0 }
}

#[test]
fn who_stays_in_a_class_does_not_notice_that_most_others_change_places() {
    let mut kernel = Kernel::default();
    // The first of class 3 are all who are in it, and go.
    kernel.bring(&of_classes(2, [2, 3]));
    let key = AddrKey { domain_id: 1, ip: Ip::from(IpAddr::from([10, 0, 0, 101])) };
    let stays = kernel.image.addrs[&key].epoch;
    let (places, domains) = judged_again(&kernel, &of_classes(2, [3, 2]));
    assert_eq!(domains, Vec::<u32>::new());
    assert!(!places.contains(&stays), "{places:?}");
    assert!(!places.is_empty());
}

#[test]
fn what_lay_in_a_prefix_that_is_gone_with_its_class_is_judged_again() {
    let with = |prefixes: Vec<ClassedPrefix>| {
        let mut state = of_classes(2, [2, 3]);
        let mut policy = (*state.bundles[0].policy).clone();
        policy.prefixes = prefixes;
        state.bundles[0].policy = policy.into();
        state
    };
    let prefix = "203.0.113.0/24".parse().unwrap();
    let mut kernel = Kernel::default();
    kernel.bring(&with(vec![ClassedPrefix { prefix, class_id: 9, votes: false }]));
    let (_, domains) = judged_again(&kernel, &with(Vec::new()));
    assert_eq!(domains.len(), 1);
}

#[test]
fn what_stood_behind_an_interface_that_becomes_secure_is_judged_again_and_its_index_means_nothing() {
    let closed = of_classes(2, [2, 3]);
    let mut open = closed.clone();
    open.bundles[0].interfaces[0] =
        CompiledInterface { port_security: false, ..(*open.bundles[0].interfaces[0]).clone() }.into();
    let mut gone = closed.clone();
    gone.bundles[0].interfaces.remove(0);
    for after in [closed, gone] {
        let mut kernel = Kernel::default();
        kernel.bring(&open);
        let (index, _) = kernel.image.ifaces.iter().find(|(_, iface)| iface.id == 1).unwrap();
        let index = *index;
        let (_, domains) = judged_again(&kernel, &after);
        assert_eq!(domains, [0]);
        kernel.bring(&after);
        assert_eq!(kernel.image.ifaces.get(&index), None);
    }
}

#[test]
fn what_is_judged_while_an_address_turns_into_a_pair_is_judged_again() {
    let address = IpAddr::from([10, 0, 0, 50]);
    let last = |change: fn(&mut CompiledInterface, IpAddr)| {
        let mut state = of_classes(2, [2, 3]);
        let mut interface = (*state.bundles[0].interfaces[6]).clone();
        change(&mut interface, address);
        state.bundles[0].interfaces[6] = interface.into();
        state
    };
    let own = last(|interface, address| interface.addresses.push((address, 3)));
    let mut paired = last(|interface, address| {
        interface.pairs.push(CompiledPair { prefix: address.into(), mac: interface.mac, shared: false });
    });
    let mut policy = (*paired.bundles[0].policy).clone();
    policy.prefixes.push(ClassedPrefix { prefix: address.into(), class_id: 3, votes: true });
    paired.bundles[0].policy = policy.into();
    let mut kernel = Kernel::default();
    kernel.bring(&own);
    let steps = kernel.steps_to(&paired, Start::Settled);
    let mut end = kernel.clone();
    steps.iter().for_each(|step| end.take(step));
    let [source, destination] = [IpAddr::from([10, 0, 0, 101]), address].map(End::Address);
    let flow = Flow { source, destination, traffic: TRAFFIC[0] };
    let stands = |kernel: &Kernel| kernel.image.addrs.get(&AddrKey { domain_id: 1, ip: Ip::from(address) }).copied();
    let mut cut = 0;
    for step in &steps {
        kernel.take(step);
        if let Some(addr) = stands(&kernel).filter(|_| kernel.image.judge(1, &flow).run.verdict == 0) {
            cut += 1;
            assert_ne!(kernel.epochs.get(&addr.epoch), end.epochs.get(&addr.epoch), "after {step:?} of {steps:#?}");
        }
    }
    assert!(cut > 0 && end.image.judge(1, &flow).run.verdict != 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn what_only_policy_or_time_changed_is_judged_again(one in bundle(1), other in bundle(1), at in 0..4_u64, later in 0..4_u64) {
        let mut kernel = Kernel::default();
        kernel.bring(&State { bundles: vec![one.clone()], at });
        let mut ruled = one.clone();
        ruled.policy.rows.clone_from(&other.policy.rows);
        ruled.policy.default_allows = other.policy.default_allows;
        for bundle in [one, ruled] {
            let before = kernel.clone();
            let state = State { bundles: vec![bundle], at: later };
            let steps = kernel.steps_to(&state, Start::Settled);
            kernel.bring(&state);
            check_judged_again(&before, &kernel, &steps);
        }
    }

    #[test]
    fn classes_under_other_names_cost_no_judgement(state in states(), by in 100..200_u32) {
        let mut kernel = Kernel::default();
        kernel.bring(&state);
        let bundles = state.bundles.into_iter().map(|bundle| renumbered(bundle, by)).collect();
        let other = State { bundles, ..state };
        prop_assert_eq!(judged_again(&kernel, &other), (BTreeSet::new(), Vec::new()));
    }

    #[test]
    fn who_joins_a_class_costs_its_own_flows_alone(mut bundle in bundle(1), host in 0..2_usize, at in 0..4_u64) {
        // Where the uplink is, what lies in a pair counts as asked for here, wherever its holder is.
        bundle.policy.prefixes.retain(|classed| !classed.votes);
        bundle.interfaces.iter_mut().for_each(|interface| interface.pairs.clear());
        let mut kernel = Kernel::default();
        kernel.bring(&State { bundles: vec![bundle.clone()], at });
        let Some((bundle, address)) = joined(bundle, host) else { return Ok(()) };
        let state = State { bundles: vec![bundle], at };
        let (places, domains) = judged_again(&kernel, &state);
        prop_assert_eq!(domains, Vec::<u32>::new());
        kernel.bring(&state);
        let key = AddrKey { domain_id: 1, ip: Ip::from(address) };
        prop_assert_eq!(places, BTreeSet::from([kernel.image.addrs[&key].epoch, bucket(1, &key.ip)]));
    }

    #[test]
    fn the_hour_at_which_no_rule_turns_costs_nothing(history in vec(states(), 1..3), later in 100..200_u64) {
        let mut kernel = Kernel::default();
        let state = history.into_iter().map(|state| State { at: 50, ..state }).inspect(|state| kernel.bring(state)).last();
        let steps = kernel.steps_to(&State { at: later, ..state.unwrap() }, Start::Settled);
        prop_assert_eq!(steps, vec![]);
    }
}

proptest! {
    // Every flow at every step takes its time.
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn what_is_judged_at_any_step_and_otherwise_at_the_end_is_judged_again(from in states(), to in states()) {
        let mut kernel = Kernel::default();
        kernel.bring(&from);
        let steps = kernel.steps_to(&to, Start::Settled);
        let mut end = kernel.clone();
        steps.iter().for_each(|step| end.take(step));
        for step in &steps {
            kernel.take(step);
            if is_judged_by(step) {
                check_stale(&kernel, &end, &steps);
            }
        }
    }
}
