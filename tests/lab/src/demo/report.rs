//! What the demo says: stages, what was seen, and whether it was as expected.

use std::time::Duration;

use crate::style::{Style, paint};

/// Prints as it goes, and counts.
pub(super) struct Report {
    stages: u32,
    right: u32,
    wrong: u32,
}

impl Report {
    pub(super) fn new() -> Self {
        Self { stages: 0, right: 0, wrong: 0 }
    }

    /// Begins a stage.
    pub(super) fn stage(&mut self, title: &str) {
        self.stages += 1;
        println!("\n{}", paint(Style::Strong, &format!("── {}. {title}", self.stages)));
    }

    /// Something to know.
    pub(super) fn note(&self, text: &str) {
        for line in text.trim_end().lines() {
            println!("   {line}");
        }
    }

    /// A command, as a person would type it, and what it printed.
    pub(super) fn command(&self, command: &str, printed: &str) {
        println!("   {}", paint(Style::Strong, &format!("$ {command}")));
        self.note(printed);
    }

    /// Something that was to be so: `fact` says what, `otherwise` what was seen instead.
    pub(super) fn check(&mut self, holds: bool, fact: &str, otherwise: impl FnOnce() -> String) {
        if holds {
            self.right += 1;
            println!("   {} {fact}", paint(Style::Good, "✓"));
        } else {
            self.wrong += 1;
            println!("   {}", paint(Style::Bad, &format!("✗ not so: {fact}")));
            self.note(&otherwise());
        }
    }

    pub(super) fn all_right(&self) -> bool {
        self.wrong == 0
    }

    pub(super) fn end(&self, took: Duration) {
        let verdict =
            if self.all_right() { paint(Style::Good, "all as expected") } else { paint(Style::Bad, "NOT as expected") };
        println!("\n{verdict}: {} checks held, {} did not, in {:.0} s", self.right, self.wrong, took.as_secs_f64());
    }
}
