//! Objects and their keys. Text stays text: [`crate::model`] judges it, wherever it came from.

use ringfence_proto::v1;

use super::error::{InvalidMessage, each, required};
use crate::object::{
    AddressPairSpec, AddressSetSpec, DomainSpec, HostSpec, InterfaceSpec, Kind, LabelTest, NetworkSpec, Object,
    ObjectKey, PeerSpec, PolicySpec, Requirement, RouteSpec, RuleSpec, SegmentSpec, Spec, SubnetSpec, UplinkSpec,
    WorkloadSpec,
};

/// Reads a kind; `None` is no kind in particular.
///
/// # Errors
/// A kind that this version does not know.
pub fn kind_from_wire(kind: i32) -> Result<Option<Kind>, InvalidMessage> {
    let unknown = |_| InvalidMessage::new("kind", format!("{kind} is unknown to this version"));
    Ok(match v1::Kind::try_from(kind).map_err(unknown)? {
        v1::Kind::Unspecified => None,
        v1::Kind::Tenant => Some(Kind::Tenant),
        v1::Kind::Domain => Some(Kind::Domain),
        v1::Kind::Network => Some(Kind::Network),
        v1::Kind::Workload => Some(Kind::Workload),
        v1::Kind::Segment => Some(Kind::Segment),
        v1::Kind::Policy => Some(Kind::Policy),
        v1::Kind::Host => Some(Kind::Host),
        v1::Kind::AddressSet => Some(Kind::AddressSet),
    })
}

/// Writes a kind.
pub fn kind_to_wire(kind: Kind) -> v1::Kind {
    match kind {
        Kind::Tenant => v1::Kind::Tenant,
        Kind::Domain => v1::Kind::Domain,
        Kind::Network => v1::Kind::Network,
        Kind::Workload => v1::Kind::Workload,
        Kind::Segment => v1::Kind::Segment,
        Kind::Policy => v1::Kind::Policy,
        Kind::Host => v1::Kind::Host,
        Kind::AddressSet => v1::Kind::AddressSet,
    }
}

/// Reads a key.
///
/// # Errors
/// No kind, or one that this version does not know.
pub fn key_from_wire(message: v1::ObjectKey) -> Result<ObjectKey, InvalidMessage> {
    let v1::ObjectKey { kind, domain, name } = message;
    let kind = required("kind", kind_from_wire(kind)?)?;
    Ok(ObjectKey { kind, domain, name })
}

/// Writes a key.
pub fn key_to_wire(key: &ObjectKey) -> v1::ObjectKey {
    let ObjectKey { kind, domain, name } = key;
    v1::ObjectKey { kind: kind_to_wire(*kind).into(), domain: domain.clone(), name: name.clone() }
}

/// Reads an object. `source` and `meta` are the server's affair and not part of it.
///
/// # Errors
/// No spec of a kind that this version knows, or a part of it missing.
pub fn object_from_wire(message: v1::Object) -> Result<Object, InvalidMessage> {
    use v1::object::Spec as Wire;
    let v1::Object { domain, name, source: _, meta: _, spec } = message;
    let spec = match required("spec", spec)? {
        Wire::Tenant(v1::TenantSpec {}) => Spec::Tenant,
        Wire::DomainSpec(spec) => Spec::Domain(domain_from_wire(spec)),
        Wire::Network(spec) => Spec::Network(network_from_wire(spec)),
        Wire::Workload(spec) => Spec::Workload(workload_from_wire(spec)),
        Wire::Segment(spec) => Spec::Segment(segment_from_wire(spec)?),
        Wire::Policy(spec) => Spec::Policy(policy_from_wire(spec)?),
        Wire::Host(spec) => Spec::Host(host_from_wire(spec)),
        Wire::AddressSet(v1::AddressSetSpec { addresses }) => Spec::AddressSet(AddressSetSpec { addresses }),
    };
    Ok(Object { domain, name, spec })
}

/// Writes an object, without meta.
pub fn object_to_wire(object: &Object) -> v1::Object {
    use v1::object::Spec as Wire;
    let Object { domain, name, spec } = object;
    let spec = match spec {
        Spec::Tenant => Wire::Tenant(v1::TenantSpec {}),
        Spec::Domain(spec) => Wire::DomainSpec(domain_to_wire(spec)),
        Spec::Network(spec) => Wire::Network(network_to_wire(spec)),
        Spec::Workload(spec) => Wire::Workload(workload_to_wire(spec)),
        Spec::Segment(spec) => Wire::Segment(segment_to_wire(spec)),
        Spec::Policy(spec) => Wire::Policy(policy_to_wire(spec)),
        Spec::Host(spec) => Wire::Host(host_to_wire(spec)),
        Spec::AddressSet(AddressSetSpec { addresses }) => {
            Wire::AddressSet(v1::AddressSetSpec { addresses: addresses.clone() })
        }
    };
    v1::Object { domain: domain.clone(), name: name.clone(), source: String::new(), meta: None, spec: Some(spec) }
}

