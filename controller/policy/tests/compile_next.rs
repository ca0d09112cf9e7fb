//! A state compiled from the one before is the state compiled from nothing.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use common::{DOMAIN, generate, ground, model, policy, segment, workload};
use proptest::prelude::*;
use ringfence_policy::{
    bundle::Bundle,
    compile::{Compilation, DomainIds, compile},
    model::{Domain, Model},
    object::{Object, ObjectKey, Spec},
    wire::{apply_update, change_update, digest},
};

/// Hands out numbers that never change, as a controller does.
#[derive(Default)]
struct Numbers(BTreeMap<String, u32>);

impl Numbers {
    fn of(&mut self, name: String) -> u32 {
        let next = u32::try_from(self.0.len()).unwrap() + 1;
        *self.0.entry(name).or_insert(next)
    }

    fn ids(&mut self, domain: &Domain) -> DomainIds {
        let pair = |(a, b): (&str, &str)| (a.to_owned(), b.to_owned());
        let interfaces: Vec<_> = domain.interfaces().map(|i| pair((i.workload, i.name))).collect();
        let rules: Vec<_> = domain.rules().map(pair).collect();
        DomainIds {
            domain: 7,
            transit_vni: 700,
            networks: domain
                .networks()
                .map(|(name, _)| (name.to_owned(), self.of(format!("network {name}"))))
                .collect(),
            interfaces: interfaces
                .into_iter()
                .map(|key| (key.clone(), self.of(format!("interface {key:?}"))))
                .collect(),
            rules: rules.into_iter().map(|key| (key.clone(), self.of(format!("rule {key:?}")))).collect(),
        }
    }
}

fn hosts() -> BTreeMap<String, Vec<IpAddr>> {
    BTreeMap::from([("h1".to_owned(), vec![IpAddr::from([172, 16, 0, 1])])])
}

/// A domain on its way, compiled at each step both ways.
struct Journey {
    model: Model,
    numbers: Numbers,
    last: Compilation,
    generation: u64,
}

impl Journey {
    fn new(objects: &[Object]) -> Self {
        let model = model(objects);
        let mut numbers = Numbers::default();
        let domain = &model.domains()[DOMAIN];
        let last = Compilation::new(domain, &numbers.ids(domain), &hosts(), 1).unwrap();
        Self { last, model, numbers, generation: 1 }
    }

    /// The bundles before and after a change; `None`: there can be no such change.
    fn step(&mut self, upserts: &[Object], deletes: &[ObjectKey]) -> Option<(Bundle, Bundle)> {
        self.model = self.model.change(upserts, deletes).ok()?.model;
        let domain: Arc<Domain> = self.model.domains().get(DOMAIN)?.clone();
        self.generation += 1;
        let ids = self.numbers.ids(&domain);
        let next = self.last.next(&domain, &ids, &hosts(), self.generation).unwrap();
        let before = std::mem::replace(&mut self.last, next);
        let anew = compile(&domain, &ids, &hosts(), self.generation).unwrap();
        assert_eq!(self.last.bundle(), &anew);
        assert_eq!(digest(self.last.bundle()), digest(&anew));
        Some((before.bundle().clone(), anew))
    }

    /// The same, of a change that can be, as the bundles share their parts.
    fn must(&mut self, upserts: &[Object], deletes: &[ObjectKey]) -> (Bundle, Bundle) {
        let before = self.last.bundle().clone();
        self.step(upserts, deletes).unwrap();
        (before, self.last.bundle().clone())
    }
}

/// Two of `web`, one of `db`, and a rule between them.
fn shop() -> Vec<Object> {
    let mut objects = ground();
    objects.extend([
        workload("web-1", "web", "front", 1, "10.1.0.11"),
        workload("web-2", "web", "front", 2, "10.1.0.12"),
        workload("db-1", "db", "back", 3, "10.2.0.11"),
        segment("web"),
        segment("db"),
        policy("shop", &["to-db allow segment/web -> segment/db tcp/5432"]),
    ]);
    objects
}

fn on_host(mut object: Object, host: &str) -> Object {
    let Spec::Workload(spec) = &mut object.spec else { panic!("{object:?}") };
    spec.interfaces[0].host = host.into();
    object
}

#[test]
fn a_workload_that_joins_its_class_costs_its_own_entries() {
    let mut journey = Journey::new(&shop());
    let (before, after) = journey.must(&[workload("web-0", "web", "front", 9, "10.1.0.19")], &[]);
    assert!(after.policy.is_same(&before.policy) && after.topology.is_same(&before.topology));
    let kept = before.interfaces.iter().filter(|held| after.interfaces.iter().any(|i| i.is_same(held)));
    assert_eq!((kept.count(), after.interfaces.len()), (3, 4));
    let update = change_update(&before, &after);
    assert_eq!((update.topology, update.policy, update.interfaces.len()), (None, None, 1));
}

