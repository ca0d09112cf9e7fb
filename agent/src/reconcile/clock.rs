//! The wall clock, by which rules begin and end. Whoever sets it forward or back, the host follows within a [`TICK`].

use std::time::{Duration, SystemTime};

use nix::time::{ClockId, clock_gettime};

/// Between two looks at the clock: one that was set tells nobody.
const TICK: Duration = Duration::from_millis(250);

/// Since 1970-01-01T00:00:00Z.
pub(super) fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

/// By which the programs tell time: CLOCK_MONOTONIC, in nanoseconds. There is no host without it.
pub(crate) fn monotonic_ns() -> u64 {
    let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
    u64::try_from(now.as_nanos()).unwrap_or(u64::MAX)
}

/// Returns once it is `boundary`, or before the second `at` again, since the clock was set back.
pub(super) async fn other_than(at: u64, boundary: Option<u64>) {
    while let Some(wait) = left(now(), at, boundary) {
        tokio::time::sleep(wait).await;
    }
}

/// How long to sleep before the next look; `None`: it is time.
fn left(now: Duration, at: u64, boundary: Option<u64>) -> Option<Duration> {
    if now.as_secs() < at {
        return None;
    }
    let left = boundary.map_or(TICK, |boundary| Duration::from_secs(boundary).saturating_sub(now));
    Some(left.min(TICK)).filter(|left| !left.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_time_at_the_boundary_and_after_it_and_when_the_clock_was_set_back() {
        let at = |millis, boundary| left(Duration::from_millis(millis), 10, boundary);
        assert_eq!(at(10_900, Some(11)), Some(Duration::from_millis(100)));
        assert_eq!(at(11_000, Some(11)), None);
        assert_eq!(at(90_000, Some(11)), None, "set forward");
        assert_eq!(at(9_999, Some(11)), None, "set back");
        assert_eq!(at(10_000, Some(99)), Some(TICK));
        assert_eq!(at(10_000, None), Some(TICK));
    }
}
