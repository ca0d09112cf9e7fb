//! No message that the language has lacks a test.

/// Where messages about files are written.
const SOURCES: [(&str, &str); 21] = [
    ("expectation/ask.rs", include_str!("../../src/expectation/ask.rs")),
    ("expectation/words.rs", include_str!("../../src/expectation/words.rs")),
    ("model/address.rs", include_str!("../../src/model/address.rs")),
    ("model/build.rs", include_str!("../../src/model/build.rs")),
    ("model/change.rs", include_str!("../../src/model/change.rs")),
    ("model/decode.rs", include_str!("../../src/model/decode.rs")),
    ("model/decode_network.rs", include_str!("../../src/model/decode_network.rs")),
    ("model/decode_policy.rs", include_str!("../../src/model/decode_policy.rs")),
    ("model/decode_workload.rs", include_str!("../../src/model/decode_workload.rs")),
    ("model/exclusive.rs", include_str!("../../src/model/exclusive.rs")),
    ("model/fault.rs", include_str!("../../src/model/fault.rs")),
    ("model/finding.rs", include_str!("../../src/model/finding.rs")),
    ("model/moment.rs", include_str!("../../src/model/moment.rs")),
    ("model/name.rs", include_str!("../../src/model/name.rs")),
    ("model/sharing.rs", include_str!("../../src/model/sharing.rs")),
    ("model/traffic.rs", include_str!("../../src/model/traffic.rs")),
    ("text/mod.rs", include_str!("../../src/text/mod.rs")),
    ("text/object.rs", include_str!("../../src/text/object.rs")),
    ("text/reader.rs", include_str!("../../src/text/reader.rs")),
    ("text/syntax.rs", include_str!("../../src/text/syntax.rs")),
    ("text/tree.rs", include_str!("../../src/text/tree.rs")),
];

/// What is written in the sources and told to nobody: a number that no file can hold, and the parser's own words.
fn is_no_message(file: &str, literal: &str) -> bool {
    let is_parser_s = !literal.contains(": ") || literal.starts_with("unexpected character");
    !literal.trim().contains(' ') || literal == "{seconds} s since 1970" || file == "text/syntax.rs" && is_parser_s
}

/// Where they are told word for word.
const TESTS: [&str; 9] = [
    include_str!("main.rs"),
    include_str!("between.rs"),
    include_str!("expectations.rs"),
    include_str!("rules.rs"),
    include_str!("services.rs"),
    include_str!("values.rs"),
    include_str!("workloads.rs"),
    include_str!("yaml.rs"),
    concat!(include_str!("../model_changes.rs"), include_str!("../expectations.rs"), include_str!("../bare_metal.rs")),
];

/// The text literals of a source, continued lines joined, without those in comments.
fn literals(source: &str) -> Vec<String> {
    let code = source.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = code.collect::<Vec<_>>().join("\n").replace("'\"'", "");
    let mut literals = Vec::new();
    let mut rest = code.as_str();
    while let Some((_, after)) = rest.split_once('"') {
        let mut literal = String::new();
        let mut signs = after.chars();
        while let Some(sign) = signs.next() {
            match sign {
                '"' => break,
                '\\' => match signs.next() {
                    Some('\n') => signs = signs.as_str().trim_start().chars(),
                    Some(escaped) => literal.push(escaped),
                    None => break,
                },
                _ => literal.push(sign),
            }
        }
        literals.push(literal);
        rest = signs.as_str();
    }
    literals
}

/// What of a message's template is the same each time, without braces.
fn fixed_parts(template: &str) -> Vec<String> {
    let template = template.replace("{{", "").replace("}}", "");
    let fixed = template.split('{').map(|part| part.split_once('}').map_or(part, |(_, fixed)| fixed));
    let words = fixed.map(|part| part.trim_matches([':', ' ', '}'])).filter(|part| part.len() > 2);
    words.map(str::to_owned).collect()
}

#[test]
fn every_message_of_the_language_is_told_by_a_test_word_for_word() {
    let told = TESTS.iter().flat_map(|test| literals(test)).collect::<Vec<_>>().join("\n").replace(['{', '}'], "");
    let mut untold = Vec::new();
    let mut messages = 0;
    for (file, source) in SOURCES {
        for message in literals(source).iter().filter(|literal| !is_no_message(file, literal)) {
            messages += 1;
            let parts = fixed_parts(message).into_iter().filter(|part| !told.contains(part.as_str()));
            untold.extend(parts.map(|part| format!("{file}: {part:?} of {message:?}")));
        }
    }
    assert!(messages > 100, "only {messages} were found");
    assert!(untold.is_empty(), "{}", untold.join("\n"));
}
