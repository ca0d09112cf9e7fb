//! Nanoseconds of a packet in the programs, by BPF_PROG_TEST_RUN.
//!
//! Every figure is taken on the stage (`bpf/floor.bpf.c`), which restores the frame before each repetition, and without
//! what the stage itself costs; floor and programs take turns, so that each ratio is of one round.

use std::mem::MaybeUninit;

use anyhow::Context;
use libbpf_rs::OpenObject;
use nix::net::if_::if_nametoindex;
use ringfence_agent::engine::enter_private;

use crate::{Amount, report::Report};

mod cases;
pub(crate) mod cloud;
mod frame;
pub(crate) mod host;
mod skel;
mod stage;

use cloud::Scale;
use host::{Devices, Host};
use stage::{Stage, Target};

/// How much is measured.
#[derive(Clone, Copy, Debug)]
struct Effort {
    /// In each, everything has its turn.
    rounds: usize,
    /// Of a packet that leaves things as they are.
    repeat: u32,
    /// Of packets that open flows, [`cases::BATCH`] each.
    batches: u32,
}

const FULL: Effort = Effort { rounds: 25, repeat: 50_000, batches: 20 };
const QUICK: Effort = Effort { rounds: 5, repeat: 20_000, batches: 5 };
// As often as it takes that noise does not make the floor less than nothing.
const GLANCE: Effort = Effort { batches: 2, ..QUICK };

/// From the least to the largest.
const SCALES: [Scale; 3] = [
    Scale { rules: 10, workloads: 10 },
    Scale { rules: 1000, workloads: 10_000 },
    Scale { rules: 100_000, workloads: 100_000 },
];
const QUICK_SCALES: [Scale; 2] = [Scale { rules: 10, workloads: 10 }, Scale { rules: 1000, workloads: 1000 }];

/// Measures all of it. The calling thread enters a private network namespace for good.
pub(crate) fn run(amount: Amount) -> anyhow::Result<Report> {
    let (effort, scales) = match amount {
        Amount::Full => (FULL, &SCALES[..]),
        Amount::Quick => (QUICK, &QUICK_SCALES[..]),
        Amount::Glance => (GLANCE, &SCALES[..1]),
    };
    let pins = enter_private().context("the programs are measured in namespaces of their own")?;
    let devices = devices()?;
    let mut storage = MaybeUninit::<OpenObject>::uninit();
    let mut stage = Stage::open(&mut storage)?;
    let mut hosts = Vec::new();
    for (number, scale) in scales.iter().enumerate() {
        let host = Host::open(&pins, *scale, devices)?;
        for hook in [cases::WORKLOAD, cases::OVERLAY] {
            stage.put(Target::programs(number, hook), host.datapath.program(hook))?;
        }
        hosts.push((*scale, host));
    }
    let mut report = Report::new()?;
    cases::run(&mut stage, &hosts, devices, effort, &mut report)?;
    Ok(report)
}

/// Test runs name a device; what each is said to be is in the maps.
fn devices() -> anyhow::Result<Devices> {
    for [one, other] in [["client", "local"], ["routed", "overlay"]] {
        ringfence_lab::cabling::ip(&["link", "add", one, "type", "veth", "peer", "name", other])?;
    }
    let index = |name: &str| if_nametoindex(name).with_context(|| format!("the device {name} is gone"));
    Ok(Devices {
        client: index("client")?,
        local: index("local")?,
        routed: index("routed")?,
        overlay: index("overlay")?,
    })
}
