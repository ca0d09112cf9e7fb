//! What an agent says of its host, whether it can be, and whether the host can go.

use std::{collections::BTreeMap, net::IpAddr};

use ringfence_policy::{
    model::{Invalid, Model, NameError, check_host},
    object::{Kind, ObjectKey},
};
use ringfence_proto::v1;

use super::Catalog;

/// How many of those that need a host a refused deletion names.
const USERS_NAMED: usize = 5;

/// What an agent registers: a host that could be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// The host's name.
    pub name: String,
    /// Where its overlay traffic comes from and goes to; one or two, of different families.
    pub underlay: Vec<IpAddr>,
    /// The agent's version.
    pub agent_version: String,
}

/// Why a host cannot be registered.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidHost {
    /// No interface can name it.
    #[error("the host's name {0}; give --host")]
    Name(#[from] NameError),
    /// It cannot be tunnelled to.
    #[error("host {0}: no underlay address was given; give --underlay-address")]
    NoUnderlay(String),
    /// Not an address.
    #[error("host {host}: underlay address {text:?} is no unicast IPv4 or IPv6 address")]
    Address {
        /// The host.
        host: String,
        /// What it said.
        text: String,
    },
    /// Two of a family.
    #[error("host {host}: {address} is a second underlay address of its family; give one of each at most")]
    SecondOfFamily {
        /// The host.
        host: String,
        /// The second one.
        address: IpAddr,
    },
    /// Packets from it could not be told from another host's.
    #[error(
        "host {host}: {address} is the underlay address of host {other}; give this host its own, or delete the other host"
    )]
    Taken {
        /// The host.
        host: String,
        /// The address both have.
        address: IpAddr,
        /// Who registered it first.
        other: String,
    },
    /// Two agents call themselves the same, or one started twice.
    #[error(
        "host {0}: an agent of this name is connected from another underlay address; give one of them another --host, \
         or stop the agent that moved and start it again"
    )]
    Elsewhere(String),
    /// The store would take from the host what it enforces.
    #[error(
        "host {host} enforces generation {generation} of domain id {domain_id}, which this controller's store, at \
         revision {revision}, has not made: the store is older than what the host enforces, or another controller's. \
         The host keeps what it enforces. Restore the newest backup of the store; or, to give the host over to this \
         store as it is, stop the agent, remove its --state-dir and start it again"
    )]
    Ahead {
        /// The host.
        host: String,
        /// The domain it enforces.
        domain_id: u32,
        /// And the generation.
        generation: u64,
        /// Where the store stands.
        revision: u64,
    },
}

// === impl Registration ===

impl Registration {
    /// Reads what an agent said.
    ///
    /// # Errors
    /// When the name or an address cannot be.
    pub fn new(name: &str, underlay: &[String], agent_version: &str) -> Result<Self, InvalidHost> {
        check_host(name)?;
        Ok(Self {
            name: name.to_owned(),
            underlay: parse_underlay(name, underlay)?,
            agent_version: agent_version.to_owned(),
        })
    }

    /// Whether no other host has one of its addresses.
    ///
    /// # Errors
    /// When one has, names it.
    pub fn check_unique(&self, hosts: &BTreeMap<String, Vec<IpAddr>>) -> Result<(), InvalidHost> {
        for (other, addresses) in hosts.iter().filter(|(name, _)| **name != self.name) {
            if let Some(address) = self.underlay.iter().find(|address| addresses.contains(address)) {
                return Err(InvalidHost::Taken { host: self.name.clone(), address: *address, other: other.clone() });
            }
        }
        Ok(())
    }

    /// The object that stands for it, without meta; labels stay what they were.
    pub fn object(&self, before: Option<&v1::Object>) -> v1::Object {
        let labels = match before.and_then(|object| object.spec.as_ref()) {
            Some(v1::object::Spec::Host(spec)) => spec.labels.clone(),
            _ => BTreeMap::new(),
        };
        v1::Object {
            name: self.name.clone(),
            spec: Some(v1::object::Spec::Host(v1::HostSpec {
                underlay: self.underlay.iter().map(IpAddr::to_string).collect(),
                agent_version: self.agent_version.clone(),
                labels,
            })),
            ..v1::Object::default()
        }
    }
}

