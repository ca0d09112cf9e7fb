//! The whole demo, with somebody looking at every host for rules that should not be there.

use std::{
    os::fd::AsRawFd,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Result;
use nix::{
    libc,
    sys::socket::{AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, sendto, socket},
};
use ringfence_lab::{netfilter, netns::Namespace, registry, wait};

use super::turn;

#[test]
fn the_demo_succeeds_and_no_host_ever_has_an_nftables_or_iptables_rule() {
    let _turn = turn();
    let mut demo = Command::new(env!("CARGO_BIN_EXE_ringfence-lab")).arg("demo").stdout(Stdio::null()).spawn().unwrap();
    let prefix = registry::prefix_of(&format!("{}x0", demo.id()));
    let started = Instant::now();
    let mut looks = 0;
    let mut status = None;
    wait::until("the demo is over", Duration::from_secs(300), || {
        for host in ["h1", "h2", "h3"] {
            // Before it is raised and after it is torn down there is none to enter.
            let host = Namespace::open(&format!("{prefix}{host}"));
            if let Some(host) = host.ok().filter(|host| host.run(|| Ok(())).is_ok()) {
                assert_eq!(netfilter::tables(&host)?, [""; 0], "after {:?}", started.elapsed());
                looks += 1;
            }
        }
        status = demo.try_wait()?;
        Ok(status.is_some())
    })
    .unwrap();
    assert!(status.unwrap().success(), "run `ringfence-lab demo` to see what it says");
    assert!(looks > 100, "there was hardly a look: {looks}");
}

#[test]
fn a_rule_that_is_there_is_found() {
    let _turn = turn();
    let registration = registry::Registration::new().unwrap();
    let namespace = Namespace::create(&registration.namespace("ruled")).unwrap();
    assert_eq!(netfilter::tables(&namespace).unwrap(), [""; 0]);
    namespace.run(add_table).unwrap();
    assert_eq!(netfilter::tables(&namespace).unwrap().len(), 1);
}

/// Does what `nft add table ip t` does.
fn add_table() -> Result<()> {
    let fd = socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkNetFilter)?;
    let name = [6, 0, 1, 0, b't', 0, 0, 0];
    let create = (libc::NLM_F_REQUEST | libc::NLM_F_CREATE) as u16;
    let batch = [
        message(libc::NFNL_MSG_BATCH_BEGIN as u16, 1, 0, &[]),
        message((libc::NFNL_SUBSYS_NFTABLES << 8) as u16, create, libc::AF_INET as u8, &name),
        message(libc::NFNL_MSG_BATCH_END as u16, 1, 0, &[]),
    ];
    sendto(fd.as_raw_fd(), &batch.concat(), &NetlinkAddr::new(0, 0), MsgFlags::empty())?;
    Ok(())
}

/// A netlink message with struct nfgenmsg for the subsystem nftables.
fn message(kind: u16, flags: u16, family: u8, attributes: &[u8]) -> Vec<u8> {
    let mut message = Vec::new();
    message.extend((20 + attributes.len() as u32).to_ne_bytes());
    message.extend(kind.to_ne_bytes());
    message.extend(flags.to_ne_bytes());
    message.extend([0; 8]);
    message.extend([family, 0]);
    message.extend((libc::NFNL_SUBSYS_NFTABLES as u16).to_be_bytes());
    message.extend(attributes);
    message
}
