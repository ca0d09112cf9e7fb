//! Address services end to end: what a network says, an agent writes, the programs answer and the agent announces.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use ringfence_lab::{
    lab::{Lab, Options},
    netns::Namespace,
    wait,
};

use super::{ACME, turn};

const PATIENCE: Duration = Duration::from_secs(20);
/// The gateway, by the address made of the gateways' MAC.
const ROUTER: &str = "default via fe80::52:46ff:fe00:1";

/// One workload, and a network that says this of its subnets.
fn domain(v4: &str, v6: &str) -> String {
    format!(
        "kind: Tenant\nname: acme\n---\nkind: Domain\nname: {ACME}\n---\n\
         kind: Network\ndomain: {ACME}\nname: lan\nsubnets:\n\
         - {{cidr: 10.1.0.0/24, gateway: 10.1.0.1{v4}}}\n- {{cidr: \"fd00:1::/64\", gateway: \"fd00:1::1\"{v6}}}\n---\n\
         kind: Workload\ndomain: {ACME}\nname: guest\nlabels: {{role: guest}}\ninterfaces:\n\
         - {{name: eth0, network: lan, mac: \"02:00:00:00:01:01\", addresses: [10.1.0.11, \"fd00:1::11\"], host: h1}}\n"
    )
}

/// What a command prints in a namespace.
fn printed(namespace: &Namespace, command: &str) -> String {
    let output = namespace.command("sh").unwrap().args(["-c", command]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The lease that busybox's client gets.
fn lease(guest: &Namespace) -> String {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("script");
    fs::write(&script, "#!/bin/sh\n[ \"$1\" != bound ] || echo $ip/$mask $router $dns $lease $mtu\n").unwrap();
    assert!(Command::new("chmod").arg("755").arg(&script).status().unwrap().success());
    let client = format!("busybox udhcpc -i eth0 -f -n -q -t 5 -T 1 -O mtu -s {} 2> /dev/null", script.display());
    printed(guest, &client).trim().to_owned()
}

#[test]
fn workloads_are_told_what_their_network_says_with_and_without_an_agent() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, v4: &str, v6: &str| -> PathBuf {
        let file = folder.path().join(name);
        fs::write(&file, domain(v4, v6)).unwrap();
        file
    };
    let quiet = write("quiet.yaml", "", "");
    let serving = write("serving.yaml", ", dhcp: true, dns: [10.1.0.2]", ", ra: true");
    let mut lab = Lab::raise(&[&quiet], &Options::default()).unwrap();
    lab.apply(&quiet).unwrap();
    let guest = lab.endpoint(ACME, "guest").unwrap().namespace.clone();
    let routers = || printed(&guest, "ip -6 route show default proto ra");
    assert_eq!((lease(&guest), routers()), (String::new(), String::new()));

    // A guest of the lab asks for no router by itself: it is the agent that announces it.
    guest.sysctl("net/ipv6/conf/eth0/accept_ra", "1").unwrap();
    lab.apply(&serving).unwrap();
    wait::until("the guest has heard of its router", PATIENCE, || Ok(routers().contains(ROUTER))).unwrap();
    let expected = "10.1.0.11/24 10.1.0.1 10.1.0.2 3600 1450";
    assert_eq!(lease(&guest), expected);
    lab.agent("h1").unwrap().kill().unwrap();
    assert_eq!(lease(&guest), expected, "without an agent");
    lab.agent("h1").unwrap().start_again(&[]).unwrap();
    lab.wait_until_settled(true).unwrap();

    lab.apply(&quiet).unwrap();
    wait::until("the guest has heard that it has none", PATIENCE, || Ok(routers().is_empty())).unwrap();
    assert_eq!(lease(&guest), "");
}
