//! Ten thousand flows of numbered datagrams, each of them alive.

use std::{
    io::ErrorKind,
    net::{SocketAddr, UdpSocket},
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context, Result, anyhow};
use ringfence_lab::{
    probe::{Endpoint, socket},
    wait,
};

/// Asked, each by every asker.
pub(super) const PORTS: Range<u16> = 6000..6100;
const ASKERS: u16 = 100;
/// Between two askers' turns: a round of all flows takes a second or two.
const PACE: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(30);

/// The flows, until they are finished.
pub(super) struct Flows {
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicU64>,
    arrived: Arc<AtomicU64>,
    sender: JoinHandle<Result<u64>>,
    receiver: JoinHandle<Result<()>>,
    received_all: Arc<AtomicBool>,
}

impl Flows {
    /// Starts them and waits until each has been heard of.
    pub(super) fn start(from: &Endpoint, to: &Endpoint) -> Result<Self> {
        let source = from.address(true).context("the sender has no IPv4 address")?;
        let target = to.address(true).context("the receiver has no IPv4 address")?;
        let open = |address, ports: Range<u16>| -> Result<Vec<UdpSocket>> {
            ports.map(|port| socket::udp(SocketAddr::new(address, port))).collect()
        };
        let inputs = to.namespace.run(|| open(target, PORTS))?;
        let outputs = from.namespace.run(|| open(source, 20_000..20_000 + ASKERS))?;
        let [stop, received_all] = [(); 2].map(|()| Arc::<AtomicBool>::default());
        let [rounds, arrived] = [(); 2].map(|()| Arc::<AtomicU64>::default());
        let sender = {
            let (stop, rounds) = (stop.clone(), rounds.clone());
            thread::spawn(move || send(&outputs, target, &stop, &rounds))
        };
        let receiver = {
            let (stop, arrived) = (received_all.clone(), arrived.clone());
            thread::spawn(move || receive(&inputs, &stop, &arrived))
        };
        let flows = Self { stop, rounds, arrived, sender, receiver, received_all };
        flows.wait_for_a_round()?;
        Ok(flows)
    }

    /// How many there are.
    pub(super) fn count(&self) -> usize {
        usize::from(ASKERS) * PORTS.len()
    }

    /// Waits until each of them has sent once more.
    pub(super) fn wait_for_a_round(&self) -> Result<()> {
        let next = self.rounds.load(Relaxed) + 2;
        wait::until("every flow sends once more", PATIENCE, || Ok(self.rounds.load(Relaxed) >= next))
    }

    /// Stops sending; how many datagrams never arrived.
    pub(super) fn finish(self) -> Result<u64> {
        self.stop.store(true, Relaxed);
        let sent = self.sender.join().map_err(|_| anyhow!("the sender panicked"))??;
        // What is lost never comes: then the deadline passes, and the loss is the result.
        let _ =
            wait::until("the last datagrams arrive", Duration::from_secs(2), || Ok(self.arrived.load(Relaxed) == sent));
        self.received_all.store(true, Relaxed);
        self.receiver.join().map_err(|_| anyhow!("the receiver panicked"))??;
        Ok(sent - self.arrived.load(Relaxed))
    }
}

fn send(outputs: &[UdpSocket], target: std::net::IpAddr, stop: &AtomicBool, rounds: &AtomicU64) -> Result<u64> {
    let mut sent = 0;
    loop {
        for output in outputs {
            for port in PORTS {
                output.send_to(b"alive", SocketAddr::new(target, port)).context("cannot send a datagram")?;
                sent += 1;
            }
            if stop.load(Relaxed) {
                return Ok(sent);
            }
            thread::sleep(PACE);
        }
        rounds.fetch_add(1, Relaxed);
    }
}

fn receive(inputs: &[UdpSocket], stop: &AtomicBool, arrived: &AtomicU64) -> Result<()> {
    let mut buffer = [0; 64];
    while !stop.load(Relaxed) {
        for input in inputs {
            loop {
                match input.recv(&mut buffer) {
                    Ok(_) => _ = arrived.fetch_add(1, Relaxed),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error).context("cannot receive a datagram"),
                }
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}
