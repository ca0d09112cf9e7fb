//! Network devices through rtnetlink: what there is, when it changes, and the few things the agent changes.
//!
//! | file | what |
//! |---|---|
//! | `links` | devices and their addresses, as the kernel lists them |
//! | `monitor` | when that list changed |
//! | `overlay` | the VXLAN device |
//! | `route` | the device toward an address |
//! | `change` | up, addresses of uplinks, removal |
//! | `sysctl` | what a device must not do for the host's own stack |

mod change;
mod links;
mod monitor;
mod overlay;
mod route;
pub mod sysctl;

pub use links::{Address, Link, LinkKind, Vxlan};
pub use monitor::monitor;
pub use overlay::{Overlay, overhead};

use std::io;

/// A connection to the kernel for requests.
#[derive(Clone, Debug)]
pub struct Netlink {
    handle: rtnetlink::Handle,
}

/// A request the kernel refused, or a connection it did not give.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NetlinkError {
    /// No netlink socket.
    #[error("netlink: cannot open a socket: {0}; run as root or with CAP_NET_ADMIN")]
    Socket(#[source] io::Error),
    /// A request.
    #[error("device {device}: cannot {action}: {source}")]
    Request {
        /// Its name, or `*`.
        device: String,
        /// What was asked.
        action: &'static str,
        /// The kernel's answer.
        source: Box<rtnetlink::Error>,
    },
    /// Another device bears the overlay's name.
    #[error("device {device}: is no VXLAN device; remove it, or name another with --overlay-device")]
    NotOverlay {
        /// Its name.
        device: String,
    },
    /// Our own addresses are on none of the devices.
    #[error("no device has the underlay address {address}; add it to one, or mend --underlay-address")]
    NoUnderlay {
        /// The address.
        address: std::net::IpAddr,
    },
    /// The kernel made the device but does not list it.
    #[error("device {device}: was made and is not there")]
    Vanished {
        /// Its name.
        device: String,
    },
}

impl Netlink {
    /// Connects within this process's network namespace; needs a tokio runtime.
    pub fn connect() -> Result<Self, NetlinkError> {
        let (connection, handle, _) = rtnetlink::new_connection().map_err(NetlinkError::Socket)?;
        tokio::spawn(connection);
        Ok(Self { handle })
    }
}

fn failed(device: &str, action: &'static str) -> impl FnOnce(rtnetlink::Error) -> NetlinkError {
    let device = device.to_owned();
    move |source| NetlinkError::Request { device, action, source: Box::new(source) }
}
