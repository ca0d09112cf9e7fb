//! `ringfence get`.

use ringfence_policy::{object::Kind, text, wire::kind_to_wire};
use ringfence_proto::v1;

use super::check_domain;
use crate::{
    args::{Get, View},
    client::Client,
    error::{Error, Outcome},
    output::{self, Format},
    view::{
        interfaces::Interfaces,
        objects::{self, Stored},
        tables,
    },
};

/// Fetches and shows objects.
pub(super) async fn run(args: Get, client: &Client, format: Format) -> Result<Outcome, Error> {
    let Get { kind: view, name, domain } = args;
    let request = v1::GetRequest {
        kind: view.map_or(v1::Kind::Unspecified, |view| kind_to_wire(view.kind())).into(),
        domain: domain.clone().unwrap_or_default(),
        name: name.clone().unwrap_or_default(),
    };
    let v1::GetResponse { objects, revision } = client.get(request).await?;
    let objects = objects::from_wire(objects)?;
    if let (Some(view), Some(name), true) = (view, &name, objects.is_empty()) {
        return Err(Error::Refused(not_found(view.kind(), name, domain.as_deref())));
    }
    if objects.is_empty() {
        check_domain(client, domain.as_deref()).await?;
    }
    let text = match (view, format) {
        (Some(View::Interfaces), _) => output::formatted(format, &Interfaces::of(&objects), tables::interfaces)?,
        (Some(view), Format::Table) => tables::of_kind(view.kind(), &objects),
        (None, Format::Table) => tables::of_all(&objects),
        (_, Format::Yaml) => yaml(&objects, view == Some(View::Hosts)),
        (_, Format::Json) => output::json(&objects::document(revision, objects)?)?,
    };
    output::print(&text)?;
    Ok(Outcome::AsAsked)
}

/// What `apply` takes again, unless hosts are asked for.
fn yaml(objects: &[Stored], with_hosts: bool) -> String {
    let shown = objects.iter().map(|stored| &stored.object).filter(|object| with_hosts || object.kind() != Kind::Host);
    text::render(&shown.cloned().collect::<Vec<_>>())
}

fn not_found(kind: Kind, name: &str, domain: Option<&str>) -> String {
    match domain {
        Some(domain) => format!("there is no {kind} {name} in {domain}"),
        None => format!("there is no {kind} {name}"),
    }
}
