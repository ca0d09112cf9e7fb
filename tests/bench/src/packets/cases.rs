//! What is measured: packets by where they go, and what of their flow is known.

use std::{thread, time::Duration};

use anyhow::{Context, ensure};
use ringfence_agent::bpf::Hook;
use serde_json::{Value, json};

use super::{
    Effort, Scale,
    cloud::{self, ALLOWED_PORT, DENIED_PORT, Who},
    frame::{ACK, Frame, SYN},
    host::{Devices, GATEWAY_MAC, Host},
    stage::{Scene, Stage, Target, Tunnel, Way},
};
use crate::{
    report::Report,
    turns::{Bar, Spread},
};

pub(super) const WORKLOAD: Hook = Hook::FromWorkload;
pub(super) const OVERLAY: Hook = Hook::FromOverlay;

/// A program's result: bpf_redirect, and drop.
const TC_ACT_REDIRECT: u32 = 7;
const TC_ACT_SHOT: u32 = 2;
/// Of flows that are known.
const SOURCE_PORT: u16 = 40_000;
/// The first of flows that are not.
const FIRST_FLOW: u16 = 1024;
/// How many of those one run opens.
const BATCH: u32 = 50;
/// How many batches may be begun for one that is counted, how often a flow is tried, and the pause after a failure.
const ATTEMPTS: u32 = 5;
const PATIENCE: u32 = 100;
const PAUSE: Duration = Duration::from_millis(5);

/// Where a packet comes from and goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Path {
    Local,
    Remote,
    Routed,
    Arriving,
}

impl Path {
    const ALL: [Self; 4] = [Self::Local, Self::Remote, Self::Routed, Self::Arriving];

    fn name(self) -> &'static str {
        match self {
            Self::Local => "to a device here",
            Self::Remote => "to another host",
            Self::Routed => "routed, to a device here",
            Self::Arriving => "from another host",
        }
    }

    fn hook(self) -> Hook {
        if self == Self::Arriving { OVERLAY } else { WORKLOAD }
    }

    fn ends(self) -> [Who; 2] {
        match self {
            Self::Local => [Who::Client, Who::Local],
            Self::Remote => [Who::Client, Who::Remote],
            Self::Routed => [Who::Client, Who::Routed],
            Self::Arriving => [Who::Remote, Who::Client],
        }
    }
}

/// What is known of its flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Established,
    First,
    Denied,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Established => "established",
            Self::First => "first of a flow",
            Self::Denied => "first, denied",
        }
    }

    /// DESIGN names local and remote.
    fn bar(self, path: Path, scale: Scale) -> Option<Bar> {
        match self {
            _ if path == Path::Routed => None,
            Self::Established => Some(Bar::AtMost(1.3)),
            Self::First if scale.workloads >= 100_000 => Some(Bar::AtMost(9.0)),
            Self::First => Some(Bar::AtMost(6.0)),
            Self::Denied => None,
        }
    }
}

/// What a case found in each round, without the stage.
struct Found {
    floor: Vec<f64>,
    /// Of each domain.
    programs: Vec<Vec<f64>>,
}

pub(super) fn run(
    stage: &mut Stage<'_>,
    hosts: &[(Scale, Host)],
    devices: Devices,
    effort: Effort,
    report: &mut Report,
) -> anyhow::Result<()> {
    let (mut rows, mut sizes) = (Vec::new(), Vec::new());
    for kind in [Kind::Established, Kind::First, Kind::Denied] {
        for path in Path::ALL {
            for v6 in [false, true] {
                let found = case(stage, hosts, devices, effort, (kind, path, v6))?;
                rows.extend(against_floor(hosts, &found, (kind, path, v6)));
                if kind == Kind::Established {
                    sizes.extend(against_least(hosts, &found, path, v6));
                }
            }
        }
    }
    report.add("a packet against the floor", &AGAINST_FLOOR, &rows);
    report.add("an established packet, largest domain against least", &AGAINST_LEAST, &sizes);
    Ok(())
}

const AGAINST_FLOOR: [&str; 10] =
    ["packet", "way", "family", "rules", "workloads", "floor ns", "ns", "ratio", "bar", "kept"];

fn against_floor(hosts: &[(Scale, Host)], found: &Found, (kind, path, v6): (Kind, Path, bool)) -> Vec<Vec<Value>> {
    let row = |((scale, _), ns): (&(Scale, Host), &Vec<f64>)| {
        let ratio = Spread::ratio(ns, &found.floor)?;
        let [bar, kept] = Bar::judged(kind.bar(path, *scale), &ratio);
        let (floor, ns) = (Spread::of(found.floor.clone())?.median, Spread::of(ns.clone())?.median);
        let size = [json!(scale.rules), json!(scale.workloads), json!(floor), json!(ns)];
        let name = [json!(kind.name()), json!(path.name()), json!(family(v6))];
        Some([&name[..], &size, &[ratio.shown(), bar, kept]].concat())
    };
    hosts.iter().zip(&found.programs).filter_map(row).collect()
}

const AGAINST_LEAST: [&str; 5] = ["way", "family", "ratio", "bar", "kept"];

fn against_least(hosts: &[(Scale, Host)], found: &Found, path: Path, v6: bool) -> Option<Vec<Value>> {
    let (least, largest) = (found.programs.first()?, found.programs.get(hosts.len().checked_sub(1)?)?);
    let ratio = Spread::ratio(largest, least)?;
    let [bar, kept] = Bar::judged(Some(Bar::AtMost(1.05)), &ratio);
    Some(vec![json!(path.name()), json!(family(v6)), ratio.shown(), bar, kept])
}

