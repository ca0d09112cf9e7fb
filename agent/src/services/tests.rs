//! What is written for an interface, as far as its questions do not matter.

use super::*;

fn served() -> Served {
    let subnet = |dhcp, ra, address: &str| Served6 {
        cidr: "fd00:1::/64".parse().unwrap(),
        addresses: vec![address.parse().unwrap()],
        dns: Vec::new(),
        routes: Vec::new(),
        dhcp,
        ra,
    };
    Served {
        mac: [2, 0, 0, 0, 1, 1],
        mtu: 1450,
        lease: 60,
        v6: vec![subnet(true, true, "fd00:1::11")],
        ..Served::default()
    }
}

const GATEWAY_MAC: [u8; 6] = [2, 0x52, 0x46, 0, 0, 1];

fn services(served: &Served) -> Vec<u32> {
    replies(7, served, GATEWAY_MAC).iter().map(|(key, _)| key.service.0).collect()
}

#[test]
fn an_interface_is_answered_what_its_network_has() {
    let (dhcp6, router) = ([4, 6, 7, 5], 8);
    assert_eq!(services(&served()), [&dhcp6[..], &[router]].concat());
    let mut unannounced = served();
    unannounced.v6[0].ra = false;
    assert_eq!(services(&unannounced), dhcp6);
    let mut stateless = served();
    stateless.v6[0].dhcp = false;
    assert_eq!(services(&stateless), [5, router]);
    let v4 = Served4 {
        address: "10.1.0.11/24".parse().unwrap(),
        gateway: "10.1.0.1".parse().unwrap(),
        dns: Vec::new(),
        routes: Vec::new(),
    };
    assert_eq!(services(&Served { v4: Some(v4), v6: Vec::new(), ..served() }), [1, 2, 3]);
    assert_eq!(services(&Served::default()), []);
}

#[test]
fn an_address_made_of_a_mac_turns_its_universal_bit() {
    let made = |prefix: &str| eui64(prefix.parse().unwrap(), [0x00, 0x1b, 0x21, 0xaa, 0xbb, 0xcc]).to_string();
    assert_eq!(made("fe80::"), "fe80::21b:21ff:feaa:bbcc");
    assert_eq!(made("fd00:1::"), "fd00:1::21b:21ff:feaa:bbcc");
}

#[test]
fn what_does_not_fit_a_frame_is_not_cut() {
    let mut long = served();
    long.v6[0].dns = vec!["fd00:1::2".parse().unwrap(); 100];
    assert_eq!(services(&long), [6, 7], "messages that name no resolver");
}
