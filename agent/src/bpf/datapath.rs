//! Loading: programs, the maps they share with whatever ran before, and what they are told.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Read};
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};

use libbpf_rs::skel::{OpenSkel, SkelBuilder};
use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType, OpenMapMut, OpenObject, ProgramHandle};

use super::consts::RF_LAYOUT;
use super::links::Links;
use super::skel::{OpenRingfenceSkel, RingfenceProgs, RingfenceSkelBuilder};
use super::table::failed;
use super::{Boot, BpfError, Hook, Maps, Pod, Timeouts};

/// The map that outlives the agent, but not the boot.
const BOOT: &str = "rf_boot";

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
    /// Judge, then let pass: the negative control. No release build has it.
    #[cfg(debug_assertions)]
    pub verdict_off: bool,
}

impl Options {
    fn verdict_off(&self) -> u8 {
        #[cfg(debug_assertions)]
        return u8::from(self.verdict_off);
        #[cfg(not(debug_assertions))]
        return 0;
    }
}

/// The programs, loaded, and their maps. Dropping it leaves everything pinned in force.
#[derive(Debug)]
pub struct Datapath {
    maps: Maps,
    links: Links,
    programs: Vec<(Hook, ProgramHandle)>,
    /// If it was asked for.
    guard: Option<ProgramHandle>,
    mark: u32,
}

impl Datapath {
    /// Loads the programs over the maps pinned in `pin_dir`, making those that are missing, and puts
    /// them in place of the programs of links that are pinned there.
    ///
    /// # Errors
    /// [`BpfError::Layout`] when a pinned map is of another version; nothing is changed then.
    pub fn open(options: &Options) -> Result<Self, BpfError> {
        let dir = &options.pin_dir;
        fs::create_dir_all(dir).map_err(|source| BpfError::Pin { path: dir.clone(), action: "create", source })?;
        let links = Links::open(dir.join("links"))?;

        let mut storage = MaybeUninit::uninit();
        let mut skel = open_skel(&mut storage)?;
        skel.progs.guard.set_autoload(options.guard);
        pin_maps(&mut skel, dir)?;
        let mark = boot_mark(dir)?;
        configure(&mut skel, options, mark);
        let skel = skel.load().map_err(|source| BpfError::Load { action: "load", source })?;

        let progs = &skel.progs;
        let guard = options.guard.then(|| ProgramHandle::try_from(&progs.guard)).transpose();
        let datapath = Self {
            maps: Maps::open(&skel.maps)?,
            links,
            programs: programs(progs)?,
            guard: guard.map_err(|source| BpfError::Load { action: "keep", source })?,
            mark,
        };
        for (hook, ifindex) in datapath.links.list()? {
            datapath.links.renew(hook, ifindex, datapath.program(hook))?;
        }
        Ok(datapath)
    }

    /// The maps.
    pub fn maps(&self) -> &Maps {
        &self.maps
    }

    /// The mark of this boot, which only packets bear that a program admitted.
    pub fn mark(&self) -> u32 {
        self.mark
    }

    /// Runs the hook's program on the device from now on, before any other program there; whatever
    /// program of ours runs there is replaced in one step.
    pub fn attach(&mut self, hook: Hook, ifindex: u32) -> Result<(), BpfError> {
        self.links.attach(hook, ifindex, self.program(hook))
    }

    /// Takes the hook's program off the device, if it is there.
    pub fn detach(&mut self, hook: Hook, ifindex: u32) -> Result<(), BpfError> {
        self.links.detach(hook, ifindex)
    }

    /// Where the kernel runs programs of this object now. Links of devices that are gone, links
    /// that someone detached and links with somebody's program are not among them.
    pub fn attached(&self) -> Result<BTreeSet<(Hook, u32)>, BpfError> {
        let mut attached = BTreeSet::new();
        for (hook, ifindex) in self.links.list()? {
            if self.links.alive(hook, ifindex)? == Some(self.program(hook).id()) {
                attached.insert((hook, ifindex));
            }
        }
        Ok(attached)
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
        rodata.rf_config.verdict_off = options.verdict_off();
        rodata.rf_config.guard = u8::from(options.guard);
        rodata.rf_config.timeout_ns = options.timeouts.table();
    }
}

/// The hooks' programs, in the order of [`Hook::ALL`].
pub(super) fn programs(progs: &RingfenceProgs<'_>) -> Result<Vec<(Hook, ProgramHandle)>, BpfError> {
    let keep = |source| BpfError::Load { action: "keep", source };
    Ok(vec![
        (Hook::FromWorkload, ProgramHandle::try_from(&progs.from_workload).map_err(keep)?),
        (Hook::ToWorkload, ProgramHandle::try_from(&progs.to_workload).map_err(keep)?),
        (Hook::FromOverlay, ProgramHandle::try_from(&progs.from_overlay).map_err(keep)?),
        (Hook::FromUplink, ProgramHandle::try_from(&progs.from_uplink).map_err(keep)?),
        (Hook::ToUplink, ProgramHandle::try_from(&progs.to_uplink).map_err(keep)?),
        (Hook::FromHost, ProgramHandle::try_from(&progs.from_host).map_err(keep)?),
        (Hook::ToHost, ProgramHandle::try_from(&progs.to_host).map_err(keep)?),
    ])
}

