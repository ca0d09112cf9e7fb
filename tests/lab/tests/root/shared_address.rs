//! An address that two routers share moves from host to host, and a running exchange goes with it.

use std::{
    fs,
    net::{Ipv4Addr, UdpSocket},
    process::Child,
    time::{Duration, Instant},
};

use ringfence_lab::{
    lab::{Lab, Options},
    probe::Endpoint,
    wait,
};

use super::turn;

const SHARED: Ipv4Addr = Ipv4Addr::new(10, 1, 0, 50);
const PORT: u16 = 4000;
/// A takeover is noticed sooner than this, and an untrue one would be.
const SOON: Duration = Duration::from_secs(1);

/// Two routers on h1 and h2, who share an address; a client, and somebody who has no claim to it, on h3.
const POLICY: &str = r#"
kind: Tenant
name: acme
---
kind: Domain
name: acme/prod
---
kind: Network
domain: acme/prod
name: lan
subnets: [{cidr: 10.1.0.0/24, gateway: 10.1.0.1}]
---
kind: Workload
domain: acme/prod
name: router-1
labels: {role: router}
interfaces:
  - {name: eth0, network: lan, mac: "02:00:00:00:01:01", addresses: [10.1.0.11], host: h1, addressPairs: [{prefix: 10.1.0.50}]}
---
kind: Workload
domain: acme/prod
name: router-2
labels: {role: router}
interfaces:
  - {name: eth0, network: lan, mac: "02:00:00:00:01:02", addresses: [10.1.0.12], host: h2, addressPairs: [{prefix: 10.1.0.50}]}
---
kind: Workload
domain: acme/prod
name: client
interfaces:
  - {name: eth0, network: lan, mac: "02:00:00:00:01:03", addresses: [10.1.0.13], host: h3}
---
kind: Workload
domain: acme/prod
name: stranger
interfaces:
  - {name: eth0, network: lan, mac: "02:00:00:00:01:04", addresses: [10.1.0.14], host: h3}
---
kind: Policy
domain: acme/prod
name: p
rules: [{name: ask, from: [workload/client], to: [{labels: {role: router}}], action: allow, traffic: [udp/4000]}]
"#;

/// Answers whoever asks the shared address with its own name, for as long as somebody asks.
fn respond(endpoint: &Endpoint) {
    let name = endpoint.name.clone();
    endpoint.namespace.spawn(move || {
        let socket = UdpSocket::bind((SHARED, PORT))?;
        socket.set_read_timeout(Some(Duration::from_secs(30)))?;
        let mut question = [0; 10];
        while let Ok((_, from)) = socket.recv_from(&mut question) {
            socket.send_to(name.as_bytes(), from)?;
        }
        Ok(())
    });
}

fn start(endpoint: &Endpoint, command: &str) -> Child {
    let mut words = command.split(' ');
    endpoint.namespace.command(words.next().unwrap()).unwrap().args(words).spawn().unwrap()
}

fn run(endpoint: &Endpoint, command: &str) {
    assert!(start(endpoint, command).wait().unwrap().success(), "{command} by {}", endpoint.name);
}

/// Takes the address, so that `announce` may say so.
fn take(endpoint: &Endpoint) {
    run(endpoint, "ip addr replace 10.1.0.50/32 dev eth0");
    respond(endpoint);
}

/// Says who has the address now, as keepalived does.
fn announce(endpoint: &Endpoint) -> Child {
    start(endpoint, "arping -q -U -c 1 -I eth0 10.1.0.50")
}

/// One question to the shared address, and who answered it.
fn ask(client: &UdpSocket) -> Option<String> {
    // What comes of it is what the answer tells; a host that is still looking for the holder refuses to send.
    let _ = client.send_to(b"who?", (SHARED, PORT));
    let mut answer = [0; 100];
    let (length, _) = client.recv_from(&mut answer).ok()?;
    Some(String::from_utf8_lossy(&answer[..length]).into_owned())
}

/// Asks until `name` answers; how long that took.
fn until_answered(client: &UdpSocket, name: &str) -> Duration {
    let began = Instant::now();
    wait::until("the holder answers", Duration::from_secs(10), || Ok(ask(client).as_deref() == Some(name))).unwrap();
    began.elapsed()
}

/// How long it takes from an announcement until who announced it is who answers.
fn moved(client: &UdpSocket, to: &Endpoint) -> Duration {
    let mut announcing = announce(to);
    let took = until_answered(client, &to.name);
    assert!(announcing.wait().unwrap().success());
    took
}

#[test]
fn a_shared_address_moves_with_its_flow_to_who_announces_it_and_to_nobody_else() {
    let _turn = turn();
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("routers.yaml");
    fs::write(&file, POLICY).unwrap();
    let mut lab = Lab::raise(&[&file], &Options::default()).unwrap();
    lab.apply(&file).unwrap();
    let [one, two, client, stranger] =
        ["router-1", "router-2", "client", "stranger"].map(|name| lab.endpoint("acme/prod", name).unwrap().clone());
    // One socket, and so one flow, from the beginning to the end.
    let socket = client.namespace.run(|| Ok(UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?)).unwrap();
    socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();

    // Nobody announced it: the client's own question finds who has it.
    take(&one);
    until_answered(&socket, "router-1");

    take(&two);
    let took = moved(&socket, &two);
    assert!(took < SOON, "it took {took:?}");

    take(&stranger);
    let mut announcing = announce(&stranger);
    let until = Instant::now() + SOON;
    while Instant::now() < until {
        assert_eq!(ask(&socket).unwrap_or_else(|| two.name.clone()), two.name);
    }
    announcing.wait().unwrap();
    until_answered(&socket, "router-2");

    run(&two, "ip addr del 10.1.0.50/32 dev eth0");
    let took = moved(&socket, &one);
    assert!(took < SOON, "it took {took:?}");
}
