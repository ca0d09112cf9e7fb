//! Somebody else's program, which passes everything on or drops it.

#![allow(unsafe_code, reason = "system calls that libbpf-rs does not wrap")]

use std::ffi::CString;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use libbpf_rs::query::{LinkInfo, LinkTypeInfo};

/// `TCX_NEXT` and `TCX_DROP` of `linux/bpf.h`, which libbpf-sys does not have.
const NEXT: i32 = -1;
const DROP: i32 = 2;

/// The program, loaded.
pub struct Foreign {
    program: OwnedFd,
    /// Of the kernel's `enum bpf_attach_type`.
    hook: libbpf_sys::bpf_attach_type,
}

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
    /// Of a device's ingress; it leaves every packet to whoever comes next.
    pub fn load() -> Self {
        Self::of(libbpf_sys::BPF_TCX_INGRESS, NEXT)
    }

    /// Of a device's egress; no packet gets past it.
    pub fn dropping() -> Self {
        Self::of(libbpf_sys::BPF_TCX_EGRESS, DROP)
    }

    fn of(hook: libbpf_sys::bpf_attach_type, verdict: i32) -> Self {
        // r0 = verdict; exit
        let instructions = [
            libbpf_sys::bpf_insn { code: 0xb7, imm: verdict, ..Default::default() },
            libbpf_sys::bpf_insn { code: 0x95, ..Default::default() },
        ];
        let mut opts = libbpf_sys::bpf_prog_load_opts {
            sz: size_of::<libbpf_sys::bpf_prog_load_opts>() as _,
            ..Default::default()
        };
        opts.expected_attach_type = hook;
        let license = CString::new("GPL").unwrap();
        // SAFETY: instructions, texts and options live through the call.
        let program = owned(unsafe {
            libbpf_sys::bpf_prog_load(
                libbpf_sys::BPF_PROG_TYPE_SCHED_CLS,
                c"foreign".as_ptr(),
                license.as_ptr(),
                instructions.as_ptr(),
                instructions.len() as _,
                &raw mut opts,
            )
        });
        Self { program, hook }
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
            libbpf_sys::bpf_link_create(self.program.as_raw_fd(), ifindex as i32, self.hook, &raw const opts)
        }))
    }

    /// Takes the place of the program of a pinned link.
    pub fn put_into(&self, pin: &Path) {
        let path = CString::new(pin.as_os_str().as_bytes()).unwrap();
        // SAFETY: a path that ends in NUL.
        let link = owned(unsafe { libbpf_sys::bpf_obj_get(path.as_ptr()) });
        // SAFETY: both are open; no options are passed.
        let result =
            unsafe { libbpf_sys::bpf_link_update(link.as_raw_fd(), self.program.as_raw_fd(), std::ptr::null()) };
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
