//! Which interfaces of a domain may be `up`. Pure; the time is a parameter.
//!
//! An interface is up once every other host of its domain enforces a generation that knows it, so that
//! its first packet is not refused for being unknown, or once it has waited long enough: a host that is
//! away must not keep the others' workloads down. What is up stays up while it stays where it is.
//!
//! To know an interface is also to know where its host is: one on a host without underlay addresses waits
//! for those, and others know it once they know them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    time::{Duration, Instant},
};

use ringfence_policy::bundle::{Bundle, CompiledInterface, Shared};

/// How each interface of one domain stands.
#[derive(Debug, Default)]
pub struct Admission {
    interfaces: BTreeMap<u32, Standing>,
    /// Those that are not up, so that an ack costs nothing when all are.
    waiting: BTreeSet<u32>,
}

/// How an interface stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The host that runs it.
    pub host: String,
    /// The first generation that knows it as it is now.
    pub known_since: u64,
    /// Its host has underlay addresses, to tunnel to and to be told from others by.
    pub reachable: bool,
    /// When it is up whoever has acked, if it is reachable.
    pub up_at_latest: Instant,
    /// It is up.
    pub up: bool,
}

/// The last generation that each host of a domain acked.
pub type Acked = BTreeMap<String, u64>;

// === impl Admission ===

impl Admission {
    /// Follows a domain from one state to the next. Gives the hosts whose set of up interfaces changed.
    pub fn follow(
        &mut self,
        before: Option<&Bundle>,
        bundle: &Bundle,
        now: Instant,
        patience: Duration,
    ) -> BTreeSet<String> {
        let mut changed = BTreeSet::new();
        let (underlay_before, underlay) = (before.map(underlays).unwrap_or_default(), underlays(bundle));
        let stayed = |host: &str| underlay_before.get(host) == underlay.get(host);
        let old = before.map_or(&[][..], |before| &before.interfaces);
        for (was, is) in paired(old, &bundle.interfaces) {
            if let (Some(was), Some(is)) = (was, is)
                && (was.is_same(is) || same_wiring(was, is))
                && stayed(&is.host)
            {
                continue;
            }
            let stood = was.and_then(|was| self.remove(was.id));
            let standing = is.map(|is| {
                let reachable = underlay.contains_key(is.host.as_str());
                let was_up = stood.as_ref().is_some_and(|stood| stood.up);
                Standing {
                    host: is.host.clone(),
                    known_since: bundle.generation,
                    reachable,
                    up_at_latest: now + patience,
                    up: reachable && was_up && was.is_some_and(|was| same_place(was, is)),
                }
            });
            let up = standing.as_ref().is_some_and(|standing| standing.up);
            changed.extend(stood.filter(|stood| stood.up && !up).map(|stood| stood.host));
            if let Some((is, standing)) = is.zip(standing) {
                if !standing.up {
                    self.waiting.insert(is.id);
                }
                self.interfaces.insert(is.id, standing);
            }
        }
        changed
    }

    fn remove(&mut self, id: u32) -> Option<Standing> {
        self.waiting.remove(&id);
        self.interfaces.remove(&id)
    }

    /// Admits whom it can. Gives the hosts whose set of up interfaces changed.
    pub fn settle(&mut self, acked: &Acked, now: Instant) -> BTreeSet<String> {
        let mut changed = BTreeSet::new();
        let floor = Floor::of(acked);
        self.waiting.retain(|id| {
            let Some(standing) = self.interfaces.get_mut(id) else { return false };
            let known = || floor.without(&standing.host) >= standing.known_since;
            standing.up = standing.reachable && (now >= standing.up_at_latest || known());
            if standing.up {
                changed.insert(standing.host.clone());
            }
            !standing.up
        });
        changed
    }

    /// When the next interface is up whoever has acked.
    pub fn next_deadline(&self) -> Option<Instant> {
        let waiting = self.waiting.iter().filter_map(|id| self.interfaces.get(id));
        waiting.filter(|standing| standing.reachable).map(|standing| standing.up_at_latest).min()
    }

    /// How an interface stands.
    pub fn standing(&self, id: u32) -> Option<&Standing> {
        self.interfaces.get(&id)
    }

