//! Loading: programs, the maps they share with whatever ran before, and what they are told.

use std::collections::BTreeSet;
use std::fs;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use libbpf_rs::skel::{OpenSkel, Skel, SkelBuilder};
use libbpf_rs::{OpenObject, ProgramHandle};

use super::boot::BootMap;
use super::links::Links;
use super::older::{Older, remove_pins};
use super::pins::{Pins, pin_maps};
use super::skel::{OpenRingfenceSkel, RingfenceProgs, RingfenceSkelBuilder};
use super::{BpfError, Hook, Maps, Timeouts, sweep};

/// What the programs are told when they are loaded.
#[derive(Clone, Debug)]
pub struct Options {
    /// A folder on a bpffs, of this agent alone; made if it is not there.
    pub pin_dir: PathBuf,
    /// The VXLAN device.
    pub overlay_ifindex: u32,
    /// The gateways' MAC, the same on every host.
    pub gateway_mac: [u8; 6],
    /// UDP port of the overlay.
    pub vxlan_port: u16,
    /// TCP port of the controller; 0: there is none.
    pub controller_port: u16,
    /// Load the host guard, too: it needs what a host without it can do without.
    pub guard: bool,
    /// How long connections live without a packet.
    pub timeouts: Timeouts,
    /// Write decision records, for tests.
    pub record: bool,
    /// Take the tunnel of frames from the overlay from [`TestContext::tunnel`](super::TestContext), for tests: frames of
    /// a device have none there.
    pub tunnel_in_cb: bool,
    /// Without policy and connections (`unjudged.h`): the negative control of tests, and what policy is measured against.
    /// No release build of the agent sets it.
    pub verdict_off: bool,
}

/// The programs, loaded, and their maps. Dropping it leaves everything pinned in force.
#[derive(Debug)]
pub struct Datapath {
    options: Options,
    maps: Maps,
    links: Links,
    programs: Vec<(Hook, ProgramHandle)>,
    /// If it was asked for.
    guard: Option<ProgramHandle>,
    pins: Pins,
    boot: BootMap,
    /// The maps that the programs of an earlier release decide by still.
    older: Option<Older>,
}

/// What became of the flows when the programs of an earlier release were replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TakenOver {
    /// Layout of its maps.
    pub layout: u32,
    /// Connections that were carried over.
    pub carried: usize,
    /// Those of them that were opened meanwhile.
    pub late: usize,
    /// How long programs of both ran: a flow that was opened then may have met one of each.
    pub sweep: Duration,
    /// The guard was replaced, too.
    pub guarded: bool,
}

impl Datapath {
    /// Loads the programs over the maps pinned in `pin_dir`, making those that are missing, and puts
    /// them in place of the programs of links that are pinned there.
    ///
    /// If an earlier release pinned maps of another layout there, its programs stay in place and go on deciding by those
    /// until [`Datapath::take_over`]; the maps of this one are made beside them.
    ///
    /// # Errors
    /// [`BpfError::Layout`] when a pinned map is of a version that this one cannot take over; nothing is changed then.
    pub fn open(options: &Options) -> Result<Self, BpfError> {
        let dir = &options.pin_dir;
        fs::create_dir_all(dir).map_err(|source| BpfError::Pin { path: dir.clone(), action: "create", source })?;
        let links = Links::open(dir.join("links"))?;

        let mut storage = MaybeUninit::uninit();
        let mut skel = open_skel(&mut storage)?;
        skel.progs.guard.set_autoload(options.guard);
        let mut boot = BootMap::open(dir)?;
        let older = boot.older().map(|layout| Older::open(dir, layout, &links)).transpose()?.flatten();
        if older.is_none() {
            if boot.older().is_some() {
                boot.is_taken_over()?;
            }
            remove_pins(dir)?;
        }
        pin_maps(&mut skel, dir)?;
        configure(&mut skel, options, boot.mark());
        let mut skel = skel.load().map_err(|source| BpfError::Load { action: "load", source })?;

        let pins = Pins::of(skel.object_mut().maps_mut(), dir)?;
        let progs = &skel.progs;
        let guard = options.guard.then(|| ProgramHandle::try_from(&progs.guard)).transpose();
        let begin_sweep = ProgramHandle::try_from(&progs.begin_sweep);
        let keep = |source| BpfError::Load { action: "keep", source };
        let datapath = Self {
            options: options.clone(),
            maps: Maps::open(&skel.maps)?,
            links,
            programs: programs(progs, |_| true)?,
            guard: guard.map_err(keep)?,
            pins,
            boot,
            older,
        };
        sweep::begin(&begin_sweep.map_err(keep)?)?;
        if datapath.older.is_none() {
            datapath.renew_links()?;
        }
        Ok(datapath)
    }

