//! The document and the tables of `status`.

use std::collections::BTreeSet;

use ringfence_policy::model::format_moment;
use ringfence_proto::v1::{self, interface_status::State as WireState};
use serde::Serialize;

use crate::{output::columns, rollout};

/// How everything is.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Overview {
    /// Every host is connected and enforces the newest generations, every interface is up.
    pub(crate) ok: bool,
    revision: u64,
    hosts: Vec<Host>,
    domains: Vec<Domain>,
}

/// One host.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Host {
    name: String,
    underlay: Vec<String>,
    connected: bool,
    agent_version: String,
    domains: u32,
    interfaces: u32,
    interfaces_up: u32,
    put_back: Vec<PutBack>,
}

/// What an agent found changed by somebody else, and put back.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct PutBack {
    what: String,
    device: String,
    times: u64,
    /// The last time, in seconds since 1970-01-01T00:00:00Z.
    last_s: u64,
}

/// One domain.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Domain {
    name: String,
    generation: u64,
    hosts: Vec<rollout::Host>,
    interfaces: Vec<Interface>,
}

/// One interface.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Interface {
    workload: String,
    name: String,
    host: String,
    device: String,
    state: State,
    hosts_behind: u32,
}

/// How far an interface is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
enum State {
    /// The host has no device of that name, or was not heard of.
    NoDevice,
    /// The device enforces and waits for the other hosts to know it.
    Enforced,
    /// It carries traffic.
    Up,
}

// === impl Overview ===

impl Overview {
    /// The tables of hosts and domains, one of what is not up if anything is not, and one of what agents had to put back.
    pub(crate) fn tables(&self) -> String {
        let hosts = columns(
            ["HOST", "CONNECTED", "AGENT", "UNDERLAY", "DOMAINS", "INTERFACES UP"],
            self.hosts.iter().map(Host::row),
        );
        let domains = columns(
            ["DOMAIN", "GENERATION", "HOSTS ENFORCING", "INTERFACES UP", "BEHIND"],
            self.domains.iter().map(Domain::row),
        );
        let connected: BTreeSet<_> = self.hosts.iter().filter(|host| host.connected).map(|host| &*host.name).collect();
        let down: Vec<_> = self.domains.iter().flat_map(|domain| domain.rows_down(&connected)).collect();
        let mut text = format!("{hosts}\n{domains}");
        if !down.is_empty() {
            text.push('\n');
            text.push_str(&columns(["NOT UP", "HOST", "DEVICE", "WHY"], down));
        }
        let put_back: Vec<_> = self.hosts.iter().flat_map(Host::rows_put_back).collect();
        if !put_back.is_empty() {
            text.push('\n');
            text.push_str(&columns(["PUT BACK", "HOST", "DEVICE", "TIMES", "LAST"], put_back));
        }
        text
    }
}

impl From<v1::StatusResponse> for Overview {
    fn from(message: v1::StatusResponse) -> Self {
        let v1::StatusResponse { revision, hosts, domains } = message;
        let hosts: Vec<_> = hosts.into_iter().map(Host::from).collect();
        let domains: Vec<_> = domains.into_iter().map(Domain::from).collect();
        let ok = hosts.iter().all(|host| host.connected) && domains.iter().all(Domain::is_ok);
        Self { ok, revision, hosts, domains }
    }
}

// === impl Host ===

impl Host {
    fn row(&self) -> [String; 6] {
        [
            self.name.clone(),
            if self.connected { "yes" } else { "no" }.to_owned(),
            self.agent_version.clone(),
            self.underlay.join(","),
            self.domains.to_string(),
            format!("{}/{}", self.interfaces_up, self.interfaces),
        ]
    }

    fn rows_put_back(&self) -> impl Iterator<Item = [String; 5]> {
        self.put_back.iter().map(|it| {
            let last = format_moment(it.last_s);
            [it.what.clone(), self.name.clone(), it.device.clone(), it.times.to_string(), last]
        })
    }
}

