//! Why the policies of a domain do with a flow what they do: a question as it travels → its answer. Pure.
//!
//! The service answers from the committed state with it and the command line from files, so that both say the same.

use std::sync::Arc;

use ringfence_policy::{
    evaluate::{Decision, End, Flow},
    expectation::{AskError, ExpectedFlow, Outcome, WordError},
    explain::{Explanation, MatchedRule, Part, SideExplanation, explain, interface_of},
    model::{Action, Domain, Model, MomentError, Tier, parse_moment},
};
use ringfence_proto::v1::{self, live_trace::Agreement, traced_rule::Part as WirePart};

/// What programs call a drop that policy is the reason of, `agent/bpf/reasons.def`.
const POLICY_DENY: &str = "policy_deny";

/// How many domains a question that names none of them is told.
const DOMAINS_NAMED: usize = 5;

/// Why a flow cannot be traced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// No such domain.
    #[error("there is no Domain {name}; there are: {known}")]
    NoDomain {
        /// As it was named.
        name: String,
        /// Some that there are.
        known: String,
    },
    /// No domain at all.
    #[error("there is no domain; `ringfence apply -f` makes one")]
    Nothing,
    /// Several domains, and none was named.
    #[error("say in which domain, with --domain: {0}")]
    WhichDomain(String),
    /// A part of the question is none.
    #[error("{field}: {source}")]
    Word {
        /// The part, as the request calls it.
        field: &'static str,
        /// Why.
        source: WordError,
    },
    /// Not a moment.
    #[error("at: {0}")]
    Moment(#[from] MomentError),
    /// The domain does not have what is asked about.
    #[error("{field}: {0}", field = .0.field())]
    Ask(#[from] AskError),
}

/// A question that was understood.
#[derive(Debug)]
pub struct Traced {
    /// The domain it is asked of.
    pub domain: Arc<Domain>,
    /// When, in seconds since 1970-01-01T00:00:00Z.
    pub at: u64,
    /// Every address pair, explained.
    pub flows: Vec<(Flow, Explanation)>,
}

/// Understands a question to a domain and explains every address pair of it. `now` is when, if it does not say.
///
/// # Errors
/// An end or a text that is none.
pub fn trace(domain: Arc<Domain>, request: &v1::TraceRequest, now: u64) -> Result<Traced, TraceError> {
    // The domain was chosen by its name.
    let v1::TraceRequest { domain: _, from, to, traffic, family, at, live: _ } = request;
    let word = |field| move |source| TraceError::Word { field, source };
    let at = if at.is_empty() { now } else { parse_moment(at)? };
    let flow = ExpectedFlow {
        from: from.parse().map_err(word("from"))?,
        to: to.parse().map_err(word("to"))?,
        traffic: traffic.parse().map_err(word("traffic"))?,
        family: if family.is_empty() { None } else { Some(family.parse().map_err(word("family"))?) },
        // What is expected decides nothing about what is asked.
        expect: Outcome::Allow,
        rule: None,
        at: Some(at),
    };
    let flows = flow.questions(&domain)?.into_iter().map(|flow| (flow, explain(&domain, &flow, at))).collect();
    Ok(Traced { domain, at, flows })
}

/// The domain named, or the only one if none is.
///
/// # Errors
/// No such domain; several, and none named.
pub fn choose<'a>(model: &'a Model, name: &str) -> Result<&'a Arc<Domain>, TraceError> {
    let domains = model.domains();
    let mut known: Vec<&str> = domains.keys().take(DOMAINS_NAMED).map(String::as_str).collect();
    if domains.len() > DOMAINS_NAMED {
        known.push("…");
    }
    let known = || known.join(", ");
    match (domains.first_key_value(), domains.get(name)) {
        (None, _) => Err(TraceError::Nothing),
        (_, Some(domain)) => Ok(domain),
        (Some((_, domain)), None) if name.is_empty() && domains.len() == 1 => Ok(domain),
        _ if name.is_empty() => Err(TraceError::WhichDomain(known())),
        _ => Err(TraceError::NoDomain { name: name.to_owned(), known: known() }),
    }
}

