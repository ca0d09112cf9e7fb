//! The example applied, and who reaches whom under it.

use anyhow::Result;

use super::Demo;
use crate::{
    files::example,
    lab::Printed,
    probe::{
        Outcome,
        expectation::{self, Answer},
        matrix,
    },
};

/// Wrong answers that are shown in full.
const SHOWN: usize = 12;

/// How a change was rolled out; which objects it made is in the file already.
pub(super) fn rollout(printed: &Printed) -> String {
    format!("{}\n{}", printed.answer.lines().last().unwrap_or_default(), printed.progress)
}

impl Demo {
    pub(super) fn apply_the_example(&mut self) -> Result<()> {
        self.report.stage("Apply the policy file and watch it roll out");
        let printed = self.lab.apply(&example("shop.yaml"))?;
        self.report.command("ringfence apply -f examples/shop.yaml", &rollout(&printed));
        let printed = self.lab.cli_ok(&["status"])?;
        self.report.command("ringfence status", &printed.answer);
        Ok(())
    }

    pub(super) fn probe_everybody(&mut self) -> Result<()> {
        self.report.stage("Everybody asks everybody: policy's word against real packets");
        self.report.note(&matrix::legend());
        let answers = self.probe()?;
        for domain in self.model()?.domains().keys() {
            self.report.note(&format!("\n{domain}: asker down, asked across"));
            self.report.note(&matrix::render(&self.lab.endpoints, &answers, domain));
        }
        self.check_answers(&answers, "do what the reference evaluator says");
        Ok(())
    }

    /// Of the same questions, those that cross from one tenant to the other.
    pub(super) fn probe_isolation(&mut self) -> Result<()> {
        self.report.stage("Two tenants, the same addresses: nothing crosses");
        let answers = self.probe()?;
        let endpoints = &self.lab.endpoints;
        let asker = |answer: &Answer| &endpoints[answer.question.asker];
        let foreign = answers
            .iter()
            .filter(|answer| match &answer.observed {
                Outcome::Answered { domain, .. } => *domain != asker(answer).domain,
                _ => false,
            })
            .count();
        let answered = answers.iter().filter(|it| it.observed != Outcome::Silence).count();
        let strangers: Vec<&Answer> = answers
            .iter()
            .filter(|answer| {
                !endpoints
                    .iter()
                    .any(|it| it.domain == asker(answer).domain && it.addresses.contains(&answer.question.target))
            })
            .collect();
        let reached: Vec<_> = strangers.iter().filter(|answer| answer.observed != Outcome::Silence).collect();
        let leaks = self.responders.leaks();
        self.report.check(foreign == 0, &format!("{answered} answers, each signed by the asker's own tenant"), || {
            format!("{foreign} answers were the other tenant's")
        });
        self.report.check(
            !strangers.is_empty() && reached.is_empty(),
            &format!("{} questions to addresses only the other tenant has: silence", strangers.len()),
            || format!("{} of {} were answered", reached.len(), strangers.len()),
        );
        self.report.check(leaks.is_empty(), "no workload ever received the other tenant's payload", || {
            leaks.iter().map(|it| format!("{}: {}\n", it.receiver, it.received)).collect()
        });
        Ok(())
    }

    pub(super) fn kill_the_controller(&mut self) -> Result<()> {
        self.report.stage("Kill the controller: the hosts go on");
        let Some(controller) = &mut self.lab.controller else {
            return Ok(());
        };
        controller.kill()?;
        let answers = self.probe()?;
        self.check_answers(&answers, "do what the policy says, with no controller");
        if let Some(controller) = &mut self.lab.controller {
            controller.start_again(&[])?;
        }
        self.lab.wait_for_controller()?;
        self.report.note("the controller is started again, and finds its store as it was");
        Ok(())
    }

    /// Asks everything, with what the objects applied last say of it.
    pub(super) fn probe(&self) -> Result<Vec<Answer>> {
        expectation::ask_all(&self.lab.endpoints, &self.questions, &self.model()?)
    }

    pub(super) fn check_answers(&mut self, answers: &[Answer], fact: &str) {
        let wrong: Vec<&Answer> = answers.iter().filter(|answer| !answer.is_right()).collect();
        let allowed = answers.iter().filter(|it| it.expected != Outcome::Silence).count();
        self.report.check(
            wrong.is_empty(),
            &format!("all {} probes ({allowed} to be answered, {} not) {fact}", answers.len(), answers.len() - allowed),
            || {
                let lines = wrong.iter().take(SHOWN).map(|it| it.line(&self.lab.endpoints));
                let lines: Vec<String> = lines.collect();
                format!("{} were wrong, such as\n{}", wrong.len(), lines.join("\n"))
            },
        );
    }
}
