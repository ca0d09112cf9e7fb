//! The policy of a bundle → the rows that this host judges by, as they hold at a moment.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::{IpNet, Ipv4Net};
use ringfence_policy::bundle::{self, Bundle, CompiledInterface, CompiledPolicy, Outcome, RuleName};

use super::{Site, desired::Tables, pairs::Pairs};
use crate::bpf::{
    Run,
    consts::{
        RF_ALLOW_FROM, RF_ALLOW_TO, RF_CLASS_NONE, RF_LOG_FROM, RF_LOG_TO, RF_SHADOW_FROM, RF_SHADOW_TO,
        RF_STATEFUL_FROM, RF_STATEFUL_TO,
    },
};

/// Place of a row's profile by (from class, to class).
pub(super) type Rows = BTreeMap<(u32, u32), usize>;

/// The row for every pair of known classes that has none of its own.
const DEFAULT_ROW: (u32, u32) = (RF_CLASS_NONE, RF_CLASS_NONE);

/// What a domain that allows by default lets pass without a row: both sides allow by rule 0, policies in audit enforced or
/// not. A side without a vote is said to be stateful, too: the other's default is, so it changes nothing.
const ALLOWED: Run = Run {
    first: 0,
    verdict: (RF_ALLOW_FROM | RF_ALLOW_TO | RF_SHADOW_FROM | RF_SHADOW_TO) as u8,
    notes: (RF_STATEFUL_FROM | RF_STATEFUL_TO) as u8,
    from_rule: 0,
    to_rule: 0,
    shadow_from_rule: 0,
    shadow_to_rule: 0,
};

/// The rows that this host needs at a moment in seconds since 1970-01-01T00:00:00Z, and the profiles they point to.
pub(super) fn lower(bundle: &Bundle, pairs: &Pairs, site: &Site, at: u64) -> (Rows, Vec<Tables>) {
    let policy = &bundle.policy;
    let local = local_classes(bundle, pairs, site);
    let mut profiles = Profiles::new(bundle);
    let is_local = |row: &&bundle::Row| local.contains(&row.from_class) || local.contains(&row.to_class);
    let rows = policy.rows.iter().filter(is_local);
    let mut rows: Rows = rows.map(|row| ((row.from_class, row.to_class), profiles.of(row, at))).collect();
    if policy.default_allows {
        rows.insert(DEFAULT_ROW, profiles.push(uniform(ALLOWED)));
    }
    (rows, profiles.lowered)
}

/// The class of every prefix. IPv4 addresses are mapped into IPv6, so where no prefix holds them all, one without a class
/// keeps those of IPv6 from speaking for them.
pub(super) fn prefixes(bundle: &Bundle) -> BTreeMap<IpNet, u32> {
    let every_v4 = (IpNet::V4(Ipv4Net::default()), RF_CLASS_NONE);
    let classed = bundle.policy.prefixes.iter().map(|classed| (classed.prefix.trunc(), classed.class_id));
    std::iter::once(every_v4).chain(classed).collect()
}

/// The classes this host judges for: its interfaces', those of their address pairs, and those of the outside and of bare-metal machines
/// where the uplink is, the former also where an interface may send from anywhere. That of the host's own stack is none: what it says and hears is judged
/// for the other end.
fn local_classes(bundle: &Bundle, pairs: &Pairs, site: &Site) -> BTreeSet<u32> {
    let uplink_here = bundle.topology.uplink.as_ref().is_some_and(|uplink| uplink.host == site.host);
    // What machines say to other workloads and hear of them passes the uplink.
    let is_here = |interface: &CompiledInterface| interface.host == site.host || uplink_here && interface.bare_metal;
    let here = || bundle.interfaces.iter().filter(|interface| is_here(interface));
    let ids: BTreeSet<u32> = here().map(|interface| interface.id).collect();
    let of_interfaces = here().flat_map(|interface| interface.addresses.iter().map(|(_, class)| *class));
    let outside_here = uplink_here || here().any(|interface| !interface.port_security);
    let of_prefixes = bundle.policy.prefixes.iter().filter(|classed| {
        if classed.votes { pairs.owners(classed.prefix).any(|id| ids.contains(&id)) } else { outside_here }
    });
    of_interfaces.chain(of_prefixes.map(|classed| classed.class_id)).collect()
}

