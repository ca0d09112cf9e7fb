//! What should come of a question, by the reference evaluator.

use anyhow::{Context, Result, bail};
use ringfence_policy::{
    evaluate::{Flow, evaluate},
    model::Model,
    object::Object,
};

use super::{
    Endpoint, Outcome, Question, SERVICES,
    asker::{Patience, ask},
};

/// A question, what the policy says should come of it, and what came.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The question.
    pub question: Question,
    /// By the reference evaluator.
    pub expected: Outcome,
    /// By real packets.
    pub observed: Outcome,
}

/// The model of these objects, each replacing an earlier one of the same key.
pub fn model_of(objects: &[Object]) -> Result<Model> {
    let latest: Vec<Object> = objects
        .iter()
        .enumerate()
        .filter(|(place, object)| !objects[place + 1..].iter().any(|it| it.key() == object.key()))
        .map(|(_, object)| object.clone())
        .collect();
    Model::default().change(&latest, &[]).map(|change| change.model).map_err(|invalid| {
        let lines: Vec<String> = invalid.iter().map(|it| format!("{}: {}: {}", it.key, it.field, it.message)).collect();
        anyhow::anyhow!("{}", lines.join("\n"))
    })
}

/// Every service of every address that any domain has, asked by every endpoint: all ordered pairs
/// of a domain, and the addresses that only another one has.
pub fn questions(endpoints: &[Endpoint]) -> Vec<Question> {
    let mut targets: Vec<_> = endpoints.iter().flat_map(|it| it.addresses.clone()).collect();
    targets.sort_unstable();
    targets.dedup();
    let mut questions = Vec::new();
    for (asker, endpoint) in endpoints.iter().enumerate() {
        for &target in &targets {
            let Some(source) = endpoint.address_like(target) else {
                continue;
            };
            if !is_same_place(endpoints, endpoint, target) {
                questions.extend(SERVICES.map(|service| Question { asker, source, target, service }));
            }
        }
    }
    questions
}

/// Asks all of it, with the policy's word on each.
pub fn ask_all(endpoints: &[Endpoint], questions: &[Question], model: &Model) -> Result<Vec<Answer>> {
    let expected = questions.iter().map(|question| expect(endpoints, question, model)).collect::<Result<Vec<_>>>()?;
    let observed = ask(endpoints, questions, Patience::default(), |place| expected[place] != Outcome::Silence)?;
    Ok(questions
        .iter()
        .zip(expected)
        .zip(observed)
        .map(|((&question, expected), observed)| Answer { question, expected, observed })
        .collect())
}

/// What should come of one question: an answer from the one endpoint of the asker's own domain that
/// has the address, if the policy allows it, and else silence.
pub fn expect(endpoints: &[Endpoint], question: &Question, model: &Model) -> Result<Outcome> {
    let asker = &endpoints[question.asker];
    let Some(owner) = owner(endpoints, &asker.domain, question) else {
        return Ok(Outcome::Silence);
    };
    let domain = model
        .domains()
        .get(&asker.domain)
        .with_context(|| format!("the policy files have no domain {}", asker.domain))?;
    let flow = Flow {
        source: question.source.into(),
        destination: question.target.into(),
        traffic: question.service.traffic(question.target),
    };
    Ok(if evaluate(domain, &flow, 0).allows() {
        Outcome::Answered { domain: owner.domain.clone(), name: owner.name.clone() }
    } else {
        Outcome::Silence
    })
}

impl Answer {
    /// Whether the packets did what the policy says.
    pub fn is_right(&self) -> bool {
        self.expected == self.observed
    }

    /// One line that says who asked whom what, and what came of it.
    pub fn line(&self, endpoints: &[Endpoint]) -> String {
        let asker = &endpoints[self.question.asker];
        format!(
            "{} of {} → {} {}: expected {}, observed {}",
            asker.name, asker.domain, self.question.target, self.question.service, self.expected, self.observed
        )
    }
}

/// An error that lists every wrong answer.
pub fn require_right(endpoints: &[Endpoint], answers: &[Answer]) -> Result<()> {
    let wrong: Vec<String> =
        answers.iter().filter(|answer| !answer.is_right()).map(|answer| answer.line(endpoints)).collect();
    if !wrong.is_empty() {
        bail!("{} of {} probes were wrong:\n{}", wrong.len(), answers.len(), wrong.join("\n"));
    }
    Ok(())
}

fn owner<'a>(endpoints: &'a [Endpoint], domain: &str, question: &Question) -> Option<&'a Endpoint> {
    endpoints.iter().find(|it| it.domain == domain && it.addresses.contains(&question.target))
}

/// Whether the address is in the asker's own namespace, where a question never meets Ringfence.
fn is_same_place(endpoints: &[Endpoint], asker: &Endpoint, target: std::net::IpAddr) -> bool {
    endpoints.iter().any(|it| it.addresses.contains(&target) && it.namespace.name() == asker.namespace.name())
}