// === impl Catalog ===

impl Catalog {
    /// Whether a registration says what was said before of where the host is. While its agent is connected
    /// it must: two agents of one name would take the host from each other for ever.
    ///
    /// # Errors
    /// When it says something else.
    pub fn check_stays(&self, registration: &Registration) -> Result<(), InvalidHost> {
        match self.hosts.get(&registration.name) {
            Some(underlay) if *underlay != registration.underlay => {
                Err(InvalidHost::Elsewhere(registration.name.clone()))
            }
            _ => Ok(()),
        }
    }

    /// Whether what a host enforces can come from this state or an earlier one of it. If it cannot, the
    /// store was lost or put back, and telling the host what the store says would take its state from it.
    ///
    /// # Errors
    /// When it cannot, names the domain.
    pub fn check_held(&self, host: &str, held: &[v1::HeldDomain]) -> Result<(), InvalidHost> {
        let ahead = |held: &&v1::HeldDomain| held.generation > self.revision || !self.ids.handed_out(held.domain_id);
        match held.iter().find(ahead) {
            None => Ok(()),
            Some(held) => Err(InvalidHost::Ahead {
                host: host.to_owned(),
                domain_id: held.domain_id,
                generation: held.generation,
                revision: self.revision,
            }),
        }
    }
}

/// What names a host's object.
pub fn key(name: &str) -> ObjectKey {
    ObjectKey { kind: Kind::Host, domain: String::new(), name: name.to_owned() }
}

/// Why a host cannot be deleted from this model: who has an interface or an uplink there.
pub(super) fn still_needed(key: &ObjectKey, model: &Model) -> Option<Invalid> {
    let host = key.name.as_str();
    let users: Vec<String> = model
        .domains()
        .iter()
        .flat_map(|(domain, content)| {
            let uplink = content.uplink().filter(|(place, _)| *place == host);
            let uplink = uplink.map(|_| format!("Domain {domain} has its uplink"));
            let workloads =
                content.workloads().filter(|(_, workload)| workload.interfaces.iter().any(|i| i.host == host));
            uplink.into_iter().chain(workloads.map(move |(name, _)| format!("Workload {domain}/{name} runs")))
        })
        .collect();
    let named = users.get(..users.len().min(USERS_NAMED))?.join(", ");
    let (more, them) = match users.len() {
        0 => return None,
        1 => (String::new(), "it"),
        count if count <= USERS_NAMED => (String::new(), "them"),
        count => (format!(", and {} more", count - USERS_NAMED), "them"),
    };
    Some(Invalid {
        key: key.clone(),
        index: None,
        field: String::new(),
        message: format!("is still where {named}{more}: move or delete {them} first, or in the same change"),
    })
}

/// The addresses in the order given, which is sorted: the same set is the same state.
pub(super) fn parse_underlay(host: &str, texts: &[String]) -> Result<Vec<IpAddr>, InvalidHost> {
    let mut addresses: Vec<IpAddr> = Vec::new();
    for text in texts {
        let address: IpAddr = text
            .parse()
            .ok()
            .filter(is_unicast)
            .ok_or_else(|| InvalidHost::Address { host: host.to_owned(), text: text.clone() })?;
        if addresses.iter().any(|other| other.is_ipv4() == address.is_ipv4()) {
            return Err(InvalidHost::SecondOfFamily { host: host.to_owned(), address });
        }
        addresses.push(address);
    }
    if addresses.is_empty() {
        return Err(InvalidHost::NoUnderlay(host.to_owned()));
    }
    addresses.sort_unstable();
    Ok(addresses)
}

fn is_unicast(address: &IpAddr) -> bool {
    let broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    !(address.is_unspecified() || address.is_multicast() || address.is_loopback() || broadcast)
}

#[cfg(test)]
mod tests {
    use ringfence_policy::text::{self, SourceFile};

    use super::*;

