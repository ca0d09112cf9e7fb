//! The fleet as people ask for it.

use std::collections::BTreeMap;

use ringfence_policy::bundle::CompiledInterface;
use ringfence_proto::v1;

use super::{Domain, Fleet, admission::Ranked};

/// How far a domain has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DomainView {
    /// `tenant/domain`.
    pub name: String,
    /// As published.
    pub generation: u64,
    /// Every host that needs it, by name; then those that leave it and have not said yet that it is gone.
    pub hosts: Vec<HostProgress>,
}

/// How far a host has come with a domain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostProgress {
    /// Its name.
    pub host: String,
    /// Its agent is connected.
    pub connected: bool,
    /// What it acked last; 0: nothing.
    pub acked: u64,
    /// The generation it refused after that, and why.
    pub refused: Option<(u64, String)>,
}

/// A host that a domain needs or an agent speaks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostView {
    /// Its agent is connected.
    pub connected: bool,
    /// How many domains need it.
    pub domains: usize,
    /// How many interfaces it runs.
    pub interfaces: usize,
    /// How many of them are up.
    pub interfaces_up: usize,
    /// What its agent found changed by somebody else, and put back.
    pub put_back: Vec<v1::PutBack>,
}

/// An interface as its host reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InterfaceView<'a> {
    /// As compiled.
    pub interface: &'a CompiledInterface,
    /// What its host says of its device.
    pub device: DeviceState,
    /// How many other hosts of the domain do not know it yet.
    pub hosts_behind: usize,
}

/// How an interface's device stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceState {
    /// Its host reported none that is enforced.
    Absent,
    /// Enforced, and not admitted yet.
    Enforced,
    /// Enforced and admitted.
    Up,
}

// === impl Fleet ===

impl Fleet {
    /// How far a domain has come.
    pub fn domain(&self, name: &str) -> Option<DomainView> {
        let domain = self.domains.get(self.names.get(name)?)?;
        // One that leaves has nothing acked of what the domain is now.
        let leaving = domain.leaving.iter().map(|host| (host, 0));
        let hosts = domain.acked.iter().map(|(host, acked)| (host, *acked)).chain(leaving);
        let hosts = hosts.map(|(host, acked)| HostProgress {
            host: host.clone(),
            connected: self.connected(host),
            acked,
            refused: domain.refused.get(host).cloned(),
        });
        Some(DomainView {
            name: name.to_owned(),
            generation: domain.compiled.bundle.generation,
            hosts: hosts.collect(),
        })
    }

    /// The interfaces of a domain, by ascending id.
    pub fn interfaces(&self, domain: &str) -> impl Iterator<Item = InterfaceView<'_>> {
        let domain = self.names.get(domain).and_then(|id| self.domains.get(id));
        domain.into_iter().flat_map(move |domain| {
            let ranked = Ranked::of(&domain.acked);
            let interfaces = domain.compiled.bundle.interfaces.iter();
            interfaces.map(move |interface| self.interface(domain, &ranked, interface))
        })
    }

    /// Every domain's name.
    pub fn domain_names(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    /// Every host that a domain needs or an agent speaks for, by name.
    pub fn hosts(&self) -> BTreeMap<&str, HostView> {
        let views = self.hosts.iter().map(|(name, host)| {
            let view = HostView {
                connected: host.inbox.is_some(),
                domains: host.domains.len(),
                put_back: host.put_back.clone(),
                ..HostView::default()
            };
            (name.as_str(), view)
        });
        let mut views: BTreeMap<_, _> = views.collect();
        for interface in self.names.keys().flat_map(|name| self.interfaces(name)) {
            if let Some(view) = views.get_mut(interface.interface.host.as_str()) {
                view.interfaces += 1;
                view.interfaces_up += usize::from(interface.device == DeviceState::Up);
            }
        }
        views
    }

    /// Whether a host's agent is connected.
    pub fn connected(&self, host: &str) -> bool {
        self.hosts.get(host).is_some_and(|host| host.inbox.is_some())
    }

    fn interface<'a>(
        &self,
        domain: &Domain,
        ranked: &Ranked<'_>,
        interface: &'a CompiledInterface,
    ) -> InterfaceView<'a> {
        let host = self.hosts.get(&interface.host);
        let enforced = host.is_some_and(|host| host.devices.contains_key(&interface.id));
        let standing = domain.admission.standing(interface.id);
        let device = match (enforced, standing) {
            (false, _) => DeviceState::Absent,
            (true, Some(standing)) if standing.up => DeviceState::Up,
            (true, _) => DeviceState::Enforced,
        };
        let hosts_behind = standing.map_or(0, |standing| ranked.behind(standing));
        InterfaceView { interface, device, hosts_behind }
    }
}
