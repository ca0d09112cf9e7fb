//! Clients that others wrote, behind the programs. No agent runs here: what is answered is answered without one.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::guest::Guest;
use crate::net::sh;
use crate::served::{made_of_mac, served};
use crate::world::{DOMAIN, DOMAIN_ID, World};

/// Far beyond what a client takes on a loaded machine.
const DEADLINE: Duration = Duration::from_secs(20);

/// A guest that has nothing yet, in a network with everything.
fn guest(managed: bool) -> (World, Guest) {
    let mut world = World::new();
    let mut web = world.web;
    if !managed {
        web.v6 = made_of_mac("fd00:1::", web.mac);
        world.put_workload(DOMAIN, DOMAIN_ID, &web);
    }
    let mut told = served(&web);
    told.v6[0].dhcp = managed;
    world.serve(&web, &told);
    let guest = Guest::unconfigured(&mut world, "web", &web);
    (world, guest)
}

/// What a command prints; it succeeds.
fn output(command: &str) -> String {
    let output = Command::new("sh").args(["-ec", command]).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{command}: {}{}", text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// Runs a DHCP client in the guest, which calls the script SCRIPT in the folder DIR; what it told the script.
fn leased(guest: &Guest, command: &str) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().display().to_string();
    let script = format!("#!/bin/sh\ncase \"$1$reason\" in bound|BOUND|BOUND6) env > {dir}/told;; esac\n");
    fs::write(folder.path().join("script"), script).unwrap();
    sh(&format!("chmod 755 {dir} {dir}/script"));
    let command = command.replace("DIR", &dir);
    guest.inside(move || output(&command));
    let told = fs::read_to_string(folder.path().join("told")).unwrap();
    told.lines().map(str::to_owned).collect()
}

#[track_caller]
fn assert_told(told: &[String], expected: &[&str]) {
    for line in expected {
        assert!(told.iter().any(|told| told == line), "no {line} in\n{}", told.join("\n"));
    }
}

#[test]
fn busybox_gets_its_lease() {
    let (_world, guest) = guest(true);
    guest.inside(|| sh("ip link set dev web-in up"));
    let client = "busybox udhcpc -i web-in -f -n -q -t 5 -T 1 -s DIR/script -O staticroutes -O search -O mtu";
    let told = leased(&guest, client);
    assert_told(
        &told,
        &[
            "ip=10.1.0.11",
            "subnet=255.255.255.0",
            "router=10.1.0.1",
            "dns=10.1.0.2 10.1.0.3",
            "domain=corp.example",
            "search=corp.example example",
            "mtu=1450",
            "lease=7200",
            "serverid=10.1.0.1",
            "staticroutes=0.0.0.0/0 10.1.0.1 172.16.0.0/12 10.1.0.9 192.0.2.7/32 10.1.0.9",
        ],
    );
}

#[test]
fn dhclient_gets_its_lease() {
    let (_world, guest) = guest(true);
    guest.inside(|| sh("ip link set dev web-in up"));
    let config = "option rfc3442 code 121 = array of unsigned integer 8; request subnet-mask, routers, domain-name-servers, \
                  domain-search, interface-mtu, rfc3442, dhcp-lease-time;";
    let client = "timeout 20 dhclient -4 -1 -cf DIR/conf -lf DIR/leases -pf DIR/pid -sf DIR/script web-in 2>&1; \
                  dhclient -4 -x -pf DIR/pid -lf DIR/leases -sf DIR/script web-in 2>&1";
    let told = leased(&guest, &format!("echo '{config}' > DIR/conf; {client}"));
    assert_told(
        &told,
        &[
            "new_ip_address=10.1.0.11",
            "new_subnet_mask=255.255.255.0",
            "new_routers=10.1.0.1",
            "new_domain_name_servers=10.1.0.2 10.1.0.3",
            "new_interface_mtu=1450",
            "new_dhcp_lease_time=7200",
            "new_rfc3442=0 10 1 0 1 12 172 16 10 1 0 9 32 192 0 2 7 10 1 0 9",
        ],
    );
}

