//! Which bundles this host refuses, and why. Pure.
//!
//! What is refused here would be enforced wrongly, or would cut this host off from its controller and its peers. The
//! generation before stays enforced.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use ringfence_policy::bundle::{
    Bundle, CompiledInterface, FEATURE_BARE_METAL, FEATURE_BUNDLE_V2, FEATURE_MULTICAST, FEATURE_SERVICES,
    FEATURE_SHARED_PAIRS,
};

mod bare_metal;

/// What this agent knows to enforce; a bundle that needs more is refused by name.
pub const FEATURES: [&str; 5] =
    [FEATURE_BUNDLE_V2, FEATURE_MULTICAST, FEATURE_SERVICES, FEATURE_BARE_METAL, FEATURE_SHARED_PAIRS];

/// Devices of this host that no bundle may claim, and the addresses that keep it reachable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reserved {
    /// Loopback, the overlay device, those that bear underlay addresses, that toward the controller, and trusted ones.
    pub devices: BTreeSet<String>,
    /// Those of them that a bare-metal workload may claim, since this machine is one: by which it reaches its controller and
    /// other hosts.
    pub ways: BTreeMap<String, Way>,
    /// The controller's address; `None`: it is given by its name.
    pub controller: Option<IpAddr>,
    /// This host's underlay addresses.
    pub addresses: Vec<IpAddr>,
    /// The MAC address of every gateway.
    pub gateway_mac: [u8; 6],
}

/// A device by which this machine reaches its controller or other hosts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Way {
    /// Its MAC address.
    pub mac: [u8; 6],
    /// Its addresses.
    pub addresses: Vec<IpAddr>,
    /// The devices that carry its packets further: of a VLAN, a bond or a bridge.
    pub below: BTreeSet<String>,
}

/// Why a bundle is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It needs what this agent does not know.
    #[error("needs feature {0:?}, which this agent lacks; let agent and controller be of one version")]
    Feature(String),
    /// Another domain has the VNI.
    #[error("VNI {vni} is also that of domain {other:?}; give one of the two networks another")]
    Vni {
        /// The number.
        vni: u32,
        /// The domain that has it here.
        other: String,
    },
    /// Two interfaces or uplinks claim one device.
    #[error("device {device:?} is claimed by {claimant} and by {other}; name another device on one of them")]
    Device {
        /// Its name.
        device: String,
        /// Who claims it now.
        claimant: String,
        /// Who has it.
        other: String,
    },
    /// The device is the host's own.
    #[error(
        "{claimant} claims device {device:?}, which is this host's own: it is loopback, the overlay, trusted, or the way to \
         the controller or to other hosts; name another"
    )]
    ReservedDevice {
        /// Its name.
        device: String,
        /// Who claims it.
        claimant: String,
    },
    /// An interface of this machine is not as its NIC is, so that the machine could not speak at all.
    #[error(
        "{claimant} claims {device:?}, by which this machine reaches its controller or other hosts, with {wrong}; write \
         what the NIC has"
    )]
    NotTheNic {
        /// The NIC.
        device: String,
        /// Who claims it.
        claimant: String,
        /// What the NIC has not.
        wrong: String,
    },
    /// The NIC carries packets of another device, which it does not see as they are.
    #[error(
        "{claimant} claims {device:?}, which carries {way:?}, by which this machine reaches its controller or other hosts; \
         claim {way:?}, or let another device carry it"
    )]
    CarriesWay {
        /// The NIC.
        device: String,
        /// Who claims it.
        claimant: String,
        /// What it carries.
        way: String,
    },
    /// Another machine that this one must reach has the address.
    #[error("{claimant} has {address}, which is the address of {whose}; give it another")]
    TakesAddress {
        /// The address.
        address: IpAddr,
        /// Who has it in the bundle.
        claimant: String,
        /// Whose it is.
        whose: String,
    },
    /// A machine whose policy may deny DNS could not find its controller.
    #[error(
        "{claimant} claims a NIC of this machine, whose policy must not depend on DNS; give this agent the controller's \
         address in --controller and not its name"
    )]
    ControllerByName {
        /// Who claims it.
        claimant: String,
    },
    /// An interface's MAC address, or one of its address pairs', is that of the gateways.
    #[error(
        "interface {workload}/{interface} has the gateways' MAC address, its own or an address pair's; give it another, or the \
         agents --gateway-mac"
    )]
    GatewayMac {
        /// Its workload.
        workload: String,
        /// Its name.
        interface: String,
    },
    /// An uplink's address is one of the host's underlay.
    #[error("the uplink's address {address} is this host's own underlay address; give the uplink another")]
    ReservedAddress {
        /// The address.
        address: IpAddr,
    },
}

