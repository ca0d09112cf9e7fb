//! The document and the text of `trace`.

use ringfence_policy::model::format_moment;
use ringfence_proto::v1::{self, live_trace::Agreement as WireAgreement, traced_rule::Part as WirePart};
use serde::Serialize;

use crate::output::columns;

/// Why a flow is decided as it is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Trace {
    domain: String,
    /// `None`: it was read from files.
    generation: Option<u64>,
    at: String,
    flows: Vec<Flow>,
}

/// One address pair.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Flow {
    from: String,
    to: String,
    allows: bool,
    shadow_allows: bool,
    from_side: Option<Side>,
    to_side: Option<Side>,
    live: Option<Live>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Side {
    workload: String,
    enforced: Decision,
    shadow: Decision,
    otherwise: Option<Decision>,
    matched: Vec<Rule>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Decision {
    allows: bool,
    rule: String,
}

#[derive(Debug, Serialize)]
struct Rule {
    tier: String,
    priority: u32,
    action: String,
    rule: String,
    part: Part,
}

#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
enum Part {
    Decides,
    Passes,
    Unasked,
    WouldDecide,
    WouldPass,
}

/// What a host's programs say.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Live {
    host: String,
    /// Why there is no answer; empty: there is one.
    error: String,
    generation: u64,
    hook: String,
    passes: bool,
    reason: String,
    from: Option<Decision>,
    to: Option<Decision>,
    target: String,
    agreement: Agreement,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum Agreement {
    Same,
    Different,
    OtherGeneration,
    NotJudged,
    Unknown,
}

impl Trace {
    /// A block for each address pair.
    pub(crate) fn text(&self, question: &str) -> String {
        let Self { domain, generation, at, flows } = self;
        let of = generation.map_or_else(|| "from files".to_owned(), |generation| format!("generation {generation}"));
        let blocks: String = flows.iter().map(|flow| format!("\n{}", flow.text())).collect();
        format!("{question} in {domain}, {of}, at {at}\n{blocks}")
    }

    /// Hosts that did not answer or say something else.
    pub(crate) fn complaints(&self) -> impl Iterator<Item = String> {
        self.flows.iter().filter_map(|flow| {
            let Live { host, error, agreement, .. } = flow.live.as_ref()?;
            let pair = format!("{} to {}", flow.from, flow.to);
            match agreement {
                Agreement::Different => Some(format!("{pair}: policy on host {host} is not as explained")),
                _ if error.is_empty() => None,
                _ if host.is_empty() => Some(format!("{pair}: no host was asked: {error}")),
                _ => Some(format!("{pair}: host {host}: {error}")),
            }
        })
    }

    /// Whether every host that was asked does as explained.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.flows.iter().flat_map(|flow| &flow.live).all(|live| live.agreement == Agreement::Same)
    }
}

impl From<v1::TraceResponse> for Trace {
    fn from(message: v1::TraceResponse) -> Self {
        let v1::TraceResponse { domain, generation, at, flows } = message;
        Self {
            domain,
            generation: (generation > 0).then_some(generation),
            at: format_moment(at),
            flows: flows.into_iter().map(Flow::from).collect(),
        }
    }
}

impl Flow {
    fn text(&self) -> String {
        let Self { from, to, allows, shadow_allows, from_side, to_side, live } = self;
        let shadow = if allows == shadow_allows {
            String::new()
        } else {
            format!("; {} if policies in audit decided", word(*shadow_allows))
        };
        let mut text = format!("{from} to {to}: {}{shadow}\n", word(*allows));
        for (name, side) in [("from", from_side), ("to", to_side)] {
            text.push_str(&match side {
                Some(side) => side.text(name),
                None => format!("  {name} side: no workload, no vote\n"),
            });
        }
        text + &live.as_ref().map(Live::text).unwrap_or_default()
    }
}

impl From<v1::TracedFlow> for Flow {
    fn from(message: v1::TracedFlow) -> Self {
        let v1::TracedFlow { source, destination, allows, shadow_allows, from, to, live } = message;
        Self {
            from: source,
            to: destination,
            allows,
            shadow_allows,
            from_side: from.map(Side::from),
            to_side: to.map(Side::from),
            live: live.map(Live::from),
        }
    }
}

