//! Frames as they are, into whichever program: what packet fuzzing (docs/PROOFS.md) asks with.

use std::net::IpAddr;

use ringfence_policy::bundle::Bundle;

use super::{Engine, EngineError, LOOPBACK, TC_ACT_SHOT, stage::Stage};
use crate::bpf::{Action, Decision, Hook, Reason, TestContext, Tunnel};

/// By what way a frame comes to a program. Interfaces are named by their ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// From a workload, by its device.
    Workload(u32),
    /// From the host's stack, to a workload by its device.
    Host(u32),
    /// From beyond the uplink.
    Uplink,
    /// From the host's stack, out of the uplink.
    HostToUplink,
    /// From another host.
    Overlay {
        /// The VNI it bears.
        vni: u32,
        /// Who sent it.
        remote: IpAddr,
    },
}

/// Where a frame goes that a program lets pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// To an interface of this host.
    Interface(u32),
    /// To the host at an underlay address.
    Remote {
        /// The VNI.
        vni: u32,
        /// The host's.
        host: Option<IpAddr>,
    },
    /// Out of the uplink.
    Uplink,
    /// On, by the way it was going: into the host's stack, or out of the device.
    On,
    /// Back to who sent it, as an answer.
    Back,
}

/// What became of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// `Err`: dropped, and why; `None` in it: for no reason that is known, which must never be.
    pub went: Result<Target, Option<Reason>>,
    /// Whether policy was asked; else what is known of its flow decided, or nothing had to.
    pub judged: bool,
    /// What leaves in its place, if it was dropped and its sender is told.
    pub told: bool,
    /// The frame as the program left it.
    pub frame: Vec<u8>,
}

/// Where a frame comes in.
pub(super) struct Door {
    pub(super) hook: Hook,
    /// The device's number on the stage.
    pub(super) ifindex: u32,
    pub(super) context: TestContext,
}

/// What a program made of a frame.
pub(super) struct Ran {
    pub(super) sent: Sent,
    /// What it returned, a `TC_ACT_*`.
    pub(super) action: i32,
    pub(super) mark: u32,
    /// What it wrote down of that, if anything.
    pub(super) record: Option<Decision>,
}

/// The other host's underlay address.
pub const FAR: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 2));
/// Of no host.
pub const STRANGER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 3));

impl Engine {
    /// Puts a bundle in force as [`Engine::load`] does, on one of the hosts that it names: what lives on others is
    /// reached by the overlay, at [`FAR`].
    ///
    /// # Errors
    /// As [`Engine::load`].
    pub fn load_on(&mut self, bundle: &Bundle, host: &str, at: u64) -> Result<(), EngineError> {
        self.stage_on(Stage::on(bundle, host), at)
    }

    /// Sends a frame. `gso_size` is the payload of each segment that it stands for; 0: it is one packet.
    ///
    /// # Errors
    /// A way that is not there; programs that cannot be run or leave no record.
    pub fn send_frame(&mut self, way: Way, frame: &[u8], gso_size: u32) -> Result<Sent, EngineError> {
        let door = self.door(way, frame.len(), gso_size)?;
        Ok(self.run_frame(&door, frame)?.sent)
    }

    /// The program that frames of a way meet, on its device.
    pub(super) fn door(&mut self, way: Way, length: usize, gso_size: u32) -> Result<Door, EngineError> {
        let stage = self.stage()?;
        let of = |interface| stage.ifindex(interface).ok_or(EngineError::NoWay(way));
        let (hook, ifindex) = match way {
            Way::Workload(interface) => (Hook::FromWorkload, of(interface)?),
            Way::Host(interface) => (Hook::ToWorkload, of(interface)?),
            Way::Uplink => (Hook::FromUplink, super::stage::UPLINK_IFINDEX),
            Way::HostToUplink => (Hook::ToUplink, super::stage::UPLINK_IFINDEX),
            Way::Overlay { .. } => (Hook::FromOverlay, super::stage::OVERLAY_IFINDEX),
        };
        self.play(ifindex)?;
        let gso_segs = (length as u32).checked_div(gso_size).map_or(0, |segments| segments + 1);
        let tunnel = match way {
            Way::Overlay { vni, remote } => Some(Tunnel { vni, remote }),
            _ => None,
        };
        let context = TestContext { ifindex: LOOPBACK, gso_size, gso_segs, tunnel, ..TestContext::default() };
        Ok(Door { hook, ifindex, context })
    }

    /// Runs a program on a frame, once.
    pub(super) fn run_frame(&self, door: &Door, frame: &[u8]) -> Result<Ran, EngineError> {
        let before = self.record()?.map(|record| record.count);
        let output = self.datapath.test_run(door.hook, frame, &door.context)?;
        let record = self.record()?.filter(|record| Some(record.count) != before);
        let went = match &record {
            Some(record) => self.went(record),
            None if output.action == TC_ACT_SHOT => Err(None),
            None => Ok(Target::On),
        };
        let told = went.is_err() && output.action != TC_ACT_SHOT;
        let judged = record.as_ref().is_some_and(|record| record.judged != 0);
        let (action, mark) = (output.action, output.mark);
        Ok(Ran { sent: Sent { went, judged, told, frame: output.packet }, action, mark, record })
    }

    /// Forgets every connection, and every packet of which fragments are under way.
    ///
    /// # Errors
    /// Maps that cannot be written.
    pub fn forget_all(&self) -> Result<(), EngineError> {
        let maps = self.datapath.maps();
        maps.conns4.entries()?.iter().try_for_each(|(key, _)| maps.remove_conn4(key))?;
        maps.conns6.entries()?.iter().try_for_each(|(key, _)| maps.remove_conn6(key))?;
        maps.frags.entries()?.iter().try_for_each(|(key, _)| maps.frags.delete(key))?;
        Ok(())
    }

    /// Drops counted since the engine was opened, by reason.
    ///
    /// # Errors
    /// Maps that cannot be read.
    pub fn drops(&self) -> Result<Vec<(Option<Reason>, u64)>, EngineError> {
        let counted = self.datapath.maps().drops.entries()?;
        Ok(counted.into_iter().map(|(key, count)| (Reason::from_number(key.reason), count)).collect())
    }

    /// What a decision record says became of a frame.
    fn went(&self, record: &Decision) -> Result<Target, Option<Reason>> {
        let interface = |ifindex| self.stage.as_ref()?.interface(ifindex);
        Ok(match record.action {
            Action::RF_ACTION_LOCAL => match interface(record.ifindex) {
                Some(interface) => Target::Interface(interface),
                None => return Err(None),
            },
            Action::RF_ACTION_OVERLAY => {
                let host = self.image.hosts.get(&record.remote_host);
                let host = host.map(|host| IpAddr::from(crate::bpf::from_be32(host.v4)));
                Target::Remote { vni: record.vni, host }
            }
            Action::RF_ACTION_UPLINK => Target::Uplink,
            Action::RF_ACTION_DELIVER | Action::RF_ACTION_STACK => Target::On,
            Action::RF_ACTION_ANSWER => Target::Back,
            _ => return Err(Reason::from_number(record.reason)),
        })
    }
}
