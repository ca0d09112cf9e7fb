//! The document and the report of `policy test`.

use std::fmt::Write as _;

use ringfence_policy::{
    evaluate::{End, Verdict},
    expectation::{Answer, ExpectedFlow, Outcome},
    text::{Location, SourceFile},
};
use serde::Serialize;

use crate::{
    error::Error,
    fault::{Lines, underlined},
    output::{self, Format},
};

/// A flow that was asked.
#[derive(Debug, Serialize)]
pub(crate) struct Tested {
    domain: String,
    from: String,
    to: String,
    traffic: String,
    expect: String,
    got: String,
    /// The rule that decided; `None`: more than one did, or no side has a vote.
    rule: Option<String>,
    reason: String,
    /// Whether it is as expected, rule included.
    pub(crate) ok: bool,
    #[serde(skip)]
    stray: Option<Stray>,
}

/// Where an expectation that does not hold stands, and what to do about it.
#[derive(Debug)]
pub(crate) struct Stray {
    /// Of the value that does not hold.
    pub(crate) location: Location,
    /// `Expectation acme/prod/shop: flows[1].expect`.
    pub(crate) field: String,
    /// What was expected of it.
    pub(crate) expected: String,
    /// What to write, each line by itself enough.
    pub(crate) advice: Vec<String>,
}

impl Tested {
    /// A flow, its answer, what the programs said before policy was asked, and what to say of it if it is not as
    /// expected.
    pub(crate) fn new(
        domain: &str,
        flow: &ExpectedFlow,
        answer: &Answer,
        before: Option<String>,
        stray: Option<Stray>,
    ) -> Self {
        Self {
            domain: domain.to_owned(),
            from: flow.from.to_string(),
            to: flow.to.to_string(),
            traffic: flow.traffic.to_string(),
            expect: flow.expect.to_string(),
            got: answer.got.to_string(),
            rule: answer.rule.clone(),
            reason: before.unwrap_or_else(|| reason(answer)),
            ok: answer.ok,
            stray,
        }
    }

    /// `FILE:LINE:COLUMN: OBJECT: FIELD: what was expected and what came`, the line, and what to write.
    fn report(&self, text: &mut String, lines: &Lines<'_>) -> std::fmt::Result {
        let Some(Stray { location, field, expected, advice }) = &self.stray else { return Ok(()) };
        let Self { from, to, traffic, got, reason, .. } = self;
        write!(text, "{location}: {field}: {from} to {to}, {traffic}: expected {expected}, got {got}: {reason}")?;
        writeln!(text, "{}", underlined(location, lines))?;
        for advice in advice {
            writeln!(text, "   {advice}")?;
        }
        Ok(())
    }
}

/// All that was tested, in the form asked for.
pub(crate) fn formatted(format: Format, tested: &[Tested], files: &[SourceFile]) -> Result<String, Error> {
    match format {
        Format::Table => Ok(report(tested, files)),
        Format::Json => tested.iter().map(output::json_line).collect(),
        Format::Yaml => output::formatted(format, &tested, |_| String::new()),
    }
}

/// Every flow that is not as expected, and how many are.
fn report(tested: &[Tested], files: &[SourceFile]) -> String {
    let lines = Lines::of(files);
    let mut text = String::new();
    for flow in tested {
        // A String takes whatever is written to it.
        let _ = flow.report(&mut text, &lines);
    }
    let stray = tested.iter().filter(|flow| !flow.ok).count();
    let flows = match tested.len() {
        1 => "1 flow".to_owned(),
        count => format!("{count} flows"),
    };
    text + &match stray {
        0 => format!("{flows}: all as expected\n"),
        stray => format!("{flows}: {} as expected, {stray} not\n", tested.len() - stray),
    }
}

/// Why the answer is what it is.
fn reason(answer: &Answer) -> String {
    match (answer.got, answer.asked.first()) {
        (Outcome::Ambiguous, _) => {
            let pairs = answer.asked.iter().map(|asked| {
                let pair = format!("{} to {}", end(asked.flow.source), end(asked.flow.destination));
                format!("{pair}: {}", sides(&asked.verdict))
            });
            pairs.collect::<Vec<_>>().join("; ")
        }
        (_, first) => first.map(|asked| sides(&asked.verdict)).unwrap_or_default(),
    }
}

/// Which sides decide it, by which rules.
fn sides(verdict: &Verdict) -> String {
    let allows = verdict.allows();
    let votes = [("from", &verdict.from), ("to", &verdict.to)];
    let voting = votes.into_iter().filter_map(|(side, vote)| Some((side, &vote.as_ref()?.enforced)));
    let telling: Vec<_> = voting
        .filter(|(_, decision)| decision.allows == allows)
        .map(|(side, decision)| format!("{} by {} on the {side} side", said(allows), decision.rule))
        .collect();
    telling.join(", ")
}

fn said(allows: bool) -> &'static str {
    if allows { "allowed" } else { "denied" }
}

fn end(end: End) -> String {
    match end {
        End::Address(address) => address.to_string(),
        End::Host => "host".to_owned(),
    }
}