    /// The interfaces of a host that are up.
    pub fn up_on<'a>(&'a self, host: &'a str) -> impl Iterator<Item = u32> {
        let up = self.interfaces.iter().filter(move |(_, standing)| standing.up && standing.host == host);
        up.map(|(id, _)| *id)
    }
}

/// The generations acked, in order: tells how many are below one without asking each host.
pub struct Ranked<'a> {
    acked: &'a Acked,
    generations: Vec<u64>,
}

// === impl Ranked ===

impl<'a> Ranked<'a> {
    /// What the hosts of a domain acked.
    pub fn of(acked: &'a Acked) -> Self {
        let mut generations: Vec<u64> = acked.values().copied().collect();
        generations.sort_unstable();
        Self { acked, generations }
    }

    /// How many hosts of the domain, other than its own, do not know an interface as it is now.
    pub fn behind(&self, standing: &Standing) -> usize {
        let behind = |acked: &u64| *acked < standing.known_since;
        let own = self.acked.get(&standing.host).is_some_and(behind);
        self.generations.partition_point(behind) - usize::from(own)
    }
}

/// The two lowest generations acked: what all hosts but any one have acked, without asking each.
struct Floor<'a> {
    lowest: Option<(u64, &'a str)>,
    second: u64,
}

impl<'a> Floor<'a> {
    fn of(acked: &'a Acked) -> Self {
        let mut acked: Vec<_> = acked.iter().map(|(host, acked)| (*acked, host.as_str())).collect();
        acked.sort_unstable();
        Self { lowest: acked.first().copied(), second: acked.get(1).map_or(u64::MAX, |(acked, _)| *acked) }
    }

    /// What every host but this one has acked.
    fn without(&self, host: &str) -> u64 {
        match self.lowest {
            Some((_, lowest)) if lowest == host => self.second,
            Some((acked, _)) => acked,
            None => u64::MAX,
        }
    }
}

/// The underlay addresses of each host that has any.
fn underlays(bundle: &Bundle) -> BTreeMap<&str, &[IpAddr]> {
    let hosts = bundle.topology.hosts.iter().filter(|host| !host.underlay.is_empty());
    hosts.map(|host| (host.name.as_str(), host.underlay.as_slice())).collect()
}

/// The interfaces of two states, both by ascending id, each beside itself.
fn paired<'a>(
    before: &'a [Shared<CompiledInterface>],
    after: &'a [Shared<CompiledInterface>],
) -> impl Iterator<Item = (Option<&'a Shared<CompiledInterface>>, Option<&'a Shared<CompiledInterface>>)> {
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    std::iter::from_fn(move || {
        let next = before.peek().into_iter().chain(after.peek()).map(|interface| interface.id).min()?;
        Some((before.next_if(|interface| interface.id == next), after.next_if(|interface| interface.id == next)))
    })
}

/// Whether others forward to it and accept from it as before. Classes are policy, not wiring.
fn same_wiring(was: &CompiledInterface, is: &CompiledInterface) -> bool {
    let addresses = |interface: &CompiledInterface| -> BTreeSet<_> {
        interface.addresses.iter().map(|(address, _)| *address).collect()
    };
    same_place(was, is) && was.vni == is.vni && was.mac == is.mac && addresses(was) == addresses(is)
}

fn same_place(was: &CompiledInterface, is: &CompiledInterface) -> bool {
    was.host == is.host && was.device == is.device
}

#[cfg(test)]
mod tests {
    use ringfence_policy::bundle::CompiledHost;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(5);

    fn interface(id: u32, host: &str) -> CompiledInterface {
        CompiledInterface {
            id,
            workload: format!("w-{id}"),
            name: "eth0".to_owned(),
            vni: 100,
            mac: [2, 0, 0, 0, 0, 1],
            host: host.to_owned(),
            device: format!("tap{id}"),
            addresses: vec![([10, 0, 0, 1].into(), 2)],
            pairs: Vec::new(),
            port_security: true,
            bare_metal: false,
        }
    }

