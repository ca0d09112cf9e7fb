//! The stage of `bpf/floor.bpf.c`: where programs are timed, one after the other on the same frame.

use std::{
    mem::{MaybeUninit, offset_of},
    net::IpAddr,
    os::fd::{AsFd, AsRawFd},
};

use anyhow::{Context, bail};
use libbpf_rs::{
    MapCore, MapFlags, OpenObject, ProgramInput,
    skel::{OpenSkel, SkelBuilder},
};
use ringfence_agent::bpf::{Conn4Key, Conn6Key, Hook, Ip, Pod, be32};

use super::{
    frame::Frame,
    skel::{FloorSkel, FloorSkelBuilder, types},
};

/// A place among the stage's targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target(u32);

impl Target {
    /// Returns at once: what the stage itself costs.
    pub(super) const NOTHING: Self = Self(0);

    /// The floor.
    pub(super) fn floor(hook: Hook) -> Self {
        Self(if hook == Hook::FromOverlay { 2 } else { 1 })
    }

    /// The programs over one of the domains, by its number.
    pub(super) fn programs(domain: usize, hook: Hook) -> Self {
        Self(3 + 2 * domain as u32 + u32::from(hook == Hook::FromOverlay))
    }
}

/// The tunnel a frame comes from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tunnel {
    pub(super) vni: u32,
    pub(super) source: IpAddr,
}

/// Where the floor sends a flow.
#[derive(Clone, Copy, Debug)]
pub(super) enum Way {
    /// To a device of this host.
    Local,
    /// The same as a router does, with these MACs: destination, source.
    Routed([u8; 12]),
    /// By the overlay: VNI, outer destination, outer source.
    Overlay(u32, IpAddr, IpAddr),
}

/// A frame, and what a run makes of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scene {
    pub(super) frame: Frame,
    pub(super) tunnel: Option<Tunnel>,
    /// The device it comes in by.
    pub(super) ifindex: u32,
    /// The source port of the first repetition, when each is to open a flow of its own.
    pub(super) first_flow: Option<u16>,
    /// What the program returns.
    pub(super) action: u32,
}

impl Scene {
    /// The program that sees it.
    pub(super) fn hook(&self) -> Hook {
        if self.tunnel.is_some() { Hook::FromOverlay } else { Hook::FromWorkload }
    }
}

/// The stage, loaded.
pub(super) struct Stage<'a> {
    skel: FloorSkel<'a>,
}

impl<'a> Stage<'a> {
    pub(super) fn open(storage: &'a mut MaybeUninit<OpenObject>) -> anyhow::Result<Self> {
        let skel = FloorSkelBuilder::default().open(storage).context("cannot open the floor program")?;
        let stage = Self { skel: skel.load().context("cannot load the floor program")? };
        let progs = &stage.skel.progs;
        stage.put(Target::NOTHING, &progs.nothing)?;
        stage.put(Target::floor(Hook::FromWorkload), &progs.floor_workload)?;
        stage.put(Target::floor(Hook::FromOverlay), &progs.floor_overlay)?;
        Ok(stage)
    }

    /// Puts a program in a target's place.
    pub(super) fn put(&self, target: Target, program: &impl AsFd) -> anyhow::Result<()> {
        let program = program.as_fd().as_raw_fd().to_ne_bytes();
        let targets = &self.skel.maps.stage_targets;
        targets.update(&target.0.to_ne_bytes(), &program, MapFlags::ANY).context("cannot put a program on the stage")
    }

    /// Tells the floor where packets like the scene's go.
    pub(super) fn floor_flow(&self, scene: &Scene, way: Way) -> anyhow::Result<()> {
        let domain_id = scene.tunnel.map_or(0, |tunnel| tunnel.vni);
        let frame = &scene.frame;
        let port = frame.ports.map(u16::to_be);
        let l4_proto = 6;
        let flow = floor_flow(way);
        match (frame.source, frame.destination) {
            (IpAddr::V4(source), IpAddr::V4(destination)) => {
                let ip = [be32(source), be32(destination)];
                let key = Conn4Key { domain_id, ip, port, l4_proto, pad: [0; 3] };
                self.skel.maps.floor_flows4.update(key.bytes(), &flow, MapFlags::ANY)?;
            }
            ip => {
                let key = Conn6Key { domain_id, ip: [Ip::from(ip.0), Ip::from(ip.1)], port, l4_proto, pad: [0; 3] };
                self.skel.maps.floor_flows6.update(key.bytes(), &flow, MapFlags::ANY)?;
            }
        }
        Ok(())
    }

    /// Nanoseconds of one repetition, the stage's own included.
    ///
    /// A program that returns something else than the scene says was not measured at what it claims: an error. Of new
    /// flows it is for the caller to see, by the connections that there are.
    pub(super) fn time(&mut self, target: Target, scene: &Scene, repeat: u32) -> anyhow::Result<f64> {
        let run = &mut self.skel.maps.bss_data.as_deref_mut().context("the stage has no memory")?.stage_run;
        run.target = target.0;
        run.next_flow = scene.first_flow.map_or(0, u32::from);
        run.tunnel_vni = scene.tunnel.map_or(0, |tunnel| tunnel.vni);
        run.tunnel_src = scene.tunnel.map_or(0, |tunnel| outer(tunnel.source));
        run.ip_head = scene.frame.ip_head();
        run.macs = scene.frame.mac_bytes();
        let mut context = [0; size_of::<types::__sk_buff>()];
        let ifindex = offset_of!(types::__sk_buff, ifindex);
        context[ifindex..ifindex + 4].copy_from_slice(&scene.ifindex.to_ne_bytes());
        let frame = scene.frame.bytes();
        let input =
            ProgramInput { context_in: Some(&mut context), data_in: Some(&frame), repeat, ..ProgramInput::default() };
        let output = self.skel.progs.stage.test_run(input).context("BPF_PROG_TEST_RUN")?;
        let told = scene.first_flow.is_none() && target != Target::NOTHING;
        if told && output.return_value != scene.action {
            bail!("target {} returned {}, not {}, to {scene:?}", target.0, output.return_value, scene.action);
        }
        Ok(output.duration.as_nanos() as f64)
    }
}

/// As struct floor_flow.
fn floor_flow(way: Way) -> Vec<u8> {
    let (vni, remote, local, macs) = match way {
        Way::Local => (0, 0, 0, None),
        Way::Routed(macs) => (0, 0, 0, Some(macs)),
        Way::Overlay(vni, remote, local) => (vni, outer(remote), outer(local), None),
    };
    let words = [1, vni, remote, local, u32::from(macs.is_some())];
    [words.map(u32::to_ne_bytes).concat(), macs.unwrap_or_default().to_vec()].concat()
}

/// An underlay address of the benchmark is an IPv4 one.
fn outer(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(v4) => be32(v4),
        IpAddr::V6(_) => 0,
    }
}
