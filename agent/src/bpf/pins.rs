//! Where maps are pinned: `rf_boot` in the agent's folder, all others in a folder of their layout beneath it, so that the
//! maps of two layouts can stand side by side while one takes over from the other.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use libbpf_rs::skel::OpenSkel;
use libbpf_rs::{MapCore, MapHandle, MapMut, OpenMapMut};

use super::BpfError;
use super::consts::RF_LAYOUT;
use super::skel::OpenRingfenceSkel;

/// The folder of the maps of this agent's layout.
pub(super) fn folder(dir: &Path) -> PathBuf {
    dir.join(format!("maps-{RF_LAYOUT}"))
}

/// Maps that are pinned, open, so that a pin that somebody removed can be put back.
#[derive(Debug)]
pub(super) struct Pins {
    maps: Vec<Pin>,
}

#[derive(Debug)]
struct Pin {
    path: PathBuf,
    map: MapHandle,
    /// The kernel's number of the map.
    id: u32,
}

impl Pins {
    /// Those of an object that is loaded.
    pub(super) fn of<'obj>(loaded: impl Iterator<Item = MapMut<'obj>>, dir: &Path) -> Result<Self, BpfError> {
        let mut maps = Vec::new();
        for map in loaded {
            let name = map.name().to_string_lossy().into_owned();
            if is_shared(&name) {
                let path = folder(dir).join(&name);
                let map = MapHandle::try_from(&map).map_err(|error| unusable(&path, &error))?;
                let id = id(&path, &map)?;
                maps.push(Pin { path, map, id });
            }
        }
        Ok(Self { maps })
    }

    /// Gives these maps to an object that is yet to be loaded, whatever became of their pins meanwhile: where one is gone,
    /// libbpf would make an empty map in its place.
    pub(super) fn share(&self, skel: &mut OpenRingfenceSkel<'_>) -> Result<(), BpfError> {
        for mut map in skel.open_object_mut().maps_mut() {
            let name = map.name().to_owned();
            if let Some(pin) = self.maps.iter().find(|pin| pin.path.file_name() == Some(&*name)) {
                map.reuse_fd(pin.map.as_fd()).map_err(|source| BpfError::Load { action: "share a map", source })?;
            }
        }
        Ok(())
    }

    /// Pins every map again whose pin is gone or holds another one; returns their names. The programs kept deciding by the
    /// map, but the agent that comes next would have found none.
    pub(super) fn keep(&self) -> Result<Vec<String>, BpfError> {
        let mut put_back = Vec::new();
        for pin in &self.maps {
            let there = fs::exists(&pin.path).map_err(pin_failed(&pin.path, "look for"))?;
            if there && open_pinned(&pin.path).and_then(|map| id(&pin.path, &map)).is_ok_and(|found| found == pin.id) {
                continue;
            }
            let folder = pin.path.parent().unwrap_or(&pin.path);
            fs::create_dir_all(folder).map_err(pin_failed(folder, "create"))?;
            if there {
                fs::remove_file(&pin.path).map_err(pin_failed(&pin.path, "remove"))?;
            }
            super::links::pin(pin.map.as_fd(), &pin.path).map_err(pin_failed(&pin.path, "put back"))?;
            put_back.extend(pin.path.file_name().map(|name| name.to_string_lossy().into_owned()));
        }
        Ok(put_back)
    }
}

/// Tells each map of an object where it is pinned, and refuses a pinned one of another shape: libbpf would, but
/// without saying what differs.
pub(super) fn pin_maps(skel: &mut OpenRingfenceSkel<'_>, dir: &Path) -> Result<(), BpfError> {
    let folder = folder(dir);
    fs::create_dir_all(&folder).map_err(pin_failed(&folder, "create"))?;
    for mut map in skel.open_object_mut().maps_mut() {
        let name = map.name().to_string_lossy().into_owned();
        if !is_shared(&name) {
            continue;
        }
        let path = folder.join(&name);
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
    let different = shapes.into_iter().find(|(_, found, wanted)| found != wanted);
    different.map_or(Ok(()), |(field, found, wanted)| Err(BpfError::layout(path, field, found, wanted)))
}

/// Opens a pinned map.
pub(super) fn open_pinned(path: &Path) -> Result<MapHandle, BpfError> {
    MapHandle::from_pinned_path(path).map_err(|error| unusable(path, &error))
}

/// The kernel's number of a map.
fn id(path: &Path, map: &MapHandle) -> Result<u32, BpfError> {
    Ok(map.info().map_err(|error| unusable(path, &error))?.info.id)
}

fn unusable(path: &Path, error: &libbpf_rs::Error) -> BpfError {
    pin_failed(path, "open")(io::Error::other(error.to_string()))
}

/// Fills the error with what was tried on which pin.
pub(super) fn pin_failed(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> BpfError {
    let path = path.to_owned();
    move |source| BpfError::Pin { path, action, source }
}
