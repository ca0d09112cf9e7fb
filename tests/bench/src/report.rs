//! What was measured, as tables and as JSON.

use std::{fs, path::Path};

use anyhow::Context;
use comfy_table::Table;
use serde_json::{Map, Value, json};

use crate::measure::{kernel, load, processor};

/// Figures under headings.
pub(crate) struct Report {
    figures: Map<String, Value>,
}

impl Report {
    /// Nothing yet, on this machine.
    pub(crate) fn new() -> anyhow::Result<Self> {
        let (machine, kernel, load) = (processor(), kernel()?, load()?);
        println!("measured on {machine}, Linux {kernel}, one thread; {load} others wanted to run in the last minute");
        let about = [("machine", json!(machine)), ("kernel", json!(kernel)), ("load", json!(load))];
        Ok(Self { figures: about.into_iter().map(|(name, value)| (name.to_owned(), value)).collect() })
    }

    /// Prints rows under a title and keeps them.
    pub(crate) fn add(&mut self, title: &str, columns: &[&str], rows: &[Vec<Value>]) {
        let mut table = Table::new();
        table.load_preset(comfy_table::presets::UTF8_FULL_CONDENSED).set_header(columns);
        for row in rows {
            table.add_row(row.iter().map(text));
        }
        println!("\n{title}\n{table}");
        let named = |row: &Vec<Value>| -> Map<String, Value> {
            columns.iter().zip(row).map(|(column, value)| ((*column).to_owned(), value.clone())).collect()
        };
        let rows: Vec<Value> = rows.iter().map(|row| Value::Object(named(row))).collect();
        self.figures.insert(title.to_owned(), Value::Array(rows));
    }

    /// Writes all figures to a file.
    pub(crate) fn write(self, path: &Path) -> anyhow::Result<()> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        }
        let text = serde_json::to_string_pretty(&Value::Object(self.figures))?;
        fs::write(path, text + "\n").with_context(|| format!("cannot write {}", path.display()))?;
        println!("\nwritten to {}", path.display());
        Ok(())
    }
}

/// A cell: of a spread the median and the quartiles.
fn text(value: &Value) -> String {
    let part = |name: &str| value.get(name).and_then(Value::as_f64);
    match (part("median"), part("low"), part("high")) {
        (Some(median), Some(low), Some(high)) => format!("{median:.3} [{low:.3}–{high:.3}]"),
        _ => value.as_str().map_or_else(|| value.to_string(), str::to_owned),
    }
}
