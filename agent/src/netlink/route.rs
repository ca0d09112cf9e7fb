//! Which device the host's own packets to an address leave by.

use std::net::IpAddr;

use futures::TryStreamExt;
use netlink_packet_route::route::RouteAttribute;
use rtnetlink::RouteMessageBuilder;

use super::{Netlink, NetlinkError, failed};

impl Netlink {
    /// The ifindex of the device by which this host reaches an address; `None` if the route names none.
    pub async fn device_toward(&self, address: IpAddr) -> Result<Option<u32>, NetlinkError> {
        let bits = if address.is_ipv4() { 32 } else { 128 };
        let message = RouteMessageBuilder::<IpAddr>::new()
            .destination_prefix(address, bits)
            .map_err(|error| rtnetlink::Error::InvalidNla(error.to_string()))
            .map_err(failed("*", "find a route"))?
            .build();
        let route = self.handle.route().get(message).execute().try_next().await.map_err(failed("*", "find a route"))?;
        let attributes = route.into_iter().flat_map(|route| route.attributes);
        Ok(attributes.into_iter().find_map(|attribute| match attribute {
            RouteAttribute::Oif(ifindex) => Some(ifindex),
            _ => None,
        }))
    }
}
