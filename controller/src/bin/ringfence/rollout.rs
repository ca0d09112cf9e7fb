//! How far a generation has come on the hosts: the data, and the lines people read.

use std::{collections::BTreeMap, time::Duration};

use ringfence_proto::v1;
use serde::Serialize;

/// One state of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Progress {
    /// Every host concerned enforces what it should.
    pub(crate) done: bool,
    /// Each domain waited for.
    pub(crate) domains: Vec<Domain>,
}

/// One domain of a rollout.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Domain {
    /// `tenant/domain`.
    pub(crate) domain: String,
    /// The generation waited for.
    pub(crate) generation: u64,
    /// The hosts concerned.
    pub(crate) hosts: Vec<Host>,
}

/// One host and one domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Host {
    /// Its name.
    pub(crate) host: String,
    /// Its agent is connected to the controller.
    pub(crate) connected: bool,
    /// The last generation it enforces; 0: none.
    pub(crate) acked: u64,
    /// Why it refused the newest generation; empty: it did not.
    pub(crate) nacked: String,
}

/// Why a rollout is no longer watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The controller has no more to tell.
    Told,
    /// It took longer than this.
    Deadline(Duration),
}

/// Lines already shown, so that only what changed is shown again.
#[derive(Debug, Default)]
pub(crate) struct Shown {
    by_domain: BTreeMap<String, String>,
    /// Lines that stand on the terminal, to be overwritten.
    height: usize,
}

// === impl Host ===

impl Host {
    /// Whether it enforces this generation or a later one.
    pub(crate) fn enforces(&self, generation: u64) -> bool {
        self.acked >= generation
    }

    /// Why it does not enforce this generation; `None`: it does.
    pub(crate) fn behind(&self, generation: u64) -> Option<String> {
        let host = &self.host;
        if self.enforces(generation) {
            None
        } else if !self.nacked.is_empty() {
            Some(format!("{host}: refused it: {}", self.nacked))
        } else if !self.connected {
            Some(format!("{host}: not connected"))
        } else if self.acked == 0 {
            Some(format!("{host}: enforces none yet"))
        } else {
            Some(format!("{host}: still enforces {}", self.acked))
        }
    }
}

impl From<v1::HostRollout> for Host {
    fn from(message: v1::HostRollout) -> Self {
        let v1::HostRollout { host, connected, acked, nacked } = message;
        Self { host, connected, acked, nacked }
    }
}

// === impl Domain ===

impl Domain {
    /// `acme/prod generation 12: 2/3 hosts enforce it (waiting for h3: not connected)`.
    fn line(&self) -> String {
        let Self { domain, generation, hosts } = self;
        if hosts.is_empty() {
            return format!("{domain} generation {generation}: no host has anything of it");
        }
        let enforcing = hosts.iter().filter(|host| host.enforces(*generation)).count();
        let behind: Vec<_> = hosts.iter().filter_map(|host| host.behind(*generation)).collect();
        let waiting = if behind.is_empty() { String::new() } else { format!(" (waiting for {})", behind.join("; ")) };
        format!("{domain} generation {generation}: {enforcing}/{} hosts enforce it{waiting}", hosts.len())
    }

    /// Hosts that refused it, as `acme/prod: h2: refused it: …`.
    fn refusals(&self) -> impl Iterator<Item = String> {
        let refused = self.hosts.iter().filter(|host| !host.nacked.is_empty());
        refused.filter_map(|host| Some(format!("{}: {}", self.domain, host.behind(self.generation)?)))
    }
}

// === impl Progress ===

impl Progress {
    /// What to say when the rollout is no longer watched; nothing if it is done.
    pub(crate) fn shortfall(&self, end: End) -> Vec<String> {
        if self.done {
            return Vec::new();
        }
        let mut lines: Vec<_> = self.domains.iter().flat_map(Domain::refusals).collect();
        match end {
            End::Deadline(time) => lines.push(format!(
                "not every host enforces it after {time:?}; it goes on without being watched, see `ringfence status`"
            )),
            End::Told if lines.is_empty() => {
                lines.push("the controller stopped telling how it goes; see `ringfence status`".to_owned());
            }
            End::Told => {}
        }
        lines
    }
}

impl From<v1::RolloutProgress> for Progress {
    fn from(message: v1::RolloutProgress) -> Self {
        let v1::RolloutProgress { domains, done } = message;
        let domain = |message| {
            let v1::DomainRollout { domain, generation, hosts } = message;
            Domain { domain, generation, hosts: hosts.into_iter().map(Host::from).collect() }
        };
        Self { done, domains: domains.into_iter().map(domain).collect() }
    }
}

