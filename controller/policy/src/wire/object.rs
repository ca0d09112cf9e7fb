//! Objects and their keys. Text stays text: [`crate::model`] judges it, wherever it came from.

use ringfence_proto::v1;

use super::error::{InvalidMessage, each, required};
use crate::object::{
    DomainSpec, HostSpec, InterfaceSpec, Kind, LabelTest, NetworkSpec, Object, ObjectKey, PeerSpec, PolicySpec,
    Requirement, RuleSpec, SegmentSpec, Spec, SubnetSpec, UplinkSpec, WorkloadSpec,
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
    };
    v1::Object { domain: domain.clone(), name: name.clone(), source: String::new(), meta: None, spec: Some(spec) }
}

/// On the wire 0 stands for a number that was not given.
fn given(number: u32) -> Option<u32> {
    (number != 0).then_some(number)
}

fn domain_from_wire(message: v1::DomainSpec) -> DomainSpec {
    let v1::DomainSpec { uplink } = message;
    let uplink = uplink.map(|v1::Uplink { host, device, addresses, next_hops }| UplinkSpec {
        host,
        device,
        addresses,
        next_hops,
    });
    DomainSpec { uplink }
}

fn domain_to_wire(spec: &DomainSpec) -> v1::DomainSpec {
    let DomainSpec { uplink } = spec;
    let uplink = uplink.clone().map(|UplinkSpec { host, device, addresses, next_hops }| v1::Uplink {
        host,
        device,
        addresses,
        next_hops,
    });
    v1::DomainSpec { uplink }
}

fn network_from_wire(message: v1::NetworkSpec) -> NetworkSpec {
    let v1::NetworkSpec { subnets, mtu, vni } = message;
    let subnet = |v1::Subnet { cidr, gateway }| SubnetSpec { cidr, gateway };
    NetworkSpec { subnets: subnets.into_iter().map(subnet).collect(), mtu: given(mtu), vni: given(vni) }
}

fn network_to_wire(spec: &NetworkSpec) -> v1::NetworkSpec {
    let NetworkSpec { subnets, mtu, vni } = spec;
    let subnet = |SubnetSpec { cidr, gateway }| v1::Subnet { cidr, gateway };
    v1::NetworkSpec {
        subnets: subnets.iter().cloned().map(subnet).collect(),
        mtu: mtu.unwrap_or_default(),
        vni: vni.unwrap_or_default(),
    }
}

fn workload_from_wire(message: v1::WorkloadSpec) -> WorkloadSpec {
    let v1::WorkloadSpec { labels, interfaces } = message;
    let interface = |message| {
        let v1::Interface { name, network, mac, addresses, host, device } = message;
        let device = (!device.is_empty()).then_some(device);
        InterfaceSpec { name, network, mac, addresses, host, device }
    };
    WorkloadSpec { labels, interfaces: interfaces.into_iter().map(interface).collect() }
}

fn workload_to_wire(spec: &WorkloadSpec) -> v1::WorkloadSpec {
    let WorkloadSpec { labels, interfaces } = spec;
    let interface = |spec| {
        let InterfaceSpec { name, network, mac, addresses, host, device } = spec;
        v1::Interface { name, network, mac, addresses, host, device: device.unwrap_or_default() }
    };
    v1::WorkloadSpec { labels: labels.clone(), interfaces: interfaces.iter().cloned().map(interface).collect() }
}

fn segment_from_wire(message: v1::SegmentSpec) -> Result<SegmentSpec, InvalidMessage> {
    use v1::requirement::Test;
    let v1::SegmentSpec { r#match } = message;
    let requirements = each("match", r#match, |v1::Requirement { key, test }| {
        let test = match required("test", test)? {
            Test::Equals(value) => LabelTest::Equals(value),
            Test::In(v1::ValueList { values }) => LabelTest::In(values),
            Test::NotIn(v1::ValueList { values }) => LabelTest::NotIn(values),
            Test::Exists(exists) => LabelTest::Exists(exists),
        };
        Ok(Requirement { key, test })
    })?;
    Ok(SegmentSpec { requirements })
}

fn segment_to_wire(spec: &SegmentSpec) -> v1::SegmentSpec {
    use v1::requirement::Test;
    let SegmentSpec { requirements } = spec;
    let requirement = |Requirement { key, test }| {
        let test = match test {
            LabelTest::Equals(value) => Test::Equals(value),
            LabelTest::In(values) => Test::In(v1::ValueList { values }),
            LabelTest::NotIn(values) => Test::NotIn(v1::ValueList { values }),
            LabelTest::Exists(exists) => Test::Exists(exists),
        };
        v1::Requirement { key, test: Some(test) }
    };
    v1::SegmentSpec { r#match: requirements.iter().cloned().map(requirement).collect() }
}

fn policy_from_wire(message: v1::PolicySpec) -> Result<PolicySpec, InvalidMessage> {
    let v1::PolicySpec { rules } = message;
    let rules = each("rules", rules, |message| {
        let v1::Rule { name, from, to, action, traffic, priority } = message;
        let from = each("from", from, peer_from_wire)?;
        let to = each("to", to, peer_from_wire)?;
        Ok(RuleSpec { name, from, to, action, traffic, priority })
    })?;
    Ok(PolicySpec { rules })
}

fn policy_to_wire(spec: &PolicySpec) -> v1::PolicySpec {
    let PolicySpec { rules } = spec;
    let rule = |spec| {
        let RuleSpec { name, from, to, action, traffic, priority } = spec;
        let peers = |peers: Vec<PeerSpec>| peers.into_iter().map(peer_to_wire).collect();
        v1::Rule { name, from: peers(from), to: peers(to), action, traffic, priority }
    };
    v1::PolicySpec { rules: rules.iter().cloned().map(rule).collect() }
}

fn peer_from_wire(message: v1::Peer) -> Result<PeerSpec, InvalidMessage> {
    use v1::peer::Peer;
    let v1::Peer { peer } = message;
    Ok(match required("peer", peer)? {
        Peer::Name(name) => PeerSpec::Name(name),
        Peer::Cidr(v1::CidrPeer { cidr }) => PeerSpec::Cidr(cidr),
    })
}

fn peer_to_wire(spec: PeerSpec) -> v1::Peer {
    use v1::peer::Peer;
    let peer = match spec {
        PeerSpec::Name(name) => Peer::Name(name),
        PeerSpec::Cidr(cidr) => Peer::Cidr(v1::CidrPeer { cidr }),
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
