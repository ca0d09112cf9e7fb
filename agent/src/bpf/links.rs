//! Links: which program runs on which device. Each is pinned, so it outlives the agent, and its
//! program is replaced in one step, so that no packet passes between two versions.
//!
//! Ours run before anybody else's on a device: what they drop nobody sees, and what they do not redirect goes on to the
//! others (`TCX_NEXT`). Who went before them since is put behind them again.

use std::collections::BTreeMap;
use std::ffi::CString;
use std::fmt;
use std::fs;
use std::io;
use std::mem::discriminant;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use libbpf_rs::query::{LinkInfo, LinkTypeInfo};
use libbpf_rs::{ProgramAttachType, ProgramHandle};
use nix::libc;

use super::BpfError;
use super::order::links_at;

/// A place on a device where a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hook {
    /// Ingress of a workload's host-side device.
    FromWorkload,
    /// Egress of a workload's host-side device.
    ToWorkload,
    /// Ingress of the VXLAN device.
    FromOverlay,
    /// Ingress of an uplink.
    FromUplink,
    /// Egress of an uplink.
    ToUplink,
    /// Egress of a machine's NIC: what the machine sends.
    FromHost,
    /// Ingress of a machine's NIC.
    ToHost,
}

impl Hook {
    /// Every hook.
    pub const ALL: [Self; 7] = [
        Self::FromWorkload,
        Self::ToWorkload,
        Self::FromOverlay,
        Self::FromUplink,
        Self::ToUplink,
        Self::FromHost,
        Self::ToHost,
    ];

    /// Those of a machine's NIC, which the host needs for itself.
    pub const OF_NICS: [Self; 2] = [Self::FromHost, Self::ToHost];

    /// The program's name.
    pub fn program(self) -> &'static str {
        match self {
            Self::FromWorkload => "from_workload",
            Self::ToWorkload => "to_workload",
            Self::FromOverlay => "from_overlay",
            Self::FromUplink => "from_uplink",
            Self::ToUplink => "to_uplink",
            Self::FromHost => "from_host",
            Self::ToHost => "to_host",
        }
    }

    fn attach_type(self) -> ProgramAttachType {
        match self {
            Self::FromWorkload | Self::FromOverlay | Self::FromUplink | Self::ToHost => ProgramAttachType::TcxIngress,
            Self::ToWorkload | Self::ToUplink | Self::FromHost => ProgramAttachType::TcxEgress,
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program())
    }
}

impl FromStr for Hook {
    type Err = UnknownHook;

    fn from_str(name: &str) -> Result<Self, UnknownHook> {
        Self::ALL.into_iter().find(|hook| hook.program() == name).ok_or_else(|| UnknownHook { name: name.to_owned() })
    }
}

/// A name that is no hook's.
#[derive(Debug, thiserror::Error)]
#[error("hook {name:?} is unknown")]
pub struct UnknownHook {
    name: String,
}

/// A pinned link that is on its device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Alive {
    /// The id of its program.
    pub(super) program: u32,
    /// Nothing of anybody else's runs before it.
    pub(super) first: bool,
}

/// The end of a pin's name until it takes the place of an older one.
const NEXT: &str = "-next";

/// The folder of pinned links.
#[derive(Debug)]
pub(super) struct Links {
    dir: PathBuf,
}

impl Links {
    /// Opens the folder, making it if need be.
    pub(super) fn open(dir: PathBuf) -> Result<Self, BpfError> {
        fs::create_dir_all(&dir).map_err(|source| BpfError::Pin { path: dir.clone(), action: "create", source })?;
        let links = Self { dir };
        // What an agent left that died between pinning and renaming.
        for name in links.names()? {
            if name.strip_suffix(NEXT).and_then(parse_name).is_some() {
                links.discard(&name);
            }
        }
        Ok(links)
    }

    /// Runs `program` at the hook of the device, before any other program there. A link that is
    /// first there already gets the program in place of its own; one that is not is left only for the new one.
    pub(super) fn attach(&self, hook: Hook, ifindex: u32, program: &ProgramHandle) -> Result<(), BpfError> {
        let first = self.alive(hook, ifindex)?.is_some_and(|alive| alive.first);
        if first && self.renew(hook, ifindex, program)? {
            return Ok(());
        }
        let name = link_name(hook, ifindex);
        let path = self.dir.join(&name);
        let next = format!("{name}{NEXT}");
        let fresh = self.dir.join(&next);
        self.discard(&next);
        let link = create(hook, ifindex, program.as_fd()).map_err(failed(&name, "attach"))?;
        pin(link.as_fd(), &fresh).map_err(failed(&name, "pin"))?;
        fs::rename(&fresh, &path).map_err(failed(&name, "replace"))
    }

