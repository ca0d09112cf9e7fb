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
    /// From another host. Judged by the dry build, since a test run cannot give a frame a tunnel: nothing is remembered
    /// of it, and connections do not speak for it.
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
    /// The frame as the program left it; of one from the overlay, as it came.
    pub frame: Vec<u8>,
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
        let gso_segs = (frame.len() as u32).checked_div(gso_size).map_or(0, |segments| segments + 1);
        let mut context = TestContext { ifindex: LOOPBACK, gso_size, gso_segs, ..TestContext::default() };
        if let Way::Overlay { vni, remote } = way {
            context.tunnel = Some(Tunnel { vni, remote });
            if self.dry.is_none() {
                self.dry = Some(crate::bpf::Datapath::open_dry(&self.options)?);
            }
            let Some(dry) = &mut self.dry else { return Err(EngineError::Empty) };
            let record = dry.decide(hook, frame, &context)?;
            let judged = record.judged != 0;
            return Ok(Sent { went: self.went(&record), judged, told: false, frame: frame.to_vec() });
        }
        let before = self.record()?.map(|record| record.count);
        let run = self.datapath.test_run(hook, frame, &context)?;
        let record = self.record()?.filter(|record| Some(record.count) != before);
        let went = match record {
            Some(record) => self.went(&record),
            None if run.action == TC_ACT_SHOT => Err(None),
            None => Ok(Target::On),
        };
        let told = went.is_err() && run.action != TC_ACT_SHOT;
        let judged = record.is_some_and(|record| record.judged != 0);
        Ok(Sent { went, judged, told, frame: run.packet })
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
