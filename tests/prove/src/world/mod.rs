//! Worlds: small inventories with policies, of few enough values that everything collides, from a seed.

use ringfence_policy::object::{DomainSpec, Object, PLATFORM, Spec};

use crate::random::Random;

mod inventory;
mod peers;
mod rules;

/// The domain of every world.
pub const DOMAIN: &str = "acme/world";

/// The moment around which windows begin and end, in seconds since 1970-01-01T00:00:00Z.
pub const EPOCH: u64 = 2_000_000_000;

/// When windows begin and end, from [`EPOCH`] on.
pub const BOUNDARIES: [u64; 4] = [0, 10, 20, 30];

/// What a world is made of: its objects in an order that is right from top to bottom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct World {
    /// Tenant, domain, networks, workloads, segments, address sets, policies.
    pub objects: Vec<Object>,
}

impl World {
    /// The world of a seed.
    pub fn generate(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let default = random.one([None, Some("deny"), Some("allow"), Some("allow")]).map(str::to_owned);
        // Which host judges for the outside is told apart from those that run workloads.
        let uplink = random.chance(50).then(inventory::uplink);
        let domain = DomainSpec { default, uplink };
        let mut objects = vec![
            Object { domain: String::new(), name: "acme".to_owned(), spec: Spec::Tenant },
            Object { domain: String::new(), name: DOMAIN.to_owned(), spec: Spec::Domain(domain) },
        ];
        let networks = inventory::networks(&mut random);
        let workloads = inventory::workloads(&mut random, &networks);
        let segments = peers::segments(&mut random);
        let sets = peers::address_sets(&mut random);
        let names = peers::Names::of([&workloads, &segments, &sets]);
        objects.extend([networks, workloads, segments, sets].concat());
        objects.extend((0..random.between(1, 5)).map(|n| {
            let spec = rules::policy(&mut random, |random| peers::domain_peer(random, &names));
            named(DOMAIN, format!("p{n}"), Spec::Policy(spec))
        }));
        objects.extend((0..random.below(3)).map(|n| {
            let spec = rules::policy(&mut random, peers::platform_peer);
            named(PLATFORM, format!("p{n}"), Spec::Policy(spec))
        }));
        Self { objects }
    }
}

fn named(domain: &str, name: String, spec: Spec) -> Object {
    Object { domain: domain.to_owned(), name, spec }
}

/// An object of the world's domain.
fn object(name: String, spec: Spec) -> Object {
    named(DOMAIN, name, spec)
}
