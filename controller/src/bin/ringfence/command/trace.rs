//! `ringfence trace`.

use ringfence_controller::trace::{self, TraceError};
use ringfence_proto::v1;

use crate::{
    args,
    client::Client,
    error::{Error, Outcome},
    output::{self, Format},
    view::trace::Trace,
    world::{World, now},
};

/// Explains from what the controller has, and from a host's maps if asked to.
pub(super) async fn online(args: args::Trace, client: &Client, format: Format) -> Result<Outcome, Error> {
    show(client.trace(request(&args)).await?, &args, format)
}

/// Explains from files.
pub(super) fn offline(args: &args::Trace, format: Format) -> Result<Outcome, Error> {
    let world = World::read(&args.files)?;
    let refused = |error: TraceError| Error::Refused(error.to_string());
    let request = request(args);
    let domain = trace::choose(&world.model, &request.domain).map_err(refused)?;
    let traced = trace::trace(domain.clone(), &request, now()).map_err(refused)?;
    show(traced.to_wire(0), args, format)
}

fn request(args: &args::Trace) -> v1::TraceRequest {
    let args::Trace { from, to, traffic, domain, family, at, live, files: _ } = args;
    v1::TraceRequest {
        domain: domain.clone().unwrap_or_default(),
        from: from.clone(),
        to: to.clone(),
        traffic: traffic.clone(),
        family: family.clone().unwrap_or_default(),
        at: at.clone().unwrap_or_default(),
        live: *live,
    }
}

fn show(response: v1::TraceResponse, args: &args::Trace, format: Format) -> Result<Outcome, Error> {
    let trace = Trace::from(response);
    let question = format!("{} to {}, {}", args.from, args.to, args.traffic);
    output::print(&output::formatted(format, &trace, |trace| trace.text(&question))?)?;
    for complaint in trace.complaints() {
        output::complain(&complaint);
    }
    Ok(if trace.is_confirmed() { Outcome::AsAsked } else { Outcome::NotAll })
}
