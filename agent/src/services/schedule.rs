//! When an interface is announced its router unasked (RFC 4861 6.2.4): a few times quickly when it comes, its router
//! changes or ceases to be one; then at intervals of random length, so that many do not fall into step. Pure.

use std::{
    collections::{BTreeMap, hash_map::RandomState},
    hash::BuildHasher,
    time::{Duration, Instant},
};

/// RFC 4861 6.2.1: MinRtrAdvInterval and MaxRtrAdvInterval.
const INTERVAL: [Duration; 2] = [Duration::from_secs(200), Duration::from_secs(600)];
/// RFC 4861 10: MAX_INITIAL_RTR_ADVERT_INTERVAL, MAX_INITIAL_RTR_ADVERTISEMENTS.
const INITIAL_INTERVAL: Duration = Duration::from_secs(16);
const INITIAL: u32 = 3;

/// What one device is announced: the frame, and the last one, that says it holds no longer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// Says so.
    pub frame: Vec<u8>,
    /// Says that it is so no longer.
    pub last: Vec<u8>,
}

/// The advertisements to come, by ifindex.
#[derive(Debug)]
pub(crate) struct Schedule {
    devices: BTreeMap<u32, Device>,
    random: RandomState,
    drawn: u64,
}

#[derive(Debug)]
struct Device {
    announced: Announced,
    /// How many of the first few are left.
    initial: u32,
    next: Instant,
}

impl Schedule {
    pub(crate) fn new() -> Self {
        Self { devices: BTreeMap::new(), random: RandomState::new(), drawn: 0 }
    }

    /// Takes in what devices are to be announced from now on. What is to be sent at once for those that are announced
    /// nothing any more.
    pub(crate) fn bring(&mut self, wanted: &BTreeMap<u32, Announced>, now: Instant) -> Vec<(u32, Vec<u8>)> {
        let gone: Vec<u32> = self.devices.keys().filter(|ifindex| !wanted.contains_key(ifindex)).copied().collect();
        let last =
            gone.into_iter().filter_map(|ifindex| Some((ifindex, self.devices.remove(&ifindex)?.announced.last)));
        let last = last.collect();
        for (ifindex, announced) in wanted {
            let held = self.devices.get(ifindex);
            if held.is_none_or(|device| device.announced != *announced) {
                let device = Device { announced: announced.clone(), initial: INITIAL, next: now };
                self.devices.insert(*ifindex, device);
            }
        }
        last
    }

    /// What is due.
    pub(crate) fn due(&mut self, now: Instant) -> Vec<(u32, Vec<u8>)> {
        let mut due = Vec::new();
        for (ifindex, device) in &mut self.devices {
            if device.next > now {
                continue;
            }
            due.push((*ifindex, device.announced.frame.clone()));
            device.initial = device.initial.saturating_sub(1);
            self.drawn += 1;
            let drawn = interval(self.random.hash_one(self.drawn));
            device.next = now + if device.initial > 0 { drawn.min(INITIAL_INTERVAL) } else { drawn };
        }
        due
    }

    /// When something is due again.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.devices.values().map(|device| device.next).min()
    }
}

/// Between the least and the greatest interval.
fn interval(random: u64) -> Duration {
    let [least, most] = INTERVAL;
    let span = u64::try_from((most - least).as_millis()).unwrap_or(1);
    least + Duration::from_millis(random % span)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(frames: &[(u32, u8)]) -> BTreeMap<u32, Announced> {
        let announced = |tag| Announced { frame: vec![tag], last: vec![tag, 0] };
        frames.iter().map(|(ifindex, tag)| (*ifindex, announced(*tag))).collect()
    }

    /// Seconds at which a device is announced something, over an hour.
    fn over_an_hour(schedule: &mut Schedule, begun: Instant) -> Vec<u64> {
        let mut seconds = Vec::new();
        while let Some(next) = schedule.next().filter(|next| *next < begun + Duration::from_secs(3600)) {
            seconds.extend(schedule.due(next).iter().map(|_| (next - begun).as_secs()));
        }
        seconds
    }

    #[test]
    fn a_device_hears_three_quickly_and_then_one_within_ten_minutes() {
        let (mut schedule, begun) = (Schedule::new(), Instant::now());
        assert_eq!(schedule.bring(&wanted(&[(3, 1)]), begun), []);
        let seconds = over_an_hour(&mut schedule, begun);
        assert_eq!(seconds[..3], [0, 16, 32]);
        let gaps: Vec<u64> = seconds.windows(2).skip(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(gaps.len() >= 5 && gaps.iter().all(|gap| (199..=600).contains(gap)), "{gaps:?}");
    }

    #[test]
    fn intervals_differ() {
        let drawn: std::collections::BTreeSet<Duration> = (0..100).map(|n| interval(n * 7_919_777)).collect();
        assert!(drawn.len() > 50 && drawn.iter().all(|drawn| (INTERVAL[0]..INTERVAL[1]).contains(drawn)));
    }

    #[test]
    fn what_changes_is_told_at_once_and_what_stays_is_not_told_again() {
        let (mut schedule, begun) = (Schedule::new(), Instant::now());
        schedule.bring(&wanted(&[(3, 1), (4, 2)]), begun);
        assert_eq!(schedule.due(begun), [(3, vec![1]), (4, vec![2])]);
        assert_eq!(schedule.bring(&wanted(&[(3, 1), (4, 5)]), begun), []);
        assert_eq!(schedule.due(begun), [(4, vec![5])]);
    }

    #[test]
    fn a_device_that_is_announced_nothing_any_more_hears_so() {
        let (mut schedule, begun) = (Schedule::new(), Instant::now());
        schedule.bring(&wanted(&[(3, 1), (4, 2)]), begun);
        assert_eq!(schedule.bring(&wanted(&[(4, 2)]), begun), [(3, vec![1, 0])]);
        assert_eq!(schedule.due(begun), [(4, vec![2])]);
        assert_eq!(schedule.bring(&BTreeMap::new(), begun), [(4, vec![2, 0])]);
        assert_eq!(schedule.next(), None);
    }
}
