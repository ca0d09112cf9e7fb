//! The rules of a domain in the order in which they are asked.

use super::{CompileError, DomainIds, missing};
use crate::{
    bundle::RuleName,
    model::{Domain, Mode, Rule, Tier},
};

/// The rules, and what their ordinals name.
pub(super) struct Ordered<'a> {
    /// As asked: tier, priority, deny before pass before allow, policy name, place in the policy.
    pub(super) rules: Vec<OrderedRule<'a>>,
    /// By ordinal; 0 is the domain's default.
    pub(super) names: Vec<RuleName>,
}

/// A rule, what it has of its policy, and the ordinal by which profiles name it.
pub(super) struct OrderedRule<'a> {
    pub(super) ordinal: u32,
    pub(super) tier: Tier,
    pub(super) mode: Mode,
    pub(super) rule: &'a Rule,
}

impl<'a> Ordered<'a> {
    pub(super) fn new(domain: &'a Domain, ids: &DomainIds) -> Result<Self, CompileError> {
        let default = RuleName { id: 0, name: domain.default_rule().into(), stateless: false, log: false };
        let mut names = vec![default];
        let mut rules = Vec::new();
        let all =
            domain.policies().flat_map(|(name, policy)| policy.rules.iter().map(move |rule| (name, policy, rule)));
        for (ordinal, (policy_name, policy, rule)) in (1..).zip(all) {
            let name = format!("{policy_name}/{}", rule.name);
            let id = ids.rules.get(&(policy_name.to_owned(), rule.name.clone())).copied();
            let id = id.ok_or_else(|| missing(domain, format!("rule {name}")))?;
            names.push(RuleName { id, name, stateless: policy.stateless, log: rule.log });
            rules.push(OrderedRule { ordinal, tier: policy.tier, mode: policy.mode, rule });
        }
        // Ordinals follow policy names and places, and so break ties as they should.
        rules.sort_unstable_by_key(|o| (o.tier, o.rule.priority, o.rule.action, o.ordinal));
        Ok(Self { rules, names })
    }
}
