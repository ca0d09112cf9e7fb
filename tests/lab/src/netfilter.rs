//! Whether a namespace has any nftables or iptables rule, asked of the kernel itself: the tools
//! need not be installed.

use std::{fs, os::fd::AsRawFd};

use anyhow::{Context, Result, bail};
use nix::{
    errno::Errno,
    libc,
    sys::socket::{AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, socket},
};

use crate::netns::Namespace;

/// `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE`, linux/netfilter/nf_tables.h.
const GET_TABLE: u16 = 10 << 8 | 1;

/// Bytes of struct nlmsghdr, and of the struct nfgenmsg after it.
const HEADER: usize = 16;
const FAMILY_HEADER: usize = 4;

/// The tables of nftables and of legacy iptables in a namespace, as far as they can be named. A
/// namespace that nobody set a rule in has none.
pub fn tables(namespace: &Namespace) -> Result<Vec<String>> {
    namespace.run(|| {
        let mut found = legacy_tables();
        found.extend((0..nftables()?).map(|_| "an nftables table".to_owned()));
        Ok(found)
    })
}

/// Tables that came to life in this thread's namespace; the files are there only with the modules.
fn legacy_tables() -> Vec<String> {
    ["ip_tables_names", "ip6_tables_names", "arp_tables_names"]
        .iter()
        .filter_map(|file| fs::read_to_string(format!("/proc/thread-self/net/{file}")).ok())
        .flat_map(|names| names.lines().map(|name| format!("iptables {name}")).collect::<Vec<_>>())
        .collect()
}

/// How many nftables tables of any family there are.
fn nftables() -> Result<usize> {
    let fd = match socket(AddressFamily::Netlink, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkNetFilter)
    {
        Ok(fd) => fd,
        Err(Errno::EPROTONOSUPPORT) => return Ok(0),
        Err(error) => return Err(error).context("cannot open a netfilter socket"),
    };
    sendto(fd.as_raw_fd(), &dump_request(), &NetlinkAddr::new(0, 0), MsgFlags::empty())
        .context("cannot ask for nftables tables")?;
    let mut tables = 0;
    let mut buffer = [0; 16384];
    loop {
        let length = recv(fd.as_raw_fd(), &mut buffer, MsgFlags::empty()).context("cannot read nftables tables")?;
        match count(&buffer[..length])? {
            (more, true) => return Ok(tables + more),
            (more, false) => tables += more,
        }
    }
}

fn dump_request() -> Vec<u8> {
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    let mut request = Vec::with_capacity(HEADER + FAMILY_HEADER);
    request.extend(((HEADER + FAMILY_HEADER) as u32).to_ne_bytes());
    request.extend(GET_TABLE.to_ne_bytes());
    request.extend(flags.to_ne_bytes());
    // Sequence number and port; then struct nfgenmsg of every family, version 0.
    request.extend([0; 8]);
    request.extend([0; FAMILY_HEADER]);
    request
}

/// How many tables a part of the answer names, and whether it is the last.
fn count(mut messages: &[u8]) -> Result<(usize, bool)> {
    let mut tables = 0;
    while let Some((header, rest)) = messages.split_first_chunk::<HEADER>() {
        let length = u32::from_ne_bytes([header[0], header[1], header[2], header[3]]) as usize;
        match i32::from(u16::from_ne_bytes([header[4], header[5]])) {
            libc::NLMSG_DONE => return Ok((tables, true)),
            libc::NLMSG_ERROR => {
                let code = rest.first_chunk::<4>().copied().map_or(0, i32::from_ne_bytes);
                return match Errno::from_raw(-code) {
                    // A kernel without nftables has no table.
                    Errno::EINVAL | Errno::EOPNOTSUPP => Ok((0, true)),
                    error => bail!("the kernel does not tell its nftables tables: {error}"),
                };
            }
            _ => tables += 1,
        }
        messages = messages.get(length.next_multiple_of(4).max(HEADER)..).unwrap_or_default();
    }
    Ok((tables, false))
}
