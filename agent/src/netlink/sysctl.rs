//! Kernel settings of devices: what one that is not the host's own must not do for the host's stack.
//!
//! `/proc/sys/net` is that of the process's network namespace. A setting that cannot be written is reported and does not
//! stop anything: the programs deny on their own, this is the second lock.

use std::{fs, io, path::PathBuf};

/// Settings of a workload's device: nothing on it reaches, or is answered by, the host itself.
const WORKLOAD: [(&str, &str, &str); 7] = [
    ("ipv6", "disable_ipv6", "1"),
    ("ipv4", "rp_filter", "1"),
    ("ipv4", "arp_ignore", "1"),
    ("ipv4", "forwarding", "0"),
    ("ipv4", "accept_local", "0"),
    ("ipv4", "accept_redirects", "0"),
    ("ipv4", "proxy_arp", "0"),
];

/// Settings of an uplink: the host resolves next hops on it and does nothing else. Its addresses make no routes, so a
/// reverse-path filter would leave the next hops' ARP requests unanswered.
const UPLINK: [(&str, &str, &str); 5] = [
    ("ipv4", "rp_filter", "0"),
    ("ipv4", "arp_ignore", "1"),
    ("ipv4", "forwarding", "0"),
    ("ipv6", "forwarding", "0"),
    ("ipv6", "accept_ra", "0"),
];

/// A setting and the value it should have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Setting {
    family: &'static str,
    device: String,
    name: &'static str,
    value: String,
}

impl Setting {
    /// Whether it has its value. One that the kernel does not have, as IPv6's where that is off for good, holds: there is
    /// nothing to lock.
    pub fn holds(&self) -> bool {
        match fs::read_to_string(self.path()) {
            Ok(held) => held.trim() == self.value,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        }
    }

    /// Writes it.
    pub fn write(&self) -> io::Result<()> {
        fs::write(self.path(), &self.value)
    }

    /// The same with the value it has; `None` if it cannot be read.
    pub fn as_it_is(&self) -> Option<Self> {
        let value = fs::read_to_string(self.path()).ok()?;
        Some(Self { value: value.trim().to_owned(), ..self.clone() })
    }

    /// The same on another device.
    pub fn on(&self, device: &str) -> Self {
        Self { device: device.to_owned(), ..self.clone() }
    }

    /// Family, name and value, for a file.
    pub fn to_line(&self) -> String {
        format!("{} {} {}\n", self.family, self.name, self.value)
    }

    /// A setting of devices to come, from such a line; only of those that are ever set.
    pub fn of_line(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let (family, name, value) = (words.next()?, words.next()?, words.next()?);
        let known = of_devices_to_come().into_iter().find(|known| known.family == family && known.name == name)?;
        Some(Self { value: value.to_owned(), ..known })
    }

    /// The value it should have.
    pub fn value(&self) -> &str {
        &self.value
    }

    /// Its file.
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/sys/net/{}/conf/{}/{}", self.family, self.device, self.name))
    }
}

/// What a workload's device should have.
pub fn of_workload(device: &str) -> Vec<Setting> {
    settings(device, &WORKLOAD)
}

/// What an uplink should have; IPv6 is on only where it has an IPv6 address.
pub fn of_uplink(device: &str, ipv6: bool) -> Vec<Setting> {
    let mut wanted = settings(device, &UPLINK);
    let value = if ipv6 { "0" } else { "1" };
    wanted.push(Setting { family: "ipv6", device: device.to_owned(), name: "disable_ipv6", value: value.to_owned() });
    wanted
}

/// What devices that are yet to come should have, where the host is given over to us. The host's own devices that are
/// there already keep theirs.
pub fn of_devices_to_come() -> Vec<Setting> {
    settings("default", &WORKLOAD)
}

/// Turns IPv6 off on a device that never has addresses.
pub fn disable_ipv6(device: &str) {
    let setting = Setting { family: "ipv6", device: device.to_owned(), name: "disable_ipv6", value: "1".to_owned() };
    if !setting.holds()
        && let Err(error) = setting.write()
    {
        tracing::warn!(device, %error, "IPv6 cannot be turned off");
    }
}

fn settings(device: &str, wanted: &[(&'static str, &'static str, &'static str)]) -> Vec<Setting> {
    wanted
        .iter()
        .map(|(family, name, value)| Setting { family, device: device.to_owned(), name, value: (*value).to_owned() })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_that_the_kernel_does_not_have_holds() {
        let there = Setting { family: "ipv4", device: "lo".to_owned(), name: "rp_filter", value: "7".to_owned() };
        assert!(!there.holds());
        assert!(there.on("no-such-device").holds());
    }

    #[test]
    fn a_line_gives_its_setting_back_and_no_other_is_taken() {
        for setting in of_devices_to_come() {
            let other = Setting { value: "2".to_owned(), ..setting };
            assert_eq!(Setting::of_line(&other.to_line()).unwrap(), other);
        }
        for line in ["", "ipv4 rp_filter", "ipv4 ../../../x 1", "ipv6 rp_filter 1"] {
            assert_eq!(Setting::of_line(line), None, "{line}");
        }
    }
}
