//! Flows that run while something happens to them, and tell what it did to them.

use std::{
    collections::BTreeSet,
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream, UdpSocket},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{
    probe::{Endpoint, socket},
    sys, wait,
};

/// Between two datagrams, or two questions on a connection.
const PACE: Duration = Duration::from_millis(2);

/// How long the last of what was sent may take.
const SETTLE: Duration = Duration::from_secs(2);

/// Numbered datagrams from one endpoint to another, each counted where it arrives.
#[derive(Debug)]
pub struct DatagramStream {
    stop: Arc<AtomicBool>,
    arrived: Arc<Mutex<BTreeSet<u64>>>,
    sender: JoinHandle<Result<u64>>,
    receiver: JoinHandle<Result<()>>,
    received_all: Arc<AtomicBool>,
}

/// What became of a datagram stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// How many were sent.
    pub sent: u64,
    /// The numbers of those that did not arrive.
    pub lost: Vec<u64>,
}

impl DatagramStream {
    /// Starts it and waits until the first ones have arrived.
    pub fn start(from: &Endpoint, to: &Endpoint, ipv4: bool, port: u16, size: usize) -> Result<Self> {
        let source = from.address(ipv4).context("the sender has no such address")?;
        let target = SocketAddr::new(to.address(ipv4).context("the receiver has no such address")?, port);
        let input = to.namespace.run(|| socket::udp(target))?;
        let output = from.namespace.run(|| socket::udp(SocketAddr::new(source, 0)))?;
        for socket in [&input, &output] {
            socket.set_nonblocking(false)?;
        }
        input.set_read_timeout(Some(Duration::from_millis(50)))?;
        output.connect(target)?;
        let stop = Arc::new(AtomicBool::new(false));
        let received_all = Arc::new(AtomicBool::new(false));
        let arrived = Arc::<Mutex<BTreeSet<u64>>>::default();
        let sender = {
            let stop = stop.clone();
            thread::spawn(move || send_numbers(&output, &stop, size))
        };
        let receiver = {
            let (stop, arrived) = (received_all.clone(), arrived.clone());
            thread::spawn(move || receive_numbers(&input, &stop, &arrived))
        };
        let stream = Self { stop, arrived, sender, receiver, received_all };
        wait::until("the first datagrams arrive", SETTLE, || Ok(stream.count() >= 5))?;
        Ok(stream)
    }

    /// How many have arrived so far.
    pub fn count(&self) -> usize {
        lock(&self.arrived).len()
    }

    /// Stops sending, waits for what is on its way, and tells what was lost. Those before the first
    /// that arrived count as lost too.
    pub fn finish(self) -> Result<Delivery> {
        self.stop.store(true, Ordering::Relaxed);
        let sent = joined(self.sender)?;
        // What is lost never comes: then the deadline passes, and the loss is the result.
        let _ = wait::until("the last datagrams arrive", SETTLE, || Ok(lock(&self.arrived).len() as u64 == sent));
        self.received_all.store(true, Ordering::Relaxed);
        joined(self.receiver)?;
        let arrived = lock(&self.arrived);
        Ok(Delivery { sent, lost: (0..sent).filter(|n| !arrived.contains(n)).collect() })
    }
}

fn send_numbers(output: &UdpSocket, stop: &AtomicBool, size: usize) -> Result<u64> {
    let mut datagram = vec![0; size.max(8)];
    for number in 0.. {
        if stop.load(Ordering::Relaxed) {
            return Ok(number);
        }
        datagram[..8].copy_from_slice(&number.to_be_bytes());
        output.send(&datagram).context("cannot send a datagram")?;
        thread::sleep(PACE);
    }
    Ok(u64::MAX)
}

fn receive_numbers(input: &UdpSocket, stop: &AtomicBool, arrived: &Mutex<BTreeSet<u64>>) -> Result<()> {
    let mut buffer = [0; 65536];
    while !stop.load(Ordering::Relaxed) {
        match input.recv(&mut buffer) {
            Ok(_) => {
                let number = buffer.first_chunk().copied().map_or(0, u64::from_be_bytes);
                lock(arrived).insert(number);
            }
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {}
            Err(error) => return Err(error).context("cannot receive a datagram"),
        }
    }
    Ok(())
}

