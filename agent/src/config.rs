//! Flags, environment and file → a configuration that cannot be wrong.

use std::{collections::BTreeMap, net::IpAddr, path::PathBuf, str::FromStr, time::Duration};

use clap::{ArgAction, Args, Parser, Subcommand};
use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use ringfence_policy::settings::{Period, SettingErrors, Settings};
use tonic::transport::Endpoint;

use crate::bpf::Timeouts;

mod conns;

/// Wires this host's workloads into their networks and decides every packet of theirs.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    /// What to do; the agent runs if this is absent.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// The settings.
    #[command(flatten)]
    pub flags: Flags,
}

/// Other than running.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Take all that the agent made off this host: links, programs, maps, the overlay device, addresses of uplinks
    Teardown,
    /// Take the programs off this machine's NICs at once and keep them off, with or without an agent or a controller
    Rescue {
        /// Give the NICs back to the agent
        #[arg(long)]
        end: bool,
    },
}

/// The settings as flags or environment variables; all are text until [`Config::read`] judges them together.
#[derive(Debug, Args)]
pub struct Flags {
    /// YAML file of settings, keys named as these flags
    #[arg(long, global = true, env = "RINGFENCE_AGENT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// This host's name, as objects write it
    #[arg(long, global = true, env = "RINGFENCE_AGENT_HOST", value_name = "NAME")]
    host: Option<String>,
    /// The controller, http://ADDRESS:PORT
    #[arg(long, global = true, env = "RINGFENCE_AGENT_CONTROLLER", value_name = "URL")]
    controller: Option<String>,
    /// The address other hosts tunnel to; one of each family at most
    #[arg(
        long,
        global = true,
        env = "RINGFENCE_AGENT_UNDERLAY_ADDRESS",
        value_delimiter = ',',
        value_name = "ADDRESS"
    )]
    underlay_address: Vec<String>,
    /// The VXLAN device it makes [default: rf-overlay]
    #[arg(long, global = true, env = "RINGFENCE_AGENT_OVERLAY_DEVICE", value_name = "NAME")]
    overlay_device: Option<String>,
    /// UDP port of the overlay, the same on all hosts [default: 4789]
    #[arg(long, global = true, env = "RINGFENCE_AGENT_VXLAN_PORT", value_name = "PORT")]
    vxlan_port: Option<String>,
    /// MAC address of every gateway, the same on all hosts [default: 02:52:46:00:00:01]
    #[arg(long, global = true, env = "RINGFENCE_AGENT_GATEWAY_MAC", value_name = "MAC")]
    gateway_mac: Option<String>,
    /// Where programs, links and maps are pinned [default: /sys/fs/bpf/ringfence]
    #[arg(long, global = true, env = "RINGFENCE_AGENT_BPFFS", value_name = "DIR")]
    bpffs: Option<String>,
    /// Where the last enforced state is kept [default: /var/lib/ringfence/agent]
    #[arg(long, global = true, env = "RINGFENCE_AGENT_STATE_DIR", value_name = "DIR")]
    state_dir: Option<String>,
    /// Who may open SSH to this machine where it is a bare-metal workload, whatever policy says: prefixes, or none
    /// [default: anybody]
    #[arg(long, global = true, env = "RINGFENCE_AGENT_SSH_FROM", value_delimiter = ',', value_name = "PREFIX")]
    ssh_from: Vec<String>,
    /// How long an interface that enforces waits for the controller's word to come up [default: 10s]
    #[arg(long, global = true, env = "RINGFENCE_AGENT_UP_DEADLINE", value_name = "TIME")]
    up_deadline: Option<String>,
    /// The host is given over to Ringfence: unknown devices reach nothing
    #[arg(long, global = true, env = "RINGFENCE_AGENT_DEDICATED", action = ArgAction::SetTrue)]
    dedicated: bool,
    /// With --dedicated: veth and TAP devices that are the host's own; * and ? stand for any
    #[arg(long, global = true, env = "RINGFENCE_AGENT_TRUSTED_DEVICES", value_delimiter = ',', value_name = "GLOB")]
    trusted_devices: Vec<String>,
    /// Connections.
    #[command(flatten)]
    conns: conns::ConnFlags,
    /// Let pass whatever policy denies: the negative control of tests
    #[cfg(debug_assertions)]
    #[arg(long, global = true, env = "RINGFENCE_AGENT_VERDICT_OFF", action = ArgAction::SetTrue, hide = true)]
    verdict_off: bool,
}