    fn model(text: &str) -> Model {
        let file = SourceFile { name: "test.yaml".to_owned(), text: text.to_owned() };
        let objects: Vec<_> = text::parse(&[file]).unwrap().into_iter().map(|document| document.object).collect();
        Model::default().change(&objects, &[]).unwrap().model
    }

    /// A domain with its uplink on `h1` and so many workloads on `h2`.
    fn shop(workloads: usize) -> Model {
        let mut text =
            "{kind: Tenant, name: acme}\n---\n{kind: Domain, name: acme/prod, uplink: {host: h1, device: up0, \
             addresses: [203.0.113.2/24], nextHops: [203.0.113.1]}}\n---\n{kind: Network, domain: acme/prod, \
             name: front, subnets: [{cidr: 10.1.0.0/24, gateway: 10.1.0.1}]}\n"
                .to_owned();
        for n in 1..=workloads {
            text.push_str(&format!(
                "---\n{{kind: Workload, domain: acme/prod, name: db-{n}, labels: {{role: db}}, interfaces: [{{name: eth0, \
                 network: front, mac: \"02:00:00:00:01:0{n}\", addresses: [10.1.0.1{n}], host: h2}}]}}\n"
            ));
        }
        model(&text)
    }

    #[test]
    fn a_host_that_an_interface_or_an_uplink_names_is_needed() {
        let said = |host, workloads| still_needed(&key(host), &shop(workloads)).map(|invalid| invalid.message);
        let rest = "first, or in the same change";
        assert_eq!(
            said("h1", 1).unwrap(),
            format!("is still where Domain acme/prod has its uplink: move or delete it {rest}")
        );
        assert_eq!(
            said("h2", 1).unwrap(),
            format!("is still where Workload acme/prod/db-1 runs: move or delete it {rest}")
        );
        assert!(said("h2", 7).unwrap().ends_with(&format!("db-5 runs, and 2 more: move or delete them {rest}")));
        assert_eq!(said("h2", 0), None);
        assert_eq!(said("h3", 7), None);
    }

    fn register(name: &str, underlay: &[&str]) -> Result<Registration, InvalidHost> {
        let underlay: Vec<String> = underlay.iter().map(|text| (*text).to_owned()).collect();
        Registration::new(name, &underlay, "0.1.0")
    }

    #[test]
    fn the_order_of_the_addresses_does_not_matter() {
        let one = register("h1", &["192.0.2.1", "2001:db8::1"]).unwrap();
        assert_eq!(one, register("h1", &["2001:db8::1", "192.0.2.1"]).unwrap());
    }

    #[test]
    fn what_cannot_be_tunnelled_to_is_refused() {
        for text in ["", "host", "0.0.0.0", "127.0.0.1", "224.0.0.1", "255.255.255.255", "::", "::1", "ff02::1"] {
            assert!(matches!(register("h1", &[text]), Err(InvalidHost::Address { .. })), "{text}");
        }
        assert_eq!(register("h1", &[]), Err(InvalidHost::NoUnderlay("h1".to_owned())));
        let twice = register("h1", &["192.0.2.1", "192.0.2.2"]);
        assert!(matches!(twice, Err(InvalidHost::SecondOfFamily { .. })));
    }

    #[test]
    fn a_name_that_no_interface_could_write_is_refused() {
        for name in ["", "H1", "a/b", "-a", "a-", "a..b", "a\0b"] {
            assert!(matches!(register(name, &["192.0.2.1"]), Err(InvalidHost::Name(_))), "{name:?}");
        }
        assert!(register("node-1.rack2.example", &["192.0.2.1"]).is_ok());
    }

    #[test]
    fn an_address_of_another_host_is_refused_by_name() {
        let hosts = BTreeMap::from([("h1".to_owned(), vec![IpAddr::from([192, 0, 2, 1])])]);
        assert_eq!(register("h1", &["192.0.2.1"]).unwrap().check_unique(&hosts), Ok(()));
        let error = register("h2", &["192.0.2.1"]).unwrap().check_unique(&hosts).unwrap_err();
        assert!(matches!(&error, InvalidHost::Taken { other, .. } if other == "h1"), "{error}");
    }
}
