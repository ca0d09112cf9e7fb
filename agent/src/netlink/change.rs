//! What the agent changes on devices.

use ipnet::IpNet;
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressScope};
use rtnetlink::LinkUnspec;

use super::{Link, Netlink, NetlinkError, failed, links::OUR_PROTOCOL};

impl Netlink {
    /// Sets a device up.
    pub async fn set_up(&self, link: &Link) -> Result<(), NetlinkError> {
        let message = LinkUnspec::new_with_index(link.ifindex).up().build();
        self.handle.link().change(message).execute().await.map_err(failed(&link.name, "be set up"))
    }

    /// Removes a device.
    pub async fn delete(&self, link: &Link) -> Result<(), NetlinkError> {
        self.handle.link().del(link.ifindex).execute().await.map_err(failed(&link.name, "be removed"))
    }

    /// Adds an address of an uplink, marked as ours: it makes no route, so that the host itself sends nothing there, and
    /// an IPv6 one works at once.
    pub async fn add_address(&self, link: &Link, net: IpNet) -> Result<(), NetlinkError> {
        let mut request = self.handle.address().add(link.ifindex, net.addr(), net.prefix_len());
        let message = request.message_mut();
        message.header.scope = AddressScope::Link;
        let flags = AddressFlags::Noprefixroute | AddressFlags::Nodad;
        message.attributes.push(AddressAttribute::Flags(flags));
        message.attributes.push(AddressAttribute::Protocol(OUR_PROTOCOL));
        request.execute().await.map_err(failed(&link.name, "get an address"))
    }

    /// Removes an address.
    pub async fn remove_address(&self, link: &Link, net: IpNet) -> Result<(), NetlinkError> {
        let message = self.handle.address().add(link.ifindex, net.addr(), net.prefix_len()).message_mut().clone();
        self.handle.address().del(message).execute().await.map_err(failed(&link.name, "lose an address"))
    }
}
