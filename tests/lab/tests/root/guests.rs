//! Real guests, emulated, behind TAP devices with all that virtio leaves to a host.

use std::{path::Path, time::Duration};

use ringfence_lab::{
    guest::{Guest, Image},
    lab::{Lab, Options},
};

use super::turn;

/// By both families together.
const BYTES: u64 = 1 << 30;
/// Emulation is slow, and so may be the machine.
const PATIENCE: Duration = Duration::from_secs(240);

#[test]
fn guests_move_a_gigabyte_through_the_overlay() {
    let _turn = turn();
    let image = Image::make().unwrap();
    let file = Path::new("../guest/guests.yaml");
    let mut lab = Lab::raise(&[file], &Options { guests: true, ..Options::default() }).unwrap();
    lab.apply(file).unwrap();
    let links = lab.layout().attachments.clone();
    let link = |workload: &str| links.iter().find(|link| link.workload == workload).unwrap();
    let address = |workload: &str, v4: bool| {
        let mut addresses = link(workload).addresses.iter().map(|net| net.addr());
        addresses.find(|address| address.is_ipv4() == v4).unwrap().to_string()
    };
    let boot = |workload: &str, task: &str, peer: &str| {
        let host = lab.host(&link(workload).host).unwrap();
        let asks = [
            ("do", task.to_owned()),
            ("peer4", address(peer, true)),
            ("peer6", address(peer, false)),
            ("port", "5001".to_owned()),
            ("refused", "5002".to_owned()),
            ("bytes", BYTES.to_string()),
        ];
        Guest::boot(&image, host, link(workload), &asks, &lab.directory()).unwrap()
    };
    let mut guests = [boot("server", "serve", "client"), boot("client", "send", "server")];
    let said = guests.each_mut().map(|guest| guest.finish(PATIENCE));
    let said = lab.note(said.into_iter().collect::<anyhow::Result<Vec<_>>>()).unwrap();
    println!("{said:#?}");

    for (workload, said) in ["server", "client"].into_iter().zip(&said) {
        let [v4, v6] = [true, false].map(|v4| address(workload, v4));
        assert!(said.contains(&format!("dhcp {v4}/24 mtu 1400 dns 10.7.0.2")), "{workload}: {said:#?}");
        assert!(said.contains(&format!("slaac {v6}/64")), "{workload}: {said:#?}");
    }
    let [server, client] = said.as_slice() else { unreachable!() };
    for v4 in [true, false] {
        let (from, to) = (address("client", v4), address("server", v4));
        let half = BYTES / 2;
        assert!(server.contains(&format!("received {half} from {from}")), "{server:#?}");
        assert!(client.contains(&format!("ping {to} answered")), "{client:#?}");
        let sent = format!("sent {half} to {to} in ");
        assert!(client.iter().any(|line| line.starts_with(&sent) && line.ends_with(": all there")), "{client:#?}");
        assert!(client.contains(&format!("port 5002 of {to} timed out")), "{client:#?}");
    }
}
