//! Why a flow is decided as it is: every rule that matches it on each side, in the order in which they are asked, what
//! becomes of each, and what would decide were the deciding rule absent.
//!
//! It asks the [evaluator](crate::evaluate) and decides nothing itself.

use std::collections::BTreeSet;

use crate::{
    evaluate::{Decision, End, Flow, Matched, Verdict, decide, evaluate, matching, owner},
    model::{Action, Domain, Interface, Mode, Side, Tier, Window},
};

/// Why a flow is decided as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What both sides say.
    pub verdict: Verdict,
    /// The egress of the source; `None`: no workload's, it has no vote.
    pub from: Option<SideExplanation>,
    /// The ingress of the destination.
    pub to: Option<SideExplanation>,
}

/// Why one side says what it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SideExplanation {
    /// The workload whose side it is.
    pub workload: String,
    /// Every rule that binds the side and matches, in the order in which they are asked.
    pub matched: Vec<MatchedRule>,
    /// What becomes of the packet.
    pub enforced: Decision,
    /// What would, if policies in audit decided.
    pub shadow: Decision,
    /// What would become of it were the deciding rule absent; `None`: the domain's default decides.
    pub otherwise: Option<Decision>,
}

/// A rule that matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatchedRule {
    /// `policy/rule`, `*/policy/rule`.
    pub rule: String,
    /// When its policy is asked.
    pub tier: Tier,
    /// Whether its policy decides.
    pub mode: Mode,
    /// What it does.
    pub action: Action,
    /// Its rank in the tier.
    pub priority: u16,
    /// When it holds.
    pub window: Window,
    /// What becomes of it.
    pub part: Part,
}

/// What becomes of a rule that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// It decides.
    Decides,
    /// It ends its tier, and the next is asked.
    Passes,
    /// One before it decided, or ended the tier.
    Unasked,
    /// Its policy is in audit: it would decide.
    WouldDecide,
    /// Its policy is in audit: it would end its tier.
    WouldPass,
}

/// Explains the verdict on the first packet of a flow at a moment, in seconds since 1970-01-01T00:00:00Z.
pub fn explain(domain: &Domain, flow: &Flow, at: u64) -> Explanation {
    let verdict = evaluate(domain, flow, at);
    let side = |side, end| {
        let (workload, _) = owner(domain, end)?;
        Some(explain_side(domain, workload, &matching(domain, flow, at, side)))
    };
    Explanation { from: side(Side::From, flow.source), to: side(Side::To, flow.destination), verdict }
}

/// The interface that has an end, with its workload's name: by its own address, else by its longest address pair.
pub fn interface_of(domain: &Domain, end: End) -> Option<(&str, &Interface)> {
    let (name, workload) = owner(domain, end)?;
    let End::Address(address) = end else { return None };
    let own = workload.interfaces.iter().find(|interface| interface.addresses.contains(&address));
    let held = || {
        let pairs = workload.interfaces.iter().flat_map(|interface| {
            let pairs = interface.pairs.iter().filter(|pair| pair.prefix.contains(&address));
            pairs.map(move |pair| (pair.prefix.prefix_len(), interface))
        });
        pairs.max_by_key(|(length, _)| *length).map(|(_, interface)| interface)
    };
    own.or_else(held).map(|interface| (name, interface))
}

fn explain_side(domain: &Domain, workload: &str, matched: &[Matched<'_>]) -> SideExplanation {
    let enforces = |matched: &Matched<'_>| matched.policy.mode == Mode::Enforce;
    let enforced = parts(matched, enforces);
    let shadow = parts(matched, |_| true);
    let decider = enforced.iter().position(|part| *part == Part::Decides);
    let otherwise = decider.map(|decider| {
        let rest = matched.iter().enumerate().filter(|(place, matched)| *place != decider && enforces(matched));
        decide(domain, rest.map(|(_, matched)| *matched))
    });
    let described = matched.iter().zip(enforced.iter().zip(&shadow)).map(|(matched, (enforced, shadow))| {
        let part = if enforces(matched) { *enforced } else { shadow.in_audit() };
        describe(matched, part)
    });
    SideExplanation {
        workload: workload.to_owned(),
        matched: described.collect(),
        enforced: decide(domain, matched.iter().copied().filter(enforces)),
        shadow: decide(domain, matched.iter().copied()),
        otherwise,
    }
}

/// What becomes of each rule if those decide that `takes_part` names.
fn parts(matched: &[Matched<'_>], takes_part: impl Fn(&Matched<'_>) -> bool) -> Vec<Part> {
    let mut decided = false;
    let mut passed: BTreeSet<Tier> = BTreeSet::new();
    let part = |matched: &Matched<'_>| {
        let tier = matched.policy.tier;
        if decided || passed.contains(&tier) || !takes_part(matched) {
            Part::Unasked
        } else if matched.rule.action == Action::Pass {
            passed.insert(tier);
            Part::Passes
        } else {
            decided = true;
            Part::Decides
        }
    };
    matched.iter().map(part).collect()
}

fn describe(matched: &Matched<'_>, part: Part) -> MatchedRule {
    let Matched { policy_name, policy, rule, .. } = matched;
    MatchedRule {
        rule: format!("{policy_name}/{}", rule.name),
        tier: policy.tier,
        mode: policy.mode,
        action: rule.action,
        priority: rule.priority,
        window: rule.window,
        part,
    }
}

impl Part {
    /// The same of a rule whose policy is in audit.
    fn in_audit(self) -> Self {
        match self {
            Self::Decides => Self::WouldDecide,
            Self::Passes => Self::WouldPass,
            part => part,
        }
    }
}
