//! Segments and policies as written → validated, as far as the object alone tells.

use std::collections::BTreeSet;

use super::{
    Action, Peer, Policy, Rule, Selector,
    address::parse_prefix,
    fault::Faults,
    name::{check_label_key, check_label_value, check_object, check_part},
    selector::{Condition, Test},
};
use crate::object::{LabelTest, PeerSpec, PolicySpec, Requirement, RuleSpec};

/// Priority of a rule that names none (DESIGN 3.2).
pub const DEFAULT_PRIORITY: u16 = 1000;

pub(super) fn selector(faults: &mut Faults, requirements: &[Requirement]) -> Option<Selector> {
    let wanted = "an empty selector would select every workload; name a label, or use `any` in rules";
    faults.filled("match", requirements, wanted);
    let conditions = faults.each("match", requirements, condition);
    Some(Selector { conditions })
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
    let PolicySpec { rules } = spec;
    faults.filled("rules", rules, "give the policy a rule");
    faults.distinct("rules", rules.iter().map(|rule| rule.name.as_str()));
    let rules = faults.each("rules", rules, rule);
    Some(Policy { rules })
}

fn rule(faults: &mut Faults, field: &str, spec: &RuleSpec) -> Option<Rule> {
    let RuleSpec { name, from, to, action, traffic, priority } = spec;
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
        "pass" => {
            let message = "\"pass\" is not supported yet: write allow or deny";
            faults.add(at("action"), message);
            None
        }
        other => {
            let message = format!("{other:?} is no action: write allow or deny");
            faults.add(at("action"), message);
            None
        }
    };
    Some(Rule { name: name.clone(), from, to, action: action?, traffic, priority: priority? })
}

fn peer(faults: &mut Faults, field: &str, spec: &PeerSpec) -> Option<Peer> {
    let name = match spec {
        PeerSpec::Name(name) => name.as_str(),
        PeerSpec::Cidr(cidr) => {
            let prefix = faults.ok(format!("{field}.cidr"), parse_prefix(cidr))?;
            return Some(Peer::Cidr(prefix));
        }
    };
    match (name, name.split_once('/')) {
        ("any", _) => Some(Peer::Any),
        ("outside", _) => Some(Peer::Outside),
        (_, Some(("segment", segment))) => {
            faults.ok(field, check_object(segment))?;
            Some(Peer::Segment(segment.into()))
        }
        ("host", _) | (_, Some(("workload" | "addresses", _))) => {
            let message = format!("peer {name:?} is not supported yet");
            faults.add(field, format!("{message}: write {PEERS}"));
            None
        }
        _ => {
            let message = format!("{name:?} is no peer: write {PEERS}");
            faults.add(field, message);
            None
        }
    }
}

/// What a peer can be in this version.
const PEERS: &str = "any, outside, segment/NAME or {cidr: PREFIX}";
