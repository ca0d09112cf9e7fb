//! Flows that must live, and probes that must fail, while something happens to the hosts beneath them.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use ringfence_lab::{
    probe::{Endpoint, Outcome, Question, Service, asker},
    stream::{DatagramStream, EchoStream},
    wait,
};

use super::{ACME, Fixture};

/// Flows from web-1 on h1 to app-1 on h2, by both families.
pub(super) struct Flows {
    datagrams: [DatagramStream; 2],
    echoes: [EchoStream; 2],
    retransmissions: [u32; 2],
}

/// What became of them.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Harm {
    /// Datagrams that did not arrive.
    pub(super) lost: usize,
    /// Segments that had to be sent again.
    pub(super) retransmitted: u32,
}

pub(super) const NONE: Harm = Harm { lost: 0, retransmitted: 0 };

impl Flows {
    pub(super) fn start(web: &Endpoint, app: &Endpoint) -> Self {
        let datagrams = [true, false].map(|v4| DatagramStream::start(web, app, v4, 4001, 64).unwrap());
        let echoes = [true, false].map(|v4| EchoStream::start(web, app, v4, 8084, 64).unwrap());
        let retransmissions = echoes.each_ref().map(|flow| flow.retransmissions().unwrap());
        Self { datagrams, echoes, retransmissions }
    }

    /// Waits until every flow has got on.
    pub(super) fn go_on(&self) {
        let seen = || {
            let datagrams = self.datagrams.each_ref().map(|it| it.count() as u64);
            let echoes = self.echoes.each_ref().map(EchoStream::echoes);
            [datagrams, echoes].concat()
        };
        let before = seen();
        wait::until("every flow goes on", Duration::from_secs(10), || {
            Ok(before.iter().zip(seen()).all(|(before, now)| now > before + 100))
        })
        .unwrap();
    }

    pub(super) fn finish(self) -> Harm {
        let sent_again = self.echoes.each_ref().map(|flow| flow.retransmissions().unwrap());
        let retransmitted = sent_again.iter().zip(self.retransmissions).map(|(after, before)| after - before).sum();
        let lost = self.datagrams.into_iter().map(|it| it.finish().unwrap().lost.len()).sum();
        self.echoes.into_iter().for_each(|it| it.finish().unwrap());
        Harm { lost, retransmitted }
    }
}

/// Does something while flows run that policy allows, and while what it denies is tried again and again; what became of
/// the flows. Panics if anything denied gets through.
pub(super) fn watched(fixture: &mut Fixture, act: impl FnOnce(&mut Fixture, &Flows)) -> Harm {
    let [web, app] = ["web-1", "app-1"].map(|name| fixture.somebody(ACME, name));
    let flows = Flows::start(&web, &app);
    let asker = fixture.endpoints.iter().position(|it| it.domain == ACME && it.name == "web-1").unwrap();
    // No rule lets web ask the database's port of app.
    let denied: Vec<Question> = [true, false]
        .map(|ipv4| Question {
            asker,
            source: web.address(ipv4).unwrap(),
            target: app.address(ipv4).unwrap(),
            service: Service::Tcp(5432),
        })
        .into();
    let endpoints = fixture.endpoints.clone();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let prober = scope.spawn(|| {
            let patience = asker::Patience { for_silence: Duration::from_millis(100), ..Default::default() };
            let mut asked = 0;
            while !over.load(Ordering::Relaxed) {
                for outcome in asker::ask(&endpoints, &denied, patience, |_| false).unwrap() {
                    assert_eq!(outcome, Outcome::Silence, "a denied probe got through");
                    asked += 1;
                }
            }
            asked
        });
        // Whatever becomes of it, the prober must end.
        let acted = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| act(fixture, &flows)));
        over.store(true, Ordering::Relaxed);
        let asked = prober.join().unwrap();
        if let Err(panic) = acted {
            std::panic::resume_unwind(panic);
        }
        assert!(asked > 4, "the denied probe was hardly tried");
    });
    flows.finish()
}
