//! Sockets of the calling thread's namespace that std has no constructor for. All non-blocking.

use std::{
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsRawFd, OwnedFd},
};

use anyhow::{Context, Result};
use nix::{
    errno::Errno,
    sys::socket::{
        AddressFamily, Backlog, SockFlag, SockProtocol, SockType, SockaddrStorage, bind, connect, listen, setsockopt,
        socket,
        sockopt::{Ipv6V6Only, ReuseAddr},
    },
};

/// A listener on one address.
pub fn tcp_listener(address: SocketAddr) -> Result<TcpListener> {
    let fd = open(address.ip(), SockType::Stream, None)?;
    setsockopt(&fd, ReuseAddr, &true)?;
    bound(&fd, address)?;
    listen(&fd, Backlog::new(128)?).with_context(|| format!("cannot listen on {address}"))?;
    Ok(TcpListener::from(fd))
}

/// A connection on its way from `source` to `target`. `None`: there is no way to it.
pub fn tcp_connecting(source: IpAddr, target: SocketAddr) -> Result<Option<TcpStream>> {
    let fd = open(source, SockType::Stream, None)?;
    bound(&fd, SocketAddr::new(source, 0))?;
    match connect(fd.as_raw_fd(), &SockaddrStorage::from(target)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(Some(TcpStream::from(fd))),
        Err(Errno::ENETUNREACH | Errno::EHOSTUNREACH) => Ok(None),
        Err(error) => Err(error).with_context(|| format!("cannot connect to {target}")),
    }
}

/// A UDP socket on one address.
pub fn udp(address: SocketAddr) -> Result<UdpSocket> {
    let fd = open(address.ip(), SockType::Datagram, None)?;
    bound(&fd, address)?;
    Ok(UdpSocket::from(fd))
}

/// A socket that sends echo requests and receives only their answers. It speaks like a UDP socket:
/// what is sent and received starts at the ICMP header, whose id and checksum the kernel fills.
pub fn ping(source: IpAddr) -> Result<UdpSocket> {
    let fd = open(source, SockType::Datagram, Some(icmp_of(source)))?;
    bound(&fd, SocketAddr::new(source, 0))?;
    Ok(UdpSocket::from(fd))
}

/// A raw ICMP socket on one address. Over IPv4 what is received starts at the IP header.
pub fn raw_icmp(address: IpAddr) -> Result<UdpSocket> {
    let fd = open(address, SockType::Raw, Some(icmp_of(address)))?;
    bound(&fd, SocketAddr::new(address, 0))?;
    Ok(UdpSocket::from(fd))
}

/// A socket that sends whole Ethernet frames out of a device: what no honest stack would send.
pub fn frames(device: &str) -> Result<OwnedFd> {
    crate::sys::packet_socket(device)
}

fn icmp_of(address: IpAddr) -> SockProtocol {
    if address.is_ipv4() { SockProtocol::Icmp } else { SockProtocol::IcmpV6 }
}

/// An IPv6 socket leaves IPv4 to others, so that both families may use one port.
fn open(like: IpAddr, kind: SockType, protocol: Option<SockProtocol>) -> Result<OwnedFd> {
    let family = if like.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let fd = socket(family, kind, SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC, protocol)
        .with_context(|| format!("cannot make a {kind:?} socket for {like}"))?;
    if like.is_ipv6() && kind != SockType::Raw && protocol.is_none() {
        setsockopt(&fd, Ipv6V6Only, &true)?;
    }
    Ok(fd)
}

fn bound(fd: &OwnedFd, address: SocketAddr) -> Result<()> {
    bind(fd.as_raw_fd(), &SockaddrStorage::from(address)).with_context(|| format!("cannot bind to {address}"))
}