fn family(v6: bool) -> &'static str {
    if v6 { "IPv6" } else { "IPv4" }
}

fn case(
    stage: &mut Stage<'_>,
    hosts: &[(Scale, Host)],
    devices: Devices,
    effort: Effort,
    (kind, path, v6): (Kind, Path, bool),
) -> anyhow::Result<Found> {
    let hook = path.hook();
    // The networks of all domains have the same numbers.
    let Some((_, any)) = hosts.first() else { return Ok(Found { floor: Vec::new(), programs: Vec::new() }) };
    let scene = scene(path, v6, devices, any.vni);
    let answer = answer(path, &scene, devices, any);
    let known = Scene { frame: scene.frame.with_flags(ACK), ..scene };
    stage.floor_flow(&known, way(path, any.vni))?;
    let mut found = Found { floor: Vec::new(), programs: vec![Vec::new(); hosts.len()] };
    for (number, _) in hosts.iter().enumerate() {
        opened(stage, Target::programs(number, hook), &scene)?;
        stage.time(Target::programs(number, answer.hook()), &answer, 1)?;
    }
    for _ in 0..effort.rounds {
        let nothing = stage.time(Target::NOTHING, &known, effort.repeat)?;
        found.floor.push(stage.time(Target::floor(hook), &known, effort.repeat)? - nothing);
        for ((number, (_, host)), times) in hosts.iter().enumerate().zip(&mut found.programs) {
            let target = Target::programs(number, hook);
            let scene = match kind {
                Kind::Established => known,
                Kind::First => Scene { first_flow: Some(FIRST_FLOW), ..scene },
                Kind::Denied => {
                    let frame = Frame { ports: [SOURCE_PORT, DENIED_PORT], ..scene.frame };
                    Scene { frame, action: TC_ACT_SHOT, ..scene }
                }
            };
            let time = if kind == Kind::First {
                first(stage, host, target, &scene, effort.batches)
            } else {
                stage.time(target, &scene, effort.repeat)
            };
            times.push(time.with_context(|| host.dropped())? - nothing);
        }
    }
    for (_, host) in hosts {
        host.forget()?;
    }
    Ok(found)
}

/// Opens a flow, once the kernel has room for it.
fn opened(stage: &mut Stage<'_>, target: Target, scene: &Scene) -> anyhow::Result<()> {
    for _ in 0..PATIENCE {
        if stage.time(target, scene, 1).is_ok() {
            return Ok(());
        }
        thread::sleep(PAUSE);
    }
    stage.time(target, scene, 1).map(drop)
}

/// Nanoseconds of the first packets of flows. In small batches, with every connection of one deleted before the next: the
/// kernel has to make room for entries and their timers while no program runs. A batch for which it had none is not
/// counted, since what it measured is a packet that was refused.
fn first(stage: &mut Stage<'_>, host: &Host, target: Target, scene: &Scene, batches: u32) -> anyhow::Result<f64> {
    let (mut sum, mut counted) = (0.0, 0);
    host.forget()?;
    for _ in 0..batches * ATTEMPTS {
        let time = stage.time(target, scene, BATCH)?;
        if host.forget()? == BATCH as usize {
            sum += time;
            counted += 1;
        } else {
            thread::sleep(PAUSE);
        }
        if counted == batches {
            break;
        }
    }
    ensure!(counted > 0, "in no batch of {BATCH} first packets every one made a connection");
    Ok(sum / f64::from(counted))
}

/// The first packet of the path's flow.
fn scene(path: Path, v6: bool, devices: Devices, vni: u32) -> Scene {
    let [from, to] = path.ends();
    let destination = if path == Path::Routed { GATEWAY_MAC } else { to.mac() };
    let frame = Frame {
        macs: [destination, from.mac()],
        source: from.address(v6),
        destination: to.address(v6),
        ports: [SOURCE_PORT, ALLOWED_PORT],
        flags: SYN,
    };
    let arriving = path == Path::Arriving;
    let tunnel = Tunnel { vni, source: cloud::remote_underlay() };
    Scene {
        frame,
        tunnel: arriving.then_some(tunnel),
        ifindex: if arriving { devices.overlay } else { devices.client },
        first_flow: None,
        action: TC_ACT_REDIRECT,
    }
}

/// What answers the first packet.
fn answer(path: Path, scene: &Scene, devices: Devices, host: &Host) -> Scene {
    let [from, to] = path.ends();
    let Frame { source, destination, ports: [asker, asked], .. } = scene.frame;
    let macs = [if path == Path::Routed { GATEWAY_MAC } else { from.mac() }, to.mac()];
    let frame = Frame { macs, source: destination, destination: source, ports: [asked, asker], flags: SYN | ACK };
    let tunnel = (path == Path::Remote).then_some(Tunnel { vni: host.vni, source: cloud::remote_underlay() });
    let ifindex = match path {
        Path::Local => devices.local,
        Path::Remote => devices.overlay,
        Path::Routed => devices.routed,
        Path::Arriving => devices.client,
    };
    Scene { frame, tunnel, ifindex, ..*scene }
}

fn way(path: Path, vni: u32) -> Way {
    match path {
        Path::Local | Path::Arriving => Way::Local,
        Path::Remote => Way::Overlay(vni, cloud::remote_underlay(), cloud::local_underlay()),
        Path::Routed => {
            let mut macs = [0; 12];
            macs[..6].copy_from_slice(&Who::Routed.mac());
            macs[6..].copy_from_slice(&GATEWAY_MAC);
            Way::Routed(macs)
        }
    }
}
