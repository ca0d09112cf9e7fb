//! Lays the cables: bridges, veth pairs, addresses and routes, with iproute2.

use std::{
    fmt::Write as _,
    io::Write as _,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, bail};
use ipnet::IpNet;

use crate::{
    layout::{Attachment, INTERNET, Machine, MachinePlan, OFFICE, Uplink},
    netns::Namespace,
};

/// The device by which a machine is on the underlay.
pub const UNDERLAY_DEVICE: &str = "underlay0";

const BRIDGE: &str = "fabric";

/// Runs `ip` with these arguments.
pub fn ip(arguments: &[&str]) -> Result<()> {
    let output = Command::new("ip").args(arguments).output().context("cannot run `ip`; install iproute2")?;
    if !output.status.success() {
        bail!("`ip {}`: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// Runs many `ip` commands, one a line, in a namespace.
pub fn ip_batch(namespace: &Namespace, commands: &str) -> Result<()> {
    let mut child = Command::new("ip")
        .args(["-n", namespace.name(), "-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run `ip`; install iproute2")?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(commands.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`ip` in {}:\n{commands}{}", namespace.name(), said.trim());
    }
    Ok(())
}

/// The underlay: one bridge that all machines are on.
pub fn make_fabric(fabric: &Namespace) -> Result<()> {
    ip_batch(fabric, &format!("link add {BRIDGE} type bridge\nlink set {BRIDGE} up\n"))
}

/// Connects a machine to an underlay that carries packets of `mtu` bytes.
pub fn connect(fabric: &Namespace, machine: &Namespace, plan: &MachinePlan, mtu: u32) -> Result<()> {
    quick_ipv6(machine)?;
    let (port, there) = (&plan.name, machine.name());
    ip_batch(
        fabric,
        &format!(
            "link add {port} mtu {mtu} type veth peer name {UNDERLAY_DEVICE} address {} mtu {mtu} netns {there}\n\
             link set {port} master {BRIDGE} up\n",
            plan.mac
        ),
    )?;
    let mut commands = format!("link set {UNDERLAY_DEVICE} up\n");
    add_addresses(&mut commands, UNDERLAY_DEVICE, &plan.addresses);
    ip_batch(machine, &commands)
}

/// Makes the world outside of a domain a router between that and the underlay.
pub fn connect_router(fabric: &Namespace, world: &Namespace, plan: &MachinePlan, mtu: u32) -> Result<()> {
    connect(fabric, world, plan, mtu)?;
    world.sysctl("net/ipv4/ip_forward", "1")?;
    world.sysctl("net/ipv6/conf/all/forwarding", "1")
}

/// Tells a host that is a workload itself who routes on its network.
pub fn route_machine(host: &Namespace, plan: &Machine) -> Result<()> {
    let commands = plan.gateways.iter().fold(String::new(), |mut commands, gateway| {
        let _ = writeln!(commands, "route add default via {gateway} dev {UNDERLAY_DEVICE}");
        commands
    });
    ip_batch(host, &commands)
}

/// Connects a workload to its host. The host's side stays down: raising it is the agent's to do,
/// once it enforces.
pub fn attach(host: &Namespace, workload: &Namespace, plan: &Attachment) -> Result<()> {
    let Attachment { device, interface, mac, mtu, .. } = plan;
    ip_batch(
        host,
        &format!(
            "link add {device} mtu {mtu} type veth peer name {interface} \
             address {mac} mtu {mtu} netns {}\n",
            workload.name()
        ),
    )?;
    let mut commands = format!("link set {interface} up\n");
    add_addresses(&mut commands, interface, &plan.addresses);
    commands += &default_routes(plan);
    ip_batch(workload, &commands)
}

/// Makes the device that a guest will be behind. It stays down, as in [`attach`].
pub fn make_tap(host: &Namespace, plan: &Attachment) -> Result<()> {
    let Attachment { device, mtu, .. } = plan;
    ip_batch(host, &format!("tuntap add dev {device} mode tap\nlink set {device} mtu {mtu}\n"))
}

/// Connects the world outside of a domain to the host that has its uplink.
pub fn attach_outside(host: &Namespace, world: &Namespace, plan: &Uplink) -> Result<()> {
    let Uplink { device, next_hops, via, .. } = plan;
    ip_batch(host, &format!("link add {device} type veth peer name eth0 netns {}\n", world.name()))?;
    let mut commands = String::from("link set eth0 up\n");
    add_addresses(&mut commands, "eth0", next_hops);
    let far: Vec<IpNet> = INTERNET.into_iter().chain(OFFICE).map(IpNet::from).collect();
    add_addresses(&mut commands, "lo", &far);
    for via in via {
        let _ = writeln!(commands, "route add default via {via} dev eth0");
    }
    ip_batch(world, &commands)
}

/// No waiting for duplicate address detection, no configuration by strangers.
pub fn quick_ipv6(namespace: &Namespace) -> Result<()> {
    for (setting, value) in [("accept_dad", "0"), ("accept_ra", "0"), ("router_solicitations", "0")] {
        for whose in ["all", "default"] {
            namespace.sysctl(&format!("net/ipv6/conf/{whose}/{setting}"), value)?;
        }
    }
    Ok(())
}

fn add_addresses(commands: &mut String, device: &str, addresses: &[IpNet]) {
    for address in addresses {
        let flags = if address.addr().is_ipv6() { " nodad" } else { "" };
        let _ = writeln!(commands, "addr add {address} dev {device}{flags}");
    }
}

/// A gateway is taken at its word (`onlink`), since the link may have no carrier yet.
fn default_routes(plan: &Attachment) -> String {
    plan.gateways.iter().fold(String::new(), |mut commands, gateway| {
        let _ = writeln!(commands, "route add default via {gateway} dev {} onlink", plan.interface);
        commands
    })
}
