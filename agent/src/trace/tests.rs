//! Which program sees a packet first, and what a decision means.

use ringfence_policy::bundle::{
    CompiledHost, CompiledNetwork, CompiledPair, CompiledPolicy, CompiledSubnet, CompiledUplink, RuleName, Topology,
};

use super::*;
use crate::{
    bpf::{Host, be32},
    netlink::LinkKind,
};

const GATEWAY_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];

fn bundle() -> Bundle {
    let interface = |id: u32, host: &str| CompiledInterface {
        id,
        workload: format!("w{id}"),
        name: "eth0".to_owned(),
        vni: 100,
        mac: [2, 0, 0, 0, 1, id as u8],
        host: host.to_owned(),
        device: format!("dev{id}"),
        addresses: vec![(IpAddr::from([10, 0, 0, 10 + id as u8]), 2)],
        pairs: Vec::new(),
        port_security: true,
        bare_metal: false,
    };
    let mut first = interface(1, "h1");
    first.pairs.push(CompiledPair { prefix: "10.0.0.0/24".parse().unwrap(), mac: [2; 6], shared: false });
    let subnet = CompiledSubnet::new("10.0.0.0/24".parse().unwrap(), "10.0.0.1".parse().unwrap());
    let host =
        |name: &str, underlay: &str| CompiledHost { name: name.to_owned(), underlay: vec![underlay.parse().unwrap()] };
    Bundle {
        domain_id: 7,
        generation: 42,
        topology: Topology {
            transit_vni: 101,
            networks: vec![CompiledNetwork {
                name: "n".to_owned(),
                vni: 100,
                subnets: vec![subnet],
                ..CompiledNetwork::default()
            }],
            uplink: Some(CompiledUplink {
                host: "h1".to_owned(),
                device: "up".to_owned(),
                addresses: Vec::new(),
                next_hops: Vec::new(),
            }),
            hosts: vec![host("h1", "192.0.2.1"), host("h2", "192.0.2.2")],
        }
        .into(),
        policy: CompiledPolicy {
            rules: [(0, "default/deny"), (31, "shop/users")]
                .map(|(id, name)| RuleName { id, name: name.to_owned(), stateless: false, log: false })
                .to_vec(),
            ..CompiledPolicy::default()
        }
        .into(),
        interfaces: [first, interface(2, "h2"), interface(3, "h1")].map(Into::into).to_vec(),
        ..Bundle::default()
    }
}

fn links() -> BTreeMap<String, Link> {
    let link = |ifindex: u32, name: &str| Link {
        ifindex,
        name: name.to_owned(),
        kind: LinkKind::Veth,
        up: true,
        mtu: 1500,
        mac: [2, 0, 0, 0, 9, ifindex as u8],
        addresses: Vec::new(),
        lower: None,
        master: None,
    };
    [link(11, "dev1"), link(12, "up")].map(|link| (link.name.clone(), link)).into()
}

fn entry_of(source: &str, destination: &str) -> Result<(Hook, u32, [u8; 6], [u8; 6]), String> {
    let end = |text: &str| if text == "host" { End::Host } else { End::Address(text.parse().unwrap()) };
    let flow = Flow { source: end(source), destination: end(destination), traffic: Traffic::Tcp(80) };
    let links = links();
    let entry = entry(&bundle(), &flow, Here { host: "h1", links: &links, gateway_mac: GATEWAY_MAC });
    entry.map(|entry| (entry.hook, entry.ifindex, entry.src_mac, entry.dst_mac)).map_err(|error| error.to_string())
}

#[test]
fn a_machines_nic_sees_what_it_says_and_hears() {
    let mut bundle = bundle();
    for place in [0, 1] {
        bundle.interfaces[place].bare_metal = true;
    }
    let links = links();
    let here = Here { host: "h1", links: &links, gateway_mac: GATEWAY_MAC };
    let enters = |source: &str, destination: &str| {
        let end = |text: &str| if text == "host" { End::Host } else { End::Address(text.parse().unwrap()) };
        let flow = Flow { source: end(source), destination: end(destination), traffic: Traffic::Tcp(80) };
        entry(&bundle, &flow, here).map(|entry| (entry.hook, entry.ifindex)).map_err(|error| error.to_string())
    };
    assert_eq!(enters("10.0.0.11", "203.0.113.9"), Ok((Hook::FromHost, 11)));
    assert_eq!(enters("203.0.113.9", "10.0.0.11"), Ok((Hook::ToHost, 11)));
    assert!(enters("10.0.0.12", "10.0.0.11").unwrap_err().contains("host \"h2\""));
    assert!(enters("203.0.113.9", "10.0.0.12").unwrap_err().contains("host \"h2\""));
    assert!(enters("host", "10.0.0.11").unwrap_err().contains("is the host itself"));
}

