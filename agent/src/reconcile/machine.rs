//! This host as the loop uses it: devices, programs, maps and what is known of them.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use ringfence_policy::bundle::Bundle;
use ringfence_proto::v1;
use tokio::runtime::Handle;

use super::{
    apply::apply,
    before::Before,
    clock,
    devices::{self, DeviceAction, Ownership, Seen},
    observe::{differences, observe_known, put_words_back},
    plan::{Start, plan},
    put_back::PutBacks,
    unfinished::Unfinished,
    ways::ways,
};
use crate::{
    bpf::{BpfError, Datapath, Decision, DryRun, Hook, Options, Reply, ServiceKey},
    config::Config,
    defaults::Defaults,
    lower::{Full, admit::Reserved, adopt::is_of_interface, desired::Desired, image::Image, keep},
    netlink::{Link, Netlink, NetlinkError},
    persist::{PersistError, Store},
    rescue::Rescue,
    trace::{Here, Question},
};

mod look;
mod prepare;
mod serve;

pub use prepare::Prepared;
use prepare::Settled;
use serve::differing_replies;

/// Between two looks at connections that were carried over. They only take room, so this may be long.
const BETWEEN_CARRIED: Duration = Duration::from_secs(60);

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
    /// Nothing can be enforced before the programs are there.
    #[error("the programs are not loaded yet, or their maps not read; the next pass does it")]
    NotLoaded,
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
    /// Once somebody asked.
    dry: Option<DryRun>,
    /// What the maps hold; `None`: to be read.
    image: Option<Image>,
    /// What was lowered for what the maps hold.
    settled: Option<Settled>,
    /// What the programs answer; `None`: to be read.
    replies: Option<BTreeMap<ServiceKey, Reply>>,
    start: Start,
    unfinished: Unfinished,
    /// Devices that were there before the first agent of this boot, and are not taken in yet.
    before: Before,
    /// Domains that the programs enforced when they were loaded, until somebody asks.
    inherited: BTreeSet<u32>,
    put_back: PutBacks,
    /// When connections are looked at that were carried over from an earlier release; `None`: there is none.
    next_carried: Option<Instant>,
    /// Domains of which only the maps know, at the last pass.
    missing: BTreeSet<u32>,
    links: BTreeMap<String, Link>,
    /// Where programs ran after the last pass.
    attached: BTreeSet<(Hook, u32)>,
    /// The guard is of the programs that are loaded now.
    guarded: bool,
    /// The note that somebody rescued this machine, and whether it was there at the last look.
    rescue: Rescue,
    rescued: bool,
    /// What is wrong with the overlay device, as it was told last.
    overlay_fault: Option<String>,
    /// Devices that bore an underlay address. One that lost it, as between two DHCP leases, is the host's all the same.
    underlay: BTreeSet<u32>,
    /// Devices on which programs of ours run.
    bound: BTreeSet<u32>,
    /// Those of them that were a workload's or an uplink's and stay closed.
    former: BTreeSet<u32>,
    /// What new devices were born with before us.
    defaults: Defaults,
    /// The host's own devices at the last look; `None` before the first.
    own: Option<BTreeSet<u32>>,
    /// Once its name is resolved.
    controller: Arc<OnceLock<IpAddr>>,
    /// The device by which the host reaches it; 0: unknown.
    toward_controller: u32,
}

/// What a pass left behind.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What should be enforced, and now is.
    pub desired: Arc<Desired>,
    /// Where programs run.
    pub attached: BTreeSet<(Hook, u32)>,
    /// Programs of an earlier release decide still.
    pub waits: bool,
}

impl Machine {
    /// Takes the host's lock; must be called within the runtime.
    pub fn open(config: Config, runtime: Handle) -> Result<Self, OpenError> {
        let store = Store::open(&config.state_dir)?;
        let unfinished = Unfinished::new(&config.pin_dir);
        let before = Before::open(&config.pin_dir);
        let start = if unfinished.is_there() { Start::Interrupted } else { Start::Settled };
        let ownership = Ownership { dedicated: config.dedicated, trusted: config.trusted_devices.clone() };
        let controller = look::controller(config.controller.uri(), &runtime);
        Ok(Self {
            netlink: Netlink::connect()?,
            rescue: Rescue::new(&config.state_dir),
            rescued: false,
            config,
            ownership,
            runtime,
            store,
            datapath: None,
            dry: None,
            image: None,
            settled: None,
            replies: None,
            start,
            unfinished,
            before,
            inherited: BTreeSet::new(),
            put_back: PutBacks::default(),
            next_carried: None,
            missing: BTreeSet::new(),
            links: BTreeMap::new(),
            attached: BTreeSet::new(),
            guarded: false,
            overlay_fault: None,
            underlay: BTreeSet::new(),
            bound: BTreeSet::new(),
            former: BTreeSet::new(),
            defaults: Defaults::default(),
            own: None,
            controller,
            toward_controller: 0,
        })
    }