    /// Gives a link that is there `program` in place of its own; whether there is one. A device can
    /// go at any moment: then there is none, and its pin is removed.
    pub(super) fn renew(&self, hook: Hook, ifindex: u32, program: &ProgramHandle) -> Result<bool, BpfError> {
        if self.alive(hook, ifindex)?.is_none() {
            return Ok(false);
        }
        let name = link_name(hook, ifindex);
        match update(&self.dir.join(&name), program.as_fd()) {
            Ok(()) => Ok(true),
            Err(error) if is_gone(&error) => self.unpin(&name).map(|()| false),
            Err(error) => Err(failed(&name, "replace the program")(error)),
        }
    }

    /// The pinned links that are still on their device; pins of the others are removed, and so is what is no link.
    pub(super) fn list(&self) -> Result<BTreeMap<(Hook, u32), Alive>, BpfError> {
        let mut live = BTreeMap::new();
        for (hook, ifindex) in self.pinned()? {
            live.extend(self.alive(hook, ifindex)?.map(|alive| ((hook, ifindex), alive)));
        }
        Ok(live)
    }

    /// What runs there, if the pinned link is still on that device of this network namespace. The pin of one that is not
    /// is removed. A device that left for another namespace takes its link along, and another one here may get its number:
    /// so the device is asked, and not the link.
    pub(super) fn alive(&self, hook: Hook, ifindex: u32) -> Result<Option<Alive>, BpfError> {
        let name = link_name(hook, ifindex);
        let info = match info(&self.dir.join(&name)) {
            Ok(info) => info,
            Err(error) if is_gone(&error) || self.is_no_link(&name, &error) => {
                self.discard(&name);
                return Ok(None);
            }
            Err(error) => return Err(failed(&name, "inspect")(error)),
        };
        let at_hook = |kind: &LinkTypeInfo| matches!(kind, LinkTypeInfo::Tcx(tcx) if discriminant(&tcx.attach_type) == discriminant(&hook.attach_type()));
        let there = links_at(ifindex, hook.attach_type()).map_err(failed(&name, "list what runs beside it"))?;
        match there.iter().position(|id| *id == info.id) {
            Some(place) if at_hook(&info.info) => {
                let first = there[..place].iter().all(|id| self.is_ours(hook, ifindex, *id));
                Ok(Some(Alive { program: info.prog_id, first }))
            }
            _ => {
                self.discard(&name);
                Ok(None)
            }
        }
    }

    /// Whether a link in the same direction of the device is pinned here: that of its role before this one, for a while.
    fn is_ours(&self, hook: Hook, ifindex: u32, id: u32) -> bool {
        let beside = Hook::ALL
            .into_iter()
            .filter(|other| *other != hook && discriminant(&other.attach_type()) == discriminant(&hook.attach_type()));
        beside
            .map(|other| info(&self.dir.join(link_name(other, ifindex))))
            .any(|found| found.is_ok_and(|it| it.id == id))
    }

    /// What the names of the pins say.
    pub(super) fn pinned(&self) -> Result<Vec<(Hook, u32)>, BpfError> {
        Ok(self.names()?.iter().filter_map(|name| parse_name(name)).collect())
    }

    fn names(&self) -> Result<Vec<String>, BpfError> {
        let unreadable = |source| BpfError::Pin { path: self.dir.clone(), action: "list", source };
        let entries = fs::read_dir(&self.dir).map_err(unreadable)?;
        entries.map(|entry| Ok(entry.map_err(unreadable)?.file_name().to_string_lossy().into_owned())).collect()
    }

    /// The program of any link that is pinned here.
    pub(super) fn some_program(&self) -> Result<Option<u32>, BpfError> {
        Ok(self.list()?.into_values().next().map(|alive| alive.program))
    }

    /// Takes the program off the device now, whoever else may hold the link; nothing happens if there is none.
    pub(super) fn detach(&self, hook: Hook, ifindex: u32) -> Result<(), BpfError> {
        let name = link_name(hook, ifindex);
        match sever(&self.dir.join(&name)) {
            Err(error) if !is_gone(&error) && !self.is_no_link(&name, &error) => {
                return Err(failed(&name, "detach")(error));
            }
            _ => {}
        }
        self.unpin(&name)
    }

    /// Whether what has the name of a pin cannot hold anything on a device, so that it may go. A link that cannot be read
    /// for want of memory or descriptors is none of those: without its pin its device would be open.
    fn is_no_link(&self, name: &str, error: &io::Error) -> bool {
        is_other_object(error) || fs::symlink_metadata(self.dir.join(name)).is_ok_and(|it| !it.is_file())
    }

