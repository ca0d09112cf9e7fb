//! The four things the lab needs from the kernel that have no safe wrapper.

#![allow(
    unsafe_code,
    reason = "pre_exec, TCP_INFO, packet sockets and calls of what is followed; nowhere else in the lab"
)]

use std::{
    fs::File,
    io,
    net::TcpStream,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    process::Command,
};

use anyhow::{Context, Result};
use nix::{
    getsockopt_impl, libc,
    net::if_::if_nametoindex,
    sched::{CloneFlags, setns},
    sockopt_impl,
    sys::{
        ptrace,
        signal::SigSet,
        socket::{AddressFamily, LinkAddr, SockFlag, SockType, SockaddrLike, bind, getsockopt, socket},
    },
    unistd::Pid,
};

sockopt_impl!(
    /// `TCP_INFO`, see tcp(7).
    TcpInfo,
    GetOnly,
    libc::IPPROTO_TCP,
    libc::TCP_INFO,
    libc::tcp_info
);

/// Makes `command` run in the network namespace, with no signal blocked, and out of reach of the
/// terminal's Ctrl-C: the lab ends its processes itself, in its own order.
///
/// The mount namespace stays, so that every host's agent sees the one `/sys/fs/bpf`.
pub(crate) fn run_in(command: &mut Command, namespace: File) {
    command.process_group(0);
    let enter = move || {
        setns(&namespace, CloneFlags::CLONE_NEWNET)?;
        SigSet::empty().thread_set_mask()?;
        Ok::<(), io::Error>(())
    };
    // SAFETY: between fork and exec only async-signal-safe calls are allowed; setns and
    // sigprocmask are plain system calls and nothing here allocates.
    unsafe { command.pre_exec(enter) };
}

/// How many segments this connection has ever retransmitted.
pub(crate) fn total_retransmissions(stream: &TcpStream) -> Result<u32> {
    let info = getsockopt(stream, TcpInfo).context("cannot read TCP_INFO of a stream")?;
    Ok(info.tcpi_total_retrans)
}

/// A socket that sends whole Ethernet frames out of a device of the calling thread's namespace, as
/// `send` on it is given them.
pub(crate) fn packet_socket(device: &str) -> Result<OwnedFd> {
    let fd = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)
        .context("cannot open a packet socket")?;
    let index = if_nametoindex(device).with_context(|| format!("no device {device} here"))?;
    let address = libc::sockaddr_ll {
        sll_family: libc::AF_PACKET as u16,
        // It only sends: no protocol is received.
        sll_protocol: 0,
        sll_ifindex: i32::try_from(index)?,
        sll_hatype: 0,
        sll_pkttype: 0,
        sll_halen: 0,
        sll_addr: [0; 8],
    };
    // SAFETY: the pointer is to a whole sockaddr_ll of family AF_PACKET, and it is copied.
    let address = unsafe { LinkAddr::from_raw((&raw const address).cast(), None) };
    let address = address.context("nix refuses a sockaddr_ll")?;
    bind(fd.as_raw_fd(), &address).with_context(|| format!("cannot bind to {device}"))?;
    Ok(fd)
}

/// Number and first argument of the system call that a followed thread is about to make, if it stopped for that.
pub(crate) fn begun_call(thread: Pid) -> Option<(i64, u64)> {
    let info = ptrace::syscall_info(thread).ok().filter(|info| info.op == libc::PTRACE_SYSCALL_INFO_ENTRY)?;
    // SAFETY: of a call that begins the kernel fills in this member.
    let entry = unsafe { info.u.entry };
    Some((i64::try_from(entry.nr).ok()?, entry.args[0]))
}
