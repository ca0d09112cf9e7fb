//! `ringfence policy test`.

use std::{collections::BTreeSet, sync::Arc, thread};

use ringfence_policy::{
    expectation::{Answer, ExpectedFlow},
    model::Domain,
    text::{ExpectationDocument, TextError},
};

use crate::{
    advice::advice,
    args::{EngineName, PolicyTest},
    engine::{Engine, JudgeError},
    error::{Error, Outcome},
    fault::Report,
    files::{ReadError, set_name},
    output::{self, Format},
    view::tested::{self, Stray, Tested},
    world::{World, now},
};

/// Asks every flow that is expected, and shows what came.
pub(super) fn run(args: PolicyTest, format: Format) -> Result<Outcome, Error> {
    let PolicyTest { paths, engine } = args;
    let world = World::read(&paths)?;
    if world.expectations.is_empty() {
        return Err(ReadError::NoExpectation { paths: set_name(&paths) }.into());
    }
    // The programs take the thread that opens them into namespaces of its own.
    let asked = thread::scope(|scope| scope.spawn(|| ask_all(&world, engine)).join());
    let tested = asked.map_err(|_| Error::Failed("a test ended early; this is a bug of ringfence".to_owned()))??;
    output::print(&tested::formatted(format, &tested, &world.files)?)?;
    Ok(if tested.iter().all(|flow| flow.ok) { Outcome::AsAsked } else { Outcome::NotAll })
}

/// Every flow in the order written, or all that cannot be asked.
fn ask_all(world: &World, engine: EngineName) -> Result<Vec<Tested>, Error> {
    let mut engine = Engine::open(engine)?;
    let now = now();
    let mut tested = Vec::new();
    let mut errors = Vec::new();
    // Told once: what is wrong with a domain is wrong for each of its flows.
    let mut not_held = BTreeSet::new();
    for document in &world.expectations {
        let Some(domain) = world.model.domains().get(&document.expectation.domain) else {
            let message = format!("there is no domain {} in these files: add it", document.expectation.domain);
            errors.push(error(document, "domain".to_owned(), message));
            continue;
        };
        if not_held.contains(domain.name()) {
            continue;
        }
        for (place, flow) in document.expectation.flows.iter().enumerate() {
            match ask(&mut engine, domain, document, place, flow, now) {
                Ok(flow) => tested.push(flow),
                Err(JudgeError::Ask(fault)) => {
                    let field = format!("flows[{place}].{}", fault.field());
                    errors.push(error(document, field, fault.to_string()));
                }
                Err(JudgeError::Engine(fault)) => return Err(fault.into()),
                Err(fault @ (JudgeError::Compile(_) | JudgeError::Number(_) | JudgeError::Full(_))) => {
                    errors.push(error(document, "domain".to_owned(), fault.to_string()));
                    not_held.insert(domain.name());
                    break;
                }
            }
        }
    }
    if errors.is_empty() {
        Ok(tested)
    } else {
        Err(Error::Faulty(Report::of_text(errors, world.files.clone()).of_question()))
    }
}

fn ask(
    engine: &mut Engine,
    domain: &Arc<Domain>,
    document: &ExpectationDocument,
    place: usize,
    flow: &ExpectedFlow,
    now: u64,
) -> Result<Tested, JudgeError> {
    let mut before = None;
    let answer = flow.ask(domain, now, |flow, at| {
        let judged = engine.judge(domain, flow, at)?;
        before = before.take().or(judged.before);
        Ok::<_, JudgeError>(judged.verdict)
    })?;
    let stray = (!answer.ok).then(|| {
        let advice = advice(domain, flow, &answer, flow.at.unwrap_or(now), before.is_some());
        stray(document, place, flow, &answer, advice)
    });
    Ok(Tested::new(domain.name(), flow, &answer, before, stray))
}

/// The value that does not hold: the rule, if the outcome is as expected.
fn stray(
    document: &ExpectationDocument,
    place: usize,
    flow: &ExpectedFlow,
    answer: &Answer,
    advice: Vec<String>,
) -> Stray {
    let expected = match &flow.rule {
        Some(rule) => format!("{} by {rule}", flow.expect),
        None => flow.expect.to_string(),
    };
    let part = if answer.got == flow.expect { "rule" } else { "expect" };
    let field = format!("flows[{place}].{part}");
    Stray { location: document.locate(&field), field: format!("{}: {field}", name(document)), expected, advice }
}

fn error(document: &ExpectationDocument, field: String, message: String) -> TextError {
    TextError { location: document.locate(&field), object: name(document), field, message }
}

fn name(document: &ExpectationDocument) -> String {
    format!("Expectation {}/{}", document.expectation.domain, document.expectation.name)
}
