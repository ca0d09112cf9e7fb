//! Ten thousand flows of numbered datagrams, each of them alive.

use std::{
    io::ErrorKind,
    net::{SocketAddr, UdpSocket},
    ops::Range,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow};
use ringfence_lab::{
    probe::{Endpoint, socket},
    wait,
};

/// Asked, each by every asker.
pub(super) const PORTS: Range<u16> = 6000..6100;
const ASKERS: u16 = 100;
/// Port of the first asker; the others' follow.
const FIRST_ASKER: u16 = 20_000;
/// Between two askers' turns: a round of all flows takes a second or two.
const PACE: Duration = Duration::from_millis(10);
const PATIENCE: Duration = Duration::from_secs(30);

/// What became of one flow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Flow {
    /// The port that is asked.
    pub(super) port: u16,
    /// Datagrams that were sent.
    pub(super) sent: u64,
    /// Of them, those that arrived, each the next of the one before or a later one.
    pub(super) arrived: u64,
    /// When the last of them did.
    pub(super) last: Option<Instant>,
}

/// What has arrived of a flow so far.
#[derive(Clone, Copy, Debug, Default)]
struct Arrived {
    count: u64,
    /// The number that none arrives behind.
    next: u64,
    last: Option<Instant>,
}

/// By asker and port.
type Arrivals = Arc<Mutex<Vec<Vec<Arrived>>>>;

/// The flows, until they are finished.
pub(super) struct Flows {
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicU64>,
    arrived: Arrivals,
    sender: JoinHandle<Result<Vec<u64>>>,
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
        let outputs = from.namespace.run(|| open(source, FIRST_ASKER..FIRST_ASKER + ASKERS))?;
        let [stop, received_all] = [(); 2].map(|()| Arc::<AtomicBool>::default());
        let rounds = Arc::<AtomicU64>::default();
        let arrived = Arc::new(Mutex::new(vec![vec![Arrived::default(); PORTS.len()]; usize::from(ASKERS)]));
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

    /// Stops sending, and waits for what is on its way; what became of each.
    pub(super) fn finish(self) -> Result<Vec<Flow>> {
        self.stop.store(true, Relaxed);
        let sent = self.sender.join().map_err(|_| anyhow!("the sender panicked"))??;
        let all = sent.iter().sum::<u64>() * PORTS.len() as u64;
        // What is lost never comes: then the deadline passes, and the loss is the result.
        let _ = wait::until("the last datagrams arrive", Duration::from_secs(2), || Ok(total(&self.arrived) == all));
        self.received_all.store(true, Relaxed);
        self.receiver.join().map_err(|_| anyhow!("the receiver panicked"))??;
        let arrived = self.arrived.lock().unwrap_or_else(PoisonError::into_inner);
        let of_asker = |(sent, ports): (&u64, &Vec<Arrived>)| {
            let sent = *sent;
            let flow = |(port, it): (u16, &Arrived)| Flow { port, sent, arrived: it.count, last: it.last };
            PORTS.zip(ports).map(flow).collect::<Vec<_>>()
        };
        Ok(sent.iter().zip(arrived.iter()).flat_map(of_asker).collect())
    }
}

fn total(arrived: &Arrivals) -> u64 {
    let arrived = arrived.lock().unwrap_or_else(PoisonError::into_inner);
    arrived.iter().flatten().map(|flow| flow.count).sum()
}

/// Datagrams that each asker sent to each port.
fn send(outputs: &[UdpSocket], target: std::net::IpAddr, stop: &AtomicBool, rounds: &AtomicU64) -> Result<Vec<u64>> {
    let mut sent = vec![0_u64; outputs.len()];
    loop {
        for (asker, output) in outputs.iter().enumerate() {
            for port in PORTS {
                let number = sent[asker].to_be_bytes();
                output.send_to(&number, SocketAddr::new(target, port)).context("cannot send a datagram")?;
            }
            sent[asker] += 1;
            if stop.load(Relaxed) {
                return Ok(sent);
            }
            thread::sleep(PACE);
        }
        rounds.fetch_add(1, Relaxed);
    }
}

fn receive(inputs: &[UdpSocket], stop: &AtomicBool, arrived: &Arrivals) -> Result<()> {
    let mut buffer = [0; 64];
    while !stop.load(Relaxed) {
        for (place, input) in inputs.iter().enumerate() {
            loop {
                match input.recv_from(&mut buffer) {
                    Ok((_, from)) => {
                        let number = buffer.first_chunk().copied().map_or(0, u64::from_be_bytes);
                        let asker = usize::from(from.port() - FIRST_ASKER);
                        let mut arrived = arrived.lock().unwrap_or_else(PoisonError::into_inner);
                        arrived[asker][place].note(number);
                    }
                    Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                    Err(error) => return Err(error).context("cannot receive a datagram"),
                }
            }
        }
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

impl Arrived {
    /// One that comes twice, or behind a later one, does not count.
    fn note(&mut self, number: u64) {
        if number >= self.next {
            self.count += 1;
            self.next = number + 1;
            self.last = Some(Instant::now());
        }
    }
}
