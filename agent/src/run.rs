//! Wires the parts of a running agent: the loop on a thread of its own, the session and the device monitor as tasks.

use std::{thread, time::Duration};

use anyhow::{Context, bail};
use ringfence_proto::v1;
use tokio::{
    runtime::Handle,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot, watch},
};

use crate::{
    bpf,
    config::Config,
    netlink,
    reconcile::{Outputs, Reconciler, machine::Machine},
    services::{Announcements, announce},
    session::{self, Channels, Identity},
};

/// Updates that wait for the loop; the controller holds back the rest.
const WAITING: usize = 1024;
/// A pass that runs when the agent is told to end may take this long to finish.
const LAST_PASS: Duration = Duration::from_secs(2);

/// Runs until SIGTERM or SIGINT. Whatever is enforced then stays enforced.
pub async fn run(config: Config) -> anyhow::Result<()> {
    bpf::check_kernel(&config.pin_dir)?;
    let (answers_in, answers) = mpsc::unbounded_channel();
    let (held_in, held) = watch::channel(None);
    let (devices_in, devices) = watch::channel(v1::Devices::default());
    let (put_back_in, put_back) = watch::channel(v1::PutBacks::default());
    let (events_in, events) = mpsc::channel(WAITING);
    let (changed_in, changed) = mpsc::channel(1);
    let (announcements_in, announcements) = watch::channel(Announcements::default());
    let outputs = Outputs {
        answers: answers_in,
        held: held_in,
        devices: devices_in,
        put_back: put_back_in,
        announcements: announcements_in,
    };
    let identity = Identity { host: config.host.clone(), underlay: config.underlay.clone() };
    let (controller, host, up_deadline) = (config.controller.clone(), config.host.clone(), config.up_deadline);

    let machine = Machine::open(config, Handle::current())?;
    let reconciler = Reconciler::new(machine, host, up_deadline, Handle::current(), outputs)?;
    let (ended_in, mut ended) = oneshot::channel();
    let mut first_pass = held.clone();
    thread::Builder::new()
        .name("reconcile".to_owned())
        .spawn(move || {
            reconciler.run(events, changed);
            // The agent may have ended before.
            let _ = ended_in.send(());
        })
        .context("cannot start the reconcile thread")?;

    let monitor = tokio::spawn(netlink::monitor(changed_in));
    // It ends with the loop that tells it what to announce.
    tokio::spawn(announce::run(announcements));
    let session = tokio::spawn(async move {
        // Hello says what is enforced, so it waits until something can be.
        if first_pass.changed().await.is_ok() {
            let channels = Channels { events: events_in, answers, held, devices, put_back };
            session::run(controller, identity, channels).await;
        }
    });
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = &mut ended => bail!("the reconcile loop ended by itself"),
        error = monitor => return Err(error?).context("devices can be watched no longer"),
    }
    session.abort();
    tracing::info!("ends; what is enforced stays enforced");
    // With the session gone nobody sends events: the loop ends after the pass it is in.
    if tokio::time::timeout(LAST_PASS, ended).await.is_err() {
        tracing::warn!("a pass was cut off; the next start judges every flow again");
    }
    Ok(())
}