/// On the wire 0 stands for a number that was not given.
fn given(number: u32) -> Option<u32> {
    (number != 0).then_some(number)
}

/// On the wire an empty text stands for one that was not given.
fn written(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

fn domain_from_wire(message: v1::DomainSpec) -> DomainSpec {
    let v1::DomainSpec { uplink, default } = message;
    let uplink = uplink.map(|v1::Uplink { host, device, addresses, next_hops }| UplinkSpec {
        host,
        device,
        addresses,
        next_hops,
    });
    DomainSpec { uplink, default: written(default) }
}

fn domain_to_wire(spec: &DomainSpec) -> v1::DomainSpec {
    let DomainSpec { uplink, default } = spec;
    let uplink = uplink.clone().map(|UplinkSpec { host, device, addresses, next_hops }| v1::Uplink {
        host,
        device,
        addresses,
        next_hops,
    });
    v1::DomainSpec { uplink, default: default.clone().unwrap_or_default() }
}

fn network_from_wire(message: v1::NetworkSpec) -> NetworkSpec {
    let v1::NetworkSpec { subnets, mtu, vni, multicast, lease, search_domains } = message;
    let route = |v1::Route { to, via }| RouteSpec { to, via };
    let subnet = |v1::Subnet { cidr, gateway, dns, dhcp, ra, routes }| {
        let routes = routes.into_iter().map(route).collect();
        SubnetSpec { cidr, gateway, dns, dhcp, ra, routes }
    };
    NetworkSpec {
        subnets: subnets.into_iter().map(subnet).collect(),
        mtu: given(mtu),
        vni: given(vni),
        multicast,
        lease: written(lease),
        search_domains,
    }
}

fn network_to_wire(spec: &NetworkSpec) -> v1::NetworkSpec {
    let NetworkSpec { subnets, mtu, vni, multicast, lease, search_domains } = spec.clone();
    let route = |RouteSpec { to, via }| v1::Route { to, via };
    let subnet = |SubnetSpec { cidr, gateway, dns, dhcp, ra, routes }| {
        let routes = routes.into_iter().map(route).collect();
        v1::Subnet { cidr, gateway, dns, dhcp, ra, routes }
    };
    v1::NetworkSpec {
        subnets: subnets.into_iter().map(subnet).collect(),
        mtu: mtu.unwrap_or_default(),
        vni: vni.unwrap_or_default(),
        multicast,
        lease: lease.unwrap_or_default(),
        search_domains,
    }
}

fn workload_from_wire(message: v1::WorkloadSpec) -> WorkloadSpec {
    let v1::WorkloadSpec { labels, interfaces, ports, bare_metal } = message;
    let interfaces = interfaces.into_iter().map(interface_from_wire).collect();
    WorkloadSpec { labels, ports: ports.into_iter().collect(), interfaces, bare_metal }
}

fn workload_to_wire(spec: &WorkloadSpec) -> v1::WorkloadSpec {
    let WorkloadSpec { labels, ports, interfaces, bare_metal } = spec.clone();
    let interfaces = interfaces.into_iter().map(interface_to_wire).collect();
    v1::WorkloadSpec { labels, interfaces, ports: ports.into_iter().collect(), bare_metal }
}

fn interface_from_wire(message: v1::Interface) -> InterfaceSpec {
    let v1::Interface { name, network, mac, addresses, host, device, address_pairs, port_security } = message;
    let pair = |v1::AddressPair { mac, prefix }| AddressPairSpec { mac: written(mac), prefix };
    InterfaceSpec {
        name,
        network,
        mac,
        addresses,
        host,
        device: written(device),
        address_pairs: address_pairs.into_iter().map(pair).collect(),
        port_security,
    }
}

fn interface_to_wire(spec: InterfaceSpec) -> v1::Interface {
    let InterfaceSpec { name, network, mac, addresses, host, device, address_pairs, port_security } = spec;
    let pair = |AddressPairSpec { mac, prefix }| v1::AddressPair { mac: mac.unwrap_or_default(), prefix };
    v1::Interface {
        name,
        network,
        mac,
        addresses,
        host,
        device: device.unwrap_or_default(),
        address_pairs: address_pairs.into_iter().map(pair).collect(),
        port_security,
    }
}

fn segment_from_wire(message: v1::SegmentSpec) -> Result<SegmentSpec, InvalidMessage> {
    let v1::SegmentSpec { r#match } = message;
    Ok(SegmentSpec { requirements: each("match", r#match, requirement_from_wire)? })
}

fn segment_to_wire(spec: &SegmentSpec) -> v1::SegmentSpec {
    let SegmentSpec { requirements } = spec;
    v1::SegmentSpec { r#match: requirements.iter().cloned().map(requirement_to_wire).collect() }
}

fn requirement_from_wire(message: v1::Requirement) -> Result<Requirement, InvalidMessage> {
    use v1::requirement::Test;
    let v1::Requirement { key, test } = message;
    let test = match required("test", test)? {
        Test::Equals(value) => LabelTest::Equals(value),
        Test::In(v1::ValueList { values }) => LabelTest::In(values),
        Test::NotIn(v1::ValueList { values }) => LabelTest::NotIn(values),
        Test::Exists(exists) => LabelTest::Exists(exists),
    };
    Ok(Requirement { key, test })
}

fn requirement_to_wire(Requirement { key, test }: Requirement) -> v1::Requirement {
    use v1::requirement::Test;
    let test = match test {
        LabelTest::Equals(value) => Test::Equals(value),
        LabelTest::In(values) => Test::In(v1::ValueList { values }),
        LabelTest::NotIn(values) => Test::NotIn(v1::ValueList { values }),
        LabelTest::Exists(exists) => Test::Exists(exists),
    };
    v1::Requirement { key, test: Some(test) }
}

fn policy_from_wire(message: v1::PolicySpec) -> Result<PolicySpec, InvalidMessage> {
    let v1::PolicySpec { rules, tier, mode, stateless } = message;
    let rules = each("rules", rules, |message| {
        let v1::Rule { name, from, to, action, traffic, priority, side, log, not_before, not_after } = message;
        Ok(RuleSpec {
            name,
            from: each("from", from, peer_from_wire)?,
            to: each("to", to, peer_from_wire)?,
            action,
            traffic,
            priority,
            side: written(side),
            log,
            not_before: written(not_before),
            not_after: written(not_after),
        })
    })?;
    Ok(PolicySpec { tier: written(tier), mode: written(mode), stateless, rules })
}

fn policy_to_wire(spec: &PolicySpec) -> v1::PolicySpec {
    let PolicySpec { tier, mode, stateless, rules } = spec.clone();
    let rule = |spec| {
        let RuleSpec { name, from, to, action, traffic, priority, side, log, not_before, not_after } = spec;
        let peers = |peers: Vec<PeerSpec>| peers.into_iter().map(peer_to_wire).collect();
        v1::Rule {
            name,
            from: peers(from),
            to: peers(to),
            action,
            traffic,
            priority,
            side: side.unwrap_or_default(),
            log,
            not_before: not_before.unwrap_or_default(),
            not_after: not_after.unwrap_or_default(),
        }
    };
    v1::PolicySpec {
        rules: rules.into_iter().map(rule).collect(),
        tier: tier.unwrap_or_default(),
        mode: mode.unwrap_or_default(),
        stateless,
    }
}

fn peer_from_wire(message: v1::Peer) -> Result<PeerSpec, InvalidMessage> {
    use v1::peer::Peer;
    let v1::Peer { peer } = message;
    Ok(match required("peer", peer)? {
        Peer::Name(name) => PeerSpec::Name(name),
        Peer::Cidr(v1::CidrPeer { cidr, except }) => PeerSpec::Cidr { cidr, except },
        Peer::Labels(v1::LabelsPeer { r#match }) => PeerSpec::Labels(each("labels", r#match, requirement_from_wire)?),
    })
}

fn peer_to_wire(spec: PeerSpec) -> v1::Peer {
    use v1::peer::Peer;
    let peer = match spec {
        PeerSpec::Name(name) => Peer::Name(name),
        PeerSpec::Cidr { cidr, except } => Peer::Cidr(v1::CidrPeer { cidr, except }),
        PeerSpec::Labels(requirements) => {
            let r#match = requirements.into_iter().map(requirement_to_wire).collect();
            Peer::Labels(v1::LabelsPeer { r#match })
        }
    };
    v1::Peer { peer: Some(peer) }
}

fn host_from_wire(message: v1::HostSpec) -> HostSpec {
    let v1::HostSpec { underlay, agent_version, labels } = message;
    HostSpec { underlay, agent_version, labels }
}

fn host_to_wire(spec: &HostSpec) -> v1::HostSpec {
    let HostSpec { underlay, agent_version, labels } = spec.clone();
    v1::HostSpec { underlay, agent_version, labels }
}
