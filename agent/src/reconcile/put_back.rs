//! What somebody else did to the programs and maps of this host, and was put back: one entry for each thing, since the
//! agent started. Pure.

use std::collections::BTreeMap;

use ringfence_proto::v1;

/// Things remembered; whoever edits more has made the point. The one that was last touched longest ago goes.
const MOST: usize = 64;

/// Everything that was put back.
#[derive(Clone, Debug, Default)]
pub(super) struct PutBacks {
    /// By what it is and on which device: how often, and when last, in seconds since 1970-01-01T00:00:00Z.
    things: BTreeMap<(String, String), (u64, u64)>,
}

impl PutBacks {
    /// One more, at a moment in seconds since 1970-01-01T00:00:00Z; `device` is empty if it is none's in particular.
    pub(super) fn note(&mut self, what: &str, device: &str, at: u64) {
        let (times, last) = self.things.entry((what.to_owned(), device.to_owned())).or_default();
        *times += 1;
        *last = at;
        if self.things.len() > MOST
            && let Some(oldest) = self.things.iter().min_by_key(|(_, (_, last))| *last).map(|(thing, _)| thing.clone())
        {
            self.things.remove(&oldest);
        }
    }

    /// As the controller is told.
    pub(super) fn told(&self) -> v1::PutBacks {
        let put_back = self.things.iter().map(|((what, device), (times, last))| v1::PutBack {
            what: what.clone(),
            device: device.clone(),
            times: *times,
            last_s: *last,
        });
        v1::PutBacks { put_back: put_back.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_counted_and_says_when_it_was_touched_last() {
        let mut put_backs = PutBacks::default();
        put_backs.note("map rf_rows", "", 7);
        put_backs.note("program from_workload", "tap1", 8);
        put_backs.note("map rf_rows", "", 9);
        let entry = |what: &str, device: &str, times, last_s| v1::PutBack {
            what: what.to_owned(),
            device: device.to_owned(),
            times,
            last_s,
        };
        let expected = [entry("map rf_rows", "", 2, 9), entry("program from_workload", "tap1", 1, 8)];
        assert_eq!(put_backs.told().put_back, expected);
    }

    #[test]
    fn the_things_remembered_are_bounded_and_the_oldest_goes() {
        let mut put_backs = PutBacks::default();
        for at in 0..200 {
            put_backs.note("program to_workload", &format!("tap{at}"), at);
        }
        let told = put_backs.told().put_back;
        assert_eq!(told.len(), MOST);
        assert!(told.iter().all(|it| it.last_s >= 200 - MOST as u64));
    }
}
