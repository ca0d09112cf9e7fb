//! The kernel side, wrapped: loading, pinning and attaching the programs of `agent/bpf/`, and their
//! maps as typed tables.
//!
//! This module decides nothing. It is the only place of the agent with `unsafe`: system calls that
//! no crate wraps, memory that is shared with the kernel, and views of C structures as bytes.
//!
//! | file | what |
//! |---|---|
//! | `datapath` | [`Datapath`]: load, reuse of pins, configuration |
//! | `dry` | [`DryRun`]: what the maps in force would say, without touching them |
//! | `links` | tcx and netfilter links: attach, replace, list; `order`: what else runs on a device |
//! | `release` | takes the programs off NICs, with nothing loaded |
//! | `guard` | the host guard, a netfilter program |
//! | `boot`, `pins` | the maps that outlive the agent: the mark of this boot, and where all are pinned |
//! | `older` | maps of an earlier release: what is carried over from them |
//! | `maps` | [`Maps`]: every map by name; [`Devices`] |
//! | `table` | [`Table`], [`PerCpu`]: typed access to one map |
//! | `cells` | [`Words`], [`Epochs`], [`Accounts`]: maps in the agent's memory |
//! | `conns` | connections as the agent sees them: their charges counted anew |
//! | `sweep` | has connections end without an agent |
//! | `timeouts` | [`Timeouts`]: how long they live |
//! | `types` | the structures, generated from the programs' BTF |
//! | `reason` | why packets are dropped, generated from `reasons.def` |
//! | `kernel` | what the kernel must have; RCU grace periods |
//! | `test_run` | one program on one packet, without a device |

#![allow(unsafe_code)]

mod boot;
mod bucket;
mod cells;
mod conns;
mod datapath;
mod dry;
mod error;
mod guard;
mod kernel;
mod links;
mod maps;
mod older;
mod order;
mod pins;
mod pod;
mod reason;
mod release;
mod skel;
mod sweep;
mod table;
mod test_run;
mod timeouts;
mod types;

pub use bucket::bucket;
pub use cells::{Accounts, Epochs, Words};
pub use datapath::{Datapath, Options, TakenOver};
pub use dry::DryRun;
pub use error::BpfError;
pub use kernel::{check_kernel, rcu_grace_period};
pub use links::Hook;
pub use maps::{Devices, Maps};
pub use pod::Pod;
pub use reason::Reason;
pub use release::release_nics;
pub use table::{PerCpu, Table};
pub use test_run::{TestContext, TestOutput, Tunnel};
pub use timeouts::{AnswerTimeouts, TcpTimeouts, Timeouts};
pub use types::*;

/// The literal constants of `agent/bpf/consts.h`, under the same names.
pub mod consts {
    include!(concat!(env!("OUT_DIR"), "/consts.rs"));
}