    /// Removes a pin, or an empty folder or whatever else has its name.
    pub(super) fn unpin(&self, name: &str) -> Result<(), BpfError> {
        let path = self.dir.join(name);
        let removed = match fs::symlink_metadata(&path) {
            Ok(found) if found.is_dir() => fs::remove_dir(&path),
            _ => fs::remove_file(&path),
        };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(name, "unpin")(error)),
            _ => Ok(()),
        }
    }

    /// Removes what holds nothing on a device. If it cannot be removed it must not stop what is done for all the others.
    pub(super) fn discard(&self, name: &str) {
        if let Err(error) = self.unpin(name) {
            tracing::warn!(%error, "what is no link has the name of one and stays");
        }
    }

    /// Where the guard's links are pinned.
    pub(super) fn dir(&self) -> &Path {
        &self.dir
    }
}

fn link_name(hook: Hook, ifindex: u32) -> String {
    format!("{hook}-{ifindex}")
}

fn parse_name(name: &str) -> Option<(Hook, u32)> {
    let (hook, ifindex) = name.rsplit_once('-')?;
    Some((hook.parse().ok()?, ifindex.parse().ok()?))
}

pub(super) fn failed(name: &str, action: &'static str) -> impl FnOnce(io::Error) -> BpfError {
    let name = name.to_owned();
    move |source| BpfError::Link { name, action, source }
}

/// What the kernel says of a link whose device or pin went a moment ago.
fn is_gone(error: &io::Error) -> bool {
    [libc::ENOLINK, libc::ENODEV, libc::ENOENT].map(Some).contains(&error.raw_os_error())
}

/// What else can be pinned, as the kernel calls it.
const OTHER_OBJECTS: [&str; 2] = ["anon_inode:bpf-map", "anon_inode:bpf-prog"];

/// What is said of a pin that holds one of those.
fn is_other_object(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EINVAL)
}

/// Opens a pinned link. libbpf-rs would hide the error's number.
fn open(path: &Path) -> io::Result<OwnedFd> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: a path that ends in NUL.
    let fd = unsafe { libbpf_sys::bpf_obj_get(path.as_ptr()) };
    // SAFETY: on success the call returned a descriptor that nobody else has.
    let pinned = check(fd).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })?;
    // The kernel tells about a map or a program just as well, and what it says would be read as a link's.
    let kind = fs::read_link(format!("/proc/self/fd/{}", pinned.as_raw_fd())).unwrap_or_default();
    if OTHER_OBJECTS.iter().any(|other| kind == Path::new(other)) {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    Ok(pinned)
}

pub(super) fn info(path: &Path) -> io::Result<LinkInfo> {
    let link = open(path)?;
    LinkInfo::from_fd(link.as_fd()).map_err(|error| io::Error::other(error.to_string()))
}

fn sever(path: &Path) -> io::Result<()> {
    let link = open(path)?;
    // SAFETY: an open file descriptor.
    let result = unsafe { libbpf_sys::bpf_link_detach(link.as_raw_fd()) };
    check(result).map(drop)
}

fn update(path: &Path, program: BorrowedFd<'_>) -> io::Result<()> {
    let link = open(path)?;
    // SAFETY: both are open file descriptors; no options are passed.
    let result = unsafe { libbpf_sys::bpf_link_update(link.as_raw_fd(), program.as_raw_fd(), std::ptr::null()) };
    check(result).map(drop)
}

fn create(hook: Hook, ifindex: u32, program: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let opts = libbpf_sys::bpf_link_create_opts {
        sz: size_of::<libbpf_sys::bpf_link_create_opts>() as _,
        // Before nothing in particular: first.
        flags: libbpf_sys::BPF_F_BEFORE,
        ..Default::default()
    };
    link_create(program, ifindex, hook.attach_type(), &opts)
}

pub(super) fn link_create(
    program: BorrowedFd<'_>,
    target: u32,
    attach_type: ProgramAttachType,
    opts: &libbpf_sys::bpf_link_create_opts,
) -> io::Result<OwnedFd> {
    // An interface index is positive in the kernel, too.
    let target = i32::try_from(target).map_err(|_| io::ErrorKind::InvalidInput)?;
    // SAFETY: the program is open and opts lives through the call.
    let fd = unsafe { libbpf_sys::bpf_link_create(program.as_raw_fd(), target, attach_type as u32, opts) };
    // SAFETY: on success the call returned a descriptor that nobody else has.
    check(fd).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(super) fn pin(link: BorrowedFd<'_>, path: &Path) -> io::Result<()> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: an open descriptor and a path that ends in NUL.
    let result = unsafe { libbpf_sys::bpf_obj_pin(link.as_raw_fd(), path.as_ptr()) };
    check(result).map(drop)
}

/// libbpf returns errors as negative numbers.
fn check(result: i32) -> io::Result<i32> {
    if result < 0 { Err(io::Error::from_raw_os_error(-result)) } else { Ok(result) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_name_gives_its_hook_and_device_back() {
        for hook in Hook::ALL {
            assert_eq!(parse_name(&link_name(hook, 4242)), Some((hook, 4242)));
        }
        assert_eq!(parse_name("guard-ipv4"), None);
        assert_eq!(parse_name("from_workload"), None);
    }
}