    /// With hosts h1 … h3, all registered.
    fn bundle(generation: u64, interfaces: &[CompiledInterface]) -> Bundle {
        let interfaces = interfaces.iter().cloned().map(Into::into).collect();
        let mut bundle = Bundle { generation, interfaces, ..Bundle::default() };
        let host = |n: u8| CompiledHost { name: format!("h{n}"), underlay: vec![[192, 0, 2, n].into()] };
        bundle.topology.hosts = (1..=3).map(host).collect();
        bundle
    }

    /// As it was before h1 had these underlay addresses.
    fn with_h1_at(mut bundle: Bundle, underlay: &[[u8; 4]]) -> Bundle {
        bundle.topology.hosts[0].underlay = underlay.iter().map(|address| (*address).into()).collect();
        bundle
    }

    fn acked(hosts: &[(&str, u64)]) -> Acked {
        hosts.iter().map(|(host, generation)| ((*host).to_owned(), *generation)).collect()
    }

    fn up(admission: &Admission, host: &str) -> Vec<u32> {
        admission.up_on(host).collect()
    }

    #[test]
    fn an_interface_is_up_once_every_other_host_knows_it() {
        let now = Instant::now();
        let mut admission = Admission::default();
        admission.follow(None, &bundle(3, &[interface(1, "h1")]), now, PATIENCE);
        assert!(admission.settle(&acked(&[("h1", 0), ("h2", 3), ("h3", 2)]), now).is_empty());
        assert!(up(&admission, "h1").is_empty());
        assert_eq!(admission.settle(&acked(&[("h1", 0), ("h2", 3), ("h3", 4)]), now), ["h1".to_owned()].into());
        assert_eq!(up(&admission, "h1"), [1]);
    }

    #[test]
    fn an_interface_alone_in_its_domain_waits_for_nobody() {
        let now = Instant::now();
        let mut admission = Admission::default();
        admission.follow(None, &bundle(1, &[interface(1, "h1")]), now, PATIENCE);
        admission.settle(&acked(&[("h1", 0)]), now);
        assert_eq!(up(&admission, "h1"), [1]);
    }

    #[test]
    fn a_host_that_is_away_keeps_an_interface_down_until_the_deadline_only() {
        let now = Instant::now();
        let hosts = acked(&[("h1", 1), ("h2", 0)]);
        let mut admission = Admission::default();
        admission.follow(None, &bundle(1, &[interface(1, "h1")]), now, PATIENCE);
        assert_eq!(admission.next_deadline(), Some(now + PATIENCE));
        admission.settle(&hosts, now + PATIENCE - Duration::from_millis(1));
        assert!(up(&admission, "h1").is_empty());
        admission.settle(&hosts, now + PATIENCE);
        assert_eq!(up(&admission, "h1"), [1]);
        assert_eq!(admission.next_deadline(), None);
        assert_eq!(Ranked::of(&hosts).behind(admission.standing(1).unwrap()), 1, "status still tells who is behind");
    }

    #[test]
    fn what_is_up_stays_up_while_it_stays_where_it_is() {
        let now = Instant::now();
        let hosts = acked(&[("h1", 1), ("h2", 1)]);
        let first = bundle(1, &[interface(1, "h1")]);
        let mut admission = Admission::default();
        admission.follow(None, &first, now, PATIENCE);
        admission.settle(&hosts, now);

        let reclassed = CompiledInterface { addresses: vec![([10, 0, 0, 1].into(), 9)], ..interface(1, "h1") };
        let second = bundle(2, &[reclassed]);
        assert!(admission.follow(Some(&first), &second, now, PATIENCE).is_empty());
        assert_eq!(admission.standing(1).unwrap().known_since, 1, "a class is not wiring");

        let readdressed = CompiledInterface { addresses: vec![([10, 0, 0, 7].into(), 9)], ..interface(1, "h1") };
        let third = bundle(3, &[readdressed]);
        assert!(admission.follow(Some(&second), &third, now, PATIENCE).is_empty());
        assert_eq!(up(&admission, "h1"), [1]);
        assert_eq!(Ranked::of(&hosts).behind(admission.standing(1).unwrap()), 1, "h2 does not know its new address");
    }

