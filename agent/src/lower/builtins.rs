//! Whom the built-in rules of NICs name: they hold whatever policy says, so that no policy cuts a machine off from who could
//! take it back.

use std::collections::BTreeMap;

use ipnet::IpNet;
use ringfence_policy::bundle::Bundle;

use super::Site;
use crate::bpf::consts::{RF_BUILTIN_CONTROLLER, RF_BUILTIN_SSH, RF_BUILTIN_UNDERLAY};

/// `RF_BUILTIN_*` by prefix: the controller, every host of a domain that is here, and who may open SSH. The longest prefix
/// that holds an address is the only one that is looked at, so each says what those around it say, too.
pub(super) fn lower<'a>(bundles: impl Iterator<Item = &'a Bundle>, site: &Site) -> BTreeMap<IpNet, u32> {
    let mut named: BTreeMap<IpNet, u32> = BTreeMap::new();
    let mut name = |net: IpNet, kind: u32| *named.entry(net.trunc()).or_default() |= kind;
    site.ssh.iter().for_each(|net| name(*net, RF_BUILTIN_SSH));
    site.controller.into_iter().for_each(|address| name(IpNet::from(address), RF_BUILTIN_CONTROLLER));
    let hosts = bundles.flat_map(|bundle| bundle.topology.hosts.iter().flat_map(|host| &host.underlay));
    hosts.for_each(|address| name(IpNet::from(*address), RF_BUILTIN_UNDERLAY));
    let around = |net: &IpNet| site.ssh.iter().any(|wide| wide.contains(net));
    named.iter().map(|(net, kinds)| (*net, if around(net) { kinds | RF_BUILTIN_SSH } else { *kinds })).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ringfence_policy::bundle::{CompiledHost, Topology};

    use super::*;

    fn of(ssh: &[&str], controller: &str, hosts: &[&str]) -> BTreeMap<String, u32> {
        let site = Site {
            controller: Some(controller.parse().unwrap()),
            ssh: ssh.iter().map(|net| net.parse().unwrap()).collect(),
            ..Site::default()
        };
        let underlay = hosts.iter().map(|address| address.parse().unwrap()).collect();
        let hosts = vec![CompiledHost { name: "h1".to_owned(), underlay }];
        let bundle = Bundle { topology: Topology { hosts, ..Topology::default() }.into(), ..Bundle::default() };
        lower([&bundle].into_iter(), &site).into_iter().map(|(net, kinds)| (net.to_string(), kinds)).collect()
    }

    #[test]
    fn an_address_is_named_for_all_that_a_prefix_around_it_is() {
        let named = of(&["192.0.2.0/24"], "192.0.2.1", &["192.0.2.1", "198.51.100.1", "2001:db8::1"]);
        let every = RF_BUILTIN_SSH | RF_BUILTIN_CONTROLLER | RF_BUILTIN_UNDERLAY;
        let wanted = [
            ("192.0.2.0/24", RF_BUILTIN_SSH),
            ("192.0.2.1/32", every),
            ("198.51.100.1/32", RF_BUILTIN_UNDERLAY),
            ("2001:db8::1/128", RF_BUILTIN_UNDERLAY),
        ];
        assert_eq!(named, wanted.map(|(net, kinds)| (net.to_owned(), kinds)).into());
    }

    #[test]
    fn without_prefixes_nobody_is_named_for_ssh() {
        let named = of(&[], "192.0.2.1", &["192.0.2.2"]);
        assert!(named.values().all(|kinds| kinds & RF_BUILTIN_SSH == 0), "{named:?}");
    }
}
