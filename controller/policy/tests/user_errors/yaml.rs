//! Texts that are no YAML, or YAML that the language does not have.

use super::{WORKLOAD, raw, text_errors, told};

#[test]
fn what_yaml_has_and_the_language_does_not_is_refused() {
    let cases = [
        (
            "kind: Tenant\nname: a\nname: b\n",
            "3:1: Tenant a: name: duplicate key \"name\": line 2 has it already; keep one",
        ),
        (
            "kind: Tenant\nname: &x a\n",
            "2:10: Tenant a: name: anchors are not part of the language: write the value out",
        ),
        ("kind: Tenant\nname: !!str a\n", "2:13: Tenant a: name: tags are not part of the language: remove it"),
        ("kind: Tenant\n1: x\nname: a\n", "2:1: Tenant a: key 1 is no text: put it in quotes"),
        ("kind: Tenant\n[a]: x\nname: a\n", "2:1: Tenant a: a key must be text"),
        (
            "kind: Tenant\n<<: {name: a}\nname: b\n",
            "2:1: Tenant b: merge keys are not part of the language: write the fields out",
        ),
    ];
    for (text, expected) in cases {
        assert_eq!(text_errors(text), format!("f.yaml:{expected}"), "{text}");
    }
    let alias = text_errors("kind: Tenant\nname: &x a\n---\nkind: Tenant\nname: *x\n");
    assert!(alias.contains("f.yaml:5:7: Tenant: name: is no YAML"), "{alias}");
    let deep = format!("kind: Tenant\nname: {}{}\n", "[".repeat(100), "]".repeat(100));
    let path = format!("name{}", "[0]".repeat(15));
    assert_eq!(text_errors(&deep), format!("f.yaml:2:22: Tenant: {path}: is nested more than 16 deep: no object is"));
    let cut = text_errors("kind: Tenant\nname: \"acme\n");
    assert!(cut.starts_with("f.yaml:2:7: Tenant: name: is no YAML: "), "{cut}");
    assert!(text_errors("@\n").starts_with("f.yaml:1:1: is no YAML: "), "{}", text_errors("@\n"));
}

#[test]
fn what_is_wrong_inside_a_value_names_object_and_path_and_hides_what_follows_from_it() {
    let segment = |fields: &str| text_errors(&format!("kind: Segment\ndomain: acme/prod\n{fields}\nname: web\n"));
    let at = "Segment acme/prod/web: match";
    assert_eq!(
        segment("match: {role: web, role: db}"),
        format!("f.yaml:3:20: {at}.role: duplicate key \"role\": line 3 has it already; keep one")
    );
    assert_eq!(segment("match: {1: a}"), format!("f.yaml:3:9: {at}: key 1 is no text: put it in quotes"));
    assert_eq!(
        segment("match: [{key: role, in: [web, !!str app]}]"),
        format!("f.yaml:3:37: {at}[0].in[1]: tags are not part of the language: remove it")
    );
}

#[test]
fn a_value_of_the_wrong_sort_is_told_what_to_write() {
    let cases = [
        ("labels: [web]", "f.yaml:4:9: Workload acme/prod/web-1: labels: is a list: write labels, like {role: web}"),
        ("labels: {role: }", "f.yaml:4:14: Workload acme/prod/web-1: labels.role: has no value: write text"),
        ("labels: web", "f.yaml:4:9: Workload acme/prod/web-1: labels: is \"web\": write labels, like {role: web}"),
    ];
    for (labels, expected) in cases {
        assert_eq!(text_errors(&WORKLOAD.replace("labels: {role: web}", labels)), expected);
    }
    let mtu =
        "kind: Network\ndomain: acme/prod\nname: n\nsubnets: [{cidr: 10.0.0.0/24, gateway: 10.0.0.1}]\nmtu: big\n";
    assert_eq!(text_errors(mtu), "f.yaml:5:6: Network acme/prod/n: mtu: is \"big\": write a whole number");
}

