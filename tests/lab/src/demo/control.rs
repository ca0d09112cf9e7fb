//! The negative control: with the safeguards off, the probes that had to fail succeed, so it was
//! the safeguards that made them fail.

use anyhow::Result;

use super::Demo;
use crate::{
    files::example,
    probe::{
        Outcome, Question,
        asker::{Patience, ask},
    },
};

const VICTIM: (&str, &str) = ("globex/prod", "vault-1");
const INTRUDER: &str = "acme/prod";

impl Demo {
    pub(super) fn negative_control(&mut self) -> Result<()> {
        self.report.stage("Negative control: take the safeguards away");
        self.verdict_off()?;
        self.isolation_off()
    }

    /// Without the verdict, every question that policy denied is answered.
    fn verdict_off(&mut self) -> Result<()> {
        self.lab.restart_agents(&["--verdict-off"])?;
        self.report.note("agents restarted with --verdict-off, which no release build has");
        let denied = self.denied_by_policy()?;
        let endpoints = &self.lab.endpoints;
        let outcomes = ask(endpoints, &denied, Patience::default(), |_| true)?;
        let answered = outcomes.iter().filter(|it| matches!(it, Outcome::Answered { .. })).count();
        self.report.check(
            !denied.is_empty() && answered == denied.len(),
            &format!("all {} probes that policy had denied are answered now", denied.len()),
            || {
                let silent = denied.iter().zip(&outcomes).filter(|(_, it)| **it == Outcome::Silence);
                let silent: Vec<String> =
                    silent.take(10).map(|(it, _)| format!("{} → {} {}", it.source, it.target, it.service)).collect();
                format!("only {answered} of {}; not {}", denied.len(), silent.join(", "))
            },
        );
        Ok(())
    }

    /// With the victim declared a workload of the other domain, its neighbours reach it.
    fn isolation_off(&mut self) -> Result<()> {
        let gone = example("vault-globex.yaml");
        self.lab.cli_ok(&["delete", "-f", &gone.display().to_string()])?;
        self.lab.apply(&example("vault-acme.yaml"))?;
        self.report.note("globex's vault-1 declared a workload of acme, examples/vault-acme.yaml");
        let victim = self.lab.endpoint(VICTIM.0, VICTIM.1)?.clone();
        let crossing: Vec<Question> = self
            .questions
            .iter()
            .copied()
            .filter(|it| self.lab.endpoints[it.asker].domain == INTRUDER && victim.addresses.contains(&it.target))
            .collect();
        let leaks_before = self.responders.leaks().len();
        let outcomes = ask(&self.lab.endpoints, &crossing, Patience::default(), |_| true)?;
        let signed_by_victim = Outcome::Answered { domain: VICTIM.0.to_owned(), name: VICTIM.1.to_owned() };
        let reached = outcomes.iter().filter(|it| **it == signed_by_victim).count();
        let leaks = self.responders.leaks().len() - leaks_before;
        self.report.check(
            !crossing.is_empty() && reached == crossing.len(),
            &format!("all {} probes from acme to globex's vault are answered now", crossing.len()),
            || format!("only {reached} of {}", crossing.len()),
        );
        self.report.check(
            leaks >= crossing.len(),
            "and the vault reports every one of them as another tenant's payload",
            || format!("it reported {leaks}"),
        );
        Ok(())
    }
}
