//! A workload that floods harms itself alone, also while agents are dead.

use std::{
    os::fd::AsRawFd,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use nix::sys::socket::{MsgFlags, send};
use ringfence_lab::{
    probe::{Endpoint, Outcome, Question, Service, asker, socket},
    stream::{DatagramStream, EchoStream},
    wait,
};

use super::{
    ACME, Fixture, fixture,
    frame::{TCP, UDP, frame_of_ports},
};

const GATEWAY_MAC: [u8; 6] = [0x02, 0x52, 0x46, 0, 0, 1];
/// Of web-1 in the example.
const WEB_1_MAC: [u8; 6] = [0x02, 0, 0, 0, 0x01, 0x01];
/// So small that a flood fills them at once, and a test need not wait a minute for what is over.
const SETTINGS: [&str; 8] = [
    "--conn-budget",
    "64",
    "--tcp-opening-timeout",
    "3s",
    "--tcp-closed-timeout",
    "3s",
    "--udp-unanswered-timeout",
    "3s",
];

#[test]
fn a_flood_costs_nobody_else_a_packet_and_ends_without_an_agent() {
    let mut fixture = fixture();
    fixture.lab.restart_agents(&SETTINGS).unwrap();
    let [web, other, app, db] = ["web-1", "web-2", "app-1", "db-1"].map(|name| fixture.somebody(ACME, name));
    let datagrams = [(&other, 4001), (&db, 4002)];
    let datagrams = datagrams.map(|(from, port)| DatagramStream::start(from, &app, true, port, 64).unwrap());
    // Its own flow that is established goes on, too.
    let flows = [&other, &web].map(|from| EchoStream::start(from, &app, true, 8084, 64).unwrap());
    let before = flows.each_ref().map(|flow| flow.retransmissions().unwrap());

    let flood = Flood::start(&web, &app);
    wait::until("the flood is under way", Duration::from_secs(10), || Ok(flood.sent() > 20_000)).unwrap();
    let full = refused(&fixture);
    assert!(full > 10_000, "only {full} flows of the flood were refused");
    assert!(reaches(&fixture, "web-2"), "another's new flow");
    assert!(!reaches(&fixture, "web-1"), "the flood's own new flow is refused");
    for host in ["h1", "h2"] {
        fixture.lab.agent(host).unwrap().kill().unwrap();
    }
    fixture.lab.wait_until_settled(false).unwrap();
    let sent = flood.sent();
    wait::until("the flood goes on without agents", Duration::from_secs(10), || Ok(flood.sent() > sent + 20_000))
        .unwrap();
    assert!(reaches(&fixture, "web-2"), "another's new flow, without agents");
    flood.stop();
    wait::until("what is over goes, without agents", Duration::from_secs(10), || Ok(reaches(&fixture, "web-1")))
        .unwrap();

    let after = flows.each_ref().map(|flow| flow.retransmissions().unwrap());
    assert_eq!(after, before, "segments had to be sent again");
    for stream in datagrams {
        let delivery = stream.finish().unwrap();
        assert_eq!(delivery.lost, [0_u64; 0], "of {} datagrams", delivery.sent);
    }
    for flow in flows {
        flow.finish().unwrap();
    }
    for host in ["h1", "h2"] {
        fixture.lab.agent(host).unwrap().start_again(&SETTINGS).unwrap();
    }
    fixture.lab.wait_until_settled(true).unwrap();
}

/// Whether a workload may open a connection to app-1, and gets an answer.
fn reaches(fixture: &Fixture, name: &str) -> bool {
    let from = fixture.somebody(ACME, name);
    let question = Question {
        asker: fixture.endpoints.iter().position(|it| it.domain == ACME && it.name == name).unwrap(),
        source: from.address(true).unwrap(),
        target: fixture.somebody(ACME, "app-1").address(true).unwrap(),
        service: Service::Tcp(8080),
    };
    let patience = asker::Patience { for_silence: Duration::from_millis(300), ..Default::default() };
    let outcomes = asker::ask(&fixture.endpoints, &[question], patience, |_| false).unwrap();
    matches!(outcomes[0], Outcome::Answered { .. })
}

/// Flows of web-1 that its host refused for want of budget, as the operator sees them.
fn refused(fixture: &Fixture) -> u64 {
    let printed = fixture.lab.cli_ok(&["counters", "--host", "h1", "-o", "json"]).unwrap();
    let readings: serde_json::Value = serde_json::from_str(&printed.answer).unwrap();
    let rows = readings["connections"].as_array().unwrap();
    let row = rows.iter().find(|row| row["domain"] == ACME && row["workload"] == "web-1").unwrap();
    let count = |name| row["own"][name].as_u64().unwrap();
    assert_eq!((count("limit"), count("halfOpenLimit")), (64, 16));
    assert!(count("used") <= 64 && count("halfOpen") <= 16, "{row}");
    count("refused") + count("halfOpenRefused")
}

/// New flows of both protocols, as fast as one thread sends them.
struct Flood {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicU64>,
    thread: std::thread::JoinHandle<anyhow::Result<()>>,
}

impl Flood {
    fn start(from: &Endpoint, to: &Endpoint) -> Self {
        let (stop, sent) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let ends = [from, to].map(|end| end.address(true).unwrap());
        let thread = {
            let (stop, sent) = (stop.clone(), sent.clone());
            from.namespace.spawn(move || {
                let device = socket::frames("eth0")?;
                for port in (1024..u16::MAX).cycle() {
                    if stop.load(Ordering::Relaxed) {
                        break;
                    }
                    for (protocol, target) in [(TCP, 8085), (UDP, 4009)] {
                        let frame = frame_of_ports([WEB_1_MAC, GATEWAY_MAC], ends, protocol, [port, target]);
                        // A device whose queue is full refuses it: the next one will do.
                        if send(device.as_raw_fd(), &frame, MsgFlags::empty()).is_ok() {
                            sent.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                }
                Ok(())
            })
        };
        Self { stop, sent, thread }
    }

    fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap().unwrap();
    }
}
