//! Segments and policies as written → validated, as far as the object alone tells.

use std::collections::BTreeSet;

use super::{
    Action, AddressSet, Binds, Mode, Peer, Policy, Rule, Selector, Tier, Window,
    address::{parse_prefix, parse_prefix_or_address},
    fault::Faults,
    moment::parse_moment,
    name::{check_label_key, check_label_value, check_object, check_part},
    selector::{Condition, Test},
};
use crate::object::{AddressSetSpec, LabelTest, PeerSpec, PolicySpec, Requirement, RuleSpec};

/// Priority of a rule that names none (DESIGN 3.2).
pub const DEFAULT_PRIORITY: u16 = 1000;

/// What a peer can be.
pub(crate) const PEERS: &str =
    "any, outside, host, segment/NAME, workload/NAME, addresses/NAME, {cidr: PREFIX} or {labels: {KEY: VALUE}}";

pub(super) fn selector(faults: &mut Faults, field: &str, requirements: &[Requirement]) -> Option<Selector> {
    let wanted = "an empty selector would select every workload; name a label, or use `any` in rules";
    faults.filled(field, requirements, wanted);
    let conditions = faults.each(field, requirements, condition);
    Some(Selector { conditions })
}

pub(super) fn address_set(faults: &mut Faults, spec: &AddressSetSpec) -> Option<AddressSet> {
    let AddressSetSpec { addresses } = spec;
    faults.filled("addresses", addresses, "name a prefix or an address");
    let prefixes =
        faults.each("addresses", addresses, |faults, field, text| faults.ok(field, parse_prefix_or_address(text)));
    Some(AddressSet { prefixes })
}

fn condition(faults: &mut Faults, field: &str, requirement: &Requirement) -> Option<Condition> {
    let Requirement { key, test } = requirement;
    faults.ok(format!("{field}.key"), check_label_key(key));
    let test = match test {
        LabelTest::Equals(value) => {
            faults.ok(format!("{field}.equals"), check_label_value(value));
            Test::In(BTreeSet::from([value.clone()]))
        }
        LabelTest::In(list) => Test::In(values(faults, &format!("{field}.in"), list)),
        LabelTest::NotIn(list) => Test::NotIn(values(faults, &format!("{field}.notIn"), list)),
        LabelTest::Exists(true) => Test::Present,
        LabelTest::Exists(false) => Test::Absent,
    };
    Some(Condition { key: key.clone(), test })
}

fn values(faults: &mut Faults, field: &str, list: &[String]) -> BTreeSet<String> {
    faults.filled(field, list, "name a value");
    for (index, value) in list.iter().enumerate() {
        faults.ok(format!("{field}[{index}]"), check_label_value(value));
    }
    list.iter().cloned().collect()
}

pub(super) fn policy(faults: &mut Faults, spec: &PolicySpec) -> Option<Policy> {
    let PolicySpec { tier, mode, stateless, rules } = spec;
    let tiers = [("guard", Tier::Guard), ("tenant", Tier::Tenant), ("baseline", Tier::Baseline)];
    let modes = [("enforce", Mode::Enforce), ("audit", Mode::Audit)];
    let tier = one_of(faults, "tier", "tier", tier.as_deref(), &tiers);
    let mode = one_of(faults, "mode", "mode", mode.as_deref(), &modes);
    faults.filled("rules", rules, "give the policy a rule");
    faults.distinct("rules", rules.iter().map(|rule| rule.name.as_str()));
    let rules = faults.each("rules", rules, rule);
    Some(Policy { tier: tier?, mode: mode?, stateless: *stateless, rules })
}

/// The value of a word, the default if none is written.
pub(super) fn one_of<T: Copy + Default>(
    faults: &mut Faults,
    field: &str,
    what: &str,
    word: Option<&str>,
    known: &[(&str, T)],
) -> Option<T> {
    let Some(word) = word else { return Some(T::default()) };
    let found = known.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
    if found.is_none() {
        let mut names: Vec<_> = known.iter().map(|(name, _)| *name).collect();
        let last = names.pop().unwrap_or_default();
        faults.add(field, format!("{word:?} is no {what}: write {} or {last}", names.join(", ")));
    }
    found
}

