//! Moments in time, as users write them.

/// A text that is no moment.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error(
    "{0:?} is no moment: write a date, a time and an offset, like 2026-12-01T06:00:00Z or 2026-12-01T07:00:00+01:00"
)]
pub struct MomentError(String);

/// Seconds since 1970-01-01T00:00:00Z of an RFC 3339 text, in whole seconds and not before then.
///
/// # Errors
/// Anything else.
pub fn parse_moment(text: &str) -> Result<u64, MomentError> {
    let wrong = || MomentError(text.to_owned());
    let moment: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
    if moment.subsec_nanosecond() != 0 {
        return Err(wrong());
    }
    u64::try_from(moment.as_second()).map_err(|_| wrong())
}

/// The RFC 3339 text of seconds since 1970-01-01T00:00:00Z, in UTC.
pub fn format_moment(seconds: u64) -> String {
    let moment = i64::try_from(seconds).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
    moment.map_or_else(|| format!("{seconds} s since 1970"), |moment| moment.to_string())
}
