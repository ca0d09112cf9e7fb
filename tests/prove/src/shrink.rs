//! From a world in which something shows to the least one in which it still does. Pure.

use ringfence_policy::object::{InterfaceSpec, Object, PeerSpec, PolicySpec, RuleSpec, Spec, WorkloadSpec};

/// Takes away whatever can go while `shows` holds, again and again, until nothing more can.
pub fn shrink(objects: &[Object], mut shows: impl FnMut(&[Object]) -> bool) -> Vec<Object> {
    let mut least = objects.to_vec();
    loop {
        let before = least.clone();
        let mut place = 0;
        // What was not needed at one place is not tried there again in this round.
        while let Some(smaller) = smaller(&least).into_iter().nth(place) {
            if shows(&smaller) {
                least = smaller;
            } else {
                place += 1;
            }
        }
        if least == before {
            return least;
        }
    }
}

/// The world with one thing less, in every way.
fn smaller(objects: &[Object]) -> Vec<Vec<Object>> {
    let mut worlds = without_one(objects);
    for (place, object) in objects.iter().enumerate() {
        let specs: Vec<Spec> = match &object.spec {
            Spec::Domain(domain) if domain.default.is_some() => vec![Spec::Domain(Default::default())],
            Spec::Network(network) => {
                let lists = nonempty(&network.subnets).into_iter();
                lists
                    .map(|subnets| Spec::Network(ringfence_policy::object::NetworkSpec { subnets, ..network.clone() }))
                    .collect()
            }
            Spec::Workload(workload) => workloads(workload).into_iter().map(Spec::Workload).collect(),
            Spec::Segment(segment) => nonempty(&segment.requirements)
                .into_iter()
                .map(|requirements| Spec::Segment(ringfence_policy::object::SegmentSpec { requirements }))
                .collect(),
            Spec::AddressSet(set) => nonempty(&set.addresses)
                .into_iter()
                .map(|addresses| Spec::AddressSet(ringfence_policy::object::AddressSetSpec { addresses }))
                .collect(),
            Spec::Policy(policy) => policies(policy).into_iter().map(Spec::Policy).collect(),
            _ => Vec::new(),
        };
        worlds.extend(specs.into_iter().map(|spec| {
            let mut world = objects.to_vec();
            world[place].spec = spec;
            world
        }));
    }
    worlds
}

fn without_one<T: Clone>(list: &[T]) -> Vec<Vec<T>> {
    let without = |place: usize| [&list[..place], &list[place + 1..]].concat();
    (0..list.len()).map(without).collect()
}

/// The same, of lists that may not be empty.
fn nonempty<T: Clone>(list: &[T]) -> Vec<Vec<T>> {
    if list.len() > 1 { without_one(list) } else { Vec::new() }
}

/// The value with one part at its simplest, unless it is already.
fn simpler<T: Clone + PartialEq>(value: &T, simplify: &[fn(&mut T)]) -> Vec<T> {
    let simplified = simplify.iter().map(|simplify| {
        let mut simple = value.clone();
        simplify(&mut simple);
        simple
    });
    simplified.filter(|simple| simple != value).collect()
}

fn workloads(workload: &WorkloadSpec) -> Vec<WorkloadSpec> {
    let mut workloads = simpler(workload, &[|it| it.labels.clear(), |it| it.ports.clear()]);
    for key in workload.labels.keys() {
        let mut fewer = workload.clone();
        fewer.labels.remove(key);
        workloads.push(fewer);
    }
    let with = |interfaces| WorkloadSpec { interfaces, ..workload.clone() };
    workloads.extend(nonempty(&workload.interfaces).into_iter().map(with));
    for (place, interface) in workload.interfaces.iter().enumerate() {
        workloads.extend(interfaces(interface).into_iter().map(|interface| {
            let mut simpler = workload.clone();
            simpler.interfaces[place] = interface;
            simpler
        }));
    }
    workloads
}

fn interfaces(interface: &InterfaceSpec) -> Vec<InterfaceSpec> {
    let mut interfaces = simpler(interface, &[|it| it.port_security = None]);
    let of = |addresses| InterfaceSpec { addresses, ..interface.clone() };
    interfaces.extend(nonempty(&interface.addresses).into_iter().map(of));
    let of = |address_pairs| InterfaceSpec { address_pairs, ..interface.clone() };
    interfaces.extend(without_one(&interface.address_pairs).into_iter().map(of));
    interfaces
}

fn policies(policy: &PolicySpec) -> Vec<PolicySpec> {
    let mut policies = simpler(policy, &[|it| it.tier = None, |it| it.mode = None, |it| it.stateless = false]);
    let with = |rules| PolicySpec { rules, ..policy.clone() };
    policies.extend(nonempty(&policy.rules).into_iter().map(with));
    for (place, rule) in policy.rules.iter().enumerate() {
        policies.extend(rules(rule).into_iter().map(|rule| {
            let mut simpler = policy.clone();
            simpler.rules[place] = rule;
            simpler
        }));
    }
    policies
}

fn rules(rule: &RuleSpec) -> Vec<RuleSpec> {
    let mut rules = simpler(
        rule,
        &[
            |it| it.priority = None,
            |it| it.side = None,
            |it| it.log = false,
            |it| it.not_before = None,
            |it| it.not_after = None,
        ],
    );
    rules.extend(peers(&rule.from).into_iter().map(|from| RuleSpec { from, ..rule.clone() }));
    rules.extend(peers(&rule.to).into_iter().map(|to| RuleSpec { to, ..rule.clone() }));
    rules.extend(nonempty(&rule.traffic).into_iter().map(|traffic| RuleSpec { traffic, ..rule.clone() }));
    rules
}

fn peers(peers: &[PeerSpec]) -> Vec<Vec<PeerSpec>> {
    let mut lists = nonempty(peers);
    for (place, peer) in peers.iter().enumerate() {
        let smaller: Vec<PeerSpec> = match peer {
            PeerSpec::Name(_) => Vec::new(),
            PeerSpec::Cidr { cidr, except } => {
                without_one(except).into_iter().map(|except| PeerSpec::Cidr { cidr: cidr.clone(), except }).collect()
            }
            PeerSpec::Labels(requirements) => nonempty(requirements).into_iter().map(PeerSpec::Labels).collect(),
        };
        lists.extend(smaller.into_iter().map(|peer| {
            let mut list = peers.to_vec();
            list[place] = peer;
            list
        }));
    }
    lists
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::world::World;

    /// Whether some rule that denies is on a side.
    fn denies_on_a_side(objects: &[Object]) -> bool {
        let policies = objects.iter().filter_map(|object| match &object.spec {
            Spec::Policy(policy) => Some(policy),
            _ => None,
        });
        policies.flat_map(|policy| &policy.rules).any(|rule| rule.action == "deny" && rule.side.is_some())
    }

    #[test]
    fn what_is_not_needed_goes_and_what_is_stays() {
        let worlds = (1..).map(|seed| World::generate(seed).objects);
        let world = worlds.take(100).find(|objects| denies_on_a_side(objects));
        let least = world.map(|world| shrink(&world, denies_on_a_side)).unwrap_or_default();
        let [Object { spec: Spec::Policy(policy), .. }] = least.as_slice() else {
            unreachable!("more than a policy is left: {least:?}")
        };
        assert_eq!(policy.rules.len(), 1);
        let rule = &policy.rules[0];
        assert_eq!((rule.from.len(), rule.to.len(), rule.traffic.len()), (1, 1, 1));
        assert!(rule.side.is_some() && !rule.log && rule.priority.is_none() && policy.tier.is_none());
    }
}
