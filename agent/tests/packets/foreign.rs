//! Somebody else's program, which passes everything on.

#![allow(unsafe_code, reason = "system calls that libbpf-rs does not wrap")]

use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use libbpf_rs::query::{LinkInfo, LinkTypeInfo};

/// The program, loaded.
pub struct Foreign(OwnedFd);

/// Where among the programs of a hook.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    First,
    Last,
}

/// Its link on a device; dropping it detaches.
pub struct ForeignLink(OwnedFd);

fn owned(fd: i32) -> OwnedFd {
    assert!(fd >= 0, "{}", std::io::Error::from_raw_os_error(-fd));
    // SAFETY: on success the call returned a descriptor that nobody else has.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

impl Foreign {
    pub fn load() -> Self {
        // r0 = -1 (TCX_NEXT); exit
        let instructions = [
            libbpf_sys::bpf_insn { code: 0xb7, imm: -1, ..Default::default() },
            libbpf_sys::bpf_insn { code: 0x95, ..Default::default() },
        ];
        let mut opts = libbpf_sys::bpf_prog_load_opts {
            sz: size_of::<libbpf_sys::bpf_prog_load_opts>() as _,
            ..Default::default()
        };
        opts.expected_attach_type = libbpf_sys::BPF_TCX_INGRESS;
        let license = CString::new("GPL").unwrap();
        // SAFETY: instructions, texts and options live through the call.
        Self(owned(unsafe {
            libbpf_sys::bpf_prog_load(
                libbpf_sys::BPF_PROG_TYPE_SCHED_CLS,
                c"foreign".as_ptr(),
                license.as_ptr(),
                instructions.as_ptr(),
                instructions.len() as _,
                &raw mut opts,
            )
        }))
    }

    pub fn attach(&self, ifindex: u32, place: Place) -> ForeignLink {
        let flags = if place == Place::First { libbpf_sys::BPF_F_BEFORE } else { libbpf_sys::BPF_F_AFTER };
        let opts = libbpf_sys::bpf_link_create_opts {
            sz: size_of::<libbpf_sys::bpf_link_create_opts>() as _,
            flags,
            ..Default::default()
        };
        // SAFETY: the program is open and the options live through the call.
        ForeignLink(owned(unsafe {
            libbpf_sys::bpf_link_create(
                self.0.as_raw_fd(),
                ifindex as i32,
                libbpf_sys::BPF_TCX_INGRESS,
                &raw const opts,
            )
        }))
    }

    /// Takes the place of the program of a pinned link.
    pub fn put_into(&self, pin: &Path) {
        let path = CString::new(pin.as_os_str().as_bytes()).unwrap();
        // SAFETY: a path that ends in NUL.
        let link = owned(unsafe { libbpf_sys::bpf_obj_get(path.as_ptr()) });
        // SAFETY: both are open; no options are passed.
        let result = unsafe { libbpf_sys::bpf_link_update(link.as_raw_fd(), self.0.as_raw_fd(), std::ptr::null()) };
        assert_eq!(result, 0);
    }
}

impl ForeignLink {
    pub fn is_on(&self, ifindex: u32) -> bool {
        use std::os::fd::AsFd;
        let info = LinkInfo::from_fd(self.0.as_fd()).unwrap();
        matches!(info.info, LinkTypeInfo::Tcx(tcx) if tcx.ifindex == ifindex)
    }
}
