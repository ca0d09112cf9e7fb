//! This host as the loop uses it: devices, programs, maps and what is known of them.

use std::collections::{BTreeMap, BTreeSet};

use ringfence_policy::bundle::Bundle;
use tokio::runtime::Handle;

use super::{
    apply::apply,
    devices::{self, DeviceAction, Ownership, Seen},
    observe::{differences, observe, observe_known},
    plan::{Start, plan},
};
use crate::{
    bpf::{BpfError, Datapath, Hook, Options},
    config::Config,
    lower::{Full, Site, admit::Reserved, assign, desired::Desired, image::Image, lower},
    netlink::{Link, Netlink, NetlinkError, Overlay, sysctl},
    persist::{PersistError, Store},
};

/// Why a pass ended early. All is tried again.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PassError {
    /// A table of this host is full.
    #[error(transparent)]
    Full(#[from] Full),
    /// Devices.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
    /// Programs and maps.
    #[error(transparent)]
    Bpf(#[from] BpfError),
}

/// Why there is no machine to work on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// The state directory.
    #[error(transparent)]
    Persist(#[from] PersistError),
    /// Netlink.
    #[error(transparent)]
    Netlink(#[from] NetlinkError),
}

/// This host.
#[derive(Debug)]
pub struct Machine {
    config: Config,
    ownership: Ownership,
    runtime: Handle,
    netlink: Netlink,
    /// What was enforced, on disk.
    pub store: Store,
    datapath: Option<(u32, Datapath)>,
    /// What the maps hold; `None`: to be read.
    image: Option<Image>,
    start: Start,
    links: BTreeMap<String, Link>,
    /// Where programs ran after the last pass.
    attached: BTreeSet<(Hook, u32)>,
    guarded: bool,
}

/// What a pass left behind.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What should be enforced, and now is.
    pub desired: Desired,
    /// Where programs run.
    pub attached: BTreeSet<(Hook, u32)>,
}

impl Machine {
    /// Takes the host's lock; must be called within the runtime.
    pub fn open(config: Config, runtime: Handle) -> Result<Self, OpenError> {
        let store = Store::open(&config.state_dir)?;
        let start = if store.plan_was_cut_off() { Start::Interrupted } else { Start::Settled };
        let ownership = Ownership { dedicated: config.dedicated, trusted: config.trusted_devices.clone() };
        Ok(Self {
            netlink: Netlink::connect()?,
            config,
            ownership,
            runtime,
            store,
            datapath: None,
            image: None,
            start,
            links: BTreeMap::new(),
            attached: BTreeSet::new(),
            guarded: false,
        })
    }

    /// Makes the host enforce these bundles: closes devices, brings the maps there, opens devices.
    pub fn pass(&mut self, bundles: &[&Bundle], may_come_up: &BTreeSet<u32>) -> Result<Outcome, PassError> {
        let site = self.look_around()?;
        let desired = lower(bundles.iter().copied(), &site);
        self.close_devices(&desired)?;
        self.bring_maps(&desired)?;
        let attached = self.datapath()?.attached()?;
        let seen = Seen { links: &self.links, attached: &attached, unset: |setting| !setting.holds(), may_come_up };
        for step in devices::open(bundles, &desired.devices, &seen) {
            self.attempt(&step);
        }
        self.guard()?;
        self.attached.clone_from(&attached);
        Ok(Outcome { desired, attached })
    }

    /// Reads the maps anew; what somebody else changed is reported, and put back by the next pass.
    pub fn read_back(&mut self) -> Result<(), PassError> {
        let (Some((_, datapath)), Some(image)) = (&self.datapath, &mut self.image) else { return Ok(()) };
        let observed = observe_known(datapath.maps(), image)?;
        let changed = differences(image, &observed);
        if !changed.is_empty() {
            tracing::warn!(maps = ?changed, "maps were changed by somebody else; they are put back");
        }
        *image = observed;
        Ok(())
    }

    /// The programs' maps, once they are loaded, and what they hold.
    pub fn maps(&self) -> Option<(&crate::bpf::Maps, &Image)> {
        Some((self.datapath.as_ref()?.1.maps(), self.image.as_ref()?))
    }

    /// Devices by name, as of the last pass.
    pub fn links(&self) -> &BTreeMap<String, Link> {
        &self.links
    }

    /// What no bundle may claim.
    pub fn reserved(&self) -> Reserved {
        let underlay = &self.config.underlay;
        let keeps_reachable = |link: &&Link| {
            link.name == "lo" || link.addresses.iter().any(|address| underlay.contains(&address.net.addr()))
        };
        let devices = self.links.values().filter(keeps_reachable).map(|link| link.name.clone());
        Reserved { devices: devices.chain([self.config.overlay_device.clone()]).collect(), addresses: underlay.clone() }
    }

    fn look_around(&mut self) -> Result<Site, PassError> {
        let overlay = Overlay {
            device: self.config.overlay_device.clone(),
            port: self.config.vxlan_port,
            underlay: self.config.underlay.clone(),
        };
        let links = self.runtime.block_on(self.netlink.links())?;
        let (ifindex, mtu) = self.runtime.block_on(self.netlink.ensure_overlay(&overlay, &links))?;
        self.links = if links.values().any(|link| link.ifindex == ifindex) {
            links
        } else {
            self.runtime.block_on(self.netlink.links())?
        };
        if self.datapath.as_ref().is_none_or(|(held, _)| *held != ifindex) {
            self.load(ifindex)?;
        }
        Ok(devices::site(&self.config.host, &self.config.underlay, (ifindex, mtu), &self.links, &self.ownership))
    }

    fn load(&mut self, overlay_ifindex: u32) -> Result<(), PassError> {
        let datapath = Datapath::open(&Options {
            pin_dir: self.config.pin_dir.clone(),
            overlay_ifindex,
            gateway_mac: self.config.gateway_mac,
            guard: self.ownership.dedicated,
            record: false,
            #[cfg(debug_assertions)]
            verdict_off: self.config.verdict_off,
        })?;
        self.image = None;
        self.datapath = Some((overlay_ifindex, datapath));
        if self.ownership.dedicated {
            for setting in sysctl::of_devices_to_come().into_iter().filter(|setting| !setting.holds()) {
                self.attempt(&DeviceAction::Set(setting));
            }
        }
        tracing::info!(overlay_ifindex, pins = %self.config.pin_dir.display(), "programs loaded");
        Ok(())
    }

    fn close_devices(&mut self, desired: &Desired) -> Result<(), PassError> {
        let attached = self.datapath()?.attached()?;
        let none = BTreeSet::new();
        let seen =
            Seen { links: &self.links, attached: &attached, unset: |setting| !setting.holds(), may_come_up: &none };
        for step in devices::close(&desired.devices, &self.ownership, &seen) {
            if let DeviceAction::Attach(hook, ifindex) = step
                && self.attached.contains(&(hook, ifindex))
            {
                tracing::warn!(%hook, ifindex, "a program was taken off by somebody else; it is put back");
            }
            self.attempt(&step);
        }
        Ok(())
    }

    fn bring_maps(&mut self, desired: &Desired) -> Result<(), PassError> {
        let Some((_, datapath)) = &self.datapath else { return Ok(()) };
        let mut image = match self.image.take() {
            Some(image) => image,
            None => observe(datapath.maps())?,
        };
        let target = match assign(desired, &image) {
            Ok(target) => target,
            Err(full) => {
                self.image = Some(image);
                return Err(full.into());
            }
        };
        let steps = plan(&image, &target, self.start);
        if !steps.is_empty() {
            note(self.store.begin_plan());
            // An image that a failed step left is not trusted: it stays `None`, to be read again.
            self.start = Start::Interrupted;
            apply(datapath.maps(), &mut image, &steps)?;
            tracing::info!(steps = steps.len(), "maps brought to the desired state");
        }
        self.start = Start::Settled;
        note(self.store.end_plan());
        self.image = Some(image);
        Ok(())
    }

    fn guard(&mut self) -> Result<(), PassError> {
        if self.guarded {
            return Ok(());
        }
        self.datapath_mut()?.guard()?;
        self.guarded = true;
        Ok(())
    }

    /// One device must not hold up the others: what fails is tried again at the next pass, and until its programs run a
    /// device is neither reported nor set up.
    fn attempt(&mut self, step: &DeviceAction) {
        if let Err(error) = self.carry_out(step) {
            tracing::warn!(?step, %error, "a step on a device failed; it is tried again");
        }
    }

    fn carry_out(&mut self, step: &DeviceAction) -> Result<(), PassError> {
        tracing::info!(?step, "device");
        match step {
            DeviceAction::Attach(hook, ifindex) => self.datapath_mut()?.attach(*hook, *ifindex)?,
            DeviceAction::Detach(hook, ifindex) => self.datapath_mut()?.detach(*hook, *ifindex)?,
            DeviceAction::Set(setting) => {
                if let Err(error) = setting.write() {
                    tracing::warn!(setting = %setting.path().display(), %error, "a kernel setting cannot be written");
                }
            }
            DeviceAction::AddAddress(name, net) => {
                self.runtime.block_on(self.netlink.add_address(self.link(name)?, *net))?;
            }
            DeviceAction::RemoveAddress(name, net) => {
                self.runtime.block_on(self.netlink.remove_address(self.link(name)?, *net))?;
            }
            DeviceAction::SetUp(name) => self.runtime.block_on(self.netlink.set_up(self.link(name)?))?,
        }
        Ok(())
    }

    fn link(&self, name: &str) -> Result<&Link, NetlinkError> {
        self.links.get(name).ok_or_else(|| NetlinkError::Vanished { device: name.to_owned() })
    }

    fn datapath(&self) -> Result<&Datapath, PassError> {
        self.datapath.as_ref().map(|(_, datapath)| datapath).ok_or_else(|| not_loaded().into())
    }

    fn datapath_mut(&mut self) -> Result<&mut Datapath, PassError> {
        self.datapath.as_mut().map(|(_, datapath)| datapath).ok_or_else(|| not_loaded().into())
    }
}

/// A full disk must not stop enforcement.
fn note(result: Result<(), PersistError>) {
    if let Err(error) = result {
        tracing::error!(%error, "the state directory cannot be written");
    }
}

fn not_loaded() -> NetlinkError {
    NetlinkError::Vanished { device: "*".to_owned() }
}
