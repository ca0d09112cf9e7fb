//! A whole lab: raised from policy files, removed when dropped.

mod build;
mod help;
mod operate;

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

pub use self::{help::enter_help, operate::Printed};
use crate::{
    cabling,
    daemon::{Daemon, find_program, program_in},
    files::read_objects,
    interrupt,
    layout::{Layout, Underlay, machine, underlay_mtu},
    netns::Namespace,
    probe::Endpoint,
    registry::Registration,
};

/// Where the controller is on the underlay; hosts come after it.
const CONTROLLER_NUMBER: u8 = 1;

const CONTROLLER_PORT: u16 = 7420;

/// What kind of lab.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// What the overlay runs on.
    pub underlay: Underlay,
    /// The underlay carries packets of 9000 bytes, not 1500.
    pub jumbo: bool,
    /// No controller and no agents: bare kernels, for negative controls.
    pub bare: bool,
    /// Workloads are machines to boot ([`crate::guest`]): their devices are TAPs, and they have no namespaces.
    pub guests: bool,
    /// The hosts are not given over to Ringfence: devices that nobody names are left alone.
    pub shared: bool,
    /// Where the daemons' programs are, if they are another release's.
    pub release: Option<PathBuf>,
}

impl Options {
    fn program(&self, name: &str) -> Result<PathBuf> {
        match &self.release {
            Some(directory) => program_in(directory, name),
            None => find_program(name),
        }
    }
}

/// A machine of the lab.
#[derive(Debug)]
pub struct Host {
    /// Its namespace.
    pub namespace: Namespace,
    /// Its underlay addresses: IPv4, IPv6.
    pub underlay: [IpAddr; 2],
    /// Its agent; none in a bare lab.
    pub agent: Option<Daemon>,
}

/// A raised lab.
#[derive(Debug)]
pub struct Lab {
    registration: Registration,
    layout: Layout,
    /// The namespace of the controller's machine, where the CLI runs too.
    controller_machine: Namespace,
    listen: SocketAddr,
    /// The controller; none in a bare lab.
    pub controller: Option<Daemon>,
    /// By name.
    pub hosts: BTreeMap<String, Host>,
    /// Workloads and the outside of every domain.
    pub endpoints: Vec<Endpoint>,
    /// Workloads are guests, which raise no device of the lab's.
    guests: bool,
    failed: bool,
}

impl Lab {
    /// Builds all that the objects in `files` name, and starts the daemons. Nothing is applied yet.
    pub fn raise(files: &[&Path], options: &Options) -> Result<Self> {
        let registration = Registration::new()?;
        let mtu = underlay_mtu(options.jumbo);
        let layout = Layout::of(&read_objects(files)?, options.underlay, mtu)?;
        let fabric = Namespace::create(&registration.namespace("fabric"))?;
        cabling::make_fabric(&fabric)?;
        let plan = machine("controller", CONTROLLER_NUMBER);
        let controller_machine = Namespace::create(&registration.namespace(&plan.name))?;
        cabling::connect(&fabric, &controller_machine, &plan, mtu)?;
        let mut lab = Self {
            listen: SocketAddr::new(plan.addresses[0].addr(), CONTROLLER_PORT),
            registration,
            controller_machine,
            controller: None,
            hosts: BTreeMap::new(),
            endpoints: Vec::new(),
            guests: options.guests,
            failed: false,
            layout,
        };
        let built = lab.build(&fabric, options);
        lab.note(built)?;
        Ok(lab)
    }

    /// The id that all it made bears.
    pub fn id(&self) -> &str {
        self.registration.id()
    }

    /// The host of this name.
    pub fn host(&self, name: &str) -> Result<&Host> {
        self.hosts.get(name).with_context(|| format!("the lab has no host {name}"))
    }

    /// The agent on the host of this name.
    pub fn agent(&mut self, host: &str) -> Result<&mut Daemon> {
        let agent = self.hosts.get_mut(host).and_then(|host| host.agent.as_mut());
        agent.with_context(|| format!("the lab has no agent on {host}"))
    }

    /// Every host's agent.
    pub fn agents(&mut self) -> impl Iterator<Item = &mut Daemon> {
        self.hosts.values_mut().filter_map(|host| host.agent.as_mut())
    }

    /// The endpoint of this name in this domain.
    pub fn endpoint(&self, domain: &str, name: &str) -> Result<&Endpoint> {
        self.endpoints
            .iter()
            .find(|endpoint| endpoint.domain == domain && endpoint.name == name)
            .with_context(|| format!("the lab has no {domain} {name}"))
    }

    /// What the objects it was raised from need.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The controller's address, as the CLI takes it.
    fn controller_url(&self) -> String {
        format!("http://{}", self.listen)
    }

    /// Keeps the logs when the lab goes, since something was not as it should be.
    pub fn keep_logs(&mut self) {
        self.failed = true;
    }

    /// Where its logs are while it lives.
    pub fn directory(&self) -> PathBuf {
        self.registration.directory()
    }

    /// Passes a result on, and keeps the logs if it is an error.
    pub fn note<T>(&mut self, result: Result<T>) -> Result<T> {
        self.failed |= result.is_err();
        result
    }

    fn keep_logs_now(&self) -> Result<()> {
        let kept = std::env::temp_dir().join(format!("ringfence-lab-{}", self.id()));
        fs::create_dir_all(&kept)?;
        for entry in fs::read_dir(self.registration.directory())? {
            let path = entry?.path();
            if let (Some("log" | "console"), Some(name)) =
                (path.extension().and_then(|end| end.to_str()), path.file_name())
            {
                fs::copy(&path, kept.join(name))?;
            }
        }
        eprintln!("the daemons' logs are kept in {}", kept.display());
        Ok(())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        let failed = self.failed || std::thread::panicking();
        if failed
            && !interrupt::requested()
            && let Err(error) = self.keep_logs_now()
        {
            eprintln!("the logs could not be kept: {error:#}");
        }
        // Children are awaited before the registration removes what they run in.
        self.controller = None;
        self.hosts.clear();
    }
}

/// `acme/prod` and `web-1` become `acme.prod.web-1`: a namespace's name is a file's.
fn in_domain(domain: &str, name: &str) -> String {
    format!("{}.{name}", domain.replace('/', "."))
}