/// The host whose programs see the first packet of a flow first: the source's, else the destination's, else the
/// uplink's.
pub fn first_host(domain: &Domain, flow: &Flow) -> Option<String> {
    let of = |end| interface_of(domain, end).map(|(_, interface)| interface.host.clone());
    let uplink = || domain.uplink().map(|(host, _)| host.to_owned());
    // What comes from outside enters by the uplink; what comes from the host itself is seen where it arrives.
    match flow.source {
        End::Host => of(flow.destination),
        source => of(source).or_else(uplink).or_else(|| of(flow.destination)),
    }
}

/// Whether policy on a host is what was explained of a flow in a generation. A packet that policy lets pass may still be
/// dropped on its way, for a reason of its own.
pub fn agreement(explained: &Explanation, generation: u64, live: &v1::LiveVerdict) -> Agreement {
    if live.generation != generation {
        return Agreement::OtherGeneration;
    }
    if !live.judged {
        return Agreement::NotJudged;
    }
    let same = |side: &Option<SideExplanation>, allows: bool, rule: &str| {
        side.as_ref().is_none_or(|side| side.enforced.allows == allows && is_rule(rule, &side.enforced.rule))
    };
    let sides = same(&explained.from, live.from_allows, &live.from_rule_name)
        && same(&explained.to, live.to_allows, &live.to_rule_name);
    let by_policy = live.passes || live.reason.is_empty() || live.reason == POLICY_DENY;
    let fate = !by_policy || live.passes == explained.verdict.allows();
    if sides && fate { Agreement::Same } else { Agreement::Different }
}

/// Whether a rule as the programs name it, empty for the default, is one as a decision does.
fn is_rule(live: &str, rule: &str) -> bool {
    if live.is_empty() { rule.starts_with("default/") } else { live == rule }
}

impl Traced {
    /// The answer as it travels, with no host asked yet. `generation` is the domain's; 0: it was read from files.
    pub fn to_wire(&self, generation: u64) -> v1::TraceResponse {
        let flows = self.flows.iter().map(|(flow, explained)| v1::TracedFlow {
            source: end_text(flow.source),
            destination: end_text(flow.destination),
            allows: explained.verdict.allows(),
            shadow_allows: explained.verdict.shadow_allows(),
            from: explained.from.as_ref().map(side_to_wire),
            to: explained.to.as_ref().map(side_to_wire),
            live: None,
        });
        v1::TraceResponse { domain: self.domain.name().to_owned(), generation, at: self.at, flows: flows.collect() }
    }
}

fn end_text(end: End) -> String {
    match end {
        End::Address(address) => address.to_string(),
        End::Host => "host".to_owned(),
    }
}

fn side_to_wire(side: &SideExplanation) -> v1::TracedSide {
    let SideExplanation { workload, matched, enforced, shadow, otherwise } = side;
    v1::TracedSide {
        workload: workload.clone(),
        matched: matched.iter().map(rule_to_wire).collect(),
        enforced: Some(decision_to_wire(enforced)),
        shadow: Some(decision_to_wire(shadow)),
        otherwise: otherwise.as_ref().map(decision_to_wire),
    }
}

fn decision_to_wire(decision: &Decision) -> v1::TracedDecision {
    v1::TracedDecision { allows: decision.allows, rule: decision.rule.clone() }
}

fn rule_to_wire(matched: &MatchedRule) -> v1::TracedRule {
    let MatchedRule { rule, tier, mode: _, action, priority, window: _, part } = matched;
    let tier = match tier {
        Tier::Guard => "guard",
        Tier::Tenant => "tenant",
        Tier::Baseline => "baseline",
    };
    let action = match action {
        Action::Deny => "deny",
        Action::Pass => "pass",
        Action::Allow => "allow",
    };
    let part = match part {
        Part::Decides => WirePart::Decides,
        Part::Passes => WirePart::Passes,
        Part::Unasked => WirePart::Unasked,
        Part::WouldDecide => WirePart::WouldDecide,
        Part::WouldPass => WirePart::WouldPass,
    };
    v1::TracedRule {
        rule: rule.clone(),
        tier: tier.to_owned(),
        action: action.to_owned(),
        priority: (*priority).into(),
        part: part.into(),
    }
}
