//! Takes the programs off NICs, with nothing loaded and no agent running.

use std::path::Path;

use super::links::Links;
use super::{BpfError, Hook};

/// Takes whatever runs on NICs off them at once, by the links pinned in `pin_dir`; how many programs that were. The maps
/// stay, and so does all else that runs.
///
/// # Errors
/// The first link that cannot be taken off, after all others were.
pub fn release_nics(pin_dir: &Path) -> Result<usize, BpfError> {
    let dir = pin_dir.join("links");
    if !dir.exists() {
        return Ok(0);
    }
    let links = Links::open(dir)?;
    let of_nics: Vec<_> = links.pinned()?.into_iter().filter(|(hook, _)| Hook::OF_NICS.contains(hook)).collect();
    let detached: Vec<_> = of_nics.iter().map(|(hook, ifindex)| links.detach(*hook, *ifindex)).collect();
    detached.into_iter().collect::<Result<Vec<()>, _>>()?;
    Ok(of_nics.len())
}
