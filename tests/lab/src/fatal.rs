//! Has a process die at a system call of a kind, before the kernel does what it asks for: what is killed at a moment that
//! a clock picks dies where it waits, hardly ever between two steps.

use std::{fs, thread};

use anyhow::{Context, Result, anyhow};
use nix::{
    errno::Errno,
    libc,
    sys::{
        ptrace::{self, Options},
        signal::{Signal, kill},
        wait::{WaitPidFlag, WaitStatus, waitpid},
    },
    unistd::Pid,
};

use crate::sys::begun_call;

/// Calls of bpf(2) with one command.
#[derive(Clone, Copy, Debug)]
pub struct BpfCalls(u32);

impl BpfCalls {
    /// Those that put another program into a link: `BPF_LINK_UPDATE` of `linux/bpf.h`.
    pub const LINK_UPDATE: Self = Self(29);
}

/// Follows a process, which was just started, until it makes its `nth` of these calls (the first is 1), and kills it
/// there; whether it got so far before `enough` said that it need not be waited for. Then it runs on.
///
/// # Errors
/// A process that cannot be followed.
pub fn kill_at(pid: u32, calls: BpfCalls, nth: usize, enough: impl Fn() -> bool + Send) -> Result<bool> {
    // What a thread follows it lets go when it ends.
    let follow = || follow(Pid::from_raw(i32::try_from(pid)?), calls, nth, enough);
    thread::scope(|scope| scope.spawn(follow).join().map_err(|_| anyhow!("following {pid} panicked"))?)
}

fn follow(pid: Pid, calls: BpfCalls, nth: usize, enough: impl Fn() -> bool) -> Result<bool> {
    let options = Options::PTRACE_O_TRACECLONE | Options::PTRACE_O_TRACESYSGOOD;
    for entry in fs::read_dir(format!("/proc/{pid}/task")).context("cannot list the threads to follow")? {
        let thread = Pid::from_raw(entry?.file_name().to_string_lossy().parse()?);
        ptrace::seize(thread, options).with_context(|| format!("cannot follow thread {thread}"))?;
        ptrace::interrupt(thread).with_context(|| format!("cannot stop thread {thread}"))?;
    }
    let mut seen = 0;
    while !enough() {
        // Children of this thread alone: those that it follows.
        let status = match waitpid(None, Some(WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD)) {
            Err(Errno::ECHILD) => return Ok(false),
            other => other.context("cannot wait for a call")?,
        };
        let (thread, signal) = match status {
            WaitStatus::PtraceSyscall(thread) => {
                seen += usize::from(begun_call(thread) == Some((libc::SYS_bpf, calls.0.into())));
                if seen == nth {
                    kill(pid, Signal::SIGKILL).context("cannot kill what is followed")?;
                    return Ok(true);
                }
                (thread, None)
            }
            WaitStatus::PtraceEvent(thread, ..) => (thread, None),
            WaitStatus::Stopped(thread, signal) => (thread, Some(signal)),
            _ => continue,
        };
        // A thread may be gone by now.
        let _ = ptrace::syscall(thread, signal);
    }
    Ok(false)
}
