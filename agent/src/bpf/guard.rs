//! The host guard: a netfilter program before everything else of the host's stack, so that nothing
//! a device of no host's own sends can reach it. For hosts that are given over to us.
//!
//! A netfilter link cannot get another program. A restarted agent therefore adds its own at the
//! other of two priorities and takes the old one away by renaming the new pin over the old: at
//! every moment at least one guards.

use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use libbpf_rs::query::LinkTypeInfo;
use libbpf_rs::{NF_INET_PRE_ROUTING, NFPROTO_IPV4, NFPROTO_IPV6, ProgramAttachType, ProgramHandle};

use super::BpfError;
use super::links::{Links, failed, info, link_create, pin};

/// The kernel keeps the least number for itself.
const PRIORITIES: [i32; 2] = [i32::MIN + 1, i32::MIN + 2];
const FAMILIES: [(&str, i32); 2] = [("guard-ipv4", NFPROTO_IPV4), ("guard-ipv6", NFPROTO_IPV6)];

impl Links {
    /// Starts guarding with `program`, in place of an older one if there is.
    pub(super) fn guard(&self, program: &ProgramHandle) -> Result<(), BpfError> {
        FAMILIES.iter().try_for_each(|(name, family)| self.guard_family(name, *family, program))
    }

    /// Whether the pins that hold the guard are there.
    pub(super) fn is_guarded(&self) -> bool {
        FAMILIES.iter().all(|(name, _)| info(&self.dir().join(name)).is_ok_and(|it| priority(&it.info).is_some()))
    }

    /// Stops guarding.
    pub(super) fn unguard(&self) -> Result<(), BpfError> {
        FAMILIES.iter().try_for_each(|(name, _)| self.unpin(name))
    }

    fn guard_family(&self, name: &str, family: i32, program: &ProgramHandle) -> Result<(), BpfError> {
        let path = self.dir().join(name);
        let next = format!("{name}-next");
        let fresh = self.dir().join(&next);
        let taken = info(&path).ok().and_then(|it| priority(&it.info));
        // What an agent left that died between pinning and renaming.
        self.discard(&next);
        // A pin takes the place of whatever is there but a folder.
        if path.is_dir() {
            self.discard(name);
        }
        // The other one first. It may be taken too: a guard whose pin somebody removed stays where it is as long as
        // somebody holds it.
        let [one, other] = PRIORITIES;
        let tried = if taken == Some(one) { [other, one] } else { [one, other] };
        let link = attach(family, tried[0], program)
            .or_else(|_| attach(family, tried[1], program))
            .map_err(failed(name, "attach"))?;
        pin(link.as_fd(), &fresh).map_err(failed(name, "pin"))?;
        fs::rename(&fresh, &path).map_err(failed(name, "replace"))
    }
}

fn attach(family: i32, priority: i32, program: &ProgramHandle) -> io::Result<OwnedFd> {
    let mut opts = libbpf_sys::bpf_link_create_opts {
        sz: size_of::<libbpf_sys::bpf_link_create_opts>() as _,
        ..Default::default()
    };
    opts.__bindgen_anon_1.netfilter = libbpf_sys::bpf_link_create_opts__bindgen_ty_1__bindgen_ty_5 {
        pf: family as u32,
        hooknum: NF_INET_PRE_ROUTING as u32,
        priority,
        flags: 0,
    };
    link_create(program.as_fd(), 0, ProgramAttachType::Netfilter, &opts)
}

fn priority(info: &LinkTypeInfo) -> Option<i32> {
    match info {
        LinkTypeInfo::Netfilter(link) => Some(link.priority),
        _ => None,
    }
}
