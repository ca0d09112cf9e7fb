//! Addresses, devices and namespaces of the machine that the test runs on.

use std::net::IpAddr;
use std::process::Command;

use nix::sched::{CloneFlags, unshare};
use ringfence_agent::bpf::be32;

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn be(text: &str) -> u32 {
    match ip(text) {
        IpAddr::V4(v4) => be32(v4),
        IpAddr::V6(_) => panic!("{text} is not IPv4"),
    }
}

pub fn sh(command: &str) {
    let status = Command::new("sh").args(["-ec", command]).status().unwrap();
    assert!(status.success(), "{command}");
}

pub fn ifindex(name: &str) -> u32 {
    nix::net::if_::if_nametoindex(name).unwrap()
}

/// A network namespace of the calling thread's own, gone when the test's thread is.
pub fn private_network() {
    assert!(nix::unistd::geteuid().is_root(), "packet tests load programs: run them as root");
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    sh("ip link set lo up");
}
