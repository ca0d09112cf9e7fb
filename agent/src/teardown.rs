//! Takes all that the agent made off a host.

use std::{collections::BTreeMap, fs, io};

use anyhow::Context;

use crate::{
    config::Config,
    defaults::Defaults,
    netlink::{Link, LinkKind, Netlink},
    persist::Store,
};

/// Removes the overlay device, addresses of uplinks, pinned links (so programs), maps and the state directory, and restores what new
/// devices are born with.
/// Workload devices keep their settings: they stay without IPv6 and are not set down.
pub async fn teardown(config: &Config) -> anyhow::Result<()> {
    // Held to the end: a running agent would make everything again.
    let store = Store::open(&config.state_dir)?;
    Defaults::give_back(&store);
    let netlink = Netlink::connect()?;
    let links: BTreeMap<String, Link> = netlink.links().await?;
    if let Some(link) = links.get(&config.overlay_device).filter(|link| matches!(link.kind, LinkKind::Vxlan(_))) {
        netlink.delete(link).await?;
    }
    for link in links.values() {
        for address in link.addresses.iter().filter(|address| address.ours) {
            netlink.remove_address(link, address.net).await?;
        }
    }
    // A pin is all that holds a link, and a link all that holds its program on a device.
    for dir in [&config.pin_dir, &config.state_dir] {
        match fs::remove_dir_all(dir) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove {}", dir.display()));
            }
            _ => {}
        }
    }
    Ok(())
}
