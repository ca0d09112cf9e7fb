//! The harness still runs, and finds what it says it finds. How much that is belongs to a machine, and is no test's.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{fs, process::Command};

use nix::unistd::geteuid;
use serde_json::Value;

/// Measures as little as there is to measure; what was found.
fn glance(what: &str) -> Value {
    assert!(geteuid().is_root(), "needs root");
    let out = std::env::temp_dir().join(format!("ringfence-bench-{}-{what}", std::process::id()));
    let mut bench = Command::new(env!("CARGO_BIN_EXE_ringfence-bench"));
    let output = bench.args(["--amount", "glance", "--out"]).arg(&out).arg(what).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found = serde_json::from_str(&fs::read_to_string(out.join(format!("{what}.json"))).unwrap()).unwrap();
    fs::remove_dir_all(out).unwrap();
    found
}

fn rows<'a>(found: &'a Value, title: &str) -> &'a [Value] {
    found[title].as_array().unwrap_or_else(|| panic!("nothing under {title:?}: {found:#}"))
}

/// A figure that something was measured for. JSON has none that is not finite.
#[track_caller]
fn assert_measured(figure: &Value) {
    assert!(figure.is_number(), "{figure}");
}

#[track_caller]
fn assert_ratio(ratio: &Value) {
    for part in ["low", "median", "high"] {
        assert_measured(&ratio[part]);
    }
}

#[test]
fn packets_have_a_floor_and_a_ratio_to_it() {
    let found = glance("packets");
    assert!(found["machine"].is_string() && found["kernel"].is_string() && found["load"].is_number(), "{found:#}");
    let against = rows(&found, "a packet against the floor");
    // Established, first and denied, each by four ways and in two families.
    assert_eq!(against.len(), 3 * 4 * 2);
    for row in against {
        assert_measured(&row["floor ns"]);
        assert_measured(&row["ns"]);
        assert_ratio(&row["ratio"]);
    }
    let least = rows(&found, "an established packet, largest domain against least");
    assert_eq!(least.len(), 4 * 2);
    least.iter().for_each(|row| assert_ratio(&row["ratio"]));
}

#[test]
fn traffic_of_every_kind_gets_through_and_is_compared() {
    let found = glance("lab");
    for title in ["with one flow alive", "with 10 flows alive"] {
        let rows = rows(&found, title);
        assert_eq!(rows.len(), 4 * 2, "each kind of traffic by a plain bridge and by Ringfence");
        for row in rows {
            assert_measured(&row["rate"]);
            if row["by"] != "Ringfence" {
                assert_ratio(&row["Ringfence to it"]);
            }
        }
    }
}
