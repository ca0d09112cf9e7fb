//! What can be done with a lab that is up.

use std::{net::TcpStream, path::Path, process::Output, time::Duration};

use anyhow::{Context, Result, bail};
use nix::{ifaddrs::getifaddrs, net::if_::InterfaceFlags};

use super::{Lab, in_domain};
use crate::{
    daemon::{Daemon, find_program},
    netns::Namespace,
    wait,
};

/// How long a lab may take to come up, or a change to arrive.
const PATIENCE: Duration = Duration::from_secs(30);

/// What the CLI printed.
#[derive(Clone, Debug)]
pub struct Printed {
    /// On standard output.
    pub answer: String,
    /// On standard error.
    pub progress: String,
}

impl Lab {
    /// Runs `ringfence` on the controller's machine.
    pub fn cli(&self, arguments: &[&str]) -> Result<Output> {
        self.controller_machine
            .command(find_program("ringfence")?)?
            .env("RINGFENCE_ADDRESS", self.controller_url())
            .args(arguments)
            .output()
            .context("cannot run ringfence")
    }

    /// Runs `ringfence`, an error unless it succeeds.
    pub fn cli_ok(&self, arguments: &[&str]) -> Result<Printed> {
        let output = self.cli(arguments)?;
        let [answer, progress] = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned());
        if !output.status.success() {
            bail!("`ringfence {}`: {}\n{answer}{progress}", arguments.join(" "), output.status);
        }
        Ok(Printed { answer, progress })
    }

    /// Applies a file and waits until every host enforces it and every interface is up.
    pub fn apply(&mut self, file: &Path) -> Result<Printed> {
        let printed = self.cli_ok(&["apply", "-f", &file.display().to_string()]);
        let printed = self.note(printed)?;
        self.wait_until_up()?;
        Ok(printed)
    }

    /// Waits until every workload's link has a carrier: its host's agent enforces and the
    /// controller admitted it.
    pub fn wait_until_up(&mut self) -> Result<()> {
        let waited = wait::until("every workload's link is up", PATIENCE, || {
            self.check_daemons()?;
            for link in self.layout.attachments.iter().filter(|_| !self.guests) {
                let name = in_domain(&link.domain, &link.workload);
                let namespace = Namespace::open(&self.registration.namespace(&name))?;
                if !namespace.run(|| has_carrier(&link.interface))? {
                    return Ok(false);
                }
            }
            Ok(true)
        });
        self.note(waited)
    }

    /// Waits until the controller can be talked to.
    pub fn wait_for_controller(&mut self) -> Result<()> {
        let waited = wait::until("the controller listens", PATIENCE, || {
            if let Some(controller) = &mut self.controller {
                controller.check()?;
            }
            let (listen, patience) = (self.listen, Duration::from_secs(1));
            self.controller_machine.run(|| Ok(TcpStream::connect_timeout(&listen, patience).is_ok()))
        });
        self.note(waited)
    }

    /// Whether, by the controller's word, every host is connected and enforces the newest policy, and
    /// every interface is up.
    pub fn is_settled(&self) -> Result<bool> {
        Ok(self.cli(&["status"])?.status.success())
    }

    /// Waits until [`Self::is_settled`] says so.
    pub fn wait_until_settled(&mut self, settled: bool) -> Result<()> {
        let waited = wait::until("the status is as it should be", PATIENCE, || {
            self.check_daemons()?;
            Ok(self.is_settled()? == settled)
        });
        self.note(waited)
    }

    /// Restarts every agent with further arguments, and waits until all is well again.
    pub fn restart_agents(&mut self, further: &[&str]) -> Result<()> {
        for agent in self.agents() {
            agent.stop()?;
        }
        self.wait_until_settled(false)?;
        for agent in self.agents() {
            agent.start_again(further)?;
        }
        self.wait_until_settled(true)
    }

    /// An error if a daemon has ended by itself.
    pub fn check_daemons(&mut self) -> Result<()> {
        if let Some(controller) = &mut self.controller {
            controller.check()?;
        }
        self.agents().try_for_each(Daemon::check)
    }

    /// Waits until the controller is connected to every agent.
    pub(super) fn wait_for_agents(&mut self) -> Result<()> {
        wait::until("every agent has reported to the controller", PATIENCE, || {
            self.check_daemons()?;
            Ok(self.connected_hosts()? == self.hosts.len())
        })
    }

    fn connected_hosts(&self) -> Result<usize> {
        let status = self.cli(&["status", "-o", "json"])?;
        let status: serde_json::Value = serde_json::from_slice(&status.stdout).context("the status is not JSON")?;
        let hosts = status["hosts"].as_array().context("the status names no hosts")?;
        Ok(hosts.iter().filter(|host| host["connected"] == true).count())
    }
}

fn has_carrier(device: &str) -> Result<bool> {
    let carrying = InterfaceFlags::IFF_UP | InterfaceFlags::IFF_RUNNING;
    Ok(getifaddrs()
        .context("cannot list interfaces")?
        .any(|it| it.interface_name == device && it.flags.contains(carrying)))
}
