//! When devices or addresses changed.

use std::time::Duration;

use futures::StreamExt;
use rtnetlink::MulticastGroup;
use tokio::sync::mpsc;

use super::NetlinkError;

const RETRY: Duration = Duration::from_millis(200);

/// Calls `changed` once when it listens, and after every change of a device or an address of this network namespace.
///
/// What changed is not told: whoever is called lists anew, so no event can be missed by listing before listening, and
/// none that the kernel drops under load stays missed.
pub async fn monitor(changed: mpsc::Sender<()>) -> NetlinkError {
    loop {
        let groups = [MulticastGroup::Link, MulticastGroup::Ipv4Ifaddr, MulticastGroup::Ipv6Ifaddr];
        let (connection, _handle, mut events) = match rtnetlink::new_multicast_connection(&groups) {
            Ok(parts) => parts,
            Err(error) => return NetlinkError::Socket(error),
        };
        let connection = tokio::spawn(connection);
        wake(&changed);
        while events.next().await.is_some() {
            wake(&changed);
        }
        connection.abort();
        tracing::warn!("link events ended; listening again");
        tokio::time::sleep(RETRY).await;
    }
}

/// One pending wake-up stands for any number of changes.
fn wake(changed: &mpsc::Sender<()>) {
    let _ = changed.try_send(());
}