#[test]
fn dhclient_gets_its_ipv6_address() {
    let (_world, guest) = guest(true);
    // Nothing keeps its link-local address back.
    guest.inside(|| sh("echo 0 > /proc/sys/net/ipv6/conf/web-in/accept_dad; ip link set dev web-in up"));
    let client = "timeout 20 dhclient -6 -1 -D LL -lf DIR/leases -pf DIR/pid -sf DIR/script web-in 2>&1; \
                  dhclient -6 -x -pf DIR/pid -lf DIR/leases -sf DIR/script web-in 2>&1";
    let told = leased(&guest, client);
    assert_told(
        &told,
        &[
            "new_ip6_address=fd00:1::11",
            "new_max_life=7200",
            "new_dhcp6_name_servers=fd00:1::2 fd00:1::3",
            "new_dhcp6_domain_search=corp.example. example.",
        ],
    );
}

#[test]
fn a_kernel_makes_its_address_and_finds_its_router() {
    let (_world, guest) = guest(false);
    guest.inside(|| {
        sh("echo 64 > /proc/sys/net/ipv6/conf/web-in/accept_ra_rt_info_max_plen; ip link set dev web-in up");
        let begun = Instant::now();
        let wanted = ["fd00:1::ff:fe00:101/64", "default via fe80::52:46ff:fe00:1", "fd09::/48 via fe80::52:46ff:fe00:1"];
        loop {
            let found = output("ip -6 addr show dev web-in -tentative; ip -6 route show dev web-in");
            if wanted.iter().all(|wanted| found.contains(wanted)) {
                break;
            }
            assert!(begun.elapsed() < DEADLINE, "{found}");
            std::thread::sleep(Duration::from_millis(100));
        }
        assert_eq!(fs::read_to_string("/proc/sys/net/ipv6/conf/web-in/mtu").unwrap().trim(), "1450");
        // Its router answers, and stays one after the kernel has made sure of it.
        sh("ping -6 -c 1 -W 5 fd00:1::1 > /dev/null; ip -6 neigh flush dev web-in; ping -6 -c 1 -W 5 fd00:1::1 > /dev/null");
        assert!(output("ip -6 route show default").contains("fe80::52:46ff:fe00:1"));
    });
}

#[test]
fn rdisc6_and_ndisc6_find_the_router() {
    let (_world, guest) = guest(false);
    guest.inside(|| {
        sh("echo 0 > /proc/sys/net/ipv6/conf/web-in/accept_dad; ip link set dev web-in up");
        let found = output("rdisc6 -1 -r 5 -w 2000 web-in").split_whitespace().collect::<Vec<_>>().join(" ");
        for said in [
            "Router lifetime : 65535",
            "Source link-layer address: 02:52:46:00:00:01",
            "MTU : 1450 bytes",
            "Prefix : fd00:1::/64",
            "Autonomous address conf.: Yes",
            "Route : fd09::/48",
            "Recursive DNS server : fd00:1::2",
            "Recursive DNS server : fd00:1::3",
            "DNS search list : corp.example example",
        ] {
            assert!(found.contains(said), "no {said} in {found}");
        }
        let found = output("ndisc6 -1 -r 5 -w 2000 fe80::52:46ff:fe00:1 web-in");
        assert!(found.contains("02:52:46:00:00:01"), "{found}");
    });
}

#[test]
fn arping_finds_neighbours_and_who_has_an_address_already() {
    let (_world, guest) = guest(true);
    guest.inside(|| {
        sh("ip link set dev web-in up; ip addr add 10.1.0.11/24 dev web-in");
        for target in ["10.1.0.1", "10.1.0.12"] {
            output(&format!("arping -c 1 -w 5 -I web-in {target}"));
        }
        // Duplicate address detection: it succeeds if nobody has it.
        output("arping -D -c 2 -w 2 -I web-in 10.1.0.11");
        output("! arping -D -c 2 -w 5 -I web-in 10.1.0.12");
        // An announcement harms nobody.
        output("arping -U -c 1 -I web-in 10.1.0.11");
        output("arping -c 1 -w 5 -I web-in 10.1.0.12");
    });
}
