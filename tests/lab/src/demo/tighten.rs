//! A policy is tightened while flows run.

use std::time::{Duration, Instant};

use anyhow::Result;

use super::{Demo, show::rollout};
use crate::{
    files::{example, read_objects},
    stream::{DatagramStream, EchoStream},
    wait,
};

/// In the example's range of ports, and below the tightened one.
const CUT_PORT: u16 = 8084;

const DOMAIN: &str = "acme/prod";

impl Demo {
    pub(super) fn tighten_under_a_running_flow(&mut self) -> Result<()> {
        self.report.stage("Tighten the policy under running flows");
        let [web, app, db] = ["web-1", "app-1", "db-1"].map(|name| self.lab.endpoint(DOMAIN, name).cloned());
        let (web, app, db) = (web?, app?, db?);
        let denied = EchoStream::start(&web, &app, true, CUT_PORT, 64)?;
        let allowed = EchoStream::start(&app, &db, true, 5433, 64)?;
        let datagrams = DatagramStream::start(&web, &app, false, 4001, 64)?;
        let retransmitted = allowed.retransmissions()?;

        let changed = Instant::now();
        let printed = self.lab.apply(&example("tightened.yaml"))?;
        let took = changed.elapsed();
        self.report.command("ringfence apply -f examples/tightened.yaml", &rollout(&printed));

        let echoes = allowed.echoes();
        wait::until("the other flow goes on", Duration::from_secs(5), || Ok(allowed.echoes() > echoes + 100))?;
        let cut_after = denied.last_echo().saturating_duration_since(changed);
        let retransmitted = allowed.retransmissions()? - retransmitted;
        self.report.check(
            cut_after < Duration::from_secs(1) && denied.last_echo() <= changed + took,
            &format!(
                "web-1 → app-1 tcp/{CUT_PORT}, denied now, was cut {cut_after:.0?} after the \
                 command was given ({took:.0?} until every host had confirmed)"
            ),
            || format!("it last answered {cut_after:?} after the change began"),
        );
        self.report.check(
            retransmitted == 0,
            "app-1 → db-1 tcp/5433, still allowed, went on without one retransmission",
            || format!("{retransmitted} segments had to be sent again"),
        );
        let delivery = datagrams.finish()?;
        self.report.check(
            delivery.lost.is_empty(),
            &format!("web-1 → app-1 udp/4001, still allowed, lost none of {}", delivery.sent),
            || format!("lost: {:?}", delivery.lost),
        );
        allowed.finish()?;
        // Its connection is dead by design.
        let _ = denied.finish();
        self.objects.extend(read_objects(&[&example("tightened.yaml")])?);
        let answers = self.probe()?;
        self.check_answers(&answers, "do what the tightened policy says");
        Ok(())
    }
}