impl Side {
    fn text(&self, name: &str) -> String {
        let Self { workload, enforced, shadow, otherwise, matched } = self;
        let mut text = format!("  {name} side, {workload}: {}\n", enforced.text());
        if !matched.is_empty() {
            let table =
                columns(["TIER", "PRIORITY", "ACTION", "RULE", "WHAT BECOMES OF IT"], matched.iter().map(Rule::row));
            text.extend(table.lines().map(|line| format!("    {line}\n")));
        }
        if let Some(otherwise) = otherwise {
            text.push_str(&format!("    without {}: {}\n", enforced.rule, otherwise.text()));
        }
        if shadow != enforced {
            text.push_str(&format!("    if policies in audit decided: {}\n", shadow.text()));
        }
        text
    }
}

impl From<v1::TracedSide> for Side {
    fn from(message: v1::TracedSide) -> Self {
        let v1::TracedSide { workload, matched, enforced, shadow, otherwise } = message;
        Self {
            workload,
            enforced: enforced.unwrap_or_default().into(),
            shadow: shadow.unwrap_or_default().into(),
            otherwise: otherwise.map(Decision::from),
            matched: matched.into_iter().map(Rule::from).collect(),
        }
    }
}

impl Decision {
    fn text(&self) -> String {
        format!("{} by {}", word(self.allows), self.rule)
    }
}

impl From<v1::TracedDecision> for Decision {
    fn from(message: v1::TracedDecision) -> Self {
        let v1::TracedDecision { allows, rule } = message;
        Self { allows, rule }
    }
}

impl Rule {
    fn row(&self) -> [String; 5] {
        let Self { tier, priority, action, rule, part } = self;
        let part = match part {
            Part::Decides => "decides",
            Part::Passes => "passes to the next tier",
            Part::Unasked => "is not asked",
            Part::WouldDecide => "in audit: would decide",
            Part::WouldPass => "in audit: would pass to the next tier",
        };
        [tier.clone(), priority.to_string(), action.clone(), rule.clone(), part.to_owned()]
    }
}

impl From<v1::TracedRule> for Rule {
    fn from(message: v1::TracedRule) -> Self {
        let part = match message.part() {
            WirePart::Decides => Part::Decides,
            WirePart::Passes => Part::Passes,
            WirePart::Unspecified | WirePart::Unasked => Part::Unasked,
            WirePart::WouldDecide => Part::WouldDecide,
            WirePart::WouldPass => Part::WouldPass,
        };
        let v1::TracedRule { rule, tier, action, priority, part: _ } = message;
        Self { tier, priority, action, rule, part }
    }
}

impl Live {
    fn text(&self) -> String {
        let Self { host, error, generation, hook, passes, reason, from, to, target, agreement } = self;
        if !error.is_empty() {
            return String::new();
        }
        let fate = match (passes, target.as_str()) {
            (true, "") => "passes".to_owned(),
            (true, target) => format!("passes, to {target}"),
            (false, _) => format!("dropped, {reason}"),
        };
        let side = |name: &str, side: &Option<Decision>| {
            side.as_ref().map(|decision| format!("    {name} side: {}\n", decision.text())).unwrap_or_default()
        };
        let agreement = match agreement {
            Agreement::Same => "policy is as explained",
            Agreement::Different => "policy is not as explained",
            Agreement::OtherGeneration => "it enforces another generation than was explained",
            Agreement::NotJudged => "policy was not asked",
            Agreement::Unknown => "whether policy is as explained is not known",
        };
        format!(
            "  host {host}, generation {generation}, {hook}: {fate}\n{}{}    {agreement}\n",
            side("from", from),
            side("to", to)
        )
    }
}

impl From<v1::LiveTrace> for Live {
    fn from(message: v1::LiveTrace) -> Self {
        let agreement = match message.agreement() {
            WireAgreement::Same => Agreement::Same,
            WireAgreement::Different => Agreement::Different,
            WireAgreement::OtherGeneration => Agreement::OtherGeneration,
            WireAgreement::NotJudged => Agreement::NotJudged,
            WireAgreement::Unspecified => Agreement::Unknown,
        };
        let v1::LiveTrace { host, error, generation, hook, passes, reason, from, to, target, agreement: _ } = message;
        let (from, to) = (from.map(Decision::from), to.map(Decision::from));
        Self { host, error, generation, hook, passes, reason, from, to, target, agreement }
    }
}

fn word(allows: bool) -> &'static str {
    if allows { "allowed" } else { "denied" }
}
