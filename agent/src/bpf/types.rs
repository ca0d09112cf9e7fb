//! The structures of `agent/bpf/types.h` under Rust names, and conversions of addresses.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::pod::pod;
pub use super::skel::types::{
    rf_account as Account, rf_action as Action, rf_addr as Addr, rf_addr_key as AddrKey, rf_audit_key as AuditKey,
    rf_boot as Boot, rf_builtin_key as BuiltinKey, rf_charge as Charge, rf_claim as Claim, rf_claims as Claims,
    rf_conn as Conn, rf_conn_state as ConnState, rf_conn4_key as Conn4Key, rf_conn6_key as Conn6Key,
    rf_decision as Decision, rf_device as Device, rf_device_kind as DeviceKind, rf_domain as Domain,
    rf_drop_key as DropKey, rf_frags as Frags, rf_frags_key as FragsKey, rf_group as Group, rf_host as Host,
    rf_iface as Iface, rf_ip as Ip, rf_limits as Limits, rf_passed as Passed, rf_prefix_key as PrefixKey,
    rf_profile as Profile, rf_reply as Reply, rf_row as Row, rf_row_key as RowKey, rf_run as Run,
    rf_service as Service, rf_service_key as ServiceKey, rf_shared as Shared, rf_span as Span, rf_subnet as Subnet,
    rf_subnet_key as SubnetKey, rf_vni as Vni, rf_way as Way,
};

pod!(
    Account, Addr, AddrKey, AuditKey, Boot, BuiltinKey, Charge, Conn, Conn4Key, Conn6Key, Decision, Device, Domain,
    DropKey, Frags, FragsKey, Host, Iface, Ip, Limits, Passed, PrefixKey, Profile, Row, RowKey, Run, Span, Subnet,
    Reply, ServiceKey, SubnetKey, Vni, Group, Claim, Claims, Shared,
);

impl From<IpAddr> for Ip {
    fn from(address: IpAddr) -> Self {
        let bytes = match address {
            IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
            IpAddr::V6(v6) => v6.octets(),
        };
        Self { bytes }
    }
}

impl From<Ip> for IpAddr {
    fn from(ip: Ip) -> Self {
        Ipv6Addr::from(ip.bytes).to_canonical()
    }
}

/// An IPv4 address as a `__be32` field holds it.
pub fn be32(address: Ipv4Addr) -> u32 {
    u32::from_ne_bytes(address.octets())
}

/// The IPv4 address in a `__be32` field.
pub fn from_be32(field: u32) -> Ipv4Addr {
    Ipv4Addr::from(field.to_ne_bytes())
}
