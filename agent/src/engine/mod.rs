//! The real programs as an oracle: one bundle, loaded as a host would that runs all of it, and asked flow by flow with
//! BPF_PROG_TEST_RUN. No device sends or receives anything.
//!
//! ```text
//! Bundle ──stage (all on one host)──▶ lower ──▶ assign ──▶ plan ──▶ apply      as the agent does
//! Flow ──────────frame──────────────▶ program ──▶ decision record ──▶ Answer
//! ```
//!
//! `ringfence policy test --engine kernel` answers by it, and the proof chain (docs/PROOFS.md) ends in it.

use std::time::Duration;

use ringfence_policy::{
    bundle::Bundle,
    evaluate::{Flow, Verdict},
};

use crate::{
    bpf::{self, Action as Fate, BpfError, Datapath, Options, Reason, Run, TestContext, Timeouts},
    lower::{Full, image::Image},
};

mod cut;
mod force;
pub(crate) mod frame;
mod private;
pub mod raw;
mod share;
mod stage;
mod tuple;
pub mod twice;

pub use cut::UnderWay;
pub use force::put_in_force;
use frame::Packet;
pub use private::enter as enter_private;
pub use share::Share;
pub use stage::DEVICE_MAC;
pub(crate) use stage::Entry;
use stage::Stage;
pub use tuple::Tuple;

/// The loopback device, which every network namespace has: a test run needs some device, and what it is said to be is
/// written before each.
const LOOPBACK: u32 = 1;
/// As agents have it by default.
pub const GATEWAY_MAC: [u8; 6] = [0x02, 0x52, 0x46, 0x00, 0x00, 0x01];
/// Of the overlay (RFC 7348).
pub const VXLAN_PORT: u16 = 4789;
/// The port that questions come from unless they say so.
const SOURCE_PORT: u16 = 40_000;
/// How long a connection lives here without a packet, whatever it is of: not longer than a machine is up.
const LIVES: Duration = Duration::from_secs(30);
/// A program's result: the packet goes nowhere.
const TC_ACT_SHOT: i32 = 2;

/// Why the programs could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The process may not, or the kernel cannot.
    #[error("private namespaces for the programs: cannot {action}: {source}; run as root on a kernel with namespaces")]
    Namespace {
        /// What was tried.
        action: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The kernel refused programs or maps.
    #[error(transparent)]
    Bpf(#[from] BpfError),
    /// The bundle is larger than a host.
    #[error(transparent)]
    Full(#[from] Full),
    /// A question before there is anything to ask about.
    #[error("no bundle is loaded; load one before asking")]
    Empty,
    /// No packet says what the flow says.
    #[error("flow {flow:?}: {why}")]
    NoPacket {
        /// The flow.
        flow: Flow,
        /// Why not, and what to write instead.
        why: &'static str,
    },
    /// A frame cannot come by that way here.
    #[error("{0:?} is no way into this host; name an interface that it runs")]
    NoWay(raw::Way),
    /// The programs ran and left no record.
    #[error("flow {0:?}: the programs left no decision record; they are of another build than this engine")]
    NoRecord(Flow),
}

/// What the programs made of the first packet of a flow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Policy was asked.
    Judged {
        /// What both sides said.
        verdict: Verdict,
        /// Whether the packet went on; it does as the verdict says, or the programs are wrong.
        passes: bool,
    },
    /// It was dropped before policy was asked, or on its way after policy allowed it.
    Dropped(Reason),
    /// A gateway answered it, on the spot.
    Answered,
}

/// The first packet of a flow, and the first that answers it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// What became of the first.
    pub opened: Answer,
    /// What answers it; `None`: the first did not pass, or nothing answers such a packet.
    pub reply: Option<Reply>,
}

/// What answers the first packet of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The same packet as the first of a flow of its own.
    pub flow: Flow,
    /// Whether it went on.
    pub passes: bool,
}

/// The programs, loaded into namespaces of the thread that opened it, and one bundle.
#[derive(Debug)]
pub struct Engine {
    datapath: Datapath,
    image: Image,
    stage: Option<Stage>,
    /// What the loopback device is said to be, as an ifindex of the stage.
    plays: Option<u32>,
    /// Of the last load.
    steps: usize,
}

impl Engine {
    /// Loads the programs. The calling thread enters a network and a mount namespace of its own and stays there, so call
    /// it on a thread made for this; nothing is left behind when the thread and the engine are gone.
    ///
    /// # Errors
    /// Without root, or on a kernel that lacks what the programs need.
    pub fn open() -> Result<Self, EngineError> {
        let pin_dir = private::enter()?;
        bpf::check_kernel(&pin_dir)?;
        let options = Options {
            pin_dir,
            overlay_ifindex: stage::OVERLAY_IFINDEX,
            gateway_mac: GATEWAY_MAC,
            vxlan_port: VXLAN_PORT,
            controller_port: 0,
            guard: false,
            timeouts: Timeouts::all(LIVES),
            record: true,
            tunnel_in_cb: true,
            verdict_off: false,
        };
        let datapath = Datapath::open(&options)?;
        let image = Image::default();
        Ok(Self { datapath, image, stage: None, plays: None, steps: 0 })
    }

    /// Puts a bundle in force as it is at a moment (seconds since 1970-01-01T00:00:00Z), in place of the one before and
    /// by a plan that starts from it.
    ///
    /// # Errors
    /// A bundle that does not fit beside the one before; maps that cannot be written.
    pub fn load(&mut self, bundle: &Bundle, at: u64) -> Result<(), EngineError> {
        self.stage_on(Stage::new(bundle), at)
    }

