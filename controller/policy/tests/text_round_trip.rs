//! What is written is read back the same, and nothing written by anyone makes the reader panic.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use common::{generate, ground, lines, objects, read};
use proptest::prelude::*;
use ringfence_policy::{object::Object, text::render};

#[test]
fn what_needs_quotes_gets_them() {
    let text = "kind: Workload\ndomain: acme/prod\nname: \"123\"\nlabels: {a: \"true\", b: \"\", \"1\": \"8\", c: nan}\n\
                interfaces:\n- {name: eth0, network: n, mac: 02:00:00:00:01:01, addresses: [10.1.0.11], host: h1}\n";
    let objects = objects(text);
    let rendered = render(&objects);
    assert!(rendered.contains(r#"labels: {"1": "8", a: "true", b: "", c: "nan"}"#), "{rendered}");
    assert!(rendered.contains("addresses: [10.1.0.11]"), "{rendered}");
    assert_eq!(common::objects(&rendered), objects);
}

#[test]
fn conditions_that_are_no_plain_labels_are_a_list() {
    let text = "kind: Segment\ndomain: acme/prod\nname: s\n\
                match:\n- {key: role, equals: web}\n- {key: role, in: [web, app]}\n- {key: x, exists: false}\n";
    let objects = objects(text);
    let rendered = render(&objects);
    assert!(rendered.contains("  - {key: role, equals: web}\n  - {key: role, in: [web, app]}\n"), "{rendered}");
    assert_eq!(common::objects(&rendered), objects);
}

#[test]
fn a_place_that_is_absent_is_the_nearest_parent_s() {
    let text = "kind: Network\ndomain: acme/prod\nname: n\nsubnets:\n  - {cidr: 10.0.0.0/24, gateway: 10.0.0.1}\n";
    let document = read(text).unwrap().remove(0);
    let place = |field: &str| document.locate(field).to_string();
    assert_eq!(place("subnets[0].gateway"), "f.yaml:5:34");
    assert_eq!(place("subnets[0].dns[3]"), "f.yaml:5:5");
    assert_eq!(place("mtu"), "f.yaml:1:1");
    assert_eq!(place(""), "f.yaml:1:1");
}

#[test]
fn documents_that_are_empty_are_none() {
    assert_eq!(read("").unwrap().len(), 0);
    assert_eq!(read("# nothing\n---\n---\nkind: Tenant\nname: acme\n---\n").unwrap().len(), 1);
}

/// A text that is made of what YAML and the language are made of.
fn hostile() -> impl Strategy<Value = String> {
    let words = [
        "kind: ",
        "Policy",
        "Segment",
        "Workload",
        "name: ",
        "a",
        "domain: ",
        "acme/prod",
        "rules:",
        "match:",
        "labels:",
        "\n",
        "  ",
        "- ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        ": ",
        "\"",
        "'",
        "&x ",
        "*x",
        "!!str ",
        "<<",
        "---\n",
        "|",
        ">",
        "?",
        "#",
        "\u{0}",
        "\u{feff}",
        "é",
        "%YAML 1.2\n",
        "\t",
        "\r\n",
        "in",
        "key",
        "exists",
    ];
    prop::collection::vec(prop::sample::select(words.to_vec()), 0..40).prop_map(|words| words.concat())
}

proptest! {
    #[test]
    fn what_is_rendered_is_read_back(objects in generate::domain_objects()) {
        let rendered = render(&objects);
        let read = read(&rendered).map_err(|errors| TestCaseError::fail(lines(&errors)))?;
        let read: Vec<Object> = read.into_iter().map(|document| document.object).collect();
        prop_assert_eq!(read, objects);
    }

    #[test]
    fn any_text_is_read_or_refused(text in hostile()) {
        if let Err(errors) = read(&text) {
            prop_assert!(errors.iter().all(|error| !error.message.is_empty() && error.location.line > 0));
        }
    }

    #[test]
    fn any_label_value_survives_being_written(value in "[ -~é\u{0}\n\t]{0,12}") {
        // The model refuses most of them; the text must carry them to it as they are.
        let mut objects = ground();
        let mut workload = common::workload("web-1", "web", "front", 1, "10.1.0.11");
        if let ringfence_policy::object::Spec::Workload(spec) = &mut workload.spec {
            spec.labels.insert("v".into(), value.clone());
        }
        objects.push(workload);
        match read(&render(&objects)) {
            Ok(documents) => prop_assert_eq!(&documents.last().unwrap().object, objects.last().unwrap()),
            Err(errors) => prop_assert!(lines(&errors).contains("is no label value"), "{}", lines(&errors)),
        }
    }
}