    /// Makes the host enforce what was prepared for these bundles: closes devices, brings the maps there, opens devices.
    /// Of the `missing` domains only the maps in force know: they stay as they are, and programs of an earlier release are
    /// not replaced before there is none.
    pub fn enforce(
        &mut self,
        prepared: Prepared,
        bundles: &[&Bundle],
        missing: &BTreeSet<u32>,
        may_come_up: &BTreeSet<u32>,
    ) -> Result<Outcome, PassError> {
        if missing != &self.missing {
            tracing::warn!(domains = ?missing, "no state of these is here; they stay enforced as they are until the controller sends one");
            self.missing.clone_from(missing);
        }
        self.tell_former(&prepared.desired);
        // What runs on a device that was there before us must not fall into a gap between programs and maps: it was open all
        // the time, and its programs come when the maps know it. A host that is given over is closed first nevertheless.
        let taken_in = if self.ownership.dedicated { BTreeSet::new() } else { self.before.devices().clone() };
        self.close_devices(&prepared.desired, &taken_in)?;
        self.welcome(&prepared.desired);
        if !self.datapath()?.has_older() {
            self.unguard()?;
        }
        if let Some((target, settled)) = prepared.change {
            self.bring_maps(&target)?;
            self.bring_replies(&prepared.desired)?;
            self.settled = Some(settled);
        }
        if !taken_in.is_empty() {
            self.close_devices(&prepared.desired, &BTreeSet::new())?;
        }
        self.take_over()?;
        let waits = self.datapath()?.has_older();
        let desired = prepared.desired;
        let attached = self.datapath()?.attached()?;
        let attached = if waits {
            attached
        } else {
            self.guard()?;
            self.open_devices(bundles, &desired, may_come_up, attached)?
        };
        self.attached.clone_from(&attached);
        Ok(Outcome { desired, attached, waits })
    }

    /// Reads the maps anew; what somebody else changed is reported, and put back by the next pass.
    pub fn read_back(&mut self) -> Result<(), PassError> {
        let (Some((_, datapath)), Some(image)) = (&self.datapath, &mut self.image) else { return Ok(()) };
        let pins = datapath.keep_pins()?;
        let mut observed = observe_known(datapath.maps(), image)?;
        let changed = differences(image, &observed);
        let changed = [changed, differing_replies(datapath.maps(), &mut self.replies)?].concat();
        if !changed.is_empty() {
            // What was judged meanwhile, or under an epoch that somebody set back, is judged again.
            self.settled = None;
            self.start = Start::Interrupted;
            self.unfinished.begin();
            put_words_back(datapath.maps(), &image.words, &mut observed.words)?;
        }
        *image = observed;
        pins.iter().for_each(|name| self.note_put_back(&format!("pin {name}"), None));
        changed.iter().for_each(|name| self.note_put_back(&format!("map {name}"), None));
        Ok(())
    }

    /// What somebody else changed here since the agent started, and was put back.
    pub fn put_back(&self) -> v1::PutBacks {
        self.put_back.told()
    }

    /// Domains that the programs enforced when they were loaded; told once for each time they are.
    pub fn take_inherited(&mut self) -> BTreeSet<u32> {
        std::mem::take(&mut self.inherited)
    }

    fn note_put_back(&mut self, what: &str, ifindex: Option<u32>) {
        let device = self.links.values().find(|link| Some(link.ifindex) == ifindex);
        let device = device.map_or("", |link| link.name.as_str());
        tracing::warn!(%what, device, "was changed by somebody else; it is put back");
        self.put_back.note(what, device, clock::now().as_secs());
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
        let mut devices = self.ownership.reserved(&self.around());
        devices.insert(self.config.overlay_device.clone());
        Reserved {
            devices,
            ways: ways(&self.around()),
            addresses: self.config.underlay.clone(),
            controller: look::given_address(self.config.controller.uri()),
            gateway_mac: self.config.gateway_mac,
        }
    }

