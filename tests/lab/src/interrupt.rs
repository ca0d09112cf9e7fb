//! Ctrl-C ends a lab as its own end does: what is waited for is given up, and all is removed.

use std::{
    process,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use anyhow::{Context, Result};
use nix::sys::signal::{SigSet, Signal};

static REQUESTED: AtomicBool = AtomicBool::new(false);

/// Takes SIGINT, SIGTERM and SIGHUP as the wish to end; the second one ends the process at once, and
/// leaves the rest to the next sweep. To be called before any other thread is made, since threads
/// inherit what is blocked.
pub fn listen() -> Result<()> {
    let signals = SigSet::from_iter([Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP]);
    signals.thread_block().context("cannot block signals")?;
    thread::spawn(move || {
        loop {
            if let Ok(signal) = signals.wait()
                && REQUESTED.swap(true, Ordering::Relaxed)
            {
                process::exit(128 + signal as i32);
            }
        }
    });
    Ok(())
}

/// Whether the end was asked for.
pub fn requested() -> bool {
    REQUESTED.load(Ordering::Relaxed)
}
