//! One object as written → its validated part, as far as the object alone tells.

use std::{net::IpAddr, ops::RangeInclusive};

use super::{
    AddressSet, Network, Policy, Selector, Uplink, Workload,
    address::{check_routed, is_reserved_in, parse_address, parse_interface_prefix},
    decode_network::network,
    decode_policy::{address_set, one_of, policy, selector},
    decode_workload::workload,
    fault::{Fault, Faults},
    name::{check_device, check_host, check_object, split_domain},
};
use crate::object::{DomainSpec, Object, PLATFORM, SegmentSpec, Spec, UplinkSpec};

/// Lengths of the prefix on an uplink: it holds the next hop too, and is a link, not a good part of the Internet.
const UPLINK_LENGTHS_V4: RangeInclusive<u8> = 8..=31;
const UPLINK_LENGTHS_V6: RangeInclusive<u8> = 16..=127;

/// The validated part that an object becomes.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Tenant,
    Domain { default_allows: bool, uplink: Option<Uplink> },
    Network(Network),
    Workload(Workload),
    Segment(Selector),
    AddressSet(AddressSet),
    Policy(Policy),
}

/// Everything that is wrong with an object whatever else there is; empty: nothing.
pub(crate) fn check(object: &Object) -> Vec<Fault> {
    decode(object).err().unwrap_or_default()
}

/// Reads an object, or says everything that is wrong with it.
pub(super) fn decode(object: &Object) -> Result<Part, Vec<Fault>> {
    let mut faults = Faults::default();
    check_key(&mut faults, object);
    let part = match &object.spec {
        Spec::Tenant => Some(Part::Tenant),
        Spec::Domain(spec) => domain(&mut faults, spec),
        Spec::Network(spec) => network(&mut faults, spec).map(Part::Network),
        Spec::Workload(spec) => workload(&mut faults, object, spec).map(Part::Workload),
        Spec::Segment(SegmentSpec { requirements }) => selector(&mut faults, "match", requirements).map(Part::Segment),
        Spec::AddressSet(spec) => address_set(&mut faults, spec).map(Part::AddressSet),
        Spec::Policy(spec) => policy(&mut faults, spec).map(Part::Policy),
        Spec::Host(_) => {
            faults.add("", "hosts are made by the controller when an agent registers: remove the object");
            None
        }
    };
    faults.verdict(part)
}

fn check_key(faults: &mut Faults, object: &Object) {
    match object.spec {
        Spec::Tenant | Spec::Host(_) => {
            faults.ok("name", check_object(&object.name));
        }
        Spec::Domain(_) => {
            faults.ok("name", split_domain(&object.name));
        }
        Spec::Policy(_) if object.domain == PLATFORM => {
            faults.ok("name", check_object(&object.name));
            return;
        }
        _ if object.domain == PLATFORM => {
            faults.add("domain", "only policies are the platform's (\"*\"): write TENANT/DOMAIN");
            return;
        }
        _ => {
            faults.ok("domain", split_domain(&object.domain));
            faults.ok("name", check_object(&object.name));
            return;
        }
    }
    if !object.domain.is_empty() {
        faults.add("domain", "this kind is in no domain: remove the field");
    }
}

fn domain(faults: &mut Faults, spec: &DomainSpec) -> Option<Part> {
    let DomainSpec { uplink: wanted, default } = spec;
    let known = [("deny", false), ("allow", true)];
    let default_allows = one_of(faults, "default", "default", default.as_deref(), &known);
    let uplink = match wanted {
        None => None,
        Some(wanted) => Some(uplink(faults, wanted)?),
    };
    Some(Part::Domain { default_allows: default_allows?, uplink })
}

fn uplink(faults: &mut Faults, spec: &UplinkSpec) -> Option<Uplink> {
    let UplinkSpec { host, device, addresses, next_hops } = spec;
    faults.ok("uplink.host", check_host(host));
    faults.ok("uplink.device", check_device(device));
    let wanted = "give the uplink an ADDRESS/LENGTH and a next hop";
    faults.filled("uplink.addresses", addresses, wanted);
    faults.filled("uplink.nextHops", next_hops, wanted);
    let uplink = Uplink {
        host: host.clone(),
        device: device.clone(),
        addresses: faults.each("uplink.addresses", addresses, |faults, field, text| {
            let prefix = faults.ok(field, parse_interface_prefix(text))?;
            faults.ok(field, check_routed(prefix.addr()))?;
            let lengths = if prefix.addr().is_ipv4() { UPLINK_LENGTHS_V4 } else { UPLINK_LENGTHS_V6 };
            if !lengths.contains(&prefix.prefix_len()) {
                let (least, most) = lengths.into_inner();
                let length = prefix.prefix_len();
                faults.add(field, format!("/{length} is no link's prefix: write /{least} to /{most}"));
                return None;
            }
            if is_reserved_in(prefix.addr(), &prefix) {
                faults.add(field, "is the prefix's own address: choose one inside it");
                return None;
            }
            Some(prefix)
        }),
        next_hops: faults
            .each("uplink.nextHops", next_hops, |faults, field, text| faults.ok(field, parse_address(text))),
    };
    // With an element missing, what follows would blame the wrong one.
    let complete = uplink.addresses.len() == addresses.len() && uplink.next_hops.len() == next_hops.len();
    if complete {
        check_uplink_families(faults, &uplink);
    }
    complete.then_some(uplink)
}

/// One address and one next hop for each family the uplink has.
fn check_uplink_families(faults: &mut Faults, uplink: &Uplink) {
    for (is_v4, family) in [(true, "IPv4"), (false, "IPv6")] {
        let own = |address: &IpAddr| address.is_ipv4() == is_v4;
        let mut addresses = uplink.addresses.iter().filter(|prefix| own(&prefix.addr()));
        let mut hops = (uplink.next_hops.iter().enumerate()).filter(|(_, hop)| own(hop));
        let (address, hop) = (addresses.next(), hops.next());
        if addresses.next().is_some() {
            faults.add("uplink.addresses", format!("has two {family} addresses: keep one"));
        }
        if hops.next().is_some() {
            faults.add("uplink.nextHops", format!("has two {family} next hops: keep one"));
        }
        match (address, hop) {
            (Some(prefix), Some((index, hop))) => {
                let field = format!("uplink.nextHops[{index}]");
                if *hop == prefix.addr() {
                    faults.add(field, format!("{hop} is the uplink's own address: write a router on that link"));
                } else if !prefix.contains(hop) || is_reserved_in(*hop, prefix) {
                    let message = format!("{hop} is no neighbour in {}", prefix.trunc());
                    faults.add(field, format!("{message}: write a router on that link"));
                }
            }
            (Some(_), None) => {
                faults.add("uplink.nextHops", format!("has no {family} next hop: add one"));
            }
            (None, Some(_)) => {
                faults.add("uplink.addresses", format!("has no {family} address: add one"));
            }
            (None, None) => {}
        }
    }
}
