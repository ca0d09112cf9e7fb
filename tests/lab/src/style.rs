//! Colours, where somebody sees them.

use std::{
    env,
    io::{IsTerminal, stdout},
    sync::OnceLock,
};

/// What a text means to its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Style {
    /// A heading, or what a person types.
    Strong,
    /// As it should be.
    Good,
    /// Not as it should be.
    Bad,
    /// Of little interest.
    Faint,
}

/// The text in its colours; plain if no terminal shows it or NO_COLOR is set.
pub(crate) fn paint(style: Style, text: &str) -> String {
    static COLOURS: OnceLock<bool> = OnceLock::new();
    if !COLOURS.get_or_init(|| stdout().is_terminal() && env::var_os("NO_COLOR").is_none()) {
        return text.to_owned();
    }
    let code = match style {
        Style::Strong => "1",
        Style::Good => "32",
        Style::Bad => "1;31",
        Style::Faint => "2",
    };
    format!("\x1b[{code}m{text}\x1b[0m")
}