    /// Whether an agent was here before in this boot: its programs may run on devices.
    pub fn is_pinned(pin_dir: &Path) -> bool {
        BootMap::path(pin_dir).exists()
    }

    /// Whether programs of an earlier release are in place still, which decide by maps of their own.
    pub fn has_older(&self) -> bool {
        self.older.is_some()
    }

    /// Ids of the domains that the programs in place enforce.
    pub fn enforced(&self) -> Result<BTreeSet<u32>, BpfError> {
        match &self.older {
            Some(older) => older.domains(),
            None => Ok(self.maps.domains.entries()?.into_iter().map(|(_, domain)| domain.id).collect()),
        }
    }

    /// Puts the programs in place of those of an earlier release, once the maps hold what packets are to be judged by.
    /// Connections come along; those that were opened while the programs were replaced, too. Cut off at any step, the
    /// next agent finds the earlier release in force still and does it again.
    pub fn take_over(&mut self) -> Result<Option<TakenOver>, BpfError> {
        let Some(older) = &self.older else { return Ok(None) };
        let early = older.carry(&self.maps)?;
        let begun = Instant::now();
        self.renew_links()?;
        let mut guarded = false;
        if let Some(program) = self.guard.as_ref().filter(|_| self.links.is_guarded()) {
            // What the earlier release left guards on, and must not hold up the devices.
            match self.links.guard(program) {
                Ok(()) => guarded = true,
                Err(error) => tracing::error!(%error, "the guard of an earlier release cannot be replaced yet"),
            }
        }
        let sweep = begun.elapsed();
        let late = older.carry(&self.maps)?;
        let taken = TakenOver { layout: older.layout(), carried: early + late, late, sweep, guarded };
        self.boot.is_taken_over()?;
        remove_pins(&self.options.pin_dir)?;
        self.older = None;
        Ok(Some(taken))
    }

    /// Pins every map again whose pin somebody removed or replaced; returns their names.
    pub fn keep_pins(&self) -> Result<Vec<String>, BpfError> {
        self.pins.keep()
    }

    fn renew_links(&self) -> Result<(), BpfError> {
        for (hook, ifindex) in self.links.list()?.into_keys() {
            self.links.renew(hook, ifindex, self.program(hook))?;
        }
        Ok(())
    }

    /// The maps.
    pub fn maps(&self) -> &Maps {
        &self.maps
    }

    /// The mark of this boot, which only packets bear that a program admitted.
    pub fn mark(&self) -> u32 {
        self.boot.mark()
    }

    /// Runs the hook's program on the device from now on, before any other program there; whatever
    /// program of ours runs there is replaced in one step.
    pub fn attach(&mut self, hook: Hook, ifindex: u32) -> Result<(), BpfError> {
        if self.links.alive(hook, ifindex)?.is_none_or(|alive| alive.first || alive.program != self.program(hook).id())
        {
            return self.links.attach(hook, ifindex, self.program(hook));
        }
        // Somebody went before it. The kernel runs a program but once at a hook, so a twin has to go first, and the one
        // behind only then.
        self.programs[hook as usize].1 = self.twin(hook)?;
        self.links.attach(hook, ifindex, self.program(hook))?;
        self.renew_links()
    }

    /// The hook's program, loaded once more over the same maps.
    fn twin(&self, hook: Hook) -> Result<ProgramHandle, BpfError> {
        let mut storage = MaybeUninit::uninit();
        let mut skel = open_skel(&mut storage)?;
        for mut program in skel.open_object_mut().progs_mut() {
            let wanted = program.name() == hook.program();
            program.set_autoload(wanted);
        }
        self.pins.share(&mut skel)?;
        configure(&mut skel, &self.options, self.mark());
        let skel = skel.load().map_err(|source| BpfError::Load { action: "load", source })?;
        programs(&skel.progs, |other| other == hook)?
            .pop()
            .map(|(_, program)| program)
            .ok_or(BpfError::Load { action: "keep", source: libbpf_rs::Error::from_raw_os_error(nix::libc::ENOENT) })
    }

