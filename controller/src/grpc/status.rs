//! The state of everything at a glance.

use std::collections::BTreeMap;

use ringfence_policy::object::Kind;
use ringfence_proto::v1::{self, interface_status::State};

use super::rollout;
use crate::{
    catalog::Catalog,
    controller::Controller,
    fleet::{DeviceState, Fleet, HostView, InterfaceView},
};

/// Hosts, domains and interfaces as they are now.
pub(super) fn status(controller: &Controller) -> v1::StatusResponse {
    let (revision, registered) = {
        let catalog = controller.catalog();
        (catalog.revision(), registered(&catalog))
    };
    let fleet = controller.fleet();
    let domains = fleet.domain_names().filter_map(|name| domain(&fleet, name)).collect();
    v1::StatusResponse { revision, hosts: hosts(&fleet, registered), domains }
}

fn domain(fleet: &Fleet, name: &str) -> Option<v1::DomainStatus> {
    let view = fleet.domain(name)?;
    Some(v1::DomainStatus {
        name: name.to_owned(),
        generation: view.generation,
        hosts: rollout::hosts(&view, view.generation),
        interfaces: fleet.interfaces(name).map(|view| interface(&view)).collect(),
    })
}

fn interface(view: &InterfaceView<'_>) -> v1::InterfaceStatus {
    let state = match view.device {
        DeviceState::Absent => State::NoDevice,
        DeviceState::Enforced => State::Enforced,
        DeviceState::Up => State::Up,
    };
    v1::InterfaceStatus {
        workload: view.interface.workload.clone(),
        name: view.interface.name.clone(),
        host: view.interface.host.clone(),
        device: view.interface.device.clone(),
        state: state.into(),
        hosts_behind: count(view.hosts_behind),
    }
}

/// Hosts that registered and hosts that a domain needs: either alone is worth seeing.
fn hosts(fleet: &Fleet, registered: BTreeMap<String, v1::HostSpec>) -> Vec<v1::HostStatus> {
    let mut views = fleet.hosts();
    let mut hosts: BTreeMap<String, v1::HostStatus> = BTreeMap::new();
    for (name, spec) in registered {
        let view = views.remove(name.as_str()).unwrap_or_default();
        hosts.insert(name.clone(), host(name, spec, view));
    }
    for (name, view) in views {
        hosts.insert(name.to_owned(), host(name.to_owned(), v1::HostSpec::default(), view));
    }
    hosts.into_values().collect()
}

fn host(name: String, spec: v1::HostSpec, view: HostView) -> v1::HostStatus {
    v1::HostStatus {
        name,
        underlay: spec.underlay,
        connected: view.connected,
        agent_version: spec.agent_version,
        domains: count(view.domains),
        interfaces: count(view.interfaces),
        interfaces_up: count(view.interfaces_up),
        put_back: view.put_back,
    }
}

fn registered(catalog: &Catalog) -> BTreeMap<String, v1::HostSpec> {
    let hosts = catalog.objects().iter().filter(|(key, _)| key.kind == Kind::Host);
    hosts
        .filter_map(|(key, object)| match &object.spec {
            Some(v1::object::Spec::Host(spec)) => Some((key.name.clone(), spec.clone())),
            _ => None,
        })
        .collect()
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
