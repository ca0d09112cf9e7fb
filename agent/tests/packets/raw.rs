//! Frames on real devices, byte for byte as a guest may make them.

#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

use nix::libc;

use crate::net::ifindex;

/// The checksum that a guest leaves to the device: where the sum begins, and where behind that it goes.
#[derive(Clone, Copy, Debug)]
pub struct LeftChecksum {
    pub start: u16,
    pub offset: u16,
}

/// A packet socket on one device, in the namespace it was made in.
pub struct RawSocket(OwnedFd);

const VNET_HEADER: usize = 10;
const NEEDS_CHECKSUM: u8 = 1;

fn checked(result: libc::c_long) -> libc::c_long {
    assert!(result >= 0, "{}", io::Error::last_os_error());
    result
}

impl RawSocket {
    pub fn on(device: &str) -> Self {
        let protocol = (libc::ETH_P_ALL as u16).to_be();
        // SAFETY: integers only; on success the descriptor is nobody else's.
        let fd = unsafe { libc::socket(libc::AF_PACKET, libc::SOCK_RAW, i32::from(protocol)) };
        checked(fd.into());
        // SAFETY: see above.
        let socket = Self(unsafe { OwnedFd::from_raw_fd(fd) });
        socket.set(libc::SOL_PACKET, libc::PACKET_VNET_HDR, &1i32);
        let wait = libc::timeval { tv_sec: 0, tv_usec: 300_000 };
        socket.set(libc::SOL_SOCKET, libc::SO_RCVTIMEO, &wait);
        // SAFETY: integers and an array, of which zero is a value.
        let mut place: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        place.sll_family = libc::AF_PACKET as u16;
        place.sll_protocol = protocol;
        place.sll_ifindex = ifindex(device) as i32;
        // SAFETY: the address is of the size that is given.
        let result = unsafe { libc::bind(fd, (&raw const place).cast(), size_of_val(&place) as u32) };
        checked(result.into());
        socket
    }

    fn set<T>(&self, level: i32, option: i32, value: &T) {
        // SAFETY: the value is of the size that is given.
        let result = unsafe {
            libc::setsockopt(self.0.as_raw_fd(), level, option, std::ptr::from_ref(value).cast(), size_of::<T>() as u32)
        };
        checked(result.into());
    }

    pub fn send(&self, frame: &[u8], left: Option<LeftChecksum>) {
        let mut bytes = vec![0; VNET_HEADER];
        if let Some(left) = left {
            bytes[0] = NEEDS_CHECKSUM;
            bytes[6..8].copy_from_slice(&left.start.to_le_bytes());
            bytes[8..10].copy_from_slice(&left.offset.to_le_bytes());
        }
        bytes.extend(frame);
        // SAFETY: the bytes are as many as is said.
        let sent = unsafe { libc::send(self.0.as_raw_fd(), bytes.as_ptr().cast(), bytes.len(), 0) };
        assert_eq!(checked(sent as libc::c_long) as usize, bytes.len());
    }

    /// Every frame that arrives until none has for a while.
    pub fn received(&self) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        loop {
            let mut bytes = vec![0; 4096];
            // SAFETY: there is room for as many bytes as is said.
            let length = unsafe { libc::recv(self.0.as_raw_fd(), bytes.as_mut_ptr().cast(), bytes.len(), 0) };
            if length < VNET_HEADER as isize {
                return frames;
            }
            frames.push(bytes[VNET_HEADER..length as usize].to_vec());
        }
    }
}
