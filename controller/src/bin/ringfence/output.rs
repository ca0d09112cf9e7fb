//! Standard output and standard error, and the forms an answer can take.

use std::io::{self, ErrorKind, Write};

use clap::ValueEnum;
use comfy_table::{Table, presets};
use serde::Serialize;

use crate::error::Error;

/// The form of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Table,
    /// One JSON document with stable field names; each command's --help shows its shape.
    Json,
    /// YAML; that of `get` can be given to `apply` again.
    Yaml,
}

/// Writes an answer to standard output. Nobody reading on (`| head`) is no error.
pub(crate) fn print(text: &str) -> Result<(), Error> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            Err(Error::Write { form: "text to standard output", message: error.to_string() })
        }
        _ => Ok(()),
    }
}

/// Writes a line to standard error. If that fails there is nowhere left to say so.
pub(crate) fn complain(text: &str) {
    progress(&format!("{text}\n"));
}

/// Writes to standard error as it is, control sequences included.
pub(crate) fn progress(text: &str) {
    let mut err = io::stderr().lock();
    let _ = err.write_all(text.as_bytes()).and_then(|()| err.flush());
}

/// An answer in the form asked for; `table` makes the one for people.
pub(crate) fn formatted<T: Serialize>(
    format: Format,
    answer: &T,
    table: impl FnOnce(&T) -> String,
) -> Result<String, Error> {
    match format {
        Format::Table => Ok(table(answer)),
        Format::Json => json(answer),
        Format::Yaml => {
            serde_yaml::to_string(answer).map_err(|error| Error::Write { form: "YAML", message: error.to_string() })
        }
    }
}

/// One JSON document and a line end.
pub(crate) fn json<T: Serialize>(answer: &T) -> Result<String, Error> {
    serde_json::to_string_pretty(answer)
        .map(|text| text + "\n")
        .map_err(|error| Error::Write { form: "JSON", message: error.to_string() })
}

/// The same on one line.
pub(crate) fn json_line<T: Serialize>(answer: &T) -> Result<String, Error> {
    serde_json::to_string(answer)
        .map(|text| text + "\n")
        .map_err(|error| Error::Write { form: "JSON", message: error.to_string() })
}

/// Columns under upper-case headings, apart by two spaces, with nothing after the last.
pub(crate) fn columns<const N: usize>(headings: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(headings);
    for row in rows {
        table.add_row(row.map(|cell| if cell.is_empty() { "-".to_owned() } else { cell }));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table.trim_fmt() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_widest_cell_and_empty_cells_are_dashes() {
        let rows = [["h1".to_owned(), "yes".to_owned()], ["host-22".to_owned(), String::new()]];
        assert_eq!(columns(["HOST", "UP"], rows), "HOST     UP\nh1       yes\nhost-22  -\n");
    }
}
