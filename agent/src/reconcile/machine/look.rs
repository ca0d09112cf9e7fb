//! What a pass starts from: which devices there are, which of them are the host's own, and how the controller is reached.

use std::{
    collections::BTreeSet,
    net::IpAddr,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::runtime::Handle;
use tonic::transport::Uri;

use super::{Machine, PassError};
use crate::{
    bpf::Hook,
    lower::{
        Site,
        desired::{Desired, Role},
    },
    netlink::{Link, Overlay},
    reconcile::devices::{self, Around},
};

/// Between two attempts to resolve the controller's name.
const RESOLVE_AGAIN: Duration = Duration::from_secs(5);

impl Machine {
    pub(super) fn around(&self) -> Around<'_> {
        let Self { links, underlay, bound, toward_controller, .. } = self;
        Around { links, underlay, bound, toward_controller: *toward_controller }
    }

    /// Sees which devices there are, and loads the programs if they are not.
    pub fn look_around(&mut self) -> Result<Site, PassError> {
        self.links = self.runtime.block_on(self.netlink.links())?;
        let overlay = self.overlay()?;
        let (ifindex, _) = overlay;
        let bears = |link: &&Link| link.addresses.iter().any(|held| self.config.underlay.contains(&held.net.addr()));
        self.underlay = self
            .links
            .values()
            .filter(|link| bears(link) || self.underlay.contains(&link.ifindex))
            .map(|link| link.ifindex)
            .collect();
        self.before.retain(|ifindex| self.links.values().any(|link| link.ifindex == ifindex));
        if self.datapath.as_ref().is_none_or(|(held, _)| *held != ifindex) {
            self.load(ifindex)?;
        }
        let attached = self.datapath()?.attached()?.into_iter();
        let bound = attached.filter(|(hook, _)| !Hook::OF_NICS.contains(hook));
        self.bound = bound.map(|(_, ifindex)| ifindex).collect();
        self.look_for_rescue();
        self.find_controller();
        Ok(Site {
            controller: self.controller.get().copied(),
            conn_budget: Some(self.config.conn_budget),
            ssh: self.config.ssh_from.clone(),
            ..devices::site(&self.config.host, &self.config.underlay, overlay, &self.around(), &self.ownership)
        })
    }

    /// Somebody may have rescued the machine at any moment, or ended that.
    fn look_for_rescue(&mut self) {
        let rescued = self.rescue.is_there();
        if rescued && !self.rescued {
            tracing::error!(
                "this machine is rescued: nothing is enforced on its NICs until `ringfence-agent rescue --end`"
            );
        } else if self.rescued && !rescued {
            tracing::info!("the rescue has ended: this machine's NICs are enforced again");
        }
        self.rescued = rescued;
    }

    /// A device of the host's own that came after us was born closed. One that a bundle claims is not its own.
    pub(super) fn welcome(&mut self, desired: &Desired) {
        let own: BTreeSet<u32> =
            desired.devices.iter().filter(|(_, role)| **role == Role::Host).map(|(ifindex, _)| *ifindex).collect();
        if let Some(known) = &self.own {
            let fresh =
                self.links.values().filter(|link| own.contains(&link.ifindex) && !known.contains(&link.ifindex));
            fresh
                .filter(|link| link.name != self.config.overlay_device)
                .for_each(|link| self.defaults.undo_on(&link.name));
        }
        self.own = Some(own);
    }

    pub(super) fn tell_former(&mut self, desired: &Desired) {
        let former = devices::former(&desired.devices, &self.around());
        for link in self.links.values() {
            if former.contains(&link.ifindex) && !self.former.contains(&link.ifindex) {
                tracing::warn!(
                    device = %link.name,
                    "was a workload's or an uplink's and stays closed; trust it, or tear down, to give it back to the host"
                );
            }
        }
        self.former = former;
    }

    /// Without a route the device it was reached by last stays reserved.
    fn find_controller(&mut self) {
        let Some(address) = self.controller.get() else { return };
        match self.runtime.block_on(self.netlink.device_toward(*address)) {
            Ok(Some(ifindex)) => self.toward_controller = ifindex,
            Ok(None) => {}
            Err(error) => tracing::debug!(%error, "no route to the controller"),
        }
    }

    /// The overlay device and the bytes of L3 that fit through it. It is one more device that may fail: what the host has
    /// of it goes on, and nothing else waits for it.
    fn overlay(&mut self) -> Result<(u32, u32), PassError> {
        let overlay = Overlay {
            device: self.config.overlay_device.clone(),
            port: self.config.vxlan_port,
            underlay: self.config.underlay.clone(),
        };
        let ensured = self.runtime.block_on(self.netlink.ensure_overlay(&overlay, &self.links));
        let made = ensured.as_ref().is_ok_and(|(made, _)| self.links.values().all(|link| link.ifindex != *made));
        if made || ensured.is_err() {
            self.links = self.runtime.block_on(self.netlink.links())?;
        }
        let fault = ensured.as_ref().err().map(ToString::to_string);
        match &fault {
            Some(fault) if self.overlay_fault.as_ref() != Some(fault) => {
                tracing::error!(%fault, "the overlay cannot be mended; everything else goes on");
            }
            None if self.overlay_fault.is_some() => tracing::info!("the overlay is as it must be again"),
            _ => {}
        }
        self.overlay_fault = fault;
        Ok(ensured.unwrap_or_else(|_| overlay.as_it_is(&self.links)))
    }
}

/// Where the controller is: at once if its address was given, else once its name is resolved, which may take until the
/// network is up.
pub(super) fn controller(uri: &Uri, runtime: &Handle) -> Arc<OnceLock<IpAddr>> {
    if let Some(address) = given_address(uri) {
        return Arc::new(OnceLock::from(address));
    }
    let address = Arc::new(OnceLock::new());
    runtime.spawn(resolve(host(uri).to_owned(), Arc::clone(&address)));
    address
}

/// The controller's address, if it was given by that and not by a name.
pub(super) fn given_address(uri: &Uri) -> Option<IpAddr> {
    host(uri).parse().ok()
}

/// Its port.
pub(super) fn port(uri: &Uri) -> u16 {
    // That of http, as RFC 9110 4.2.1 says.
    uri.port_u16().unwrap_or(80)
}

fn host(uri: &Uri) -> &str {
    uri.host().unwrap_or_default().trim_matches(['[', ']'])
}

async fn resolve(host: String, address: Arc<OnceLock<IpAddr>>) {
    loop {
        let found = tokio::net::lookup_host((host.as_str(), 0)).await.ok().and_then(|mut found| found.next());
        if let Some(found) = found {
            // Nobody else sets it.
            let _ = address.set(found.ip());
            return;
        }
        tokio::time::sleep(RESOLVE_AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_controller_given_by_its_address_is_known_at_once() {
        for (uri, address) in [("http://192.0.2.1:7420", "192.0.2.1"), ("http://[2001:db8::1]:7420", "2001:db8::1")] {
            let found = controller(&Uri::from_static(uri), &Handle::current());
            assert_eq!(found.get().map(ToString::to_string).as_deref(), Some(address));
        }
    }
}
