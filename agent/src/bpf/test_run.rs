//! One program on one packet by BPF_PROG_TEST_RUN: no device sends or receives anything, but what
//! the program writes to its maps is real.

use std::fmt::Display;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};

use libbpf_rs::ProgramHandle;

use super::skel::types::__sk_buff;
use super::{BpfError, Datapath, Hook, Ip};

/// What the packet is said to be besides its bytes.
#[derive(Clone, Copy, Debug, Default)]
pub struct TestContext {
    /// The device the program runs on, of the calling thread's network namespace.
    pub ifindex: u32,
    /// The packet's mark.
    pub mark: u32,
    /// Bytes of payload of each segment it stands for; 0: it is one packet.
    pub gso_size: u32,
    /// How many segments.
    pub gso_segs: u32,
    /// The tunnel it came in by: read by [`Hook::FromOverlay`] of a [`DryRun`](super::DryRun) and of programs loaded
    /// with [`Options::tunnel_in_cb`](super::Options), since a test run cannot give a packet a real one.
    pub tunnel: Option<Tunnel>,
}

/// The outer headers of a frame from the overlay, as far as they decide.
#[derive(Clone, Copy, Debug)]
pub struct Tunnel {
    /// The VNI.
    pub vni: u32,
    /// The underlay address that it came from.
    pub remote: IpAddr,
}

impl Tunnel {
    /// As the programs read it: the VNI, then the address in network byte order.
    fn cb(&self) -> [u32; 5] {
        let mut cb = [self.vni; 5];
        for (word, bytes) in cb[1..].iter_mut().zip(Ip::from(self.remote).bytes.chunks_exact(4)) {
            *word = u32::from_ne_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
        }
        cb
    }
}

/// What came of it.
#[derive(Clone, Debug)]
pub struct TestOutput {
    /// What the program returned, a `TC_ACT_*`.
    pub action: i32,
    /// The packet as the program left it.
    pub packet: Vec<u8>,
    /// Its mark.
    pub mark: u32,
}

/// Room for what a program may add to a packet.
const HEADROOM: usize = 2048;

impl Datapath {
    /// Runs the hook's program on `packet`, an Ethernet frame, once.
    pub fn test_run(&self, hook: Hook, packet: &[u8], context: &TestContext) -> Result<TestOutput, BpfError> {
        run(self.program(hook), &hook, packet, context)
    }
}

/// Runs a program of this name on `packet` once.
pub(super) fn run(
    program: &ProgramHandle,
    name: &dyn Display,
    packet: &[u8],
    context: &TestContext,
) -> Result<TestOutput, BpfError> {
    // SAFETY: integers and pointers, of which zero is a value. The kernel wants every byte that
    // is not ours to set to be zero, and Default leaves padding as it is.
    let (mut skb, mut left): (__sk_buff, __sk_buff) = unsafe { (std::mem::zeroed(), std::mem::zeroed()) };
    skb.ifindex = context.ifindex;
    skb.mark = context.mark;
    skb.gso_size = context.gso_size;
    skb.gso_segs = context.gso_segs;
    if let Some(tunnel) = context.tunnel {
        skb.cb = tunnel.cb();
    }
    let mut out = vec![0; packet.len() + HEADROOM];
    let mut opts = libbpf_sys::bpf_test_run_opts {
        sz: size_of::<libbpf_sys::bpf_test_run_opts>() as _,
        data_in: packet.as_ptr().cast(),
        data_size_in: packet.len() as u32,
        data_out: out.as_mut_ptr().cast(),
        data_size_out: out.len() as u32,
        ctx_in: (&raw mut skb).cast(),
        ctx_size_in: size_of_val(&skb) as u32,
        ctx_out: (&raw mut left).cast(),
        ctx_size_out: size_of_val(&left) as u32,
        ..Default::default()
    };
    let program = program.as_fd().as_raw_fd();
    // SAFETY: every pointer in opts has the size beside it and lives through the call.
    let result = unsafe { libbpf_sys::bpf_prog_test_run_opts(program, &raw mut opts) };
    if result != 0 {
        return Err(BpfError::Link {
            name: name.to_string(),
            action: "test-run",
            source: io::Error::from_raw_os_error(-result),
        });
    }
    out.truncate(opts.data_size_out as usize);
    Ok(TestOutput { action: opts.retval as i32, packet: out, mark: left.mark })
}