/// What the agent runs with.
#[derive(Clone, Debug)]
pub struct Config {
    /// This host's name.
    pub host: String,
    /// Where the controller listens.
    pub controller: Endpoint,
    /// The addresses other hosts tunnel to; at most one of each family.
    pub underlay: Vec<IpAddr>,
    /// Name of the VXLAN device.
    pub overlay_device: String,
    /// UDP port of the overlay.
    pub vxlan_port: u16,
    /// MAC address of every gateway.
    pub gateway_mac: [u8; 6],
    /// Where programs, links and maps are pinned.
    pub pin_dir: PathBuf,
    /// Where the last enforced state is kept.
    pub state_dir: PathBuf,
    /// Who may open SSH to this machine where it is a bare-metal workload, whatever policy says.
    pub ssh_from: Vec<IpNet>,
    /// How long an enforcing interface waits for the controller's word.
    pub up_deadline: Duration,
    /// The host is given over to us.
    pub dedicated: bool,
    /// Patterns of veth and TAP devices that are the host's own all the same.
    pub trusted_devices: Vec<String>,
    /// How long connections live without a packet.
    pub timeouts: Timeouts,
    /// The most connections that one interface may open on this host.
    pub conn_budget: u32,
    /// Let pass whatever policy denies.
    #[cfg(debug_assertions)]
    pub verdict_off: bool,
}

/// Where an agent keeps what outlives it.
#[derive(Clone, Debug)]
pub struct Places {
    /// Where programs, links and maps are pinned.
    pub pin_dir: PathBuf,
    /// Where the last enforced state is kept.
    pub state_dir: PathBuf,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("configuration file {path:?}: {source}; give another with --config")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Everything wrong with the settings.
    #[error("{0}")]
    Settings(#[from] SettingErrors),
}

impl Config {
    /// Judges all settings together; every error is told at once.
    pub fn read(flags: Flags) -> Result<Self, ConfigError> {
        let mut settings = settings(flags)?;
        let host: Option<String> = settings.required("host");
        let controller: Option<Controller> = settings.required("controller");
        let underlay = underlay(&mut settings);
        let overlay_device = settings.or("overlay-device", DeviceName("rf-overlay".to_owned())).0;
        let vxlan_port = settings.or("vxlan-port", VxlanPort(4789)).0;
        let gateway_mac = settings.or("gateway-mac", Mac([0x02, 0x52, 0x46, 0x00, 0x00, 0x01])).0;
        let Places { pin_dir, state_dir } = places(&mut settings);
        let ssh_from = ssh_from(&mut settings);
        let up_deadline = settings.or("up-deadline", Period(Duration::from_secs(10))).0;
        let dedicated = settings.or("dedicated", false);
        let trusted_devices = settings.list("trusted-devices");
        let timeouts = conns::timeouts(&mut settings);
        let conn_budget = conns::budget(&mut settings);
        #[cfg(debug_assertions)]
        let verdict_off = settings.or("verdict-off", false);
        settings.finish()?;
        // What is missing was noted, so that finish() has returned by now.
        let (Some(host), Some(Controller(controller))) = (host, controller) else {
            return Err(SettingErrors(Vec::new()).into());
        };
        Ok(Self {
            host,
            controller,
            underlay,
            overlay_device,
            vxlan_port,
            gateway_mac,
            pin_dir,
            state_dir,
            ssh_from,
            up_deadline,
            dedicated,
            trusted_devices,
            timeouts,
            conn_budget,
            #[cfg(debug_assertions)]
            verdict_off,
        })
    }
}

impl Places {
    /// Of all settings these alone, so that others may be missing or wrong.
    ///
    /// # Errors
    /// A configuration file that cannot be read.
    pub fn read(flags: Flags) -> Result<Self, ConfigError> {
        Ok(places(&mut settings(flags)?))
    }
}

fn settings(flags: Flags) -> Result<Settings, ConfigError> {
    let file = flags.config.clone();
    let settings = Settings::new("RINGFENCE_AGENT", given(flags));
    let Some(path) = file else { return Ok(settings) };
    let text = std::fs::read_to_string(&path).map_err(|source| ConfigError::File { path: path.clone(), source })?;
    Ok(settings.with_file(&path.to_string_lossy(), &text))
}

fn places(settings: &mut Settings) -> Places {
    Places {
        pin_dir: settings.or("bpffs", PathBuf::from("/sys/fs/bpf/ringfence")),
        state_dir: settings.or("state-dir", PathBuf::from("/var/lib/ringfence/agent")),
    }
}

/// Anybody, unless prefixes are given; `none` stands alone.
fn ssh_from(settings: &mut Settings) -> Vec<IpNet> {
    const KEY: &str = "ssh-from";
    let given: Vec<SshFrom> = settings.list(KEY);
    let nets: Vec<IpNet> = given.iter().filter_map(|SshFrom(net)| *net).collect();
    match (given.is_empty(), nets.len() == given.len()) {
        (true, _) => vec![IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())],
        (_, true) => nets,
        _ if given.len() == 1 => Vec::new(),
        _ => {
            settings.refuse(KEY, "names prefixes and none; write one or the other");
            Vec::new()
        }
    }
}