#[test]
fn what_is_no_yaml_is_told_in_our_words() {
    told(&[
        (
            raw("kind: Tenant\nname: \"acme\n"),
            "f.yaml:2:7: Tenant: name: is no YAML: the quote that opens here never closes: close it",
        ),
        (
            raw("kind: Tenant\n\tname: a\n"),
            "f.yaml:1:7: object without a kind: kind: is no YAML: a tab cannot indent: write spaces",
        ),
        (
            raw("kind: Tenant\n name: a\n"),
            "f.yaml:2:6: Tenant name: is no YAML: a second field begins here: check the indentation, or put the text \
             in quotes",
        ),
        (
            raw("kind: Tenant\nname: a: b\n"),
            "f.yaml:2:8: Tenant a: is no YAML: a second field begins here: check the indentation, or put the text in \
             quotes",
        ),
        (
            raw("kind: Tenant\nname: [a, b\n"),
            "f.yaml:2:7: Tenant: name[1]: is no YAML: the bracket that opens here never closes: close it",
        ),
        (
            raw("kind: Tenant\nname: {a: b\n"),
            "f.yaml:2:7: Tenant: name: is no YAML: the bracket that opens here never closes: close it",
        ),
        (raw("{kind: Tenant, name: a}}\n"), "f.yaml:1:24: is no YAML: this bracket closes nothing: remove it"),
        (
            raw("kind: Tenant\nname: *x\n"),
            "f.yaml:2:7: Tenant: name: is no YAML: anchors and aliases are not part of the language: write the value \
             out",
        ),
        (
            raw("kind: Tenant\nname: &\n"),
            "f.yaml:2:7: Tenant: name: is no YAML: anchors and aliases are not part of the language: write the value \
             out",
        ),
        (
            raw("kind: Tenant\nname: %a\n"),
            "f.yaml:2:7: Tenant: name: is no YAML: a text cannot have `%` here: remove it, or put the text in quotes",
        ),
        (raw("@\n"), "f.yaml:1:1: is no YAML: a text cannot have `@` here: remove it, or put the text in quotes"),
        (
            raw("kind: Tenant\nname: `a\n"),
            "f.yaml:2:7: Tenant: name: is no YAML: a text cannot have ``` here: remove it, or put the text in quotes",
        ),
        (
            raw("a: b\n\0"),
            "f.yaml:2:1: object without a kind: a: is no YAML: a text cannot have `\\u{0}` here: remove it, or put the \
             text in quotes",
        ),
        (
            raw("kind: Tenant\nname: \"\\q\"\n"),
            "f.yaml:2:7: Tenant: name: is no YAML: what follows `\\` here means nothing: write `\\\\`, or use single \
             quotes",
        ),
        (
            raw("kind: Tenant\nname: \"\\ud800\"\n"),
            "f.yaml:2:7: Tenant: name: is no YAML: what follows `\\` here means nothing: write `\\\\`, or use single \
             quotes",
        ),
        (
            raw("kind: Tenant\n- a\n"),
            "f.yaml:2:3: Tenant: is no YAML: this line belongs to nothing above it: check its indentation",
        ),
        (
            raw("- a\nb: c\n"),
            "f.yaml:2:1: object without a kind: [1]: is no YAML: this line belongs to nothing above it: check its \
             indentation",
        ),
        (
            raw("kind: Tenant\nrules:\n  - a: b\n - c\n"),
            "f.yaml:4:2: Tenant: is no YAML: this line belongs to nothing above it: check its indentation",
        ),
        (
            raw("kind: Tenant\nname: |x\n  a\n"),
            "f.yaml:2:7: Tenant: name: is no YAML: a block of text begins on the line after its sign: write it there, \
             or in quotes",
        ),
        (
            raw("%YAML 9.9\n---\na: b\n"),
            "f.yaml:1:1: is no YAML: directives are not part of the language: remove the line",
        ),
        (raw("%FOO\n"), "f.yaml:2:1: is no YAML: directives are not part of the language: remove the line"),
        (
            raw("kind: Tenant\nname: !!!x a\n"),
            "f.yaml:2:7: Tenant: name: is no YAML: tags are not part of the language: remove it",
        ),
        (
            raw("kind: Tenant\nname: !e!x a\n"),
            "f.yaml:2:7: Tenant: name: is no YAML: tags are not part of the language: remove it",
        ),
        (raw("kind: Tenant\nname\n"), "f.yaml:2:1: Tenant: is no YAML: this name has no value: write NAME: VALUE"),
        (
            raw("kind: Tenant\nname: \"a\" b\n"),
            "f.yaml:2:11: Tenant: name: is no YAML: text goes on after the closing quote: put all of it inside",
        ),
        (
            raw("kind: Tenant\nname: 'a' b\n"),
            "f.yaml:2:11: Tenant: name: is no YAML: text goes on after the closing quote: put all of it inside",
        ),
        (
            raw("kind: Tenant\nname: [a b: c, {d: e f: g}]\n"),
            "f.yaml:2:23: Tenant: name[1]: is no YAML: two values stand here with nothing between them: write a comma, \
             or close the bracket",
        ),
        (
            raw("kind: Tenant\nname: [a\nkind: b\n"),
            "f.yaml:3:5: Tenant: name[0]: is no YAML: check the indentation, the quotes and the brackets here",
        ),
        (
            raw("kind: Tenant\nname: {a: \"b\" c: d}\n"),
            "f.yaml:2:15: Tenant: name.a: is no YAML: text goes on after the closing quote: put all of it inside",
        ),
        (
            raw("kind: Tenant\nname: [\"a\" \"b\"]\n"),
            "f.yaml:2:12: Tenant: name[0]: is no YAML: text goes on after the closing quote: put all of it inside",
        ),
        (
            raw("kind: Tenant\nname: \"a\n---\nb\"\n"),
            "f.yaml:2:7: Tenant: name: is no YAML: the quote that opens here never closes: close it",
        ),
        (
            raw("kind: Tenant\nname: -,\n"),
            "f.yaml:2:7: Tenant -,: name: \"-,\" is no name: write lower-case letters, digits and hyphens, beginning \
             and ending with a letter or digit",
        ),
        (
            raw("kind: Tenant\nname: a\n... x\n"),
            "f.yaml:3:5: Tenant a: is no YAML: check the indentation, the quotes and the brackets here",
        ),
    ]);
}