impl From<v1::PutBack> for PutBack {
    fn from(message: v1::PutBack) -> Self {
        let v1::PutBack { what, device, times, last_s } = message;
        Self { what, device, times, last_s }
    }
}

impl From<v1::HostStatus> for Host {
    fn from(message: v1::HostStatus) -> Self {
        let v1::HostStatus { name, underlay, connected, agent_version, domains, interfaces, interfaces_up, put_back } =
            message;
        let put_back = put_back.into_iter().map(PutBack::from).collect();
        Self { name, underlay, connected, agent_version, domains, interfaces, interfaces_up, put_back }
    }
}

// === impl Domain ===

impl Domain {
    fn is_ok(&self) -> bool {
        self.hosts.iter().all(|host| host.enforces(self.generation)) && self.up() == self.interfaces.len()
    }

    fn up(&self) -> usize {
        self.interfaces.iter().filter(|interface| interface.state == State::Up).count()
    }

    fn row(&self) -> [String; 5] {
        let enforcing = self.hosts.iter().filter(|host| host.enforces(self.generation)).count();
        let behind: Vec<_> = self.hosts.iter().filter_map(|host| host.behind(self.generation)).collect();
        [
            self.name.clone(),
            self.generation.to_string(),
            format!("{enforcing}/{}", self.hosts.len()),
            format!("{}/{}", self.up(), self.interfaces.len()),
            behind.join("; "),
        ]
    }

    /// Its interfaces that are not up, given the hosts that are connected.
    fn rows_down(&self, connected: &BTreeSet<&str>) -> Vec<[String; 4]> {
        let down = self.interfaces.iter().filter(|interface| interface.state != State::Up);
        down.map(|interface| {
            let name = format!("{} {}/{}", self.name, interface.workload, interface.name);
            [name, interface.host.clone(), interface.device.clone(), interface.why_down(connected)]
        })
        .collect()
    }
}

impl From<v1::DomainStatus> for Domain {
    fn from(message: v1::DomainStatus) -> Self {
        let v1::DomainStatus { name, generation, hosts, interfaces } = message;
        Self {
            name,
            generation,
            hosts: hosts.into_iter().map(rollout::Host::from).collect(),
            interfaces: interfaces.into_iter().map(Interface::from).collect(),
        }
    }
}

// === impl Interface ===

impl Interface {
    fn why_down(&self, connected: &BTreeSet<&str>) -> String {
        match (self.state, self.hosts_behind) {
            // What it said last of its device may be so no longer.
            _ if !connected.contains(&*self.host) => "its host is not connected".to_owned(),
            (State::NoDevice, _) => format!("{} has no device {}", self.host, self.device),
            (_, 0) => "enforced, about to be set up".to_owned(),
            (_, 1) => "enforced, waits for 1 host to know it".to_owned(),
            (_, behind) => format!("enforced, waits for {behind} hosts to know it"),
        }
    }
}