fn given(flags: Flags) -> BTreeMap<&'static str, Vec<String>> {
    let one = |value: Option<String>| value.into_iter().collect::<Vec<_>>();
    let on = |value: bool| if value { vec!["true".to_owned()] } else { Vec::new() };
    let mut given = BTreeMap::from([
        ("host", one(flags.host)),
        ("controller", one(flags.controller)),
        ("underlay-address", flags.underlay_address),
        ("overlay-device", one(flags.overlay_device)),
        ("vxlan-port", one(flags.vxlan_port)),
        ("gateway-mac", one(flags.gateway_mac)),
        ("bpffs", one(flags.bpffs)),
        ("state-dir", one(flags.state_dir)),
        ("ssh-from", flags.ssh_from),
        ("up-deadline", one(flags.up_deadline)),
        ("dedicated", on(flags.dedicated)),
        ("trusted-devices", flags.trusted_devices),
        #[cfg(debug_assertions)]
        ("verdict-off", on(flags.verdict_off)),
    ]);
    given.extend(flags.conns.given());
    given
}

fn underlay(settings: &mut Settings) -> Vec<IpAddr> {
    const KEY: &str = "underlay-address";
    let addresses: Vec<IpAddr> = settings.required_list(KEY);
    let of_v4 = addresses.iter().filter(|address| address.is_ipv4()).count();
    if of_v4 > 1 || addresses.len() - of_v4 > 1 {
        settings.refuse(KEY, "has more than one address of a family; keep the one other hosts should tunnel to");
    }
    addresses
}

/// A URL that tonic can connect to.
struct Controller(Endpoint);

impl FromStr for Controller {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let endpoint = Endpoint::from_shared(text.to_owned()).map_err(|error| error.to_string())?;
        match endpoint.uri().scheme_str() {
            Some("http") => Ok(Self(endpoint)),
            _ => Err("write http://ADDRESS:PORT".to_owned()),
        }
    }
}

/// A prefix, or `none`.
struct SshFrom(Option<IpNet>);

impl FromStr for SshFrom {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self(None));
        }
        let wrong = || format!("{text:?} is no prefix; write ADDRESS/LENGTH, like 192.0.2.0/24, or none");
        let net: IpNet = text.parse().map_err(|_| wrong())?;
        Ok(Self(Some(net.trunc())))
    }
}

/// A name that a network device may have.
struct DeviceName(String);

impl FromStr for DeviceName {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // IFNAMSIZ is 16 with the final NUL.
        let fits = (1..16).contains(&text.len());
        if fits && !text.contains(['/', ' ', ':']) {
            Ok(Self(text.to_owned()))
        } else {
            Err("a device name has 1 to 15 characters, no space, slash or colon")
        }
    }
}

/// A UDP port that the kernel takes as it is: for 0 it would choose one.
struct VxlanPort(u16);

impl FromStr for VxlanPort {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(port) if port > 0 => Ok(Self(port)),
            _ => Err("write a UDP port, 1 to 65535"),
        }
    }
}

/// A unicast MAC address.
struct Mac([u8; 6]);

impl FromStr for Mac {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let wrong = "write a unicast MAC address: six hexadecimal pairs with colons, 02:52:46:00:00:01";
        let bytes: Vec<u8> = text
            .split(':')
            .map(|pair| u8::from_str_radix(pair, 16).ok().filter(|_| pair.len() == 2))
            .collect::<Option<_>>()
            .ok_or(wrong)?;
        let mac: [u8; 6] = bytes.try_into().map_err(|_| wrong)?;
        // The lowest bit of the first byte says multicast.
        if mac[0] & 1 == 0 && mac != [0; 6] { Ok(Self(mac)) } else { Err(wrong) }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn read(args: &[&str]) -> Result<Config, String> {
        let cli = Cli::try_parse_from([&["ringfence-agent"], args].concat()).unwrap();
        Config::read(cli.flags).map_err(|error| error.to_string())
    }