// === impl Shown ===

impl Shown {
    /// The lines that differ from those shown before, for a log.
    pub(crate) fn append(&mut self, progress: &Progress) -> String {
        let mut text = String::new();
        for domain in &progress.domains {
            let line = domain.line();
            if self.by_domain.get(&domain.domain) != Some(&line) {
                text.push_str(&line);
                text.push('\n');
                self.by_domain.insert(domain.domain.clone(), line);
            }
        }
        text
    }

    /// All lines in place of those shown before, for a terminal: up, clear below, and without wrapping, so that a
    /// line is always one line high.
    pub(crate) fn repaint(&mut self, progress: &Progress) -> String {
        let up = if self.height == 0 { String::new() } else { format!("\x1b[{}A", self.height) };
        self.height = progress.domains.len();
        let lines: String = progress.domains.iter().map(|domain| domain.line() + "\n").collect();
        format!("{up}\x1b[0J\x1b[?7l{lines}\x1b[?7h")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(host: &str, connected: bool, acked: u64, nacked: &str) -> Host {
        Host { host: host.into(), connected, acked, nacked: nacked.into() }
    }

    fn progress(hosts: Vec<Host>) -> Progress {
        Progress { done: false, domains: vec![Domain { domain: "acme/prod".into(), generation: 12, hosts }] }
    }

    fn line(hosts: Vec<Host>) -> String {
        Shown::default().append(&progress(hosts))
    }

    #[test]
    fn a_line_counts_who_enforces_and_names_who_does_not() {
        let hosts = vec![host("h1", true, 12, ""), host("h2", true, 13, ""), host("h3", false, 0, "")];
        assert_eq!(line(hosts), "acme/prod generation 12: 2/3 hosts enforce it (waiting for h3: not connected)\n");
    }

    #[test]
    fn each_host_behind_says_why() {
        let hosts = vec![host("h1", true, 0, ""), host("h2", true, 11, ""), host("h3", true, 11, "no such feature")];
        assert_eq!(
            line(hosts),
            "acme/prod generation 12: 0/3 hosts enforce it (waiting for h1: enforces none yet; \
             h2: still enforces 11; h3: refused it: no such feature)\n"
        );
    }

    #[test]
    fn a_host_that_acked_before_it_went_away_still_enforces() {
        assert_eq!(line(vec![host("h1", false, 12, "")]), "acme/prod generation 12: 1/1 hosts enforce it\n");
    }

    #[test]
    fn a_domain_on_no_host_waits_for_none() {
        assert_eq!(line(vec![]), "acme/prod generation 12: no host has anything of it\n");
    }

    #[test]
    fn a_log_gets_a_line_only_when_it_changed() {
        let mut shown = Shown::default();
        let waiting = progress(vec![host("h1", true, 0, "")]);
        assert!(!shown.append(&waiting).is_empty());
        assert_eq!(shown.append(&waiting), "");
        assert!(!shown.append(&progress(vec![host("h1", true, 12, "")])).is_empty());
    }

    #[test]
    fn a_terminal_line_is_overwritten_in_place() {
        let mut shown = Shown::default();
        let state = progress(vec![host("h1", true, 12, "")]);
        let body = "\x1b[0J\x1b[?7lacme/prod generation 12: 1/1 hosts enforce it\n\x1b[?7h";
        assert_eq!(shown.repaint(&state), body);
        assert_eq!(shown.repaint(&state), format!("\x1b[1A{body}"));
    }

    #[test]
    fn a_refusal_names_domain_host_and_reason_and_a_late_ack_ends_it() {
        let refused = progress(vec![host("h1", true, 11, "no room"), host("h2", true, 12, "was full")]);
        assert_eq!(refused.shortfall(End::Told), ["acme/prod: h1: refused it: no room"]);
    }

    #[test]
    fn whatever_ends_a_rollout_early_is_said() {
        let waiting = progress(vec![host("h1", true, 11, "")]);
        let late = waiting.shortfall(End::Deadline(Duration::from_secs(30)));
        assert!(late.len() == 1 && late[0].contains("after 30s"), "{late:?}");
        assert_eq!(waiting.shortfall(End::Told).len(), 1);
        let done = Progress { done: true, ..waiting };
        assert!(done.shortfall(End::Told).is_empty());
    }
}