    /// Takes the hook's program off the device, if it is there.
    pub fn detach(&mut self, hook: Hook, ifindex: u32) -> Result<(), BpfError> {
        self.links.detach(hook, ifindex)
    }

    /// Where the kernel runs programs of this object now, before any other. Links of devices that are gone, links
    /// that someone detached or went before, and links with somebody's program are not among them. Programs of an earlier
    /// release count until they are replaced.
    pub fn attached(&self) -> Result<BTreeSet<(Hook, u32)>, BpfError> {
        let mut attached = self.links.list()?;
        attached.retain(|(hook, _), alive| {
            alive.first && (self.older.is_some() || alive.program == self.program(*hook).id())
        });
        Ok(attached.into_keys().collect())
    }

    /// Guards the host's stack in this network namespace if [`Options::guard`] asked for it, else
    /// takes away a guard that an earlier agent left.
    pub fn guard(&mut self) -> Result<(), BpfError> {
        match &self.guard {
            Some(program) => self.links.guard(program),
            None => self.links.unguard(),
        }
    }

    /// Whether the host's stack is guarded; the guard may be of a program that was loaded before.
    pub fn is_guarded(&self) -> bool {
        self.links.is_guarded()
    }

    /// The hook's program.
    pub fn program(&self, hook: Hook) -> &ProgramHandle {
        // `Hook` has as many values as the table rows, in the same order.
        &self.programs[hook as usize].1
    }
}

/// The object, not loaded yet.
pub(super) fn open_skel(storage: &mut MaybeUninit<OpenObject>) -> Result<OpenRingfenceSkel<'_>, BpfError> {
    libbpf_rs::set_print(Some((libbpf_rs::PrintLevel::Warn, log)));
    RingfenceSkelBuilder::default().open(storage).map_err(|source| BpfError::Load { action: "open", source })
}

/// Tells the programs what they are to know from load on.
pub(super) fn configure(skel: &mut OpenRingfenceSkel<'_>, options: &Options, mark: u32) {
    if let Some(rodata) = skel.maps.rodata_data.as_deref_mut() {
        rodata.rf_config.mark = mark;
        rodata.rf_config.overlay_ifindex = options.overlay_ifindex;
        rodata.rf_config.gateway_mac = options.gateway_mac;
        rodata.rf_config.vxlan_port = options.vxlan_port.to_be();
        rodata.rf_config.controller_port = options.controller_port.to_be();
        rodata.rf_config.record = u8::from(options.record);
        rodata.rf_config.tunnel_in_cb = u8::from(options.tunnel_in_cb);
        rodata.rf_config.verdict_off = u8::from(options.verdict_off);
        rodata.rf_config.guard = u8::from(options.guard);
        rodata.rf_config.timeout_ns = options.timeouts.table();
    }
}

/// The hooks' programs, those that are wanted, in the order of [`Hook::ALL`].
pub(super) fn programs(
    progs: &RingfenceProgs<'_>,
    wanted: impl Fn(Hook) -> bool,
) -> Result<Vec<(Hook, ProgramHandle)>, BpfError> {
    let program = |hook| match hook {
        Hook::FromWorkload => &progs.from_workload,
        Hook::ToWorkload => &progs.to_workload,
        Hook::FromOverlay => &progs.from_overlay,
        Hook::FromUplink => &progs.from_uplink,
        Hook::ToUplink => &progs.to_uplink,
        Hook::FromHost => &progs.from_host,
        Hook::ToHost => &progs.to_host,
    };
    let hooks = Hook::ALL.into_iter().filter(|hook| wanted(*hook));
    hooks
        .map(|hook| Ok((hook, ProgramHandle::try_from(program(hook))?)))
        .collect::<Result<_, _>>()
        .map_err(|source| BpfError::Load { action: "keep", source })
}

#[allow(clippy::needless_pass_by_value, reason = "libbpf-rs asks for this signature")]
fn log(level: libbpf_rs::PrintLevel, text: String) {
    match level {
        libbpf_rs::PrintLevel::Warn => tracing::warn!(target: "libbpf", "{}", text.trim_end()),
        _ => tracing::debug!(target: "libbpf", "{}", text.trim_end()),
    }
}
