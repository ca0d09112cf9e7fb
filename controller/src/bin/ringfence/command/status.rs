//! `ringfence status`.

use crate::{
    args::Status,
    client::Client,
    error::{Error, Outcome},
    output::{self, Format},
    view::status::Overview,
};

/// Shows how everything is.
pub(super) async fn run(args: Status, client: &Client, format: Format) -> Result<Outcome, Error> {
    let Status {} = args;
    let overview = Overview::from(client.status().await?);
    output::print(&output::formatted(format, &overview, Overview::tables)?)?;
    Ok(if overview.ok { Outcome::AsAsked } else { Outcome::NotAll })
}
