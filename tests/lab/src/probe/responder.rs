//! Answers every question that reaches an endpoint, and remembers those that never should have.

use std::{
    io::{ErrorKind, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::fd::{AsFd, BorrowedFd},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::JoinHandle,
};

use anyhow::{Context, Result};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{Endpoint, SERVICES, Service, checksum::internet_checksum, message::Message, socket};

/// How soon a stopped responder notices, in milliseconds.
const LATENCY: u16 = 50;

/// A payload that crossed from one domain into another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leak {
    /// Who should not have been reached.
    pub receiver: String,
    /// What it received.
    pub received: Message,
}

/// Responders for many endpoints; they stop when dropped.
#[derive(Debug)]
pub struct Responders {
    stop: Arc<AtomicBool>,
    leaks: Arc<Mutex<Vec<Leak>>>,
    threads: Vec<JoinHandle<Result<()>>>,
}

impl Responders {
    /// Starts one for each endpoint; when this returns they listen.
    pub fn start(endpoints: &[Endpoint]) -> Result<Self> {
        let mut responders = Self { stop: Arc::default(), leaks: Arc::default(), threads: vec![] };
        for endpoint in endpoints {
            let sockets = endpoint.namespace.run(|| Sockets::open(&endpoint.addresses))?;
            let mut responder = Responder {
                domain: endpoint.domain.clone(),
                name: endpoint.name.clone(),
                sockets,
                leaks: responders.leaks.clone(),
            };
            let stop = responders.stop.clone();
            responders.threads.push(std::thread::spawn(move || {
                while !stop.load(Ordering::Relaxed) {
                    responder.serve_once()?;
                }
                Ok(())
            }));
        }
        Ok(responders)
    }

    /// Every payload that crossed domains so far.
    pub fn leaks(&self) -> Vec<Leak> {
        self.leaks.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Stops them; an error if one of them had ended before.
    pub fn stop(mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            match thread.join() {
                Ok(result) => result.context("a responder failed")?,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
        Ok(())
    }
}

impl Drop for Responders {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            if !matches!(thread.join(), Ok(Ok(()))) {
                eprintln!("a responder failed");
            }
        }
    }
}

struct Responder {
    domain: String,
    name: String,
    sockets: Sockets,
    leaks: Arc<Mutex<Vec<Leak>>>,
}

#[derive(Default)]
struct Sockets {
    listeners: Vec<TcpListener>,
    streams: Vec<TcpStream>,
    udp: Vec<UdpSocket>,
    raw: Vec<(UdpSocket, IpAddr)>,
}

impl Sockets {
    fn open(addresses: &[IpAddr]) -> Result<Self> {
        let mut sockets = Self::default();
        for &address in addresses {
            for service in SERVICES {
                match service {
                    Service::Tcp(port) => {
                        let address = SocketAddr::new(address, port);
                        sockets.listeners.push(socket::tcp_listener(address)?);
                    }
                    Service::Udp(port) => {
                        sockets.udp.push(socket::udp(SocketAddr::new(address, port))?);
                    }
                    Service::Echo => sockets.raw.push((socket::raw_icmp(address)?, address)),
                }
            }
        }
        Ok(sockets)
    }

    fn wait(&self) -> Result<()> {
        let fds = (self.listeners.iter().map(AsFd::as_fd))
            .chain(self.streams.iter().map(AsFd::as_fd))
            .chain(self.udp.iter().map(AsFd::as_fd))
            .chain(self.raw.iter().map(|(socket, _)| socket.as_fd()));
        let mut fds: Vec<PollFd<'_>> = fds.map(|fd: BorrowedFd<'_>| PollFd::new(fd, PollFlags::POLLIN)).collect();
        poll(&mut fds, PollTimeout::from(LATENCY)).context("cannot poll")?;
        Ok(())
    }
}

impl Responder {
    fn serve_once(&mut self) -> Result<()> {
        self.sockets.wait()?;
        let accepted = self.sockets.listeners.iter().filter_map(|it| it.accept().ok());
        let accepted: Vec<TcpStream> = accepted.map(|(stream, _)| stream).collect();
        for stream in accepted {
            stream.set_nonblocking(true)?;
            self.sockets.streams.push(stream);
        }
        let mut streams = std::mem::take(&mut self.sockets.streams);
        streams.retain_mut(|stream| self.serve_stream(stream));
        self.sockets.streams = streams;
        let mut buffer = [0; 2048];
        for socket in &self.sockets.udp {
            while let Ok((length, asker)) = socket.recv_from(&mut buffer) {
                if let Some(answer) = self.answer(&buffer[..length]) {
                    let _ = socket.send_to(&answer.bytes(), asker);
                }
            }
        }
        for (socket, address) in &self.sockets.raw {
            while let Ok((length, asker)) = socket.recv_from(&mut buffer) {
                if let Some(reply) = self.echo_reply(&buffer[..length], *address) {
                    let _ = socket.send_to(&reply, asker);
                }
            }
        }
        Ok(())
    }

    /// False when the connection is over.
    fn serve_stream(&self, stream: &mut TcpStream) -> bool {
        let mut buffer = [0; 2048];
        match stream.read(&mut buffer) {
            Ok(0) => false,
            Ok(length) => match self.answer(&buffer[..length]) {
                Some(answer) => stream.write_all(&answer.bytes()).is_ok(),
                None => true,
            },
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }

    /// The answer to a payload, whose sender is looked at first.
    fn answer(&self, payload: &[u8]) -> Option<Message> {
        let question = Message::read(payload)?;
        let answer = Message { domain: self.domain.clone(), name: self.name.clone(), number: question.number };
        if question.domain != self.domain {
            let leak = Leak { receiver: format!("{} of {}", self.name, self.domain), received: question };
            self.leaks.lock().unwrap_or_else(PoisonError::into_inner).push(leak);
        }
        Some(answer)
    }

    /// The echo reply to a packet if it is an echo request: its data, then our answer. Without a
    /// question in it (a person's ping) the data alone.
    fn echo_reply(&self, packet: &[u8], own: IpAddr) -> Option<Vec<u8>> {
        let (request, kind, reply) = if own.is_ipv4() {
            let header_length = usize::from(packet.first()? & 0xf) * 4;
            (packet.get(header_length..)?, 8, 0)
        } else {
            (packet, 128, 129)
        };
        if *request.first()? != kind {
            return None;
        }
        let data = request.get(8..)?;
        let mut message = vec![reply, 0, 0, 0];
        message.extend(request.get(4..8)?);
        message.extend(data);
        if let Some(answer) = self.answer(data) {
            message.extend(answer.bytes());
        }
        if own.is_ipv4() {
            // Over IPv6 the kernel does it, since it needs the addresses.
            let checksum = internet_checksum(&message);
            message[2..4].copy_from_slice(&checksum);
        }
        Some(message)
    }
}