    /// Where a packet's way begins.
    pub(crate) fn here(&self) -> Here<'_> {
        Here { host: &self.config.host, links: &self.links, gateway_mac: self.config.gateway_mac }
    }

    /// What the programs would decide, by the maps in force. The dry build that answers is loaded by the first question.
    pub(crate) fn ask(&mut self, question: &Question) -> Result<Decision, PassError> {
        let overlay_ifindex = self.datapath.as_ref().map(|(ifindex, _)| *ifindex).ok_or(PassError::NotLoaded)?;
        let dry = match self.dry.take() {
            Some(dry) => dry,
            None => Datapath::open_dry(&self.options(overlay_ifindex))?,
        };
        Ok(self.dry.insert(dry).decide(question.hook, &question.frame, &question.context)?)
    }

    fn options(&self, overlay_ifindex: u32) -> Options {
        Options {
            pin_dir: self.config.pin_dir.clone(),
            overlay_ifindex,
            gateway_mac: self.config.gateway_mac,
            vxlan_port: self.config.vxlan_port,
            controller_port: look::port(self.config.controller.uri()),
            guard: self.ownership.dedicated,
            timeouts: self.config.timeouts,
            record: false,
            tunnel_in_cb: false,
            #[cfg(debug_assertions)]
            verdict_off: self.config.verdict_off,
            #[cfg(not(debug_assertions))]
            verdict_off: false,
        }
    }

    fn load(&mut self, overlay_ifindex: u32) -> Result<(), PassError> {
        if !Datapath::is_pinned(&self.config.pin_dir) {
            let there = self.links.values().map(|link| link.ifindex).filter(|ifindex| *ifindex != overlay_ifindex);
            self.before.note(there);
        }
        let datapath = Datapath::open(&self.options(overlay_ifindex))?;
        self.inherited = datapath.enforced()?;
        // An agent before this one may have carried some over.
        self.next_carried = Some(Instant::now());
        self.image = None;
        self.settled = None;
        self.replies = None;
        self.dry = None;
        self.guarded = false;
        self.datapath = Some((overlay_ifindex, datapath));
        if self.ownership.dedicated {
            self.defaults = Defaults::claim(&self.store);
        } else {
            Defaults::give_back(&self.store);
        }
        tracing::info!(overlay_ifindex, pins = %self.config.pin_dir.display(), "programs loaded");
        Ok(())
    }

    /// Closes all devices but those of `later`.
    fn close_devices(&mut self, desired: &Desired, later: &BTreeSet<u32>) -> Result<(), PassError> {
        let attached = self.datapath()?.attached()?;
        let (none, kept) = (BTreeSet::new(), self.kept()?);
        let seen = Seen {
            links: &self.links,
            attached: &attached,
            unset: |setting| !setting.holds(),
            may_come_up: &none,
            kept: &kept,
            rescued: self.rescued,
        };
        let mut steps = devices::close(&desired.devices, &self.ownership, &seen);
        steps.retain(|step| !matches!(step, DeviceAction::Attach(_, ifindex) if later.contains(ifindex)));
        self.carry_out_all(&steps);
        Ok(())
    }

    /// Devices of domains of which only the programs know.
    fn kept(&self) -> Result<BTreeSet<u32>, PassError> {
        let Some(image) = self.image.as_ref().filter(|_| !self.missing.is_empty()) else { return Ok(BTreeSet::new()) };
        // Which of an earlier release's devices are theirs is not known, so that it is all.
        let all = self.datapath()?.has_older();
        Ok(if all { self.bound.clone() } else { keep::devices(image, &self.missing) })
    }

    /// Opens what enforces; returns what runs where then.
    fn open_devices(
        &mut self,
        bundles: &[&Bundle],
        desired: &Desired,
        may_come_up: &BTreeSet<u32>,
        attached: BTreeSet<(Hook, u32)>,
    ) -> Result<BTreeSet<(Hook, u32)>, PassError> {
        let kept = self.kept()?;
        let seen = Seen {
            links: &self.links,
            attached: &attached,
            unset: |setting| !setting.holds(),
            may_come_up,
            kept: &kept,
            rescued: self.rescued,
        };
        let steps = devices::open(bundles, &desired.devices, &seen);
        self.carry_out_all(&steps);
        if steps.is_empty() { Ok(attached) } else { self.datapath()?.attached().map_err(Into::into) }
    }

    fn carry_out_all(&mut self, steps: &[DeviceAction]) {
        for step in steps {
            if let DeviceAction::Attach(hook, ifindex) = step
                && self.attached.contains(&(*hook, *ifindex))
            {
                self.note_put_back(&format!("program {hook}"), Some(*ifindex));
            }
            self.attempt(step);
        }
    }

    fn bring_maps(&mut self, target: &Image) -> Result<(), PassError> {
        let Some((_, datapath)) = &self.datapath else { return Err(PassError::NotLoaded) };
        // An image that a failed step left is not trusted: it stays `None`, to be read again.
        let Some(mut image) = self.image.take() else { return Err(PassError::NotLoaded) };
        self.settled = None;
        let steps = plan(&image, target, self.start);
        if !steps.is_empty() {
            self.unfinished.begin();
            self.start = Start::Interrupted;
            apply(datapath.maps(), &mut image, &steps)?;
            tracing::info!(steps = steps.len(), "maps brought to the desired state");
        }
        self.start = Start::Settled;
        self.unfinished.end();
        self.before.retain(|ifindex| !image.devices.get(&ifindex).is_some_and(is_of_interface));
        self.image = Some(image);
        Ok(())
    }

    /// Replaces programs of an earlier release, if there are, once the maps hold all that they enforce.
    fn take_over(&mut self) -> Result<(), PassError> {
        if !self.missing.is_empty() {
            return Ok(());
        }
        if let Some(taken) = self.datapath_mut()?.take_over()? {
            tracing::info!(?taken, "programs of an earlier release were replaced, under the flows that run");
            self.guarded = taken.guarded;
            self.next_carried = Some(Instant::now() + BETWEEN_CARRIED);
        }
        Ok(())
    }

    /// Takes out connections of an earlier release that are over; looks now and then, while there are any.
    pub fn collect_carried(&mut self) {
        let Some((maps, _)) = self.maps().filter(|_| self.next_carried.is_some_and(|next| Instant::now() >= next))
        else {
            return;
        };
        let waiting = maps.collect_carried(&self.config.timeouts, clock::monotonic_ns());
        if let Err(error) = &waiting {
            tracing::error!(%error, "connections that were carried over cannot be collected");
        }
        self.next_carried = (!matches!(waiting, Ok(0))).then(|| Instant::now() + BETWEEN_CARRIED);
    }

    /// Takes the guard off a host that is not given over to us, while its own devices are still known.
    fn unguard(&mut self) -> Result<(), PassError> {
        if !self.ownership.dedicated && self.datapath()?.is_guarded() {
            self.datapath_mut()?.guard()?;
        }
        Ok(())
    }

    /// Guards a host that is given over to us, once its own devices are known.
    fn guard(&mut self) -> Result<(), PassError> {
        let there = self.datapath()?.is_guarded();
        if !self.ownership.dedicated || self.guarded && there {
            return Ok(());
        }
        if self.guarded {
            self.note_put_back("guard", None);
        }
        // It must not hold up the devices and what the controller is told: one that fails is tried again at the next pass.
        let guarded = self.datapath_mut()?.guard();
        if let Err(error) = &guarded {
            tracing::error!(%error, "the host cannot be guarded; it is tried again");
        }
        self.guarded = guarded.is_ok();
        Ok(())
    }

    /// One device must not hold up the others: what fails is tried again at the next pass, and until its programs run a
    /// device is neither reported nor set up.
    fn attempt(&mut self, step: &DeviceAction) {
        if let Err(error) = self.carry_out(step) {
            tracing::warn!(%step, %error, "a step on a device failed; it is tried again");
        }
    }

    fn carry_out(&mut self, step: &DeviceAction) -> Result<(), PassError> {
        tracing::info!(%step, "device");
        match step {
            DeviceAction::Attach(hook, ifindex) => self.attach(*hook, *ifindex)?,
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

    /// Somebody may rescue the machine while a pass is at work: the note comes before the programs are taken off, so that
    /// who attached one in between sees it afterwards.
    fn attach(&mut self, hook: Hook, ifindex: u32) -> Result<(), PassError> {
        let of_nic = Hook::OF_NICS.contains(&hook);
        if of_nic && self.rescue.is_there() {
            return Ok(());
        }
        self.datapath_mut()?.attach(hook, ifindex)?;
        if of_nic && self.rescue.is_there() {
            self.datapath_mut()?.detach(hook, ifindex)?;
        }
        Ok(())
    }

    fn link(&self, name: &str) -> Result<&Link, NetlinkError> {
        self.links.get(name).ok_or_else(|| NetlinkError::Vanished { device: name.to_owned() })
    }

    fn datapath(&self) -> Result<&Datapath, PassError> {
        self.datapath.as_ref().map(|(_, datapath)| datapath).ok_or(PassError::NotLoaded)
    }

    fn datapath_mut(&mut self) -> Result<&mut Datapath, PassError> {
        self.datapath.as_mut().map(|(_, datapath)| datapath).ok_or(PassError::NotLoaded)
    }
}