#[test]
fn a_packet_enters_where_its_source_is() {
    let (own, up) = ([2, 0, 0, 0, 9, 11], [2, 0, 0, 0, 9, 12]);
    let workload = [2, 0, 0, 0, 1, 1];
    assert_eq!(entry_of("10.0.0.11", "10.0.0.12"), Ok((Hook::FromWorkload, 11, workload, GATEWAY_MAC)));
    assert_eq!(
        entry_of("10.0.0.99", "10.0.0.12"),
        Ok((Hook::FromWorkload, 11, [2; 6], GATEWAY_MAC)),
        "an address pair"
    );
    assert_eq!(entry_of("10.0.0.11", "host"), Ok((Hook::FromWorkload, 11, workload, own)));
    assert_eq!(entry_of("host", "10.0.0.11"), Ok((Hook::ToWorkload, 11, own, workload)));
    assert_eq!(entry_of("203.0.113.9", "10.0.0.12"), Ok((Hook::FromUplink, 12, NEXT_HOP_MAC, up)));
}

#[test]
fn a_packet_that_another_host_sees_first_names_it() {
    let refused = |source, destination| entry_of(source, destination).unwrap_err();
    assert_eq!(
        refused("10.0.0.12", "10.0.0.11"),
        "its first packet is seen by host \"h2\", which runs interface w2/eth0; ask that one"
    );
    assert_eq!(
        refused("host", "10.0.0.12"),
        "its first packet is seen by host \"h2\", which runs interface w2/eth0; ask that one"
    );
    assert_eq!(
        refused("10.0.0.13", "10.0.0.11"),
        "device \"dev3\" of interface w3/eth0 is not on this host; start the workload, or name its device on the interface"
    );
    assert_eq!(
        refused("host", "203.0.113.9"),
        "no program sees it: 203.0.113.9 is no interface's, and the domain has no uplink it could come in by"
    );
}

#[test]
fn a_question_that_is_not_well_formed_is_refused_by_field() {
    let asked = |source: &[u8], protocol, number| {
        let destination = vec![10, 0, 0, 1];
        flow(Some(v1::TraceFlow { source: source.to_vec(), destination, protocol, number })).map_err(|e| e.to_string())
    };
    let destination = End::Address(IpAddr::from([10, 0, 0, 1]));
    assert_eq!(asked(&[], 1, 0x0800), Ok(Flow { source: End::Host, destination, traffic: Traffic::Icmp(8, 0) }));
    assert_eq!(
        asked(&[1; 3], 6, 80),
        Err("source: is neither 4 nor 16 bytes, nor none for the host's own stack".into())
    );
    assert_eq!(asked(&[1; 4], 256, 80), Err("protocol: is beyond 255".into()));
    assert_eq!(asked(&[1; 4], 6, 1 << 16), Err("number: is beyond 65535".into()));
}

#[test]
fn a_decision_is_told_with_names() {
    let bundle = bundle();
    let links = links();
    let here = Here { host: "h1", links: &links, gateway_mac: GATEWAY_MAC };
    let far = Host { v4: be32([192, 0, 2, 2].into()), ..Host::default() };
    let image = Image { hosts: [(5, far)].into(), ..Image::default() };
    let passed = Decision {
        action: Action::RF_ACTION_OVERLAY,
        judged: 1,
        allows: RF_ALLOW_FROM | RF_ALLOW_TO,
        from_rule: 31,
        remote_host: 5,
        ..Decision::default()
    };
    let told = verdict(&bundle, &image, here, Hook::FromWorkload, &passed);
    assert_eq!((told.generation, told.hook.as_str(), told.passes, told.judged), (42, "from_workload", true, true));
    assert_eq!((told.from_rule_name.as_str(), told.to_rule_name.as_str()), ("shop/users", ""));
    assert_eq!(told.target, "overlay h2");

    let dropped = Decision { reason: Reason::PolicyDeny as u32, judged: 1, ..Decision::default() };
    let told = verdict(&bundle, &image, here, Hook::FromWorkload, &dropped);
    assert_eq!((told.passes, told.reason.as_str(), told.target.as_str()), (false, "policy_deny", ""));
    let local = Decision { action: Action::RF_ACTION_LOCAL, ifindex: 11, ..Decision::default() };
    assert_eq!(verdict(&bundle, &image, here, Hook::FromWorkload, &local).target, "local dev1");
}