    #[test]
    fn an_interface_that_moves_waits_again_and_leaves_the_old_host() {
        let now = Instant::now();
        let first = bundle(1, &[interface(1, "h1")]);
        let mut admission = Admission::default();
        admission.follow(None, &first, now, PATIENCE);
        admission.settle(&acked(&[("h1", 1), ("h2", 1)]), now);

        let changed = admission.follow(Some(&first), &bundle(2, &[interface(1, "h2")]), now, PATIENCE);
        assert_eq!(changed, ["h1".to_owned()].into());
        assert_eq!((up(&admission, "h1"), up(&admission, "h2")), (vec![], vec![]));
        let changed = admission.settle(&acked(&[("h1", 2), ("h2", 1)]), now);
        assert_eq!(changed, ["h2".to_owned()].into());
    }

    #[test]
    fn an_interface_waits_for_its_host_and_then_for_those_who_learn_where_it_is() {
        let now = Instant::now();
        let hosts = |h2| acked(&[("h1", 1), ("h2", h2)]);
        let first = with_h1_at(bundle(1, &[interface(1, "h1")]), &[]);
        let mut admission = Admission::default();
        admission.follow(None, &first, now, PATIENCE);
        assert!(admission.settle(&hosts(1), now + PATIENCE).is_empty(), "nobody can tunnel to h1");
        assert_eq!(admission.next_deadline(), None);

        let second = bundle(2, &[interface(1, "h1")]);
        admission.follow(Some(&first), &second, now, PATIENCE);
        assert!(admission.settle(&hosts(1), now).is_empty(), "h2 does not know where h1 is");
        assert_eq!(admission.next_deadline(), Some(now + PATIENCE));
        assert_eq!(admission.settle(&hosts(2), now), ["h1".to_owned()].into());

        let third = with_h1_at(bundle(3, &[interface(1, "h1")]), &[[192, 0, 2, 77]]);
        assert!(admission.follow(Some(&second), &third, now, PATIENCE).is_empty(), "what is up stays up");
        assert_eq!(Ranked::of(&hosts(2)).behind(admission.standing(1).unwrap()), 1, "h2 does not know the new address");

        let fourth = with_h1_at(bundle(4, &[interface(1, "h1")]), &[]);
        assert_eq!(admission.follow(Some(&third), &fourth, now, PATIENCE), ["h1".to_owned()].into());
    }

    #[test]
    fn an_interface_that_goes_leaves_its_host() {
        let now = Instant::now();
        let first = bundle(1, &[interface(1, "h1")]);
        let mut admission = Admission::default();
        admission.follow(None, &first, now, PATIENCE);
        admission.settle(&acked(&[("h1", 1)]), now);
        assert_eq!(admission.follow(Some(&first), &bundle(2, &[]), now, PATIENCE), ["h1".to_owned()].into());
        assert!(up(&admission, "h1").is_empty());
    }

    #[test]
    fn the_hosts_behind_are_those_that_asking_every_other_host_would_find() {
        let acked = acked(&[("a", 3), ("b", 1), ("c", 2), ("d", 2)]);
        for (host, known_since) in [("a", 3), ("b", 3), ("c", 2), ("e", 2), ("e", 9), ("a", 0)] {
            let standing = Standing {
                host: host.to_owned(),
                known_since,
                reachable: true,
                up_at_latest: Instant::now(),
                up: false,
            };
            let others = acked.iter().filter(|(other, acked)| *other != host && **acked < known_since);
            assert_eq!(Ranked::of(&acked).behind(&standing), others.count(), "{host} at {known_since}");
        }
    }

    #[test]
    fn the_floor_is_what_asking_every_other_host_would_say() {
        for hosts in [vec![], vec![("a", 3)], vec![("a", 3), ("b", 1)], vec![("a", 2), ("b", 2), ("c", 5)]] {
            let acked = acked(&hosts);
            for own in ["a", "b", "c", "d"] {
                let others = acked.iter().filter(|(host, _)| *host != own).map(|(_, acked)| *acked);
                assert_eq!(Floor::of(&acked).without(own), others.min().unwrap_or(u64::MAX), "{own} in {hosts:?}");
            }
        }
    }
}
