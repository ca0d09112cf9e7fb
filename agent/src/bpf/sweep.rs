//! The sweep that deletes connections whose time is over: begun once by a load, kept going by the kernel.

use std::{io, thread, time::Duration};

use libbpf_rs::ProgramHandle;
use nix::libc::{ENOMEM, ETH_HLEN};

use super::{BpfError, TestContext, test_run};

/// The kernel takes memory for a timer at once or not at all.
const ATTEMPTS: u32 = 100;
const BETWEEN: Duration = Duration::from_millis(1);

/// Has the sweep of these maps go on by the programs that `program`, `begin_sweep`, was loaded with.
pub(super) fn begin(program: &ProgramHandle) -> Result<(), BpfError> {
    let frame = [0; ETH_HLEN as usize];
    for _ in 0..ATTEMPTS {
        if test_run::run(program, &"begin_sweep", &frame, &TestContext::default())?.action == 0 {
            return Ok(());
        }
        thread::sleep(BETWEEN);
    }
    let source = io::Error::from_raw_os_error(ENOMEM);
    Err(BpfError::Map { map: "rf_sweep", action: "begin the sweep", source })
}
