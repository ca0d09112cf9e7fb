//! What to write so that a flow becomes what its author expected. Pure.

use std::{collections::BTreeSet, net::IpAddr};

use ringfence_policy::{
    expectation::{Answer, ExpectedFlow, Outcome, Place},
    explain::{MatchedRule, Part, SideExplanation, explain},
    model::{Action, DEFAULT_PRIORITY, Domain, Tier},
};

/// Lines that say what to change, each by itself enough. `at`: when the flow was asked; `before`: whether some packet of
/// it ended before policy was asked, where no rule can help it on.
pub(crate) fn advice(domain: &Domain, flow: &ExpectedFlow, answer: &Answer, at: u64, before: bool) -> Vec<String> {
    let got = answer.got;
    let correction = match &answer.rule {
        Some(rule) => format!("or correct the expectation: expect: {got}, rule: {rule}"),
        None => format!("or correct the expectation: expect: {got}"),
    };
    match flow.expect {
        expected if expected == got => vec![correction.replacen("or c", "c", 1)],
        Outcome::Ambiguous => vec![correction.replacen("or c", "c", 1)],
        Outcome::Allow if before => vec![correction.replacen("or c", "c", 1)],
        Outcome::Allow => vec![change(domain, flow, answer, at, Action::Allow), correction],
        Outcome::Deny => vec![change(domain, flow, answer, at, Action::Deny), correction],
    }
}

/// What makes the first pair that is not as wanted so: a rule that is asked before those that decide now.
fn change(domain: &Domain, flow: &ExpectedFlow, answer: &Answer, at: u64, wanted: Action) -> String {
    let allow = wanted == Action::Allow;
    let Some(stray) = answer.asked.iter().find(|asked| asked.verdict.allows() != allow) else {
        return String::new();
    };
    let told = explain(domain, &stray.flow, at);
    let sides = [&told.from, &told.to].into_iter().flatten();
    let against = sides.filter(|side| side.enforced.allows != allow);
    let deciders: Vec<&MatchedRule> = against.filter_map(decider).collect();
    let Some((tier, priority)) = place(&deciders, wanted) else {
        let rules: BTreeSet<&str> = deciders.iter().map(|decider| decider.rule.as_str()).collect();
        let rules = rules.into_iter().collect::<Vec<_>>().join(" and ");
        return format!("change {rules}: no rule is asked before");
    };
    let priority = if priority == DEFAULT_PRIORITY { String::new() } else { format!(", priority: {priority}") };
    let (from, to) = (&flow.from, &flow.to);
    let name = name(&format!("{from}-to-{to}"));
    let action = if allow { "allow" } else { "deny" };
    let rule = format!(
        "{{name: {name}, from: [{}], to: [{}], action: {action}, traffic: [{}]{priority}}}",
        peer(from),
        peer(to),
        flow.traffic
    );
    let to_it = match tier {
        Tier::Guard => " in tier guard",
        Tier::Tenant => "",
        Tier::Baseline => " in tier baseline",
    };
    format!("add to a policy of {}{to_it}: {rule}", domain.name())
}

/// The rule that decides on a side; `None`: the default does.
fn decider(side: &SideExplanation) -> Option<&MatchedRule> {
    side.matched.iter().find(|matched| matched.part == Part::Decides)
}

/// Where a rule that is to win against others stands: tier and priority. At one priority a deny is asked before an
/// allow. `None`: nothing is asked before one of them.
fn place(against: &[&MatchedRule], wanted: Action) -> Option<(Tier, u16)> {
    let Some(first) = against.iter().min_by_key(|rule| (rule.tier, rule.priority)) else {
        return Some((Tier::Tenant, DEFAULT_PRIORITY));
    };
    let below = match wanted {
        Action::Deny => Some(first.priority),
        _ => first.priority.checked_sub(1),
    };
    match (below, first.tier) {
        (Some(priority), tier) => Some((tier, priority.min(DEFAULT_PRIORITY))),
        (None, Tier::Guard) => None,
        (None, Tier::Tenant) => Some((Tier::Guard, DEFAULT_PRIORITY)),
        (None, Tier::Baseline) => Some((Tier::Tenant, DEFAULT_PRIORITY)),
    }
}

/// An end as a rule names it.
fn peer(place: &Place) -> String {
    match place {
        Place::Workload(workload) | Place::Interface { workload, .. } => format!("workload/{workload}"),
        Place::Address(IpAddr::V4(address)) => format!("{{cidr: {address}/32}}"),
        Place::Address(IpAddr::V6(address)) => format!("{{cidr: \"{address}/128\"}}"),
        Place::Host => "host".to_owned(),
    }
}

/// A name that a rule can have: letters, digits and single dashes.
fn name(text: &str) -> String {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-").to_lowercase()
}