/// Profiles as the programs read them. One may come out in several ways: what a side without a vote says looks like the
/// default of a domain that allows, and only the latter tracks what it lets pass.
struct Profiles<'a> {
    policy: &'a CompiledPolicy,
    voting: BTreeSet<u32>,
    lowered: Vec<Tables>,
    /// By profile and whether each side votes.
    places: BTreeMap<(u32, [bool; 2]), usize>,
}

impl<'a> Profiles<'a> {
    fn new(bundle: &'a Bundle) -> Self {
        let policy = &bundle.policy;
        let own = bundle.interfaces.iter().flat_map(|interface| interface.addresses.iter().map(|(_, class)| *class));
        let paired = policy.prefixes.iter().filter(|classed| classed.votes).map(|classed| classed.class_id);
        Self { policy, voting: own.chain(paired).collect(), lowered: Vec::new(), places: BTreeMap::new() }
    }

    /// The place of the profile of a row.
    fn of(&mut self, row: &bundle::Row, at: u64) -> usize {
        let index = row.profile_at(at);
        let votes = [row.from_class, row.to_class].map(|class| self.voting.contains(&class));
        if let Some(place) = self.places.get(&(index, votes)) {
            return *place;
        }
        let profile = self.policy.profiles.get(index as usize);
        // Without its profile a row denies; were it left out, a default might allow.
        let tables = profile.map_or_else(|| uniform(Run::default()), |held| tables(held, votes, &self.policy.rules));
        let place = self.push(tables);
        self.places.insert((index, votes), place);
        place
    }

    fn push(&mut self, tables: Tables) -> usize {
        self.lowered.push(tables);
        self.lowered.len() - 1
    }
}

/// One verdict for everything.
fn uniform(run: Run) -> Tables {
    std::array::from_fn(|_| vec![run])
}

fn tables(profile: &bundle::Profile, votes: [bool; 2], rules: &[RuleName]) -> Tables {
    let bundle::Profile { tcp, udp, sctp, icmp, icmp6, other } = profile;
    // In the order of RF_TABLE_*.
    [tcp, udp, sctp, icmp, icmp6, other].map(|runs| runs.iter().map(|run| lower_run(run, votes, rules)).collect())
}

fn lower_run(run: &bundle::Run, [from_votes, to_votes]: [bool; 2], rules: &[RuleName]) -> Run {
    // Ordinal 0 is the default, which the maps write as id 0.
    let rule = |ordinal: u32| rules.get(ordinal as usize).filter(|_| ordinal != 0);
    let id = |ordinal: u32| rule(ordinal).map_or(0, |rule| rule.id);
    let bit = |holds: bool, bit: u32| if holds { bit as u8 } else { 0 };
    let Outcome { from_allows, to_allows, from_rule, to_rule } = run.enforced;
    let is_stateful = |ordinal: u32| rule(ordinal).is_none_or(|rule| !rule.stateless);
    let is_logged = |ordinal: u32| rule(ordinal).is_some_and(|rule| rule.log);
    Run {
        first: run.first,
        verdict: bit(from_allows, RF_ALLOW_FROM)
            | bit(to_allows, RF_ALLOW_TO)
            | bit(run.shadow.from_allows, RF_SHADOW_FROM)
            | bit(run.shadow.to_allows, RF_SHADOW_TO),
        notes: bit(from_votes && is_stateful(from_rule), RF_STATEFUL_FROM)
            | bit(to_votes && is_stateful(to_rule), RF_STATEFUL_TO)
            | bit(from_votes && is_logged(from_rule), RF_LOG_FROM)
            | bit(to_votes && is_logged(to_rule), RF_LOG_TO),
        from_rule: id(from_rule),
        to_rule: id(to_rule),
        shadow_from_rule: id(run.shadow.from_rule),
        shadow_to_rule: id(run.shadow.to_rule),
    }
}
