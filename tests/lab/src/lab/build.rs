//! How a lab comes into being.

use std::{ffi::OsString, net::IpAddr};

use anyhow::{Context, Result};

use super::{Host, Lab, Options, in_domain};
use crate::{
    cabling,
    daemon::Daemon,
    layout::{INTERNET, Machine, MachinePlan, OFFICE, underlay_mtu},
    netns::Namespace,
    probe::Endpoint,
    registry::Registration,
};

impl Lab {
    pub(super) fn build(&mut self, fabric: &Namespace, options: &Options) -> Result<()> {
        for plan in self.layout.hosts.clone() {
            let namespace = Namespace::create(&self.registration.namespace(&plan.name))?;
            cabling::connect(fabric, &namespace, &plan, underlay_mtu(options.jumbo))?;
            let host = Host { namespace, underlay: plan.addresses.map(|address| address.addr()), agent: None };
            self.hosts.insert(plan.name, host);
        }
        if options.guests {
            self.make_taps()?;
        } else {
            self.attach_workloads()?;
        }
        self.attach_outsides()?;
        self.connect_machines(fabric, underlay_mtu(options.jumbo))?;
        if !options.bare {
            self.start_daemons(options)?;
        }
        Ok(())
    }

    fn attach_workloads(&mut self) -> Result<()> {
        for link in self.layout.attachments.clone() {
            let name = in_domain(&link.domain, &link.workload);
            let namespace = self.make_endpoint(
                &name,
                &link.domain,
                &[(&link.workload, link.addresses.iter().map(|net| net.addr()).collect())],
            )?;
            cabling::attach(&self.host(&link.host)?.namespace, &namespace, &link)?;
        }
        Ok(())
    }

    fn make_taps(&self) -> Result<()> {
        for link in &self.layout.attachments {
            cabling::make_tap(&self.host(&link.host)?.namespace, link)?;
        }
        Ok(())
    }

    fn attach_outsides(&mut self) -> Result<()> {
        for uplink in self.layout.uplinks.clone() {
            let name = in_domain(&uplink.domain, "outside");
            let namespace = self.make_endpoint(
                &name,
                &uplink.domain,
                &[("internet", INTERNET.to_vec()), ("office", OFFICE.to_vec())],
            )?;
            cabling::attach_outside(&self.host(&uplink.host)?.namespace, &namespace, &uplink)?;
        }
        Ok(())
    }

    fn connect_machines(&mut self, fabric: &Namespace, mtu: u32) -> Result<()> {
        for router in &self.layout.routers {
            let world = &self.endpoint(&router.domain, "internet")?.namespace;
            cabling::connect_router(fabric, world, &router.plan, mtu)?;
        }
        for machine in self.layout.machines.clone() {
            let namespace = self.host(&machine.host)?.namespace.clone();
            cabling::route_machine(&namespace, &machine)?;
            leave_echoes(&namespace)?;
            let Machine { domain, workload: name, addresses, .. } = machine;
            self.endpoints.push(Endpoint { domain, name, namespace, addresses });
        }
        Ok(())
    }

    /// A namespace with whoever answers in it.
    fn make_endpoint(&mut self, name: &str, domain: &str, who: &[(&str, Vec<IpAddr>)]) -> Result<Namespace> {
        let namespace = Namespace::create(&self.registration.namespace(name))?;
        cabling::quick_ipv6(&namespace)?;
        leave_echoes(&namespace)?;
        self.endpoints.extend(who.iter().map(|(name, addresses)| Endpoint {
            domain: domain.to_owned(),
            name: (*name).to_owned(),
            namespace: namespace.clone(),
            addresses: addresses.clone(),
        }));
        Ok(namespace)
    }

    fn start_daemons(&mut self, options: &Options) -> Result<()> {
        self.start_controller(options)?;
        self.start_agents(options)
    }

    /// Starts the controller of a lab that was raised bare.
    pub fn start_controller(&mut self, options: &Options) -> Result<()> {
        let directory = self.registration.directory();
        let controller = Daemon::start(
            &self.controller_machine,
            options.program("ringfence-controller")?,
            vec![
                "--listen".into(),
                self.listen.to_string().into(),
                "--data-dir".into(),
                directory.join("controller").into(),
            ],
            directory.join("controller.log"),
        )?;
        self.controller = Some(controller);
        self.wait_for_controller()
    }

    /// Starts the agents of a lab that was raised bare.
    pub fn start_agents(&mut self, options: &Options) -> Result<()> {
        let directory = self.registration.directory();
        for plan in self.layout.hosts.clone() {
            let arguments = agent_arguments(&self.registration, &plan, options, &self.controller_url());
            let log = directory.join(format!("{}.log", plan.name));
            let host = self.hosts.get_mut(&plan.name).context("a host without a namespace")?;
            host.agent = Some(Daemon::start(&host.namespace, options.program("ringfence-agent")?, arguments, log)?);
        }
        self.wait_for_agents()
    }
}

/// Echo requests are left to the lab's own responders, since the kernel's answer does not say whose it is.
fn leave_echoes(namespace: &Namespace) -> Result<()> {
    namespace.sysctl("net/ipv4/ping_group_range", "0 0")?;
    namespace.sysctl("net/ipv4/icmp_echo_ignore_all", "1")?;
    namespace.sysctl("net/ipv6/icmp/echo_ignore_all", "1")
}

fn agent_arguments(
    registration: &Registration,
    plan: &MachinePlan,
    options: &Options,
    controller_url: &str,
) -> Vec<OsString> {
    let underlay = plan.addresses[options.underlay as usize].addr();
    [
        ("--host", OsString::from(&plan.name)),
        ("--controller", controller_url.into()),
        ("--underlay-address", underlay.to_string().into()),
        ("--bpffs", registration.pins().join(&plan.name).into()),
        ("--state-dir", registration.directory().join(&plan.name).into()),
    ]
    .into_iter()
    .flat_map(|(flag, value)| [flag.into(), value])
    .chain((!options.shared).then(|| "--dedicated".into()))
    .collect()
}