/// A TCP connection on which one side keeps asking and the other echoes.
#[derive(Debug)]
pub struct EchoStream {
    stop: Arc<AtomicBool>,
    /// Both ends.
    ends: [TcpStream; 2],
    last_echo: Arc<Mutex<Instant>>,
    echoes: Arc<Mutex<u64>>,
    client: JoinHandle<Result<()>>,
    server: JoinHandle<Result<()>>,
}

impl EchoStream {
    /// Connects and waits for the first echoes of `size` bytes.
    pub fn start(from: &Endpoint, to: &Endpoint, ipv4: bool, port: u16, size: usize) -> Result<Self> {
        let source = from.address(ipv4).context("the client has no such address")?;
        let target = SocketAddr::new(to.address(ipv4).context("the server has no such address")?, port);
        let listener = to.namespace.run(|| socket::tcp_listener(target))?;
        let connecting = from.namespace.run(|| socket::tcp_connecting(source, target))?;
        let connection = connecting.with_context(|| format!("no way to {target}"))?;
        let mut accepted = None;
        wait::until("the connection is accepted", SETTLE, || {
            if let Ok((stream, _)) = listener.accept() {
                accepted = Some(stream);
            }
            Ok(accepted.is_some())
        })?;
        let served = accepted.context("accepted, but no stream")?;
        for stream in [&connection, &served] {
            stream.set_nonblocking(false)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(Duration::from_millis(50)))?;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let last_echo = Arc::new(Mutex::new(Instant::now()));
        let echoes = Arc::<Mutex<u64>>::default();
        let ends = [connection.try_clone()?, served.try_clone()?];
        let server = {
            let stop = stop.clone();
            thread::spawn(move || echo(served, &stop))
        };
        let client = {
            let stop = stop.clone();
            let (last_echo, echoes) = (last_echo.clone(), echoes.clone());
            thread::spawn(move || ask_for_echoes(connection, &stop, &last_echo, &echoes, size))
        };
        let stream = Self { stop, ends, last_echo, echoes, client, server };
        wait::until("the first echoes arrive", SETTLE, || Ok(stream.echoes() >= 5))?;
        Ok(stream)
    }

    /// How many echoes have come back.
    pub fn echoes(&self) -> u64 {
        *lock(&self.echoes)
    }

    /// When the last one did.
    pub fn last_echo(&self) -> Instant {
        *lock(&self.last_echo)
    }

    /// Segments that either end ever had to send again.
    pub fn retransmissions(&self) -> Result<u32> {
        let [client, server] = &self.ends;
        Ok(sys::total_retransmissions(client)? + sys::total_retransmissions(server)?)
    }

    /// Ends it.
    pub fn finish(self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        joined(self.client)?;
        joined(self.server)
    }
}

fn ask_for_echoes(
    mut connection: TcpStream,
    stop: &AtomicBool,
    last_echo: &Mutex<Instant>,
    echoes: &Mutex<u64>,
    size: usize,
) -> Result<()> {
    let question: Vec<u8> = (0..size).map(|place| place as u8).collect();
    let mut answer = vec![0; size];
    while !stop.load(Ordering::Relaxed) {
        connection.write_all(&question).context("cannot write to an echo stream")?;
        if !read_whole(&mut connection, &mut answer, stop)? {
            return Ok(());
        }
        if answer != question {
            bail!("an echo differs from what was said");
        }
        *lock(last_echo) = Instant::now();
        *lock(echoes) += 1;
        thread::sleep(PACE);
    }
    Ok(())
}

fn echo(mut connection: TcpStream, stop: &AtomicBool) -> Result<()> {
    let mut buffer = [0; 65536];
    while !stop.load(Ordering::Relaxed) {
        match connection.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => connection.write_all(&buffer[..length]).context("cannot echo")?,
            Err(error) if is_quiet(&error) => {}
            Err(error) => return Err(error).context("cannot read what to echo"),
        }
    }
    Ok(())
}

/// False when it was stopped before all was there.
fn read_whole(connection: &mut TcpStream, mut wanted: &mut [u8], stop: &AtomicBool) -> Result<bool> {
    while !wanted.is_empty() {
        match connection.read(wanted) {
            Ok(0) => bail!("the echo stream was closed"),
            Ok(length) => wanted = &mut wanted[length..],
            Err(error) if is_quiet(&error) => {}
            Err(error) => return Err(error).context("cannot read an echo"),
        }
        if stop.load(Ordering::Relaxed) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn is_quiet(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn joined<T>(thread: JoinHandle<Result<T>>) -> Result<T> {
    match thread.join() {
        Ok(result) => result,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}