#[allow(clippy::needless_pass_by_value, reason = "libbpf-rs asks for this signature")]
fn log(level: libbpf_rs::PrintLevel, text: String) {
    match level {
        libbpf_rs::PrintLevel::Warn => tracing::warn!(target: "libbpf", "{}", text.trim_end()),
        _ => tracing::debug!(target: "libbpf", "{}", text.trim_end()),
    }
}

/// Tells each map where it is pinned, and refuses a pinned one of another shape: libbpf would, but
/// without saying what differs.
fn pin_maps(skel: &mut OpenRingfenceSkel<'_>, dir: &Path) -> Result<(), BpfError> {
    for mut map in skel.open_object_mut().maps_mut() {
        let name = map.name().to_string_lossy().into_owned();
        if !is_shared(&name) {
            continue;
        }
        let path = dir.join(&name);
        if path.exists() {
            same_shape(&path, &map)?;
        }
        map.set_pin_path(&path).map_err(|source| BpfError::Load { action: "pin", source })?;
    }
    Ok(())
}

/// Whether a map is pinned; the others are of one load: read-only data and scratch memory.
pub(super) fn is_shared(name: &str) -> bool {
    name.starts_with("rf_")
}

/// Refuses a pinned map of another shape than the object's.
pub(super) fn same_shape(path: &Path, map: &OpenMapMut<'_>) -> Result<(), BpfError> {
    let pinned = open_pinned(path)?;
    let shapes = [
        ("type", u32::from(pinned.map_type()), u32::from(map.map_type())),
        ("key size", pinned.key_size(), map.key_size()),
        ("value size", pinned.value_size(), map.value_size()),
        ("number of entries", pinned.max_entries(), map.max_entries()),
    ];
    shapes.into_iter().try_for_each(|(field, found, wanted)| same(path, field, found, wanted))
}

fn same(path: &Path, field: &'static str, found: u32, wanted: u32) -> Result<(), BpfError> {
    if found == wanted {
        return Ok(());
    }
    let path = path.to_owned();
    Err(BpfError::Layout { path, field, found: found.into(), wanted: wanted.into() })
}

fn open_pinned(path: &Path) -> Result<MapHandle, BpfError> {
    MapHandle::from_pinned_path(path).map_err(|error| BpfError::Pin {
        path: path.to_owned(),
        action: "open",
        source: io::Error::other(error.to_string()),
    })
}

/// The mark of this boot, from `rf_boot`; made with the map, the first time.
fn boot_mark(dir: &Path) -> Result<u32, BpfError> {
    let path = dir.join(BOOT);
    let mut map = if path.exists() {
        open_pinned(&path)?
    } else {
        let opts = libbpf_sys::bpf_map_create_opts {
            sz: size_of::<libbpf_sys::bpf_map_create_opts>() as _,
            ..Default::default()
        };
        MapHandle::create(MapType::Array, Some(BOOT), 4, size_of::<Boot>() as u32, 1, &opts)
            .map_err(failed(BOOT, "create"))?
    };
    if let Some(mark) = mark_in(&path, &map)? {
        return Ok(mark);
    }
    let boot = Boot { layout: RF_LAYOUT, mark: nonce()? };
    map.update(0u32.bytes(), boot.bytes(), MapFlags::ANY).map_err(failed(BOOT, "write"))?;
    // Pinned last, so that a pinned one always bears a mark.
    if !path.exists() {
        map.pin(&path).map_err(failed(BOOT, "pin"))?;
    }
    Ok(boot.mark)
}

/// The mark of this boot, made by who pinned the maps.
pub(super) fn pinned_mark(dir: &Path) -> Result<u32, BpfError> {
    let path = dir.join(BOOT);
    let wanted = RF_LAYOUT.into();
    mark_in(&path, &open_pinned(&path)?)?.ok_or(BpfError::Layout { path, field: "layout", found: 0, wanted })
}

/// What `rf_boot` says, unless it was just made.
fn mark_in(path: &Path, map: &MapHandle) -> Result<Option<u32>, BpfError> {
    let found = map.lookup(0u32.bytes(), MapFlags::ANY).map_err(failed(BOOT, "look up"))?;
    let Some(boot) = found.and_then(|bytes| Boot::from_bytes(&bytes)).filter(|boot| boot.mark != 0) else {
        return Ok(None);
    };
    same(path, "layout", boot.layout, RF_LAYOUT)?;
    Ok(Some(boot.mark))
}

/// A random number that is not zero, the mark of a packet nobody marked, and whose complement, which marks what goes
/// to the host's stack, is not either.
fn nonce() -> Result<u32, BpfError> {
    let path = Path::new("/dev/urandom");
    let unreadable = |source| BpfError::Pin { path: path.to_owned(), action: "read", source };
    let mut random = fs::File::open(path).map_err(unreadable)?;
    loop {
        let mut bytes = [0; 4];
        random.read_exact(&mut bytes).map_err(unreadable)?;
        if bytes != [0; 4] && bytes != [0xff; 4] {
            return Ok(u32::from_ne_bytes(bytes));
        }
    }
}
