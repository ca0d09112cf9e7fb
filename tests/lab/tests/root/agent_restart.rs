//! An agent that is killed and started again: no packet notices.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use ringfence_lab::{
    probe::{Outcome, Question, Service, asker},
    stream::{DatagramStream, EchoStream},
    wait,
};

use super::{ACME, fixture};

#[test]
fn killing_and_starting_an_agent_loses_nothing_and_opens_nothing() {
    let mut fixture = fixture();
    let [web, app] = ["web-1", "app-1"].map(|name| fixture.somebody(ACME, name));
    let datagrams = [true, false].map(|v4| DatagramStream::start(&web, &app, v4, 4001, 64).unwrap());
    let flows = [true, false].map(|v4| EchoStream::start(&web, &app, v4, 8084, 64).unwrap());
    let before = flows.each_ref().map(|flow| flow.retransmissions().unwrap());

    let endpoints = fixture.endpoints.clone();
    let denied: Vec<Question> = [true, false]
        .map(|ipv4| Question {
            asker: endpoints.iter().position(|it| it.domain == ACME && it.name == "web-1").unwrap(),
            source: web.address(ipv4).unwrap(),
            target: app.address(ipv4).unwrap(),
            service: Service::Tcp(5432),
        })
        .into();
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        let watcher = scope.spawn(|| {
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
        for host in ["h1", "h2"] {
            fixture.lab.agent(host).unwrap().kill().unwrap();
            fixture.lab.wait_until_settled(false).unwrap();
            let seen = datagrams[0].count();
            wait::until("flows go on without the agent", Duration::from_secs(5), || {
                Ok(datagrams[0].count() > seen + 200)
            })
            .unwrap();
            fixture.lab.agent(host).unwrap().start_again(&[]).unwrap();
            fixture.lab.wait_until_settled(true).unwrap();
            let seen = datagrams[0].count();
            wait::until("flows go on with the agent back", Duration::from_secs(5), || {
                Ok(datagrams[0].count() > seen + 200)
            })
            .unwrap();
        }
        over.store(true, Ordering::Relaxed);
        assert!(watcher.join().unwrap() > 4, "the denied probe was hardly tried");
    });

    let after = flows.each_ref().map(|flow| flow.retransmissions().unwrap());
    assert_eq!(after, before, "segments had to be sent again");
    for stream in datagrams {
        let delivery = stream.finish().unwrap();
        assert_eq!(delivery.lost, [0_u64; 0], "of {} datagrams", delivery.sent);
    }
    for flow in flows {
        flow.finish().unwrap();
    }
}