fn rule(faults: &mut Faults, field: &str, spec: &RuleSpec) -> Option<Rule> {
    let RuleSpec { name, from, to, action, traffic, priority, side, log, not_before, not_after } = spec;
    let at = |part: &str| format!("{field}.{part}");
    faults.ok(at("name"), check_part(name));
    faults.filled(at("from"), from, "write `any` to mean every source");
    faults.filled(at("to"), to, "write `any` to mean every destination");
    faults.filled(at("traffic"), traffic, "write `any` to mean all traffic");
    let from = faults.each(&at("from"), from, peer);
    let to = faults.each(&at("to"), to, peer);
    let traffic = faults.each(&at("traffic"), traffic, |faults, field, text| faults.ok(field, text.parse()));
    let priority = match *priority {
        None => Some(DEFAULT_PRIORITY),
        Some(priority) => u16::try_from(priority)
            .map_err(|_| {
                let message = format!("{priority} is out of range: write 0 to 65535");
                faults.add(at("priority"), message);
            })
            .ok(),
    };
    let action = match action.as_str() {
        "allow" => Some(Action::Allow),
        "deny" => Some(Action::Deny),
        "pass" => Some(Action::Pass),
        other => {
            let message = format!("{other:?} is no action: write allow, deny or pass");
            faults.add(at("action"), message);
            None
        }
    };
    let sides = [("from", Binds::From), ("to", Binds::To)];
    let binds = one_of(faults, &at("side"), "side", side.as_deref(), &sides);
    let window = window(faults, field, not_before.as_deref(), not_after.as_deref());
    Some(Rule {
        name: name.clone(),
        from,
        to,
        action: action?,
        traffic,
        priority: priority?,
        binds: binds?,
        log: *log,
        window: window?,
    })
}

fn window(faults: &mut Faults, field: &str, not_before: Option<&str>, not_after: Option<&str>) -> Option<Window> {
    let mut moment = |part: &str, text: Option<&str>| match text {
        None => Some(None),
        Some(text) => faults.ok(format!("{field}.{part}"), parse_moment(text)).map(Some),
    };
    let (not_before, not_after) = (moment("notBefore", not_before), moment("notAfter", not_after));
    let window = Window { not_before: not_before?, not_after: not_after? };
    if let Window { not_before: Some(start), not_after: Some(end) } = window
        && end <= start
    {
        faults.add(
            format!("{field}.notAfter"),
            "is not after notBefore, so the rule would never hold: write a later moment",
        );
    }
    Some(window)
}

fn peer(faults: &mut Faults, field: &str, spec: &PeerSpec) -> Option<Peer> {
    let name = match spec {
        PeerSpec::Name(name) => name.as_str(),
        PeerSpec::Cidr { cidr, except } => return cidr_peer(faults, field, cidr, except),
        PeerSpec::Labels(requirements) => {
            return selector(faults, &format!("{field}.labels"), requirements).map(Peer::Labels);
        }
    };
    let (kind, object) = match (name, name.split_once('/')) {
        ("any", _) => return Some(Peer::Any),
        ("outside", _) => return Some(Peer::Outside),
        ("host", _) => return Some(Peer::Host),
        (_, Some((kind @ ("segment" | "workload" | "addresses"), object))) => (kind, object),
        _ => {
            let message = format!("{name:?} is no peer: write {PEERS}");
            faults.add(field, message);
            return None;
        }
    };
    faults.ok(field, check_object(object))?;
    Some(match kind {
        "segment" => Peer::Segment(object.into()),
        "workload" => Peer::Workload(object.into()),
        _ => Peer::Addresses(object.into()),
    })
}

fn cidr_peer(faults: &mut Faults, field: &str, cidr: &str, except: &[String]) -> Option<Peer> {
    let prefix = faults.ok(format!("{field}.cidr"), parse_prefix(cidr));
    let mut except = faults.each(&format!("{field}.except"), except, |faults, field, text| {
        let inner = faults.ok(field, parse_prefix(text))?;
        if let Some(prefix) = prefix.filter(|prefix| !prefix.contains(&inner) || *prefix == inner) {
            faults.add(field, format!("{inner} is no part of {prefix}: write a longer prefix inside it"));
            return None;
        }
        Some(inner)
    });
    except.sort_unstable();
    except.dedup();
    Some(Peer::Cidr { prefix: prefix?, except })
}
