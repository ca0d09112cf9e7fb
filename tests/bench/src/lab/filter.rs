//! The same policy for netfilter: as Neutron's `iptables_hybrid` driver lays it out, and with the sets of nftables.

use std::{
    fmt::Write as _,
    io::Write as _,
    net::IpAddr,
    process::{Command, Stdio},
};

use anyhow::{Context, Result, ensure};
use ringfence_lab::netns::Namespace;

/// What a port's policy is.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    /// The port's device.
    pub(super) device: &'static str,
    /// Of the workload behind it.
    pub(super) address: IpAddr,
    /// The same.
    pub(super) mac: String,
    /// Who may ask it: the members of a group.
    pub(super) members: Vec<IpAddr>,
    /// At these ports, by TCP, one rule each; the one that is asked stands in the middle.
    pub(super) ports: Vec<u32>,
    /// And at this one by UDP.
    pub(super) udp: u16,
}

const GROUP: &str = "NIPv4group";

/// Per-port chains behind physdev matches, a group as an ipset, known connections first
/// (neutron/agent/linux/iptables_firewall.py).
pub(super) fn iptables(namespace: &Namespace, policy: &Policy) -> Result<()> {
    let mut set = format!("create {GROUP} hash:net family inet hashsize 4096 maxelem 131072\n");
    policy.members.iter().for_each(|member| _ = writeln!(set, "add {GROUP} {member}"));
    feed(namespace, "ipset", &["restore"], &set)?;
    feed(namespace, "iptables-restore", &[], &chains(policy))
}

fn chains(policy: &Policy) -> String {
    let Policy { device, address, mac, .. } = policy;
    let known = "-m state --state RELATED,ESTABLISHED -j RETURN";
    let mut text = String::from("*raw\n");
    _ = writeln!(text, "-A PREROUTING -m physdev --physdev-in {device} -j CT --zone 1");
    _ = writeln!(text, "-A PREROUTING -m physdev --physdev-in vx0 -j CT --zone 1\nCOMMIT\n*filter");
    for chain in ["FORWARD-n", "sg-chain", "sg-fallback", "i-port", "o-port", "s-port"] {
        _ = writeln!(text, ":{chain} - [0:0]");
    }
    text += "-A FORWARD -j FORWARD-n\n-A sg-fallback -j DROP\n";
    for (way, chain) in [("out", "i-port"), ("in", "o-port")] {
        _ = writeln!(text, "-A FORWARD-n -m physdev --physdev-{way} {device} --physdev-is-bridged -j sg-chain");
        _ = writeln!(text, "-A sg-chain -m physdev --physdev-{way} {device} --physdev-is-bridged -j {chain}");
    }
    text += "-A sg-chain -j ACCEPT\n";
    _ = writeln!(text, "-A s-port -s {address}/32 -m mac --mac-source {mac} -j RETURN\n-A s-port -j DROP");
    text += "-A o-port -s 0.0.0.0/32 -d 255.255.255.255/32 -p udp -m udp --sport 68 --dport 67 -j RETURN\n";
    text += "-A o-port -j s-port\n-A o-port -p udp -m udp --sport 68 --dport 67 -j RETURN\n";
    text += "-A o-port -p udp -m udp --sport 67 --dport 68 -j DROP\n";
    _ = writeln!(text, "-A o-port {known}\n-A o-port -j RETURN");
    _ = writeln!(text, "-A i-port {known}");
    let group = format!("-m set --match-set {GROUP} src -j RETURN");
    for port in &policy.ports {
        _ = writeln!(text, "-A i-port -p tcp -m tcp --dport {port} {group}");
    }
    _ = writeln!(text, "-A i-port -p udp -m udp --dport {} {group}", policy.udp);
    text += "-A i-port -m state --state INVALID -j DROP\n-A i-port -j sg-fallback\nCOMMIT\n";
    text
}

/// The best that sets can do: one look-up among members and one among ports, whatever their number.
pub(super) fn nftables(namespace: &Namespace, policy: &Policy) -> Result<()> {
    let Policy { device, address, mac, .. } = policy;
    let list = |items: Vec<String>| items.join(", ");
    let members = list(policy.members.iter().map(IpAddr::to_string).collect());
    let ports = list(policy.ports.iter().map(u32::to_string).collect());
    let text = format!(
        "table bridge guard {{
           chain in {{
             type filter hook prerouting priority 0; policy accept;
             iifname {device} ip saddr != {address} drop
             iifname {device} ether saddr != {mac} drop
           }}
         }}
         table inet port {{
           set members {{ type ipv4_addr; elements = {{ {members} }}; }}
           set ports {{ type inet_service; elements = {{ {ports} }}; }}
           chain allowed {{
             ip saddr @members tcp dport @ports accept
             ip saddr @members udp dport {udp} accept
             drop
           }}
           chain forward {{
             type filter hook forward priority 0; policy accept;
             ct state established,related accept
             ip daddr vmap {{ {address} : jump allowed }}
           }}
         }}\n",
        udp = policy.udp
    );
    feed(namespace, "nft", &["-f", "-"], &text)
}

/// Runs a tool in a namespace with this input.
fn feed(namespace: &Namespace, tool: &str, arguments: &[&str], input: &str) -> Result<()> {
    let mut command: Command = namespace.command(tool)?;
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot run {tool}; install it to compare with it"))?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(input.as_bytes())?;
    }
    let output = child.wait_with_output()?;
    ensure!(output.status.success(), "{tool}: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}
