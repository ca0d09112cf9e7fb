//! Waiting for a condition, with a deadline; never for a time.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use crate::interrupt;

/// How often a condition is looked at.
const INTERVAL: Duration = Duration::from_millis(10);

/// Waits until `condition` holds. Its error, or `what` once `deadline` has passed or the end of the
/// lab was asked for.
pub fn until(what: &str, deadline: Duration, mut condition: impl FnMut() -> Result<bool>) -> Result<()> {
    let started = Instant::now();
    while !condition()? {
        if started.elapsed() > deadline {
            bail!("waited {deadline:?} in vain until {what}");
        }
        if interrupt::requested() {
            bail!("interrupted while waiting until {what}");
        }
        thread::sleep(INTERVAL);
    }
    Ok(())
}

/// Waits until the end of the lab is asked for.
pub fn until_interrupted() {
    while !interrupt::requested() {
        thread::sleep(INTERVAL);
    }
}
