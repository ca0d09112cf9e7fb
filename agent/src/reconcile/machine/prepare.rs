//! What the maps should hold, found anew only when something changed that it depends on: a host that rests looks at its
//! devices every two seconds, and must not lower thirty thousand interfaces each time.

use std::{collections::BTreeSet, sync::Arc};

use ringfence_policy::bundle::Bundle;

use super::{Machine, PassError};
use crate::{
    lower::{
        Site,
        adopt::{ADOPTION_NS, adopt},
        assign,
        desired::Desired,
        image::Image,
        keep::keep,
        lower, next_boundary,
    },
    reconcile::{clock, observe::observe},
};

/// What a host should be brought to.
#[derive(Debug)]
pub struct Prepared {
    pub(super) desired: Arc<Desired>,
    /// The maps, and what they then are settled for; `None`: they hold what is desired.
    pub(super) change: Option<(Image, Settled)>,
}

/// What the maps were lowered from.
#[derive(Debug)]
pub(super) struct Settled {
    bundles: Vec<Bundle>,
    missing: BTreeSet<u32>,
    site: Site,
    /// Seconds since 1970-01-01T00:00:00Z, half-open; without an end: for ever.
    window: (u64, Option<u64>),
    desired: Arc<Desired>,
}

impl Settled {
    fn new(bundles: &[&Bundle], missing: &BTreeSet<u32>, site: &Site, at: u64) -> Self {
        Self {
            missing: missing.clone(),
            // Parts are shared: neither this nor the comparison below goes through them.
            bundles: bundles.iter().map(|bundle| (*bundle).clone()).collect(),
            site: site.clone(),
            window: (at, next_boundary(bundles.iter().copied(), at)),
            desired: Arc::new(lower(bundles.iter().copied(), site, at)),
        }
    }

    fn holds(&self, bundles: &[&Bundle], missing: &BTreeSet<u32>, site: &Site, at: u64) -> bool {
        let (since, until) = self.window;
        since <= at
            && until.is_none_or(|until| at < until)
            && self.site == *site
            && self.missing == *missing
            && self.bundles.iter().eq(bundles.iter().copied())
    }
}

impl Machine {
    /// Finds what the maps should hold for these bundles at a moment, in seconds since 1970-01-01T00:00:00Z; nothing has
    /// changed yet. What they hold of the `missing` domains stays.
    ///
    /// # Errors
    /// [`PassError::Full`]: they do not hold it.
    pub fn prepare(
        &mut self,
        bundles: &[&Bundle],
        missing: &BTreeSet<u32>,
        site: &Site,
        at: u64,
    ) -> Result<Prepared, PassError> {
        if let Some(settled) = self.settled.as_ref().filter(|settled| settled.holds(bundles, missing, site, at)) {
            return Ok(Prepared { desired: Arc::clone(&settled.desired), change: None });
        }
        let settled = Settled::new(bundles, missing, site, at);
        let image = match self.image.take() {
            Some(image) => image,
            None => observe(self.datapath()?.maps())?,
        };
        let target = assign(&settled.desired, &image).map(|mut target| {
            adopt(&mut target, &image, self.before.devices(), clock::monotonic_ns().saturating_add(ADOPTION_NS));
            keep(&mut target, &image, missing);
            target
        });
        self.image = Some(image);
        Ok(Prepared { desired: Arc::clone(&settled.desired), change: Some((target?, settled)) })
    }
}

#[cfg(test)]
mod tests {
    use ringfence_policy::bundle::{CompiledPolicy, Row};

    use super::*;

    #[test]
    fn what_was_lowered_holds_until_state_host_or_hour_changes() {
        let row = Row { from_class: 2, to_class: 3, profile: 0, later: vec![(10, 0), (20, 0)] };
        let policy = CompiledPolicy { rows: vec![row], ..CompiledPolicy::default() };
        let bundle = Bundle { domain_id: 1, policy: policy.into(), ..Bundle::default() };
        let site = Site::default();
        let none = BTreeSet::new();
        let settled = Settled::new(&[&bundle], &none, &site, 12);
        let at = [11, 12, 19, 20].map(|at| settled.holds(&[&bundle], &none, &site, at));
        assert_eq!(at, [false, true, true, false]);
        assert!(!settled.holds(&[], &none, &site, 12));
        assert!(!settled.holds(&[&Bundle { generation: 9, ..bundle.clone() }], &none, &site, 12));
        assert!(!settled.holds(&[&bundle], &BTreeSet::from([2]), &site, 12));
        assert!(!settled.holds(&[&bundle], &none, &Site { overlay_mtu: 1, ..site }, 12));
    }
}