    fn stage_on(&mut self, stage: Stage, at: u64) -> Result<(), EngineError> {
        self.steps = put_in_force(self.datapath.maps(), &mut self.image, [stage.bundle()], stage.site(), at)?;
        self.stage = Some(stage);
        self.plays = None;
        Ok(())
    }

    /// How many steps the last load took; 0: it changed nothing.
    pub fn steps(&self) -> usize {
        self.steps
    }

    /// What the maps say of a flow, looked up here and not by a program.
    ///
    /// # Errors
    /// An engine without a bundle.
    pub fn judge_by_maps(&self, flow: &Flow) -> Result<Verdict, EngineError> {
        Ok(self.stage()?.judge(&self.image, flow))
    }

    /// Sends the first packet of a flow. An end that is no workload's is beyond the uplink, whether the bundle has one or
    /// not; of a flow between two of those no program is asked, since none would see it: nobody votes.
    ///
    /// # Errors
    /// A flow that no packet stands for; an engine without a bundle.
    pub fn ask(&mut self, flow: &Flow) -> Result<Answer, EngineError> {
        let (answer, packet) = self.open_flow(flow, SOURCE_PORT)?;
        self.forget(&packet)?;
        Ok(answer)
    }

    /// Sends the first packet of a flow from a port, and what answers it.
    ///
    /// # Errors
    /// As [`Engine::ask`].
    pub fn exchange(&mut self, flow: &Flow, source_port: u16) -> Result<Exchange, EngineError> {
        let (opened, packet) = self.open_flow(flow, source_port)?;
        let passed = matches!(opened, Answer::Judged { passes: true, .. });
        let answered = if passed { packet.reply() } else { None };
        let reply = match answered {
            Some(reply) => Some(Reply { flow: reply.flow(), passes: self.send(flow, &reply)? != TC_ACT_SHOT }),
            None => None,
        };
        self.forget(&packet)?;
        Ok(Exchange { opened, reply })
    }

    fn open_flow(&mut self, flow: &Flow, source_port: u16) -> Result<(Answer, Packet), EngineError> {
        let packet = Packet::opening(flow, source_port)?;
        let votes = self.stage()?.votes(flow);
        if votes == [false, false] {
            return Ok((Answer::Judged { verdict: Verdict { from: None, to: None }, passes: false }, packet));
        }
        let before = self.record()?.map(|record| record.count);
        let passes = self.send(flow, &packet)? != TC_ACT_SHOT;
        // One of an earlier packet is no answer.
        let record = self.record()?.filter(|record| Some(record.count) != before);
        let record = record.ok_or(EngineError::NoRecord(*flow))?;
        let verdict = self.stage()?.verdict(&run(&record), votes);
        let answer = match Reason::from_number(record.reason) {
            _ if record.action == Fate::RF_ACTION_ANSWER => Answer::Answered,
            None | Some(Reason::PolicyDeny) if record.judged != 0 => Answer::Judged { verdict, passes },
            // What the host's stack sends is dropped for one reason, whatever it is.
            Some(Reason::FromHost) if record.judged != 0 && !verdict.allows() => Answer::Judged { verdict, passes },
            Some(reason) => Answer::Dropped(reason),
            None => return Err(EngineError::NoRecord(*flow)),
        };
        Ok((answer, packet))
    }

    /// What the programs recorded last.
    fn record(&self) -> Result<Option<bpf::Decision>, EngineError> {
        Ok(self.datapath.maps().decisions.get(&0)?)
    }

    /// Runs the program that sees the packet first; its result.
    fn send(&mut self, flow: &Flow, packet: &Packet) -> Result<i32, EngineError> {
        let entry = self.stage()?.entry(packet).ok_or(EngineError::NoPacket {
            flow: *flow,
            why: "no program of this host sees a packet between these ends; name a workload's address as one of them",
        })?;
        self.play(entry.ifindex)?;
        let frame = frame::build(packet, &entry);
        let context = TestContext { ifindex: LOOPBACK, ..TestContext::default() };
        Ok(self.datapath.test_run(entry.hook, &frame, &context)?.action)
    }

    /// Says that the loopback device is one of the stage's.
    fn play(&mut self, ifindex: u32) -> Result<(), EngineError> {
        if self.plays != Some(ifindex) {
            let device = self.image.devices.get(&ifindex).copied().unwrap_or_default();
            self.datapath.maps().devices.put(LOOPBACK, &device)?;
            self.plays = Some(ifindex);
        }
        Ok(())
    }

    /// Deletes the connection of a packet, so that the next flow of the same ends is a new one.
    fn forget(&self, packet: &Packet) -> Result<(), EngineError> {
        let maps = self.datapath.maps();
        let (source, destination) = packet.addresses();
        let tuple = Tuple {
            addresses: [source, destination],
            ports: [packet.ports.0, packet.ports.1],
            protocol: packet.protocol,
        };
        match tuple.key(self.stage()?.bundle().domain_id) {
            tuple::Key::V4(key) => maps.remove_conn4(&key)?,
            tuple::Key::V6(key) => maps.remove_conn6(&key)?,
        }
        Ok(())
    }

    fn stage(&self) -> Result<&Stage, EngineError> {
        self.stage.as_ref().ok_or(EngineError::Empty)
    }
}

/// What a decision record says, as the run that it was decided by.
fn run(record: &bpf::Decision) -> Run {
    Run {
        first: 0,
        // Verdicts and notes have 8 bits in a run.
        verdict: (record.allows | record.shadow_allows) as u8,
        notes: record.notes as u8,
        from_rule: record.from_rule,
        to_rule: record.to_rule,
        shadow_from_rule: record.shadow_from_rule,
        shadow_to_rule: record.shadow_to_rule,
    }
}
