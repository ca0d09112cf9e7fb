//! Bundles put in force by who runs the programs alone.

use ringfence_policy::bundle::Bundle;

use super::EngineError;
use crate::{
    bpf::Maps,
    lower::{Site, assign, image::Image, lower},
    reconcile::{action::Action, apply::apply, plan},
};

/// Brings maps from what they hold to what the bundles say of a site at a moment (seconds since 1970-01-01T00:00:00Z),
/// by the agent's plan; how many steps that took. For programs that see no packet meanwhile: no reader is waited for.
///
/// # Errors
/// Bundles that do not fit beside what the maps hold; maps that cannot be written, and then `held` says how far it came.
pub fn put_in_force<'a>(
    maps: &Maps,
    held: &mut Image,
    bundles: impl IntoIterator<Item = &'a Bundle>,
    site: &Site,
    at: u64,
) -> Result<usize, EngineError> {
    let target = assign(&lower(bundles, site, at), held)?;
    let mut steps = plan::plan(held, &target, plan::Start::Settled);
    steps.retain(|step| *step != Action::Grace);
    apply(maps, held, &steps)?;
    Ok(steps.len())
}
