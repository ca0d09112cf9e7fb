//! Network namespaces beside the host's: workloads and other machines with real sockets.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::thread;

use nix::sched::{CloneFlags, setns, unshare};
use ringfence_agent::bpf::Hook;

use crate::net::sh;
use crate::world::{Workload, World};

/// A namespace, alive as long as this is.
pub struct Guest {
    namespace: File,
}

impl Guest {
    /// An empty one, with `device` moved into it.
    pub fn with_device(device: &str) -> Self {
        let made = thread::spawn(|| {
            unshare(CloneFlags::CLONE_NEWNET).unwrap();
            File::open("/proc/thread-self/ns/net").unwrap()
        });
        let guest = Self { namespace: made.join().unwrap() };
        let fd = guest.namespace.as_raw_fd();
        sh(&format!("ip link set dev {device} netns /proc/{}/fd/{fd}", std::process::id()));
        guest.inside(|| sh("ip link set dev lo up"));
        guest
    }

    /// The workload itself, behind its device, which gets its programs; its own device is down.
    pub fn unconfigured(world: &mut World, device: &str, workload: &Workload) -> Self {
        let guest = Self::with_device(&format!("{device}-in"));
        world.datapath.attach(Hook::FromWorkload, workload.ifindex).unwrap();
        world.datapath.attach(Hook::ToWorkload, workload.ifindex).unwrap();
        sh(&format!("ip link set dev {device} up"));
        let mac = workload.mac.map(|byte| format!("{byte:02x}")).join(":");
        let command = format!("ip link set dev {device}-in address {mac}");
        guest.inside(move || sh(&command));
        guest
    }

    /// The same, with its addresses and its gateway.
    pub fn workload(world: &mut World, device: &str, workload: &Workload) -> Self {
        let guest = Self::unconfigured(world, device, workload);
        let subnet = workload.vni / 100;
        let (v4, v6) = (workload.v4, workload.v6);
        let command = format!(
            "ip link set dev {device}-in mtu 1450 up; \
             ip addr add {v4}/24 dev {device}-in; ip addr add {v6}/64 dev {device}-in nodad; \
             ip route add default via 10.{subnet}.0.1; ip route add default via fd00:{subnet}::1"
        );
        guest.inside(move || sh(&command));
        guest
    }

    /// Runs in the namespace, on a thread of its own.
    pub fn inside<T: Send + 'static>(&self, act: impl FnOnce() -> T + Send + 'static) -> T {
        let namespace = self.namespace.try_clone().unwrap();
        let inside = move || {
            setns(&namespace, CloneFlags::CLONE_NEWNET).unwrap();
            act()
        };
        thread::spawn(inside).join().unwrap()
    }
}