/// The first of the features that this agent lacks.
pub(crate) fn lacking(features: &[String]) -> Option<&str> {
    features.iter().map(String::as_str).find(|feature| !FEATURES.contains(feature))
}

/// Whether this host can enforce the bundle beside those it holds of other domains.
pub fn admit<'a>(
    bundle: &Bundle,
    others: impl Iterator<Item = &'a Bundle> + Clone,
    host: &str,
    reserved: &Reserved,
) -> Result<(), Refusal> {
    if let Some(feature) = lacking(&bundle.features) {
        return Err(Refusal::Feature(feature.to_owned()));
    }
    let macs = |interface: &CompiledInterface| {
        std::iter::once(interface.mac).chain(interface.pairs.iter().map(|pair| pair.mac)).collect::<Vec<_>>()
    };
    if let Some(interface) = bundle.interfaces.iter().find(|interface| macs(interface).contains(&reserved.gateway_mac))
    {
        let (workload, interface) = (interface.workload.clone(), interface.name.clone());
        return Err(Refusal::GatewayMac { workload, interface });
    }
    let numbers: BTreeSet<u32> = vnis(bundle).collect();
    for other in others.clone() {
        if let Some(vni) = vnis(other).find(|vni| numbers.contains(vni)) {
            return Err(Refusal::Vni { vni, other: other.name.clone() });
        }
    }
    let mut claimed: BTreeMap<&str, String> = others
        .flat_map(|other| claims(other, host).into_iter().map(|(device, claimant, _)| (device, claimant)))
        .collect();
    bare_metal::admit(bundle, host, reserved)?;
    for (device, claimant, bare_metal) in claims(bundle, host) {
        if reserved.devices.contains(device) && !(bare_metal && reserved.ways.contains_key(device)) {
            return Err(Refusal::ReservedDevice { device: device.to_owned(), claimant });
        }
        if let Some(other) = claimed.insert(device, claimant.clone()) {
            return Err(Refusal::Device { device: device.to_owned(), claimant, other });
        }
    }
    let uplink = bundle.topology.uplink.iter().filter(|uplink| uplink.host == host);
    let mut addresses = uplink.flat_map(|uplink| uplink.addresses.iter().map(|net| net.addr()));
    match addresses.find(|address| reserved.addresses.contains(address)) {
        Some(address) => Err(Refusal::ReservedAddress { address }),
        None => Ok(()),
    }
}

fn vnis(bundle: &Bundle) -> impl Iterator<Item = u32> {
    let transit = bundle.topology.transit_vni;
    bundle.topology.networks.iter().map(|network| network.vni).chain((transit != 0).then_some(transit))
}

/// Devices of this host that a bundle claims, for whom, and whether as a machine's NIC.
fn claims<'a>(bundle: &'a Bundle, host: &str) -> Vec<(&'a str, String, bool)> {
    let here = bundle.interfaces.iter().filter(|interface| interface.host == host);
    let interfaces = here.map(|interface| (interface.device.as_str(), named(bundle, interface), interface.bare_metal));
    let uplink = bundle.topology.uplink.iter().filter(|uplink| uplink.host == host);
    let uplink = uplink.map(|uplink| (uplink.device.as_str(), format!("the uplink of {}", bundle.name), false));
    interfaces.chain(uplink).collect()
}

