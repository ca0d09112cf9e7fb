//! What runs at a hook of a device, in the order packets meet it.

use std::io;

use libbpf_rs::ProgramAttachType;

/// Programs that one hook of one device may have (`BPF_MPROG_MAX` of the kernel's `linux/bpf_mprog.h`).
const MOST: usize = 64;

/// Ids of the links at a hook of a device of this network namespace, the one that runs first at the front; 0 stands for a
/// program that was attached without a link. A device that is gone has none.
pub(super) fn links_at(ifindex: u32, attach_type: ProgramAttachType) -> io::Result<Vec<u32>> {
    let target = i32::try_from(ifindex).map_err(|_| io::ErrorKind::InvalidInput)?;
    let (mut programs, mut links) = ([0u32; MOST], [0u32; MOST]);
    let mut opts = libbpf_sys::bpf_prog_query_opts {
        sz: size_of::<libbpf_sys::bpf_prog_query_opts>() as _,
        prog_ids: programs.as_mut_ptr(),
        link_ids: links.as_mut_ptr(),
        ..Default::default()
    };
    opts.__bindgen_anon_1.count = MOST as u32;
    // SAFETY: both arrays have room for `count` ids and live through the call.
    let result = unsafe { libbpf_sys::bpf_prog_query_opts(target, attach_type as u32, &raw mut opts) };
    match -result {
        0 => {}
        nix::libc::ENOENT | nix::libc::ENODEV => return Ok(Vec::new()),
        errno => return Err(io::Error::from_raw_os_error(errno)),
    }
    // SAFETY: the kernel wrote how many there are; both members of the union are that number.
    let count = unsafe { opts.__bindgen_anon_1.count } as usize;
    Ok(links.into_iter().take(count).collect())
}
