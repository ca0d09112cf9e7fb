//! Traffic between two namespaces, and how much of it gets through in a while.

use std::{
    io::{Read, Write},
    net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use ringfence_lab::netns::Namespace;

/// The first byte of a connection says what it is for.
const STREAM: u8 = b's';
const REQUESTS: u8 = b'r';
const ONE_REQUEST: u8 = b'c';
const HELD: u8 = b'h';
const WRITE: usize = 128 * 1024;
const SMALL: usize = 64;
/// A lost packet of one exchange is no reason to wait for ever.
const PATIENCE: Duration = Duration::from_secs(5);

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

/// Who answers, until the process ends.
#[derive(Clone, Debug)]
pub(super) struct Server {
    address: SocketAddr,
    received: Arc<AtomicU64>,
}

impl Server {
    /// Listens in a namespace, by TCP and UDP.
    pub(super) fn start(namespace: &Namespace, address: IpAddr, port: u16) -> Result<Self> {
        let address = SocketAddr::new(address, port);
        let (listener, socket) = namespace.run(|| Ok((TcpListener::bind(address)?, UdpSocket::bind(address)?)))?;
        let received = Arc::new(AtomicU64::new(0));
        let counted = received.clone();
        thread::spawn(move || {
            let mut datagram = [0; SMALL];
            while socket.recv(&mut datagram).is_ok() {
                counted.fetch_add(1, Ordering::Relaxed);
            }
        });
        let held = Arc::new(Mutex::new(Vec::new()));
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // Who asks may have gone.
                let _ = serve(stream, &held);
            }
        });
        Ok(Self { address, received })
    }

    /// What gets through in about so long, from a namespace, a second.
    pub(super) fn measure(&self, from: &Namespace, kind: Kind, length: Duration) -> Result<f64> {
        let rate = from.run(|| match kind {
            Kind::Stream => self.stream(length),
            Kind::Requests => self.requests(length),
            Kind::Connections => self.connections(length),
            Kind::Datagrams => self.datagrams(length),
        });
        rate.with_context(|| format!("measuring {}", kind.name()))
    }

    /// Connections that stay, from a namespace.
    pub(super) fn hold(&self, from: &Namespace, count: usize) -> Result<Vec<TcpStream>> {
        from.run(|| (0..count).map(|_| self.connect(HELD)).collect())
    }

    fn connect(&self, purpose: u8) -> Result<TcpStream> {
        let mut stream = TcpStream::connect_timeout(&self.address, PATIENCE)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(&[purpose])?;
        Ok(stream)
    }

    fn stream(&self, length: Duration) -> Result<f64> {
        let mut stream = self.connect(STREAM)?;
        let (buffer, begun) = (vec![0; WRITE], Instant::now());
        while begun.elapsed() < length {
            stream.write_all(&buffer)?;
        }
        stream.shutdown(Shutdown::Write)?;
        let mut bytes = [0; 8];
        stream.read_exact(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes) as f64 / 1e6 / begun.elapsed().as_secs_f64())
    }

    fn requests(&self, length: Duration) -> Result<f64> {
        let mut stream = self.connect(REQUESTS)?;
        let (mut done, mut byte, begun) = (0, [1], Instant::now());
        while begun.elapsed() < length {
            stream.write_all(&byte)?;
            stream.read_exact(&mut byte)?;
            done += 1;
        }
        Ok(f64::from(done) / begun.elapsed().as_secs_f64())
    }

    fn connections(&self, length: Duration) -> Result<f64> {
        let (mut done, mut byte, begun) = (0, [1], Instant::now());
        while begun.elapsed() < length {
            self.connect(ONE_REQUEST)?.read_exact(&mut byte)?;
            done += 1;
        }
        Ok(f64::from(done) / begun.elapsed().as_secs_f64())
    }

    fn datagrams(&self, length: Duration) -> Result<f64> {
        let socket = UdpSocket::bind("0.0.0.0:0")?;
        socket.connect(self.address)?;
        let (before, begun) = (self.received.load(Ordering::Relaxed), Instant::now());
        while begun.elapsed() < length {
            for _ in 0..32 {
                socket.send(&[0; SMALL])?;
            }
        }
        Ok((self.received.load(Ordering::Relaxed) - before) as f64 / begun.elapsed().as_secs_f64())
    }
}

fn serve(mut stream: TcpStream, held: &Mutex<Vec<TcpStream>>) -> Result<()> {
    let mut purpose = [0];
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.read_exact(&mut purpose)?;
    match purpose[0] {
        // At once: a thread would cost more than what is measured.
        ONE_REQUEST => stream.write_all(&purpose)?,
        HELD => held.lock().map_err(|_| anyhow::anyhow!("a server thread panicked"))?.push(stream),
        STREAM => drop(thread::spawn(move || sink(stream))),
        _ => drop(thread::spawn(move || echo(stream))),
    }
    Ok(())
}

fn sink(mut stream: TcpStream) -> Result<()> {
    let (mut buffer, mut bytes) = (vec![0; WRITE], 0u64);
    loop {
        match stream.read(&mut buffer)? {
            0 => return Ok(stream.write_all(&bytes.to_be_bytes())?),
            read => bytes += read as u64,
        }
    }
}

fn echo(mut stream: TcpStream) -> Result<()> {
    let mut byte = [0];
    loop {
        stream.read_exact(&mut byte)?;
        stream.write_all(&byte)?;
    }
}
