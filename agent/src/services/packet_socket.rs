//! Whole frames out of a device (packet(7)); no crate in use wraps its address safely.

#![allow(unsafe_code)]

use std::{
    io, mem,
    os::fd::{AsRawFd, OwnedFd},
};

use nix::{
    libc,
    sys::socket::{AddressFamily, SockFlag, SockType, setsockopt, socket, sockopt::Mark},
};

/// A socket that sends frames and receives none.
#[derive(Debug)]
pub(super) struct PacketSocket {
    fd: OwnedFd,
}

impl PacketSocket {
    /// One whose frames bear the mark.
    pub(super) fn open(mark: u32) -> io::Result<Self> {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        // Without a protocol nothing is received.
        let fd = socket(AddressFamily::Packet, SockType::Raw, flags, None)?;
        setsockopt(&fd, Mark, &mark)?;
        Ok(Self { fd })
    }

    /// Sends a frame, Ethernet header and all.
    pub(super) fn send(&self, ifindex: u32, frame: &[u8]) -> io::Result<()> {
        // SAFETY: integers and arrays of them; zero is a value of each.
        let mut to: libc::sockaddr_ll = unsafe { mem::zeroed() };
        to.sll_family = libc::sa_family_t::try_from(libc::AF_PACKET).map_err(io::Error::other)?;
        to.sll_ifindex = ifindex.try_into().map_err(io::Error::other)?;
        let size = libc::socklen_t::try_from(size_of_val(&to)).map_err(io::Error::other)?;
        // SAFETY: frame and address are valid for the lengths given, and outlive the call.
        let sent = unsafe {
            libc::sendto(self.fd.as_raw_fd(), frame.as_ptr().cast(), frame.len(), 0, (&raw const to).cast(), size)
        };
        if sent < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}