/// So many that the compiler keeps their classes from one state to the next; above they are made again.
#[test]
fn one_that_joins_many_costs_its_own_entries_too() {
    let mut objects = shop();
    objects.extend((100..140).map(|n| workload(&format!("web-{n}"), "web", "front", n, &format!("10.1.0.{n}"))));
    let mut journey = Journey::new(&objects);
    for n in [140, 141] {
        let (before, after) =
            journey.must(&[workload(&format!("web-{n}"), "web", "front", n, &format!("10.1.0.{n}"))], &[]);
        assert!(after.policy.is_same(&before.policy));
        assert_eq!(change_update(&before, &after).interfaces.len(), 1);
    }
}

#[test]
fn one_that_moves_within_its_classes_costs_the_same_and_the_hosts_it_names() {
    let mut journey = Journey::new(&shop());
    let (before, after) = journey.must(&[on_host(workload("web-2", "web", "front", 2, "10.1.0.12"), "h2")], &[]);
    assert!(after.policy.is_same(&before.policy));
    let names = |bundle: &Bundle| bundle.topology.hosts.iter().map(|host| host.name.clone()).collect::<Vec<_>>();
    assert_eq!((names(&before), names(&after)), (vec!["h1".into()], vec!["h1".into(), "h2".into()]));
}

#[test]
fn the_last_of_a_class_takes_its_rows_along() {
    let mut journey = Journey::new(&shop());
    let key = |name: &str| workload(name, "", "front", 1, "").key();
    let (before, after) = journey.must(&[], &[key("web-1")]);
    assert!(after.policy.is_same(&before.policy));
    let (_, after) = journey.must(&[], &[key("web-2")]);
    assert_eq!(after.policy.rows, []);
}

#[test]
fn a_class_that_comes_as_another_goes_is_no_less_new() {
    let mut journey = Journey::new(&shop());
    let (before, after) = journey.must(&[workload("db-1", "other", "back", 3, "10.2.0.11")], &[]);
    assert!(!after.policy.is_same(&before.policy));
    assert_eq!((before.policy.rows.len(), after.policy.rows.len()), (1, 0));
}

#[test]
fn an_underlay_address_that_comes_changes_the_topology_alone() {
    let journey = Journey::new(&shop());
    let domain = &journey.model.domains()[DOMAIN];
    let moved = BTreeMap::from([("h1".to_owned(), vec![IpAddr::from([172, 16, 0, 9])])]);
    let ids = Numbers::default().ids(domain);
    let last = Compilation::new(domain, &ids, &hosts(), 1).unwrap();
    let next = last.next(domain, &ids, &moved, 2).unwrap();
    assert_eq!(next.bundle(), &compile(domain, &ids, &moved, 2).unwrap());
    assert!(next.bundle().policy.is_same(&last.bundle().policy));
}

/// What may become of a domain.
#[derive(Clone, Debug)]
enum Step {
    /// An object of another world comes, or takes the place of its like.
    From(prop::sample::Index, prop::sample::Index),
    /// A workload is made like one that is there.
    Twin(prop::sample::Index, u8),
    /// An object goes.
    Delete(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        2 => any::<(prop::sample::Index, prop::sample::Index)>().prop_map(|(world, object)| Step::From(world, object)),
        2 => (any::<prop::sample::Index>(), 100..120_u8).prop_map(|(of, number)| Step::Twin(of, number)),
        1 => any::<prop::sample::Index>().prop_map(Step::Delete),
    ]
}

/// A workload with another's labels and ports, and addresses and host of its own.
fn twin(of: &Object, number: u8) -> Object {
    let mut twin = of.clone();
    twin.name = format!("w{number}");
    if let Spec::Workload(spec) = &mut twin.spec {
        spec.interfaces.truncate(1);
        for interface in &mut spec.interfaces {
            interface.addresses = vec![format!("10.1.0.{number}"), format!("fd00:1::{number}")];
            interface.mac = format!("02:00:00:00:00:{number:02x}");
            interface.host = format!("h{}", number % 4);
            interface.address_pairs.clear();
        }
    }
    twin
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn a_state_is_compiled_from_any_other_as_from_nothing(
        worlds in prop::collection::vec(generate::domain_objects(), 3),
        steps in prop::collection::vec(step(), 1..24),
    ) {
        let mut journey = Journey::new(&worlds[0]);
        for step in steps {
            let present: Vec<Object> = journey.model.objects().map(|object| Object::clone(object)).collect();
            let outcome = match step {
                Step::From(world, object) => journey.step(&[object.get(world.get::<Vec<Object>>(&worlds)).clone()], &[]),
                Step::Delete(object) => journey.step(&[], &[object.get(&present).key()]),
                Step::Twin(of, number) => {
                    let is_workload = |object: &&Object| matches!(object.spec, Spec::Workload(_));
                    let workloads: Vec<Object> = present.iter().filter(is_workload).cloned().collect();
                    if workloads.is_empty() {
                        continue;
                    }
                    journey.step(&[twin(of.get(&workloads), number)], &[])
                }
            };
            let Some((before, after)) = outcome else { continue };
            prop_assert_eq!(&apply_update(Some(&before), change_update(&before, &after)).unwrap(), &after);
        }
    }
}
