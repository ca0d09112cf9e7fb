//! Errors as a client sees them.

use prost::Message;
use ringfence_policy::{model::Invalid, object::ObjectKey, wire};
use ringfence_proto::v1;
use tonic::{Code, Status};
use tracing::error;

use crate::{
    catalog::Refusal,
    controller::{ChangeError, Outcome},
};

/// Octets of faults that the details of a status carry. They travel as base64 in a header, and usual
/// clients take 16 KiB of headers (the default of HTTP/2 in grpc-go, grpc-java and hyper).
const DETAILS: usize = 6 << 10;

/// Octets of the lines that the message of a status tells. In the header each may take three.
const MESSAGE: usize = 1 << 10;

/// Everything wrong with a request, each under its place: lines for people in the message, and an encoded
/// `InvalidList` in the details for programs. What is beyond the bounds is counted.
pub(super) fn invalid(mut list: Vec<v1::Invalid>) -> Status {
    let all = list.len();
    let told = fitting(list.iter().map(|one| line(one).len() + 1), MESSAGE);
    let mut lines: Vec<String> = list.iter().take(told).map(line).collect();
    match all - told {
        0 => {}
        more if told == 0 => lines.push(format!("{more} things are wrong, and the first is too long to tell")),
        more => lines.push(format!("and {more} more")),
    }
    let length = |one: &v1::Invalid| v1::InvalidList { invalid: vec![one.clone()], more: 0 }.encoded_len();
    list.truncate(fitting(list.iter().map(length), DETAILS));
    let more = u32::try_from(all - list.len()).unwrap_or(u32::MAX);
    let details = v1::InvalidList { invalid: list, more }.encode_to_vec();
    Status::with_details(Code::InvalidArgument, lines.join("\n"), details.into())
}

/// How many of these lengths fit a bound, from the first.
fn fitting(lengths: impl Iterator<Item = usize>, bound: usize) -> usize {
    let sums = lengths.scan(0, |sum: &mut usize, length| {
        *sum += length;
        Some(*sum)
    });
    sums.take_while(|sum| *sum <= bound).count()
}

fn line(invalid: &v1::Invalid) -> String {
    let (kind, name) = match &invalid.key {
        Some(key) => (key.kind().as_str_name().trim_start_matches("KIND_").to_lowercase(), full_name(key)),
        None => ("object".to_owned(), invalid.object_index.to_string()),
    };
    match invalid.field.as_str() {
        "" => format!("{kind} {name}: {}", invalid.message),
        field => format!("{kind} {name}: {field}: {}", invalid.message),
    }
}

/// Why a change was not made. `place` finds a key in the request where the model names no place.
pub(super) fn change(failure: ChangeError, place: impl Fn(&ObjectKey) -> Option<usize>) -> Status {
    match failure {
        ChangeError::Refused(Refusal::Invalid(list)) => {
            let list = list.into_iter().map(|one| {
                let Invalid { key, index, field, message } = one;
                let index = index.or_else(|| place(&key)).unwrap_or_default();
                v1::Invalid {
                    object_index: u32::try_from(index).unwrap_or(u32::MAX),
                    key: Some(wire::key_to_wire(&key)),
                    field,
                    message,
                }
            });
            invalid(list.collect())
        }
        ChangeError::Refused(refusal @ Refusal::Stale { .. }) => Status::aborted(refusal.to_string()),
        ChangeError::Refused(refusal @ Refusal::Host(_)) => Status::invalid_argument(refusal.to_string()),
        ChangeError::Store(failure) => {
            error!(error = %failure, "commit failed");
            Status::internal(failure.to_string())
        }
        ChangeError::Abandoned(failure) => {
            error!(error = %failure, "change abandoned");
            Status::unavailable(ChangeError::Abandoned(failure).to_string())
        }
    }
}

/// What became of a change, in the terms of the wire.
pub(super) fn outcome(outcome: Outcome) -> (u64, Vec<v1::Change>, Vec<v1::DomainGeneration>) {
    use ringfence_policy::model::What;
    use v1::change::What as Wire;
    let Outcome { revision, changes, generations } = outcome;
    let changes = changes.into_iter().map(|(key, what)| {
        let what = match what {
            What::Created => Wire::Created,
            What::Changed => Wire::Changed,
            What::Unchanged => Wire::Unchanged,
            What::Source => Wire::Source,
            What::Deleted => Wire::Deleted,
        };
        v1::Change { key: Some(wire::key_to_wire(&key)), what: what.into() }
    });
    let generations = generations.into_iter().map(|(domain, generation)| v1::DomainGeneration { domain, generation });
    (revision, changes.collect(), generations.collect())
}

fn full_name(key: &v1::ObjectKey) -> String {
    if key.domain.is_empty() { key.name.clone() } else { format!("{}/{}", key.domain, key.name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_faults_than_fit_are_counted() {
        let fault = |place| v1::Invalid { object_index: place, message: "is wrong".to_owned(), ..Default::default() };
        let status = invalid((0..5_000).map(fault).collect());
        assert!(status.message().starts_with("object 0: is wrong\nobject 1: is wrong\n"), "{}", status.message());
        let told = status.message().lines().count() - 1;
        assert!(status.message().ends_with(&format!("\nand {} more", 5_000 - told)), "{}", status.message());
        let v1::InvalidList { invalid, more } = v1::InvalidList::decode(status.details()).unwrap();
        assert!(invalid.len() > 100, "{}", invalid.len());
        assert_eq!(invalid.len() + more as usize, 5_000);
    }

    #[test]
    fn a_status_fits_the_headers_that_usual_clients_take() {
        let long = "\u{fc}".repeat(300);
        for message in ["is wrong", long.as_str()] {
            let fault = |place| v1::Invalid { object_index: place, message: message.to_owned(), ..Default::default() };
            let status = invalid((0..5_000).map(fault).collect());
            let on_the_wire = status.details().len() * 4 / 3 + status.message().len() * 3;
            assert!(on_the_wire < 14 << 10, "{on_the_wire} of {message:.9}");
        }
    }

    #[test]
    fn a_few_faults_are_told_whole() {
        let fault = v1::Invalid { message: "is wrong".to_owned(), ..Default::default() };
        let status = invalid(vec![fault.clone(), fault]);
        assert_eq!(status.message(), "object 0: is wrong\nobject 0: is wrong");
        let list = v1::InvalidList::decode(status.details()).unwrap();
        assert_eq!((list.invalid.len(), list.more), (2, 0));
    }
}
