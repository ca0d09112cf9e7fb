//! One CPU for this process, ahead of everybody else.

use std::process::Command;

use anyhow::{Context, Result, ensure};
use nix::{
    sched::{CpuSet, sched_getaffinity, sched_setaffinity},
    unistd::Pid,
};

/// Binds the calling thread, the process's first, to its last CPU, ahead of everybody else there. The threads that it
/// starts are so, too.
pub(super) fn take_cpu() -> Result<()> {
    let this = Pid::from_raw(0);
    let allowed = sched_getaffinity(this).context("cannot ask what CPUs there are")?;
    let last = (0..CpuSet::count()).rev().find(|cpu| allowed.is_set(*cpu).unwrap_or(false));
    let mut one = CpuSet::new();
    one.set(last.context("there is no CPU to run on")?)?;
    sched_setaffinity(this, &one).context("cannot bind this thread to a CPU")?;
    chrt(&["--fifo", "--pid", "1"])
}

/// Ends the precedence: what is left to do is no measurement.
pub(super) fn give_cpu_back() -> Result<()> {
    chrt(&["--other", "--pid", "0"])
}

/// Gives this process a scheduling policy and a priority.
fn chrt(arguments: &[&str]) -> Result<()> {
    let process = std::process::id().to_string();
    let status = Command::new("chrt").args(arguments).arg(&process).status();
    let status = status.context("cannot run chrt; install util-linux")?;
    ensure!(status.success(), "chrt {} {process}: {status}", arguments.join(" "));
    Ok(())
}
