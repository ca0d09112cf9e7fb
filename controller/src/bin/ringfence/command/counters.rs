//! `ringfence counters`.

use ringfence_proto::v1;

use super::{check_domain, check_host};
use crate::{
    args::Counters,
    client::Client,
    error::{Error, Outcome},
    output::{self, Format},
    view::counters::Readings,
};

/// Asks the hosts and shows their counters.
pub(super) async fn run(args: Counters, client: &Client, format: Format) -> Result<Outcome, Error> {
    let Counters { domain, host } = args;
    let request =
        v1::CountersRequest { domain: domain.clone().unwrap_or_default(), host: host.clone().unwrap_or_default() };
    let readings = Readings::from(client.counters(request).await?);
    if readings.is_empty() {
        check_domain(client, domain.as_deref()).await?;
        check_host(client, host.as_deref()).await?;
    }
    output::print(&output::formatted(format, &readings, Readings::table)?)?;
    for error in &readings.errors {
        output::complain(&format!("{}: {}", error.host, error.message));
    }
    Ok(if readings.errors.is_empty() { Outcome::AsAsked } else { Outcome::NotAll })
}
