//! What a host can hold is compiled in time, and more is refused with what asks for it.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use std::time::{Duration, Instant};

use common::{bundle, domain, ground, network, object, policy, segment, try_bundle, workload};
use ringfence_policy::{
    compile::CompileError,
    object::{LabelTest, Object, PeerSpec, PolicySpec, RuleSpec, Spec},
};

/// As many workloads, each in a class of its own by the bits of its number.
fn workloads_in_classes(bits: u32) -> Vec<Object> {
    let mut objects = ground();
    objects.push(network("large", "10.64.0.0/16", "10.64.0.1"));
    for bit in 0..bits {
        objects.push(segment(&format!("b{bit}")));
        if let Some(Spec::Segment(spec)) = objects.last_mut().map(|object| &mut object.spec) {
            spec.requirements[0].key = format!("b{bit}");
            spec.requirements[0].test = LabelTest::Exists(true);
        }
    }
    for number in 0..1_u32 << bits {
        let [_, _, high, low] = number.to_be_bytes();
        let address = format!("10.64.{}.{low}", high + 1);
        let mut workload = workload(&format!("w{number}"), "x", "large", 0, &address);
        if let Spec::Workload(spec) = &mut workload.spec {
            spec.interfaces[0].mac = format!("02:00:00:01:{high:02x}:{low:02x}");
            spec.labels
                .extend((0..bits).filter(|bit| number >> bit & 1 == 1).map(|bit| (format!("b{bit}"), "1".into())));
        }
        objects.push(workload);
    }
    let segments: Vec<_> = (0..bits).map(|bit| format!("segment/b{bit}")).collect();
    objects.push(policy("p", &[&format!("r allow {} -> 203.0.113.0/24 any", segments.join(","))]));
    objects
}

#[test]
fn as_many_classes_as_fit_are_compiled_and_one_more_is_refused_by_name() {
    let mut objects = workloads_in_classes(12);
    assert!(try_bundle(&domain(&objects)).is_ok());
    // It has no labels either, as the first workload, from which the prefix tells it apart.
    objects.push(workload("one-more", "x", "large", 9, "10.64.0.9"));
    objects.push(policy("q", &["r deny 10.64.1.0/32 -> any any"]));
    let Err(CompileError::TooManyClasses(told)) = try_bundle(&domain(&objects)) else { panic!("compiled") };
    assert!(
        told.starts_with("domain acme/prod: its rules tell more than 4096 classes of interface addresses apart: use"),
        "{told}"
    );
    assert!(told.contains("segment/b0"), "{told}");
}

#[test]
fn a_rule_of_very_many_prefixes_costs_in_proportion() {
    let prefixes: Vec<_> = (0..20_000).map(|n| format!("100.{}.{}.0/24", n >> 8, n & 255)).collect();
    let mut objects = ground();
    objects.push(workload("web-1", "web", "front", 1, "10.1.0.11"));
    objects.push(policy("p", &[&format!("r allow {} -> any any", prefixes.join(","))]));
    let domain = domain(&objects);
    let start = Instant::now();
    let bundle = bundle(&domain);
    // Every pair of prefixes looked at would take minutes; this takes about a second on a slow machine.
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert_eq!(bundle.policy.rows.len(), 20_000);
}

#[test]
fn more_rows_than_a_host_holds_are_refused_by_the_rule() {
    let mut objects = workloads_in_classes(10);
    objects.push(policy("wide", &["r allow any -> any any"]));
    let Err(CompileError::TooManyRows(told)) = try_bundle(&domain(&objects)) else { panic!("compiled") };
    assert!(told.contains("the widest rule is wide/r"), "{told}");
}

#[test]
fn prefixes_that_overlap_without_end_are_refused_in_time() {
    let inside = |number: u32| format!("100.{}.{}.0/24", number >> 8, number & 255);
    let all_but = |number| PeerSpec::Cidr { cidr: "0.0.0.0/0".into(), except: vec![inside(number)] };
    let rule = RuleSpec {
        name: "r".into(),
        from: (0..6000).map(all_but).collect(),
        to: vec![PeerSpec::Name("any".into())],
        action: "deny".into(),
        traffic: vec!["any".into()],
        ..RuleSpec::default()
    };
    let mut objects = ground();
    objects.push(object("p", Spec::Policy(PolicySpec { rules: vec![rule], ..PolicySpec::default() })));
    let domain = domain(&objects);
    let start = Instant::now();
    let Err(CompileError::TooManyMatches(told)) = try_bundle(&domain) else { panic!("compiled") };
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    assert!(told.starts_with("domain acme/prod: its rules overlap in more than 32000000 places"), "{told}");
    assert!(told.contains("{cidr: 0.0.0.0/0, except: [100.0."), "{told}");
}

/// Rules between the same peers, each with a port and a window of its own.
fn timed_rules(count: u32) -> Vec<Object> {
    let rule = |number: u32| RuleSpec {
        name: format!("r{number}"),
        from: vec![PeerSpec::Name("any".into())],
        to: vec![PeerSpec::Name("any".into())],
        action: "allow".into(),
        traffic: vec![format!("tcp/{}", number * 2)],
        not_before: Some(format!("2026-12-01T{:02}:{:02}:00Z", number / 60 % 24, number % 60)),
        not_after: Some(format!("2027-12-01T{:02}:{:02}:00Z", number / 60 % 24, number % 60)),
        ..RuleSpec::default()
    };
    let mut objects = ground();
    objects.push(workload("web-1", "web", "front", 1, "10.1.0.11"));
    let rules = (0..count).map(rule).collect();
    objects.push(object("windows", Spec::Policy(PolicySpec { rules, ..PolicySpec::default() })));
    objects
}

#[test]
fn windows_and_ports_that_cut_too_finely_are_refused_by_the_rules() {
    let start = Instant::now();
    assert!(try_bundle(&domain(&timed_rules(100))).is_ok());
    let Err(CompileError::TooManyRuns(told)) = try_bundle(&domain(&timed_rules(1400))) else { panic!("compiled") };
    assert!(start.elapsed() < Duration::from_secs(60), "{:?}", start.elapsed());
    assert!(
        told.starts_with(
            "domain acme/prod: its rules cut ports and times into more than 1000000 pieces: use fewer ports"
        ),
        "{told}"
    );
    assert!(told.contains("the rules to look at first are windows/r"), "{told}");
}

#[test]
fn what_is_compiled_fits_into_a_message_that_agents_take() {
    // As finely cut as may be: an agent takes 256 MiB.
    let bundle = bundle(&domain(&timed_rules(180)));
    let runs: usize = bundle.policy.profiles.iter().map(ringfence_policy::bundle::Profile::runs).sum();
    let bytes = prost::Message::encoded_len(&ringfence_policy::wire::whole_update(&bundle));
    assert!(bytes / runs * 1_000_000 < 64 << 20, "{bytes} bytes for {runs} runs");
}