impl From<v1::InterfaceStatus> for Interface {
    fn from(message: v1::InterfaceStatus) -> Self {
        let state = match message.state() {
            // What this version cannot name is not claimed to be enforced.
            WireState::Unspecified | WireState::NoDevice => State::NoDevice,
            WireState::Enforced => State::Enforced,
            WireState::Up => State::Up,
        };
        let v1::InterfaceStatus { workload, name, host, device, state: _, hosts_behind } = message;
        Self { workload, name, host, device, state, hosts_behind }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response() -> v1::StatusResponse {
        let host = |name: &str, connected| v1::HostStatus {
            name: name.into(),
            underlay: vec!["192.0.2.1".into()],
            connected,
            agent_version: "0.1.0".into(),
            domains: 1,
            interfaces: 1,
            interfaces_up: 1,
            put_back: Vec::new(),
        };
        let interface = |workload: &str, host: &str| v1::InterfaceStatus {
            workload: workload.into(),
            name: "eth0".into(),
            host: host.into(),
            device: "rf1".into(),
            state: WireState::Up.into(),
            hosts_behind: 0,
        };
        let acked =
            |host: &str| v1::HostRollout { host: host.into(), connected: true, acked: 12, nacked: String::new() };
        v1::StatusResponse {
            revision: 14,
            hosts: vec![host("h1", true), host("h2", true)],
            domains: vec![v1::DomainStatus {
                name: "acme/prod".into(),
                generation: 12,
                hosts: vec![acked("h1"), acked("h2")],
                interfaces: vec![interface("web-1", "h1"), interface("app-1", "h2")],
            }],
        }
    }

    fn with(change: impl FnOnce(&mut v1::StatusResponse)) -> Overview {
        let mut message = response();
        change(&mut message);
        Overview::from(message)
    }

    #[test]
    fn all_well_is_two_tables() {
        let overview = with(|_| ());
        assert!(overview.ok);
        assert_eq!(
            overview.tables(),
            "HOST  CONNECTED  AGENT  UNDERLAY   DOMAINS  INTERFACES UP\n\
             h1    yes        0.1.0  192.0.2.1  1        1/1\n\
             h2    yes        0.1.0  192.0.2.1  1        1/1\n\
             \n\
             DOMAIN     GENERATION  HOSTS ENFORCING  INTERFACES UP  BEHIND\n\
             acme/prod  12          2/2              2/2            -\n"
        );
    }

    #[test]
    fn a_host_that_is_not_connected_is_not_ok_even_if_it_enforces() {
        assert!(!with(|status| status.hosts[1].connected = false).ok);
    }

    #[test]
    fn a_host_behind_is_not_ok_and_says_why() {
        let overview = with(|status| {
            status.domains[0].hosts[1].acked = 11;
            status.domains[0].hosts[1].nacked = "needs feature x".into();
        });
        assert!(!overview.ok);
        let tables = overview.tables();
        assert!(tables.contains("1/2              2/2            h2: refused it: needs feature x\n"), "{tables}");
    }

    #[test]
    fn an_interface_that_is_not_up_is_not_ok_and_is_listed() {
        let overview = with(|status| {
            status.domains[0].interfaces[0].state = WireState::NoDevice.into();
            status.domains[0].interfaces[1].state = WireState::Enforced.into();
            status.domains[0].interfaces[1].hosts_behind = 1;
        });
        assert!(!overview.ok);
        let tables = overview.tables();
        let listed = "NOT UP                HOST  DEVICE  WHY\n\
                      acme/prod web-1/eth0  h1    rf1     h1 has no device rf1\n\
                      acme/prod app-1/eth0  h2    rf1     enforced, waits for 1 host to know it\n";
        assert!(tables.ends_with(listed), "{tables}");
    }

    #[test]
    fn an_interface_that_is_not_up_on_a_host_that_is_away_says_so() {
        for state in [WireState::NoDevice, WireState::Enforced] {
            let overview = with(|status| {
                status.domains[0].interfaces[0].state = state.into();
                status.hosts[0].connected = false;
            });
            let tables = overview.tables();
            assert!(tables.ends_with("acme/prod web-1/eth0  h1    rf1     its host is not connected\n"), "{tables}");
        }
    }

    #[test]
    fn what_a_host_put_back_is_listed_and_leaves_all_well() {
        let overview = with(|status| {
            let device = "rf1".to_owned();
            let what = "program from_workload".to_owned();
            status.hosts[1].put_back = vec![v1::PutBack { what, device, times: 2, last_s: 1_700_000_000 }];
        });
        assert!(overview.ok);
        let tables = overview.tables();
        let listed = "PUT BACK               HOST  DEVICE  TIMES  LAST\n\
                      program from_workload  h2    rf1     2      2023-11-14T22:13:20Z\n";
        assert!(tables.ends_with(listed), "{tables}");
    }

    #[test]
    fn a_state_of_a_later_version_does_not_count_as_up() {
        assert!(!with(|status| status.domains[0].interfaces[0].state = 9).ok);
    }
}
