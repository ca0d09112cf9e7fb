//! Answers as a table that fits a terminal: askers down, the asked across, one sign a service.

use std::fmt::Write as _;

use super::{Endpoint, Outcome, SERVICES, expectation::Answer};
use crate::style::{Style, paint};

/// What the signs mean.
pub fn legend() -> String {
    let services: Vec<String> = SERVICES.iter().map(ToString::to_string).collect();
    let [both, four, six] = ["●", "4", "6"].map(|sign| paint(Style::Good, sign));
    let (silence, wrong) = (paint(Style::Faint, "·"), paint(Style::Bad, "✗"));
    format!(
        "each sign is one service: {}\n\
         {both} answered over IPv4 and IPv6   {four} {six} over that one only   {silence} silence   \
         {wrong} not what the policy says\n\
         in brackets: whom only the other tenant has\n",
        services.join(" ")
    )
}

/// One domain's answers.
pub fn render(endpoints: &[Endpoint], answers: &[Answer], domain: &str) -> String {
    let columns = columns(endpoints, domain);
    let width = SERVICES.len() + 2;
    let mut table = format!("{:10}", "");
    for (name, _) in &columns {
        let _ = write!(table, "{name:width$}");
    }
    table.push('\n');
    for (asker, endpoint) in endpoints.iter().enumerate().filter(|(_, it)| it.domain == domain) {
        let _ = write!(table, "{:10}", endpoint.name);
        for (_, addresses) in &columns {
            for service in SERVICES {
                let both: Vec<&Answer> = answers
                    .iter()
                    .filter(|it| {
                        it.question.asker == asker
                            && it.question.service == service
                            && addresses.contains(&it.question.target)
                    })
                    .collect();
                table += &sign(&both);
            }
            table.push_str("  ");
        }
        table.push('\n');
    }
    table
}

/// Everybody of the domain by name, then whoever has addresses that nobody of it has.
fn columns(endpoints: &[Endpoint], domain: &str) -> Vec<(String, Vec<std::net::IpAddr>)> {
    let (own, others): (Vec<_>, Vec<_>) = endpoints.iter().partition(|it| it.domain == domain);
    let strangers = others
        .iter()
        .filter(|it| !own.iter().any(|own| own.addresses == it.addresses))
        .map(|it| (format!("({})", it.name), it.addresses.clone()));
    own.iter().map(|it| (it.name.clone(), it.addresses.clone())).chain(strangers).collect()
}

fn sign(both_families: &[&Answer]) -> String {
    if both_families.is_empty() {
        return " ".to_owned();
    }
    if both_families.iter().any(|answer| !answer.is_right()) {
        return paint(Style::Bad, "✗");
    }
    let answered: Vec<bool> = both_families
        .iter()
        .filter(|answer| answer.observed != Outcome::Silence)
        .map(|answer| answer.question.target.is_ipv4())
        .collect();
    match answered.as_slice() {
        [] => paint(Style::Faint, "·"),
        [true] => paint(Style::Good, "4"),
        [false] => paint(Style::Good, "6"),
        _ => paint(Style::Good, "●"),
    }
}
