//! What the compiler costs.

use crate::report::Report;

mod cloud;
mod counts;
mod large;

/// Measures all of it.
pub(crate) fn run() -> anyhow::Result<Report> {
    let mut report = Report::new()?;
    // First, since the peak of memory is the process's.
    cloud::run(&mut report)?;
    large::run(&mut report)?;
    counts::run(&mut report)?;
    Ok(report)
}
