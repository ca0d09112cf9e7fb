//! How much of the connection tables an interface may use, so that all of them together never fill one.
//!
//! Every entry has an end here, or crosses this host between a workload elsewhere and the uplink here. Of an interface
//! with its workload here the entries are those that it opened, those that others opened to it, and those from outside;
//! of one elsewhere behind the uplink here those that it opened and those from outside. Each is a budget, a multiple of
//! one number, `B`: `own` = `B`, `inbound` = 2 `B` (one originator alone can never fill a destination), `outside` = `B`.
//! A quarter of each may be half-open. Both families count together, and each family's table alone has room for all.
//!
//! There are two such numbers. By the one, each interface has a share for sure: half of a table in equal parts. By the
//! other, the setting, it may use more as long as the other half, which all have in common, lasts.

use super::desired::{Desired, DomainState, Place};
use crate::bpf::{
    Limits,
    consts::{
        RF_BUDGET_INBOUND, RF_BUDGET_INBOUND_HALF, RF_BUDGET_OUTSIDE, RF_BUDGET_OUTSIDE_HALF, RF_BUDGET_OWN,
        RF_BUDGET_OWN_HALF, RF_BUDGETS, RF_CONNS,
    },
};

/// The most that one interface may open on a host with room for more: as many as there are ports, and 25 MB of kernel
/// memory.
pub const DEFAULT_CONN_BUDGET: u32 = 65_536;

/// The limits of every account alike.
pub(super) fn limits(desired: &Desired) -> Limits {
    let (mut here, mut through) = (0, 0);
    for domain in desired.domains.values() {
        let places = || domain.interfaces.values().map(|interface| (interface.place, interface.ifindex));
        // Without its device here nothing comes from it or gets to it.
        here += places().filter(|(place, ifindex)| *place == Place::Here && *ifindex != 0).count() as u64;
        if leaves_here(domain) {
            through += places().filter(|(place, _)| *place != Place::Here).count() as u64;
        }
    }
    let bound = desired.conn_budget.unwrap_or(DEFAULT_CONN_BUDGET);
    shares(u64::from(bound), here, through)
}

fn leaves_here(domain: &DomainState) -> bool {
    domain.uplink.as_ref().is_some_and(|uplink| uplink.place == Place::Here)
}

/// The largest `B` with which `here` interfaces with their workload on this host and `through` others that use the uplink
/// here do not fill `room`.
fn fair(room: u64, here: u64, through: u64) -> u64 {
    (room / multiples(here, through).max(1)).max(1)
}

/// Of `B`, in the budgets of so many interfaces.
fn multiples(here: u64, through: u64) -> u64 {
    4 * here + 2 * through
}

fn shares(bound: u64, here: u64, through: u64) -> Limits {
    let room = u64::from(RF_CONNS);
    let sure = fair(room / 2, here, through).min(bound);
    let mut limits = Limits {
        of: [0; RF_BUDGETS as usize],
        share: [0; RF_BUDGETS as usize],
        common: room.saturating_sub(sure * multiples(here, through)),
    };
    for (kind, half, times) in [
        (RF_BUDGET_OWN, RF_BUDGET_OWN_HALF, 1),
        (RF_BUDGET_INBOUND, RF_BUDGET_INBOUND_HALF, 2),
        (RF_BUDGET_OUTSIDE, RF_BUDGET_OUTSIDE_HALF, 1),
    ] {
        let (kind, half) = (kind as usize, half as usize);
        (limits.of[kind], limits.share[kind]) = (times * bound, times * sure);
        // They are among those of their kind, and borrow nothing by themselves.
        limits.of[half] = (times * bound / 4).max(1);
        limits.share[half] = limits.of[half];
    }
    limits
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::bpf::consts::RF_IFACES;

    proptest! {
        #[test]
        fn the_budgets_of_all_add_up_to_no_more_than_a_table(
            here in 0..=u64::from(RF_IFACES),
            elsewhere in 0.0..1.0f64,
            bound in 1..=u32::MAX,
        ) {
            // There are no more interfaces than the table of interfaces has room for.
            let through = ((u64::from(RF_IFACES) - here) as f64 * elsewhere) as u64;
            let limits = shares(u64::from(bound), here, through);
            let share = |budget: u32| limits.share[budget as usize];
            let own_and_outside = share(RF_BUDGET_OWN) + share(RF_BUDGET_OUTSIDE);
            let all = here * (own_and_outside + share(RF_BUDGET_INBOUND)) + through * own_and_outside;
            prop_assert!(all + limits.common <= u64::from(RF_CONNS), "{all}");
            prop_assert!(limits.share.iter().zip(limits.of).all(|(share, of)| *share > 0 && *share <= of));
            let of = |budget: u32| limits.of[budget as usize];
            // One originator alone fills no destination, neither with what is answered nor with what is not.
            prop_assert!(of(RF_BUDGET_OWN) < of(RF_BUDGET_INBOUND));
            prop_assert!(of(RF_BUDGET_OWN_HALF) < of(RF_BUDGET_INBOUND_HALF) || of(RF_BUDGET_OWN) < 4);
        }
    }

    #[test]
    fn what_is_beyond_the_shares_is_in_common() {
        let limits = shares(1 << 20, 100, 0);
        let room = u64::from(RF_CONNS);
        assert_eq!(limits.share[0], room / 800);
        assert_eq!(limits.common, room - room / 800 * 400);
        assert_eq!(shares(1, 100, 0).common, room - 400);
    }

    #[test]
    fn few_interfaces_get_no_more_than_the_setting_says() {
        assert_eq!(limits(&Desired::default()).of[0], u64::from(DEFAULT_CONN_BUDGET));
        let desired = Desired { conn_budget: Some(100), ..Desired::default() };
        assert_eq!(limits(&desired).of, [100, 25, 200, 50, 100, 25]);
    }

    #[test]
    fn more_interfaces_get_less_each() {
        let room = u64::from(RF_CONNS);
        assert_eq!([fair(room, 1, 0), fair(room, 100, 0), fair(room, 100, 100)], [room / 4, room / 400, room / 600]);
    }
}
