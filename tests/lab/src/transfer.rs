//! Bytes from one endpoint to another by TCP, each of them checked, and how long they took.

use std::{
    io::{ErrorKind, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{netns::Namespace, probe::socket, wait};

/// Longer than this no end stays silent, or the path has swallowed something.
const SILENCE: Duration = Duration::from_secs(5);

/// One end of a transfer: where, and from which of its addresses.
#[derive(Clone, Copy, Debug)]
pub struct End<'a> {
    /// Where it is.
    pub namespace: &'a Namespace,
    /// An address of its.
    pub address: IpAddr,
}

/// Sends so many bytes to a port of `to`; the time from the first to the last of them.
pub fn transfer(from: End<'_>, to: End<'_>, port: u16, bytes: usize) -> Result<Duration> {
    let target = SocketAddr::new(to.address, port);
    let listener = to.namespace.run(|| socket::tcp_listener(target))?;
    let connecting = from.namespace.run(|| socket::tcp_connecting(from.address, target))?;
    let sender = connecting.with_context(|| format!("no way to {target}"))?;
    let receiver = accepted(&listener)?;
    for stream in [&sender, &receiver] {
        stream.set_nonblocking(false)?;
        stream.set_read_timeout(Some(SILENCE))?;
        stream.set_write_timeout(Some(SILENCE))?;
    }
    let started = Instant::now();
    thread::scope(|scope| {
        let sending = scope.spawn(|| send(sender, bytes));
        let received = receive(receiver, bytes);
        match sending.join() {
            Ok(sent) => sent.and(received),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })?;
    Ok(started.elapsed())
}

fn accepted(listener: &TcpListener) -> Result<TcpStream> {
    let mut accepted = None;
    wait::until("the connection is accepted", SILENCE, || {
        accepted = listener.accept().ok();
        Ok(accepted.is_some())
    })?;
    Ok(accepted.context("accepted, but no stream")?.0)
}

/// The byte at a place: a prime period, so that a part that is lost or repeated shows.
fn byte_at(place: usize) -> u8 {
    (place % 251) as u8
}

fn send(mut stream: TcpStream, bytes: usize) -> Result<()> {
    let mut place = 0;
    while place < bytes {
        let end = bytes.min(place + 65_536);
        let part: Vec<u8> = (place..end).map(byte_at).collect();
        stream.write_all(&part).context("cannot send")?;
        place = end;
    }
    Ok(())
}

fn receive(mut stream: TcpStream, bytes: usize) -> Result<()> {
    let (mut place, mut buffer) = (0, vec![0; 65_536]);
    loop {
        match stream.read(&mut buffer) {
            Ok(0) if place == bytes => return Ok(()),
            Ok(0) => bail!("only {place} of {bytes} bytes arrived"),
            Ok(length) => {
                if let Some(wrong) = (0..length).find(|at| buffer[*at] != byte_at(place + at)) {
                    bail!("byte {} is not what was sent", place + wrong);
                }
                place += length;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error).with_context(|| format!("stuck after {place} of {bytes} bytes")),
        }
    }
}
