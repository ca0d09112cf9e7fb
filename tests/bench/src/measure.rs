//! Clocks and memory of this process.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::Context;
use nix::time::{ClockId, clock_gettime};

/// What something took.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// By the clock on the wall, which counts what others do on this machine too.
    pub(crate) wall: Duration,
    /// Of this process, on all cores.
    pub(crate) cpu: Duration,
}

/// Runs something and says what it took.
pub(crate) fn timed<T>(run: impl FnOnce() -> T) -> anyhow::Result<(T, Cost)> {
    let (wall, cpu) = (Instant::now(), cpu()?);
    let result = run();
    Ok((result, Cost { wall: wall.elapsed(), cpu: self::cpu()?.saturating_sub(cpu) }))
}

/// The middle of what several runs took, by CPU time.
pub(crate) fn median(mut costs: Vec<Cost>) -> anyhow::Result<Cost> {
    costs.sort_by_key(|cost| cost.cpu);
    costs.get(costs.len() / 2).copied().context("nothing was measured")
}

fn cpu() -> anyhow::Result<Duration> {
    Ok(clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID)?.into())
}

/// Bytes that this process has resident.
pub(crate) fn memory() -> anyhow::Result<u64> {
    status("VmRSS:")
}

/// Bytes that it had resident at most since [`forget_peak`].
pub(crate) fn peak_memory() -> anyhow::Result<u64> {
    status("VmHWM:")
}

/// Makes what is resident now the peak (proc(5), clear_refs).
pub(crate) fn forget_peak() -> anyhow::Result<()> {
    fs::write("/proc/self/clear_refs", "5").context("cannot write /proc/self/clear_refs")
}

fn status(field: &str) -> anyhow::Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kilobytes = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kilobytes = kilobytes.with_context(|| format!("no {field} in /proc/self/status"))?;
    Ok(kilobytes.trim().parse::<u64>()? * 1024)
}

/// The processor, as the kernel names it.
pub(crate) fn processor() -> String {
    let info = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info.lines().find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or_else(|| "an unknown processor".to_owned(), |(_, name)| name.trim().to_owned())
}

/// The kernel's release.
pub(crate) fn kernel() -> anyhow::Result<String> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").context("cannot read /proc/sys/kernel/osrelease")?;
    Ok(release.trim().to_owned())
}

/// How many tasks wanted a CPU, on average over the last minute (proc(5), loadavg).
pub(crate) fn load() -> anyhow::Result<f64> {
    let load = fs::read_to_string("/proc/loadavg").context("cannot read /proc/loadavg")?;
    load.split(' ').next().and_then(|load| load.parse().ok()).context("/proc/loadavg begins with no number")
}
