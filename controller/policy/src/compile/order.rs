//! The rules of a domain in the order in which they decide.

use super::{CompileError, DomainIds, missing};
use crate::{
    bundle::RuleName,
    model::{DEFAULT_DENY, Domain, Rule},
};

/// The rules, and what their ordinals name.
pub(super) struct Ordered<'a> {
    /// The most decisive first: (priority, deny before allow), policy name, place in the policy.
    pub(super) rules: Vec<OrderedRule<'a>>,
    /// By ordinal; 0 is the domain's default.
    pub(super) names: Vec<RuleName>,
}

/// A rule and the ordinal by which profiles name it.
pub(super) struct OrderedRule<'a> {
    pub(super) ordinal: u32,
    pub(super) rule: &'a Rule,
}

impl<'a> Ordered<'a> {
    pub(super) fn new(domain: &'a Domain, ids: &DomainIds) -> Result<Self, CompileError> {
        let mut names = vec![RuleName { id: 0, name: DEFAULT_DENY.into(), stateless: false, log: false }];
        let mut rules = Vec::new();
        let all = domain
            .policies
            .iter()
            .flat_map(|(policy, content)| content.rules.iter().map(move |r| (policy, content, r)));
        for (ordinal, (policy, content, rule)) in (1..).zip(all) {
            let name = format!("{policy}/{}", rule.name);
            let id = ids.rules.get(&(policy.clone(), rule.name.clone())).copied();
            let id = id.ok_or_else(|| missing(domain, format!("rule {name}")))?;
            names.push(RuleName { id, name, stateless: content.stateless, log: rule.log });
            rules.push(OrderedRule { ordinal, rule });
        }
        // Ordinals follow policy names and places, and so break ties as they should.
        rules.sort_unstable_by_key(|ordered| (ordered.rule.priority, ordered.rule.action, ordered.ordinal));
        Ok(Self { rules, names })
    }
}
