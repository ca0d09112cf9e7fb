//! `make demo`: everything Ringfence promises, shown with real packets in one run.

mod control;
mod counters;
mod report;
mod show;
mod tighten;

use std::time::Instant;

use anyhow::{Context, Result};
use ringfence_policy::{model::Model, object::Object};

use self::report::Report;
use crate::{
    files::{example, read_objects},
    interrupt,
    lab::{Lab, Options},
    probe::{Outcome, Question, expectation, responder::Responders},
    registry,
};

/// The demo on its way.
struct Demo {
    lab: Lab,
    responders: Responders,
    /// What is applied, as files say it.
    objects: Vec<Object>,
    questions: Vec<Question>,
    report: Report,
}

/// Runs it all; whether everything was as expected.
pub fn run() -> Result<bool> {
    interrupt::listen()?;
    let mut report = Report::new();
    let started = Instant::now();
    report.stage("Raise a cloud: three hosts, two tenants, one address plan");
    let shop = example("shop.yaml");
    let lab = Lab::raise(&[&shop], &Options::default())?;
    let id = lab.id().to_owned();
    let responders = Responders::start(&lab.endpoints)?;
    let mut demo = Demo {
        questions: expectation::questions(&lab.endpoints),
        objects: read_objects(&[&shop])?,
        lab,
        responders,
        report,
    };
    demo.report.note(&format!(
        "{} hosts, each with an agent, one controller, {} workloads, {} places outside, in {:.1} s",
        demo.lab.hosts.len(),
        demo.lab.layout().attachments.len(),
        demo.lab.endpoints.len() - demo.lab.layout().attachments.len(),
        started.elapsed().as_secs_f64()
    ));
    let played = demo.play();
    let Demo { mut lab, responders, mut report, .. } = demo;
    if played.is_err() || !report.all_right() {
        lab.keep_logs();
    }
    report.stage("Tear down");
    drop(responders);
    drop(lab);
    let left = registry::leftovers(&id)?;
    report.check(left.is_empty(), "no namespace, no pinned program and no file is left", || {
        format!("left behind: {left:?}")
    });
    played?;
    report.end(started.elapsed());
    Ok(report.all_right())
}

impl Demo {
    fn play(&mut self) -> Result<()> {
        self.apply_the_example()?;
        self.probe_everybody()?;
        self.probe_isolation()?;
        self.show_counters()?;
        self.tighten_under_a_running_flow()?;
        self.kill_the_controller()?;
        self.negative_control()
    }

    fn model(&self) -> Result<Model> {
        expectation::model_of(&self.objects).context("the example is not valid")
    }

    /// The questions to somebody of the asker's own domain that are to have no answer: policy alone stands in their way.
    fn denied_by_policy(&self) -> Result<Vec<Question>> {
        let (model, endpoints) = (self.model()?, &self.lab.endpoints);
        let mut denied = Vec::new();
        for &question in &self.questions {
            let domain = &endpoints[question.asker].domain;
            let has_owner = endpoints.iter().any(|it| it.domain == *domain && it.addresses.contains(&question.target));
            if has_owner && expectation::expect(endpoints, &question, &model)? == Outcome::Silence {
                denied.push(question);
            }
        }
        Ok(denied)
    }
}
