//! What the manual and the examples show is what the language does.
#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod common;

use common::lines;
use ringfence_policy::{
    evaluate::{Flow, evaluate},
    expectation::AskError,
    model::Model,
    object::Kind,
    text::{Contents, SourceFile, parse_all},
};

const MANUAL: &str = include_str!("../../../docs/POLICY.md");
const SHOP: &str = include_str!("../../../examples/shop.yaml");
const SHOP_EXPECTED: &str = include_str!("../../../examples/shop-expected.yaml");

/// The blocks of the manual whose fence says this.
fn blocks(fence: &str) -> Vec<&'static str> {
    let opening = format!("```{fence}\n");
    MANUAL.split(opening.as_str()).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

fn files(texts: &[&str]) -> Vec<SourceFile> {
    let file = |text: &&str| SourceFile { name: "policy.yaml".into(), text: (*text).into() };
    texts.iter().map(file).collect()
}

/// What texts hold, and the model of it.
fn read(texts: &[&str]) -> (Contents, Model) {
    let contents = parse_all(&files(texts)).unwrap_or_else(|errors| panic!("{}", lines(&errors)));
    let objects: Vec<_> = contents.documents.iter().map(|document| document.object.clone()).collect();
    let change = Model::default().change(&objects, &[]);
    let model = change.unwrap_or_else(|invalid| panic!("{invalid:#?}")).model;
    (contents, model)
}

/// Asserts that every expectation of these texts comes out; how many flows there are.
fn come_out(texts: &[&str]) -> usize {
    let (contents, model) = read(texts);
    let mut flows = 0;
    for document in &contents.expectations {
        let expectation = &document.expectation;
        let domain = &model.domains()[&expectation.domain];
        for (index, flow) in expectation.flows.iter().enumerate() {
            let judge = |flow: &Flow, at| Ok::<_, AskError>(evaluate(domain, flow, at));
            let answer = flow.ask(domain, 0, judge).unwrap();
            let place = document.locate(&format!("flows[{index}]"));
            assert!(answer.ok, "{place}: {}: got {} by {:?}", expectation.name, answer.got, answer.rule);
            flows += 1;
        }
    }
    flows
}

#[test]
fn every_example_of_the_manual_comes_out_as_it_expects() {
    let examples = blocks("yaml");
    let (cast, scenes) = examples.split_first().unwrap();
    assert!(scenes.len() > 12, "{} examples", scenes.len());
    for scene in scenes {
        assert!(come_out(&[cast, scene]) > 0, "an example expects nothing:\n{scene}");
    }
}

#[test]
fn the_manual_shows_every_kind() {
    let examples = blocks("yaml");
    let (cast, _) = read(&examples[..1]);
    for kind in [Kind::Tenant, Kind::Domain, Kind::Network, Kind::Workload, Kind::Segment, Kind::AddressSet] {
        assert!(cast.documents.iter().any(|document| document.object.kind() == kind), "the cast has no {kind}");
    }
    // Without a policy nothing passes, as it says.
    let nothing = "kind: Expectation\ndomain: acme/prod\nname: e\nflows:\n\
                   - {from: web-1, to: app-1, traffic: tcp/80, expect: deny, rule: default/deny}\n";
    assert_eq!(come_out(&[examples[0], nothing]), 1);
}

#[test]
fn what_the_manual_s_tables_name_is_in_its_examples_or_taken_by_the_language() {
    let row = |line: &str| {
        line.strip_prefix("| `").and_then(|line| line.split_once(" | ")).map(|(first, _)| format!("`{first}"))
    };
    let section = |name: &str| MANUAL.split(name).nth(1).unwrap().split("\n## ").next().unwrap();
    let named = |section: &str| -> Vec<String> {
        let rows = section.lines().filter_map(row);
        rows.flat_map(|cells| cells.split('`').skip(1).step_by(2).map(str::to_owned).collect::<Vec<_>>()).collect()
    };
    let (peers, traffic) = (named(section("## Peers")), named(section("## Traffic")));
    assert!(peers.len() == 9 && traffic.len() == 14, "{peers:?} {traffic:?}");
    let peer = |peer: &String| peer.replace("NAME", "x").replace("PREFIX", "10.0.0.0/8").replace("SELECTOR", "{a: b}");
    let peers: Vec<_> =
        peers.iter().map(peer).map(|peer| peer.replace("except: [10.0.0.0/8]", "except: [10.1.0.0/16]")).collect();
    let policy = format!(
        "kind: Policy\ndomain: acme/prod\nname: p\nrules:\n  - {{name: r, from: [{}], to: [any], action: pass, traffic: [{}]}}\n",
        peers.join(", "),
        traffic.join(", ")
    );
    assert_eq!(parse_all(&files(&[&policy])).map_err(|errors| lines(&errors)).unwrap().documents.len(), 1);
}

#[test]
fn every_mistake_of_the_manual_is_told_as_it_says() {
    let (wrong, told) = (blocks("yaml wrong"), blocks("text"));
    assert_eq!((wrong.len(), told.len()), (1, 1));
    for (wrong, told) in wrong.iter().zip(told) {
        assert_eq!(lines(&parse_all(&files(&[wrong])).unwrap_err()), told.trim_end());
    }
}

#[test]
fn what_is_expected_of_the_shop_comes_out() {
    assert!(come_out(&[SHOP, SHOP_EXPECTED]) > 10);
}