    #[test]
    fn three_settings_are_enough() {
        let config =
            read(&["--host", "h1", "--controller", "http://192.0.2.1:7420", "--underlay-address", "10.0.0.1"]).unwrap();
        assert_eq!(config.overlay_device, "rf-overlay");
        assert_eq!(config.gateway_mac, [0x02, 0x52, 0x46, 0, 0, 1]);
        assert_eq!(config.up_deadline, Duration::from_secs(10));
        assert!(!config.dedicated);
    }

    #[test]
    fn anybody_may_open_ssh_unless_prefixes_or_none_are_given() {
        let ssh = |args: &[&str]| {
            let base = ["--host", "h1", "--controller", "http://192.0.2.1:1", "--underlay-address", "10.0.0.1"];
            let nets = read(&[&base[..], args].concat())?.ssh_from;
            Ok::<_, String>(nets.iter().map(ToString::to_string).collect::<Vec<_>>())
        };
        assert_eq!(ssh(&[]).unwrap(), ["0.0.0.0/0", "::/0"]);
        assert_eq!(ssh(&["--ssh-from", "192.0.2.9/24,2001:db8::/32"]).unwrap(), ["192.0.2.0/24", "2001:db8::/32"]);
        assert!(ssh(&["--ssh-from", "none"]).unwrap().is_empty());
        for (given, wanted) in [("none,192.0.2.0/24", "one or the other"), ("office", "is no prefix")] {
            let wrong = ssh(&["--ssh-from", given]).unwrap_err();
            assert!(wrong.contains(wanted), "{wrong}");
        }
    }

    /// An operator who needs it has no time to mend a configuration.
    #[test]
    fn where_to_rescue_is_known_though_other_settings_are_missing_or_wrong() {
        let args = ["ringfence-agent", "rescue", "--state-dir", "/s", "--gateway-mac", "x"];
        let cli = Cli::try_parse_from(args).unwrap();
        let places = Places::read(cli.flags).unwrap();
        assert_eq!(places.state_dir, PathBuf::from("/s"));
        assert_eq!(places.pin_dir, PathBuf::from("/sys/fs/bpf/ringfence"));
    }

    #[test]
    fn everything_wrong_is_told_at_once() {
        let given = [
            ["--controller", "ftp://x"],
            ["--gateway-mac", "03:00:00:00:00:00"],
            ["--overlay-device", "a/b"],
            ["--vxlan-port", "0"],
        ];
        let wrong = read(&given.concat()).unwrap_err();
        assert!(wrong.contains("the environment variable RINGFENCE_AGENT_HOST,"), "{wrong}");
        for key in ["host", "controller", "gateway-mac", "overlay-device", "vxlan-port", "underlay-address"] {
            assert!(wrong.contains(&format!(": {key}: ")), "{key} is not in:\n{wrong}");
        }
    }

    #[test]
    fn two_underlay_addresses_of_one_family_are_refused() {
        let base = ["--host", "h1", "--controller", "http://192.0.2.1:1"];
        let addresses = ["--underlay-address", "10.0.0.1", "--underlay-address", "10.0.0.2"];
        assert!(read(&[&base[..], &addresses].concat()).unwrap_err().contains("more than one address of a family"));
        let both = ["--underlay-address", "10.0.0.1", "--underlay-address", "fd00::1"];
        assert_eq!(read(&[&base[..], &both].concat()).unwrap().underlay.len(), 2);
    }

    #[test]
    fn a_fault_of_several_values_is_told_where_the_file_gives_them() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("agent.yaml");
        std::fs::write(&file, "host: h1\nunderlay-address: [10.0.0.1, 10.0.0.2]\n").unwrap();
        let wrong = read(&["--controller", "http://192.0.2.1:1", "--config", file.to_str().unwrap()]).unwrap_err();
        let place = format!("{}:2:19: underlay-address: has more than one", file.display());
        assert!(wrong.starts_with(&place), "{wrong}");
    }

    #[test]
    fn the_file_gives_what_flags_do_not() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("agent.yaml");
        std::fs::write(
            &file,
            "host: h1\ncontroller: http://192.0.2.1:1\nunderlay-address: [fd00::1]\ndedicated: true\n",
        )
        .unwrap();
        let config = read(&["--config", file.to_str().unwrap(), "--host", "h2"]).unwrap();
        assert_eq!(config.host, "h2");
        assert!(config.dedicated);
    }
}