#[test]
fn a_document_that_is_no_object_is_told_what_one_is() {
    told(&[
        (raw("- a\n"), "f.yaml:1:1: object without a kind: is a list: write an object with kind and name"),
        (raw("web\n"), "f.yaml:1:1: object without a kind: is \"web\": write an object with kind and name"),
        (
            raw("name: web\n"),
            "f.yaml:1:1: object without a kind web: kind: is missing: add one of Tenant, Domain, Network, Workload, \
             Segment, AddressSet, Policy, Expectation",
        ),
        (raw("kind:\nname: a\n"), "f.yaml:1:5: object without a kind a: kind: has no value: write text"),
        (raw("kind: [Tenant]\n"), "f.yaml:1:7: object without a kind: kind: is a list: write text"),
        (raw("kind: Polcy\nname: a\n"), "f.yaml:1:7: Polcy a: kind: unknown kind \"Polcy\": did you mean Policy?"),
        (
            raw("kind: Deployment\nname: a\n"),
            "f.yaml:1:7: Deployment a: kind: unknown kind \"Deployment\": known are Tenant, Domain, Network, Workload, \
             Segment, AddressSet, Policy, Expectation",
        ),
        (
            raw("kind: Host\nname: h1\n"),
            "f.yaml:1:7: Host h1: kind: hosts are made by the controller when an agent registers: remove the object",
        ),
    ]);
}
