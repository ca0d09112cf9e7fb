//! Asking the maps in force what they would say to a packet, without touching them.

use std::io;
use std::mem::MaybeUninit;

use libbpf_rs::skel::OpenSkel;
use libbpf_rs::{MapHandle, ProgramHandle};

use super::boot::pinned_mark;
use super::datapath::{configure, open_skel, programs};
use super::pins::{folder, is_shared, same_shape};
use super::skel::OpenRingfenceSkel;
use super::table::failed;
use super::{BpfError, Datapath, Decision, Hook, Options, Table, TestContext, test_run};

/// Of one load, so that nobody else's decisions are mistaken for its own.
const DECISIONS: &str = "rf_decisions";

/// The dry build of the programs over the pinned maps of an agent.
///
/// It judges every packet afresh, as the first one of its flow, and writes nothing but its own decision record:
/// no connection, no counter, no pin, no link. Dropping it leaves no trace.
///
/// Connections are not looked at, so a packet that opens nothing (TCP without SYN, echo reply) is refused unless its
/// flow needs none, and an ICMP error is judged by its own type and code.
#[derive(Debug)]
pub struct DryRun {
    programs: Vec<(Hook, ProgramHandle)>,
    decisions: Table<u32, Decision>,
}

impl Datapath {
    /// Loads the dry build over the maps that are pinned in `options.pin_dir`, by whatever process. Of the other
    /// options, overlay device and gateway MAC should be those of the agent; guard, record and verdict are the dry
    /// build's own.
    ///
    /// # Errors
    /// [`BpfError::Layout`] when a pinned map is of another version, [`BpfError::Pin`] when one is missing.
    pub fn open_dry(options: &Options) -> Result<DryRun, BpfError> {
        let dir = &options.pin_dir;
        let mark = pinned_mark(dir)?;
        let mut storage = MaybeUninit::uninit();
        let mut skel = open_skel(&mut storage)?;
        skel.progs.guard.set_autoload(false);
        skel.progs.begin_sweep.set_autoload(false);
        share_maps(&mut skel, options)?;
        configure(&mut skel, options, mark);
        if let Some(rodata) = skel.maps.rodata_data.as_deref_mut() {
            rodata.rf_config.dry = 1;
            rodata.rf_config.record = 1;
            rodata.rf_config.tunnel_in_cb = 1;
            rodata.rf_config.verdict_off = 0;
        }
        let skel = skel.load().map_err(|source| BpfError::Load { action: "load", source })?;
        let decisions = MapHandle::try_from(&skel.maps.rf_decisions).map_err(failed(DECISIONS, "open"))?;
        Ok(DryRun { programs: programs(&skel.progs, |_| true)?, decisions: Table::new(DECISIONS, decisions) })
    }
}

impl DryRun {
    /// What the hook's program decides about `packet`, an Ethernet frame, on device `context.ifindex` of the calling
    /// thread's network namespace. A frame from the overlay needs `context.tunnel`.
    ///
    /// # Errors
    /// [`BpfError::Link`] when the kernel refuses the run, [`BpfError::Map`] when it left no record of its own.
    pub fn decide(&mut self, hook: Hook, packet: &[u8], context: &TestContext) -> Result<Decision, BpfError> {
        let before = self.decisions.get(&0)?.map(|decision| decision.count);
        // `Hook` has as many values as there are programs, in the same order.
        test_run::run(&self.programs[hook as usize].1, &hook, packet, context)?;
        // Every way through a program ends in a record; one of an earlier packet is no answer.
        self.decisions.get(&0)?.filter(|decision| Some(decision.count) != before).ok_or_else(|| BpfError::Map {
            map: DECISIONS,
            action: "find what was decided",
            source: io::ErrorKind::NotFound.into(),
        })
    }
}

/// Takes every map that is pinned; makes none.
fn share_maps(skel: &mut OpenRingfenceSkel<'_>, options: &Options) -> Result<(), BpfError> {
    for mut map in skel.open_object_mut().maps_mut() {
        let name = map.name().to_string_lossy().into_owned();
        if !is_shared(&name) || name == DECISIONS {
            continue;
        }
        let path = folder(&options.pin_dir).join(&name);
        same_shape(&path, &map)?;
        map.reuse_pinned_map(&path).map_err(|source| BpfError::Load { action: "share a map", source })?;
    }
    Ok(())
}
