//! Traffic between two namespaces, and how much of it gets through in a while.
//!
//! One thread is client and server, and asks for no more before what it sent is there. So a packet is sent, goes through
//! both hosts and is received on one CPU: what is measured is what it costs, not when the scheduler wakes whom, and nothing is
//! lost for want of a buffer.

use std::{
    io::{ErrorKind, Read, Write},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::AsRawFd,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, setsockopt, socket, sockopt::TcpRepair,
};
use ringfence_lab::netns::Namespace;

const WRITE: usize = 128 * 1024;
/// Bytes of a datagram.
const SMALL: usize = 64;
/// Datagrams that are under way at once: too few to fill the buffer of a socket.
const BATCH: u32 = 32;
/// A lost packet of one exchange is no reason to wait for ever.
const PATIENCE: Duration = Duration::from_secs(5);
/// A datagram that is not there by now was lost.
const LOST: Duration = Duration::from_millis(20);
/// Source port of the first connection that is left alive; no other connection is given one of theirs.
const FIRST_ALIVE: u16 = 1024;
/// The first source port that others are given.
pub(super) const FIRST_FREE: u16 = 16_384;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Stream,
    Requests,
    Connections,
    Datagrams,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [Self::Stream, Self::Requests, Self::Connections, Self::Datagrams];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Stream => "TCP stream, MB/s",
            Self::Requests => "requests/s on a connection",
            Self::Connections => "connections/s with a request each",
            Self::Datagrams => "datagrams/s of 64 bytes",
        }
    }
}

/// Where traffic comes from and where it goes.
pub(super) struct Ends {
    client: Namespace,
    address: SocketAddr,
    listener: TcpListener,
    datagrams: UdpSocket,
}

/// Both ends of a connection.
pub(super) struct Pair {
    client: TcpStream,
    server: TcpStream,
}

impl Ends {
    /// Listens in the server's namespace, by TCP and UDP.
    pub(super) fn open(client: Namespace, server: &Namespace, address: IpAddr, port: u16) -> Result<Self> {
        let address = SocketAddr::new(address, port);
        let (listener, datagrams) = server.run(|| Ok((TcpListener::bind(address)?, UdpSocket::bind(address)?)))?;
        datagrams.set_read_timeout(Some(LOST))?;
        Ok(Self { client, address, listener, datagrams })
    }

    /// Opens connections that whatever lies between goes on to know: the sockets go without a word (`TCP_REPAIR`, tcp(7)),
    /// since a process may not have as many.
    pub(super) fn leave_alive(&self, count: u16) -> Result<()> {
        self.client.run(|| (0..count).try_for_each(|number| self.connect_from(FIRST_ALIVE + number)?.vanish()))
    }

    /// What gets through in about so long, a second.
    pub(super) fn measure(&self, kind: Kind, length: Duration) -> Result<f64> {
        let rate = self.client.run(|| match kind {
            Kind::Stream => self.stream(length),
            Kind::Requests => self.requests(length),
            Kind::Connections => self.connections(length),
            Kind::Datagrams => self.datagrams(length),
        });
        rate.with_context(|| format!("measuring {}", kind.name()))
    }

    fn connect(&self) -> Result<Pair> {
        self.accept(TcpStream::connect_timeout(&self.address, PATIENCE)?)
    }

    fn connect_from(&self, port: u16) -> Result<Pair> {
        let family = if self.address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let socket = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
        bind(socket.as_raw_fd(), &SockaddrStorage::from(SocketAddr::new(unspecified(self.address.ip()), port)))?;
        connect(socket.as_raw_fd(), &SockaddrStorage::from(self.address))?;
        self.accept(TcpStream::from(socket))
    }

    /// Whose other end waits to be accepted.
    fn accept(&self, client: TcpStream) -> Result<Pair> {
        let (server, _) = self.listener.accept()?;
        for end in [&client, &server] {
            end.set_nodelay(true)?;
            end.set_read_timeout(Some(PATIENCE))?;
        }
        Ok(Pair { client, server })
    }

    fn stream(&self, length: Duration) -> Result<f64> {
        let Pair { mut client, mut server } = self.connect()?;
        // Who waits until the other end reads is that other end.
        client.set_nonblocking(true)?;
        let (sent, mut received) = (vec![0; WRITE], vec![0; WRITE]);
        let (mut bytes, begun) = (0, Instant::now());
        while begun.elapsed() < length {
            match client.write(&sent) {
                Err(error) if error.kind() != ErrorKind::WouldBlock => return Err(error.into()),
                _ => bytes += server.read(&mut received)?,
            }
        }
        Ok(bytes as f64 / 1e6 / begun.elapsed().as_secs_f64())
    }

    fn requests(&self, length: Duration) -> Result<f64> {
        let (mut pair, mut done, begun) = (self.connect()?, 0, Instant::now());
        while begun.elapsed() < length {
            pair.exchange()?;
            done += 1;
        }
        Ok(f64::from(done) / begun.elapsed().as_secs_f64())
    }

    fn connections(&self, length: Duration) -> Result<f64> {
        let (mut done, begun) = (0, Instant::now());
        while begun.elapsed() < length {
            self.connect()?.exchange()?;
            done += 1;
        }
        Ok(f64::from(done) / begun.elapsed().as_secs_f64())
    }

    fn datagrams(&self, length: Duration) -> Result<f64> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.connect(self.address)?;
        let (mut received, mut datagram, begun) = (0, [0; SMALL], Instant::now());
        while begun.elapsed() < length {
            for _ in 0..BATCH {
                socket.send(&datagram)?;
            }
            for _ in 0..BATCH {
                match self.datagrams.recv(&mut datagram) {
                    Ok(_) => received += 1,
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error.into()),
                }
            }
        }
        Ok(f64::from(received) / begun.elapsed().as_secs_f64())
    }
}

impl Pair {
    /// A request of one byte and its answer.
    fn exchange(&mut self) -> Result<()> {
        let mut byte = [1];
        self.client.write_all(&byte)?;
        self.server.read_exact(&mut byte)?;
        self.server.write_all(&byte)?;
        Ok(self.client.read_exact(&mut byte)?)
    }

    /// Ends both sockets, of which nobody is told.
    fn vanish(mut self) -> Result<()> {
        self.exchange()?;
        setsockopt(&self.client, TcpRepair, &1)?;
        Ok(setsockopt(&self.server, TcpRepair, &1)?)
    }
}

fn unspecified(like: IpAddr) -> IpAddr {
    if like.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}
