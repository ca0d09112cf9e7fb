//! The VXLAN device: one for the host, with tunnel keys set by the programs.

use std::{collections::BTreeMap, net::IpAddr};

use rtnetlink::{LinkMessageBuilder, LinkUnspec, LinkVxlan};

use super::{Link, LinkKind, Netlink, NetlinkError, Vxlan, failed, sysctl};

/// What the VXLAN device must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlay {
    /// Its name.
    pub device: String,
    /// UDP port.
    pub port: u16,
    /// This host's underlay addresses.
    pub underlay: Vec<IpAddr>,
}

/// Bytes of L3 of an underlay that nothing is known of.
const ETHERNET_MTU: u32 = 1500;

/// Bytes that the overlay adds before an inner IP packet: outer IP, UDP, VXLAN and inner Ethernet headers.
pub fn overhead(underlay: &[IpAddr]) -> u32 {
    // A host with an IPv6 underlay address may be tunnelled to over it.
    if underlay.iter().any(IpAddr::is_ipv6) { 40 + 8 + 8 + 14 } else { 20 + 8 + 8 + 14 }
}

impl Overlay {
    /// Bytes of L3 that fit, by the devices that bear the underlay addresses.
    pub fn mtu(&self, links: &BTreeMap<String, Link>) -> Result<u32, NetlinkError> {
        let of = |address: &IpAddr| {
            links
                .values()
                .find(|link| link.addresses.iter().any(|held| held.net.addr() == *address))
                .map(|link| link.mtu)
                .ok_or(NetlinkError::NoUnderlay { address: *address })
        };
        let underlay = self.underlay.iter().map(of).try_fold(u32::MAX, |least, mtu| Ok(least.min(mtu?)))?;
        Ok(underlay.saturating_sub(overhead(&self.underlay)))
    }

    /// The device and the bytes of L3 that fit through it, when nothing can be changed: the last that worked, or none
    /// (0) and what the usual underlay lets through.
    pub fn as_it_is(&self, links: &BTreeMap<String, Link>) -> (u32, u32) {
        match links.get(&self.device).filter(|link| self.fits(link)) {
            Some(link) => (link.ifindex, link.mtu),
            None => (0, ETHERNET_MTU - overhead(&self.underlay)),
        }
    }

    /// Whether the device is as it must be, its MTU and state apart.
    fn fits(&self, link: &Link) -> bool {
        link.kind == LinkKind::Vxlan(Vxlan { external: true, learning: false, port: self.port })
    }
}

impl Netlink {
    /// Makes the VXLAN device, or mends the one that is there; its ifindex and the bytes of L3 that fit through it.
    ///
    /// # Errors
    /// Besides refused requests: a device of another kind has its name, or none has an underlay address.
    pub async fn ensure_overlay(
        &self,
        overlay: &Overlay,
        links: &BTreeMap<String, Link>,
    ) -> Result<(u32, u32), NetlinkError> {
        let mtu = overlay.mtu(links)?;
        let device = overlay.device.as_str();
        let held = links.get(device);
        if let Some(link) = held.filter(|link| overlay.fits(link)) {
            sysctl::disable_ipv6(device);
            if link.mtu != mtu || !link.up {
                self.raise(link.ifindex, device, mtu).await?;
            }
            return Ok((link.ifindex, mtu));
        }
        if let Some(link) = held {
            if !matches!(link.kind, LinkKind::Vxlan(_)) {
                return Err(NetlinkError::NotOverlay { device: device.to_owned() });
            }
            tracing::warn!(device, "the overlay device is not as it must be; it is made anew");
            self.delete(link).await?;
        }
        let message = LinkMessageBuilder::<LinkVxlan>::new(device)
            .collect_metadata(true)
            .learning(false)
            .port(overlay.port)
            // By the programs' tunnel key instead: off on IPv4, on for IPv6.
            .udp_csum(false)
            .build();
        self.handle.link().add(message).execute().await.map_err(failed(device, "be made"))?;
        let links = self.links().await?;
        let link = links.get(device).ok_or_else(|| NetlinkError::Vanished { device: device.to_owned() })?;
        sysctl::disable_ipv6(device);
        self.raise(link.ifindex, device, mtu).await?;
        Ok((link.ifindex, mtu))
    }

    async fn raise(&self, ifindex: u32, device: &str, mtu: u32) -> Result<(), NetlinkError> {
        let message = LinkUnspec::new_with_index(ifindex).mtu(mtu).up().build();
        self.handle.link().change(message).execute().await.map_err(failed(device, "be set up"))
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::netlink::Address;

    fn links(addresses: &[(&str, u32)]) -> BTreeMap<String, Link> {
        let link = |(place, (net, mtu)): (usize, &(&str, u32))| {
            let name = format!("eth{place}");
            let addresses = vec![Address { net: net.parse().unwrap(), ours: false }];
            let link = Link {
                ifindex: 2,
                name: name.clone(),
                kind: LinkKind::Other,
                up: true,
                mtu: *mtu,
                mac: [0; 6],
                addresses,
                lower: None,
                master: None,
            };
            (name, link)
        };
        addresses.iter().enumerate().map(link).collect()
    }

    fn overlay(underlay: &[&str]) -> Overlay {
        let underlay = underlay.iter().map(|address| address.parse().unwrap()).collect();
        Overlay { device: "rf-overlay".to_owned(), port: 4789, underlay }
    }

    #[test]
    fn the_least_underlay_less_the_longest_header_is_what_fits() {
        let links = links(&[("10.0.0.1/24", 1500), ("fd00::1/64", 1400)]);
        assert_eq!(overlay(&["10.0.0.1"]).mtu(&links).unwrap(), 1450);
        assert_eq!(overlay(&["10.0.0.1", "fd00::1"]).mtu(&links).unwrap(), 1330);
        assert!(matches!(overlay(&["10.0.0.9"]).mtu(&links), Err(NetlinkError::NoUnderlay { .. })));
    }

    #[test]
    fn without_its_underlay_the_overlay_stays_as_it_is() {
        let mut links = links(&[]);
        assert_eq!(overlay(&["10.0.0.1"]).as_it_is(&links), (0, 1450));
        let kind = LinkKind::Vxlan(Vxlan { external: true, learning: false, port: 4789 });
        let name = "rf-overlay".to_owned();
        let held = Link {
            ifindex: 7,
            name: name.clone(),
            kind,
            up: true,
            mtu: 1330,
            mac: [0; 6],
            addresses: Vec::new(),
            lower: None,
            master: None,
        };
        links.insert(name.clone(), held.clone());
        assert_eq!(overlay(&["10.0.0.1"]).as_it_is(&links), (7, 1330));
        // Somebody else's device of that name is none.
        links.insert(name, Link { kind: LinkKind::Other, ..held });
        assert_eq!(overlay(&["10.0.0.1"]).as_it_is(&links), (0, 1450));
    }

    #[test]
    fn a_device_that_learns_is_not_ours() {
        let vxlan = Vxlan { external: true, learning: false, port: 4789 };
        let mut link = links(&[("10.0.0.1/24", 1500)]).remove("eth0").unwrap();
        link.kind = LinkKind::Vxlan(vxlan);
        assert!(overlay(&[]).fits(&link));
        link.kind = LinkKind::Vxlan(Vxlan { learning: true, ..vxlan });
        assert!(!overlay(&[]).fits(&link));
    }
}
