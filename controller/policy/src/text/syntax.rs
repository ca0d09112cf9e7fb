//! What the YAML parser complains of, in the words of an author.

/// Parts of the parser's words, and what to say instead; the first that fits counts.
const TOLD: [(&str, &str); 22] = [
    ("found a tab", "a tab cannot indent: write spaces"),
    ("tabs disallowed", "a tab cannot indent: write spaces"),
    ("tab cannot be used", "a tab cannot indent: write spaces"),
    ("anchor", "anchors and aliases are not part of the language: write the value out"),
    ("directive", "directives are not part of the language: remove the line"),
    ("YAML major version", "directives are not part of the language: remove the line"),
    ("<document start>", "directives are not part of the language: remove the line"),
    ("a tag", "tags are not part of the language: remove it"),
    ("the handle wasn't declared", "tags are not part of the language: remove it"),
    ("unclosed quote", "the quote that opens here never closes: close it"),
    ("document indicator", "the quote that opens here never closes: close it"),
    ("unclosed bracket", "the bracket that opens here never closes: close it"),
    ("misplaced bracket", "this bracket closes nothing: remove it"),
    ("expected ',' or", "two values stand here with nothing between them: write a comma, or close the bracket"),
    ("mapping values are not allowed", "a second field begins here: check the indentation, or put the text in quotes"),
    ("simple key expected ':'", "this name has no value: write NAME: VALUE"),
    ("did not find expected key", "this line belongs to nothing above it: check its indentation"),
    ("did not find expected '-'", "this line belongs to nothing above it: check its indentation"),
    ("invalid indentation", "this line belongs to nothing above it: check its indentation"),
    ("block scalar", "a block of text begins on the line after its sign: write it there, or in quotes"),
    ("after double-quoted", "text goes on after the closing quote: put all of it inside"),
    ("after single-quoted", "text goes on after the closing quote: put all of it inside"),
];

/// What is wrong with a text that is no YAML, from what the parser says of it.
pub(super) fn explain(info: &str) -> String {
    let told = TOLD.iter().find(|(part, _)| info.contains(part)).map(|(_, told)| (*told).to_owned());
    told.or_else(|| unexpected(info)).unwrap_or_else(|| {
        if info.contains("quoted scalar") {
            "what follows `\\` here means nothing: write `\\\\`, or use single quotes".into()
        } else {
            "check the indentation, the quotes and the brackets here".into()
        }
    })
}

/// A sign that cannot be where it is, of which the parser says "unexpected character: `@'".
fn unexpected(info: &str) -> Option<String> {
    let sign = info.strip_prefix("unexpected character: `")?.strip_suffix('\'')?;
    Some(format!("a text cannot have `{sign}` here: remove it, or put the text in quotes"))
}
