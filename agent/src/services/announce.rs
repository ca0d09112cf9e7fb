//! Sends unsolicited router advertisements to the workloads of this host, when the schedule says so.

use std::{
    collections::BTreeMap,
    io,
    time::{Duration, Instant},
};

use nix::libc;
use tokio::sync::watch;

use super::{
    packet_socket::PacketSocket,
    schedule::{Announced, Schedule},
};

/// While nothing is due.
const IDLE: Duration = Duration::from_secs(3600);

/// What the devices of this host are announced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Announcements {
    /// Bears what the programs admit.
    pub mark: u32,
    /// By ifindex.
    pub devices: BTreeMap<u32, Announced>,
}

/// Announces until nobody says any more what.
pub(crate) async fn run(mut wanted: watch::Receiver<Announcements>) {
    let mut schedule = Schedule::new();
    loop {
        let Announcements { mark, devices } = wanted.borrow_and_update().clone();
        let now = Instant::now();
        let mut frames = schedule.bring(&devices, now);
        frames.extend(schedule.due(now));
        if let Err(error) = send(mark, &frames) {
            tracing::warn!(%error, "router advertisements cannot be sent; the next ones are due in minutes");
        }
        let wait = schedule.next().map_or(IDLE, |next| next.saturating_duration_since(Instant::now()));
        tokio::select! {
            changed = wanted.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(wait) => {}
        }
    }
}

/// Sends frames out of devices. One that is gone or down hears nothing, which is no error.
fn send(mark: u32, frames: &[(u32, Vec<u8>)]) -> io::Result<()> {
    if frames.is_empty() {
        return Ok(());
    }
    let socket = PacketSocket::open(mark)?;
    for (ifindex, frame) in frames {
        match socket.send(*ifindex, frame) {
            // It must not silence those after it: theirs are due in minutes again, too.
            Err(error) if !matches!(error.raw_os_error(), Some(libc::ENXIO | libc::ENODEV | libc::ENETDOWN)) => {
                tracing::warn!(ifindex, %error, "a router advertisement cannot be sent; the next one is due in minutes");
            }
            _ => {}
        }
    }
    Ok(())
}
