//! A world that is in force: validated, compiled, and what its cases need to know of it.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
    sync::Arc,
};

use ipnet::IpNet;
use ringfence_policy::{
    bundle::Bundle,
    compile::{Compilation, CompileError, DomainIds},
    evaluate::{End, Flow, Matched, matching},
    model::{Domain, Invalid, Model, Side},
    object::Object,
};

use crate::{
    feature::{Feature, Features, of_rules},
    world::DOMAIN,
};

/// Why objects are no world.
#[derive(Debug, thiserror::Error)]
pub enum GroundError {
    /// The model refuses them.
    #[error("{}", .0.iter().map(|it| format!("{} {}: {}", it.key, it.field, it.message)).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<Invalid>),
    /// They name no domain.
    #[error("there is no domain {DOMAIN}")]
    NoDomain,
    /// The compiler refuses them.
    #[error(transparent)]
    Compile(#[from] CompileError),
}

/// An interface, as far as features tell it from others.
#[derive(Clone, Debug)]
struct Seat {
    addresses: Vec<IpAddr>,
    pairs: Vec<IpNet>,
    port_security: bool,
}

/// A world in force.
#[derive(Clone, Debug)]
pub struct Ground {
    /// What the definition reads.
    pub domain: Arc<Domain>,
    /// What the compiler makes of it.
    pub bundle: Bundle,
    /// The numbers in it.
    pub ids: DomainIds,
    rules: BTreeMap<String, Vec<Features>>,
    seats: Vec<Seat>,
    gateways: BTreeSet<IpAddr>,
    subnets: Vec<IpNet>,
    prefixes: Vec<IpNet>,
}

impl Ground {
    /// Validates and compiles.
    ///
    /// # Errors
    /// Objects that are refused.
    pub fn new(objects: &[Object]) -> Result<Self, GroundError> {
        let domain = domain(objects)?;
        let ids = ids(&domain);
        Self::numbered(domain, ids, objects)
    }

    /// The same world, changed: what is in both has the same numbers.
    ///
    /// # Errors
    /// Objects that are refused, or that are new.
    pub fn changed(&self, objects: &[Object]) -> Result<Self, GroundError> {
        Self::numbered(domain(objects)?, self.ids.clone(), objects)
    }

    fn numbered(domain: Arc<Domain>, ids: DomainIds, objects: &[Object]) -> Result<Self, GroundError> {
        let bundle = Compilation::new(&domain, &ids, &BTreeMap::new(), 1)?.bundle().clone();
        let interfaces = domain.workloads().flat_map(|(_, workload)| &workload.interfaces);
        let seat = |interface: &ringfence_policy::model::Interface| Seat {
            addresses: interface.addresses.clone(),
            pairs: interface.pairs.iter().map(|pair| pair.prefix).collect(),
            port_security: interface.port_security,
        };
        let seats = interfaces.map(seat).collect();
        let subnets = || bundle.topology.networks.iter().flat_map(|network| &network.subnets);
        Ok(Self {
            rules: of_rules(objects),
            seats,
            gateways: subnets().map(|subnet| subnet.gateway).collect(),
            subnets: subnets().map(|subnet| subnet.cidr).collect(),
            prefixes: bundle.policy.prefixes.iter().map(|classed| classed.prefix).collect(),
            domain,
            bundle,
            ids,
        })
    }

    /// Features of a flow's ends, of the rules that match it and of the one it was made for, by policy and place.
    pub fn features(&self, flow: &Flow, at: u64, made_for: Option<&(String, usize)>) -> Features {
        let mut features = Features::default();
        features.add(if self.domain.default_allows() { Feature::DefaultAllow } else { Feature::DefaultDeny });
        for end in [flow.source, flow.destination] {
            self.end(&mut features, end);
        }
        if let Some((policy, place)) = made_for {
            self.rule(&mut features, policy, *place);
        }
        for side in [Side::From, Side::To] {
            let matched = matching(&self.domain, flow, at, side);
            matched.iter().for_each(|matched| self.rule(&mut features, matched.policy_name, matched.index));
            let rank = |it: &Matched<'_>| (it.policy.tier, it.rule.priority, it.rule.action);
            let tie = matched.windows(2).any(|two| matches!(two, [one, other] if rank(one) == rank(other)));
            features.add_if(tie, Feature::Tie);
        }
        features
    }

    fn rule(&self, features: &mut Features, policy: &str, place: usize) {
        let found = self.rules.get(policy).and_then(|rules| rules.get(place));
        features.join(found.copied().unwrap_or_default());
    }

    fn end(&self, features: &mut Features, end: End) {
        let End::Address(address) = end else { return };
        features.add(if address.is_ipv4() { Feature::Ipv4 } else { Feature::Ipv6 });
        let mut pairs = 0;
        for seat in &self.seats {
            let holds = seat.pairs.iter().filter(|prefix| prefix.contains(&address)).count();
            let own = seat.addresses.contains(&address);
            pairs += holds;
            let of_family = seat.addresses.iter().filter(|other| other.is_ipv4() == address.is_ipv4()).count();
            features.add_if(own && of_family > 1, Feature::SeveralAddresses);
            features.add_if((own || holds > 0) && !seat.port_security, Feature::NoPortSecurity);
            let cut = |pair: &IpNet| {
                pair.contains(&address)
                    && self
                        .prefixes
                        .iter()
                        .any(|prefix| prefix.contains(&address) && pair.contains(prefix) && prefix != pair)
            };
            features.add_if(seat.pairs.iter().any(cut), Feature::PrefixInPair);
        }
        features.add_if(pairs > 0, Feature::Pair);
        features.add_if(pairs > 1, Feature::NestedPair);
    }

    /// Whether an address is a gateway's.
    pub fn is_gateway(&self, address: IpAddr) -> bool {
        self.gateways.contains(&address)
    }

    /// Whether an end is a gateway.
    pub fn is_gateways(&self, end: End) -> bool {
        matches!(end, End::Address(address) if self.is_gateway(address))
    }

    /// The subnet that holds an address.
    pub fn subnet(&self, address: IpAddr) -> Option<&IpNet> {
        self.subnets.iter().find(|subnet| subnet.contains(&address))
    }

    /// Every gateway.
    pub fn gateways(&self) -> impl Iterator<Item = IpAddr> {
        self.gateways.iter().copied()
    }
}

/// The domain of a world.
///
/// # Errors
/// Objects that are refused.
pub fn domain(objects: &[Object]) -> Result<Arc<Domain>, GroundError> {
    let model = Model::default().change(objects, &[]).map_err(GroundError::Invalid)?.model;
    model.domains().get(DOMAIN).cloned().ok_or(GroundError::NoDomain)
}

/// Ids as a controller hands them out.
fn ids(domain: &Domain) -> DomainIds {
    let interfaces = domain.interfaces().map(|i| (i.workload.to_owned(), i.name.to_owned()));
    let rules = domain.rules().map(|(policy, rule)| (policy.to_owned(), rule.to_owned()));
    DomainIds {
        domain: 7,
        transit_vni: 700,
        networks: domain.networks().map(|(name, _)| name.to_owned()).zip(701..).collect(),
        interfaces: interfaces.zip(1..).collect(),
        rules: rules.zip(100..).collect(),
    }
}
