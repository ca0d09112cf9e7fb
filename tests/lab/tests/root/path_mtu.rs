//! Networks of different MTUs: senders learn what fits.

use std::{net::SocketAddr, time::Duration};

use nix::libc::EMSGSIZE;
use ringfence_lab::{
    probe::socket,
    stream::{DatagramStream, EchoStream},
    wait,
};

use super::{ACME, fixture};

#[test]
fn a_sender_into_a_smaller_network_learns_its_size() {
    let fixture = fixture();
    // front has 1450 bytes, back 1400.
    let [web, app] = ["web-1", "app-1"].map(|name| fixture.somebody(ACME, name));
    for ipv4 in [true, false] {
        let flow = EchoStream::start(&web, &app, ipv4, 8084, 100_000).unwrap();
        assert!(flow.echoes() >= 5);
        flow.finish().unwrap();
    }
}

#[test]
fn a_datagram_that_does_not_fit_comes_back_as_too_big_and_smaller_ones_arrive() {
    let fixture = fixture();
    let [web, app] = ["web-1", "app-1"].map(|name| fixture.somebody(ACME, name));
    for ipv4 in [true, false] {
        let source = SocketAddr::new(web.address(ipv4).unwrap(), 0);
        let sender = web.namespace.run(|| socket::udp(source)).unwrap();
        sender.connect(SocketAddr::new(app.address(ipv4).unwrap(), 4001)).unwrap();
        // With its headers between 1400 and 1450 bytes in both families.
        let datagram = [0; 1390];
        wait::until("the sender is told", Duration::from_secs(2), || {
            Ok(sender.send(&datagram).is_err_and(|error| error.raw_os_error() == Some(EMSGSIZE)))
        })
        .unwrap();
        let stream = DatagramStream::start(&web, &app, ipv4, 4001, 1350).unwrap();
        assert_eq!(stream.finish().unwrap().lost, [0_u64; 0]);
    }
}
