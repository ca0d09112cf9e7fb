//! `rf_boot`: the mark of this boot, and the layout of the maps that packets are judged by. Made by the first agent of a
//! boot, and the one map that every later one finds at the same place.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use libbpf_rs::{MapCore, MapFlags, MapHandle, MapType};

use super::consts::RF_LAYOUT;
use super::pins::open_pinned;
use super::table::failed;
use super::{Boot, BpfError, Pod};

const NAME: &str = "rf_boot";

/// Layouts of releases before this one whose maps can be taken over, with flows running (`older`).
const TAKEN_OVER: [u32; 1] = [1];

/// The map, as it was found or made.
#[derive(Debug)]
pub(super) struct BootMap {
    map: MapHandle,
    boot: Boot,
}

impl BootMap {
    /// Where it is pinned.
    pub(super) fn path(dir: &Path) -> PathBuf {
        dir.join(NAME)
    }

    /// Opens it, or makes it with a new mark and the layout of this agent.
    ///
    /// # Errors
    /// [`BpfError::Layout`] when packets are judged by maps of a layout that this agent cannot take over.
    pub(super) fn open(dir: &Path) -> Result<Self, BpfError> {
        let path = Self::path(dir);
        if !path.exists() {
            return Self::make(&path);
        }
        let map = open_pinned(&path)?;
        let boot = read(&path, &map)?;
        if boot.layout != RF_LAYOUT && !TAKEN_OVER.contains(&boot.layout) {
            return Err(BpfError::layout(&path, "layout", boot.layout, RF_LAYOUT));
        }
        Ok(Self { map, boot })
    }

    fn make(path: &Path) -> Result<Self, BpfError> {
        let opts = libbpf_sys::bpf_map_create_opts {
            sz: size_of::<libbpf_sys::bpf_map_create_opts>() as _,
            ..Default::default()
        };
        let mut map = MapHandle::create(MapType::Array, Some(NAME), 4, size_of::<Boot>() as u32, 1, &opts)
            .map_err(failed(NAME, "create"))?;
        let boot = Boot { layout: RF_LAYOUT, mark: nonce()? };
        write(&map, boot)?;
        // Pinned last, so that a pinned one always bears a mark.
        map.pin(path).map_err(failed(NAME, "pin"))?;
        Ok(Self { map, boot })
    }

    /// The mark of this boot.
    pub(super) fn mark(&self) -> u32 {
        self.boot.mark
    }

    /// The layout that packets are judged by, if it is not this agent's.
    pub(super) fn older(&self) -> Option<u32> {
        Some(self.boot.layout).filter(|layout| *layout != RF_LAYOUT)
    }

    /// From here on packets are judged by maps of this agent's layout.
    pub(super) fn is_taken_over(&mut self) -> Result<(), BpfError> {
        self.boot.layout = RF_LAYOUT;
        write(&self.map, self.boot)
    }
}

/// The mark of this boot, made by who pinned the maps, which are of this agent's layout.
pub(super) fn pinned_mark(dir: &Path) -> Result<u32, BpfError> {
    let path = BootMap::path(dir);
    let boot = read(&path, &open_pinned(&path)?)?;
    if boot.layout == RF_LAYOUT {
        Ok(boot.mark)
    } else {
        Err(BpfError::layout(&path, "layout", boot.layout, RF_LAYOUT))
    }
}

fn read(path: &Path, map: &MapHandle) -> Result<Boot, BpfError> {
    let found = map.lookup(0u32.bytes(), MapFlags::ANY).map_err(failed(NAME, "look up"))?;
    let boot = found.and_then(|bytes| Boot::from_bytes(&bytes)).filter(|boot| boot.mark != 0);
    boot.ok_or_else(|| BpfError::layout(path, "layout", 0, RF_LAYOUT))
}

fn write(map: &MapHandle, boot: Boot) -> Result<(), BpfError> {
    map.update(0u32.bytes(), boot.bytes(), MapFlags::ANY).map_err(failed(NAME, "write"))
}

/// A random number that is not zero, the mark of a packet nobody marked, and whose complement, which marks what goes
/// to the host's stack, is not either.
fn nonce() -> Result<u32, BpfError> {
    let path = Path::new("/dev/urandom");
    let unreadable = |source: io::Error| BpfError::Pin { path: path.to_owned(), action: "read", source };
    let mut random = File::open(path).map_err(unreadable)?;
    loop {
        let mut bytes = [0; 4];
        random.read_exact(&mut bytes).map_err(unreadable)?;
        if bytes != [0; 4] && bytes != [0xff; 4] {
            return Ok(u32::from_ne_bytes(bytes));
        }
    }
}