/// An interface in an error.
fn named(bundle: &Bundle, interface: &CompiledInterface) -> String {
    format!("interface {}/{} of {}", interface.workload, interface.name, bundle.name)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ringfence_policy::bundle::{CompiledPair, CompiledUplink, Topology};

    use super::*;

    fn domain(domain_id: u32, vni: u32, device: &str) -> Bundle {
        let interface = CompiledInterface {
            id: domain_id,
            workload: "web".to_owned(),
            name: "eth0".to_owned(),
            vni,
            mac: [2, 0, 0, 0, 0, 1],
            host: "h1".to_owned(),
            device: device.to_owned(),
            addresses: Vec::new(),
            pairs: Vec::new(),
            port_security: true,
            bare_metal: false,
        };
        Bundle {
            domain_id,
            name: format!("t/{domain_id}"),
            topology: Topology { transit_vni: vni, ..Topology::default() }.into(),
            interfaces: vec![interface.into()],
            ..Bundle::default()
        }
    }

    fn judge(bundle: &Bundle, others: &[Bundle]) -> Result<(), Refusal> {
        let reserved = Reserved {
            devices: BTreeSet::from(["eth0".to_owned()]),
            addresses: vec!["192.0.2.1".parse().unwrap()],
            ways: BTreeMap::from([("eth0".to_owned(), Way::default())]),
            controller: None,
            gateway_mac: [2, 0, 0, 0, 0, 9],
        };
        admit(bundle, others.iter(), "h1", &reserved)
    }

    #[test]
    fn a_feature_the_agent_lacks_is_refused_by_name() {
        let mut bundle = domain(1, 10, "a");
        bundle.features = vec![FEATURE_BUNDLE_V2.to_owned()];
        assert_eq!(judge(&bundle, &[]), Ok(()));
        bundle.features.push("time".to_owned());
        assert_eq!(judge(&bundle, &[]), Err(Refusal::Feature("time".to_owned())));
    }

    #[test]
    fn a_vni_of_two_domains_is_refused() {
        let refused = judge(&domain(1, 10, "a"), &[domain(2, 10, "b")]);
        assert_eq!(refused, Err(Refusal::Vni { vni: 10, other: "t/2".to_owned() }));
    }

    #[test]
    fn a_device_is_claimed_once_on_this_host_and_freely_elsewhere() {
        let refused = judge(&domain(1, 10, "a"), &[domain(2, 11, "a")]);
        assert!(matches!(refused, Err(Refusal::Device { .. })), "{refused:?}");
        let mut elsewhere = domain(2, 11, "a");
        elsewhere.interfaces[0].host = "h2".to_owned();
        assert_eq!(judge(&domain(1, 10, "a"), &[elsewhere]), Ok(()));
    }

    #[test]
    fn the_gateways_mac_is_no_interfaces() {
        let mut bundle = domain(1, 10, "a");
        bundle.interfaces[0].mac = [2, 0, 0, 0, 0, 9];
        let (workload, interface) = ("web".to_owned(), "eth0".to_owned());
        let refused = Err(Refusal::GatewayMac { workload, interface });
        assert_eq!(judge(&bundle, &[]), refused);
        bundle.interfaces[0].mac = [2, 0, 0, 0, 0, 8];
        assert_eq!(judge(&bundle, &[]), Ok(()));
        let prefix = "10.0.0.0/24".parse().unwrap();
        bundle.interfaces[0].pairs.push(CompiledPair { prefix, mac: [2, 0, 0, 0, 0, 9], shared: false });
        assert_eq!(judge(&bundle, &[]), refused, "an address pair's");
    }

    #[test]
    fn what_keeps_the_host_reachable_is_not_given_away() {
        let refused = judge(&domain(1, 10, "eth0"), &[]);
        assert!(matches!(refused, Err(Refusal::ReservedDevice { .. })), "{refused:?}");
        let mut bundle = domain(1, 10, "a");
        bundle.topology.uplink = Some(CompiledUplink {
            host: "h1".to_owned(),
            device: "out".to_owned(),
            addresses: vec!["192.0.2.1/24".parse().unwrap()],
            next_hops: Vec::new(),
        });
        assert!(matches!(judge(&bundle, &[]), Err(Refusal::ReservedAddress { .. })));
    }
}
