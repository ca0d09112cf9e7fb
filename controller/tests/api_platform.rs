//! Policies of the platform: domain `*`, in force in every domain.
#![allow(clippy::unwrap_used, clippy::panic)]

mod api_support;

use std::collections::BTreeMap;

use api_support::{Api, SHOP, invalid, key, objects, policy};
use ringfence_policy::bundle::Bundle;
use ringfence_proto::v1::{self, Kind};

/// A second domain, with a workload on the same host.
const LAB: &str = r#"
{kind: Domain, name: acme/lab}
---
{kind: Network, domain: acme/lab, name: front, subnets: [{cidr: 10.1.0.0/24, gateway: 10.1.0.1}]}
---
kind: Workload
domain: acme/lab
name: web-1
labels: {role: web}
interfaces: [{name: eth0, network: front, mac: "02:00:00:00:02:01", addresses: [10.1.0.11], host: h1, device: lab-web}]
"#;

/// A policy of the platform that forbids a TCP port.
fn guard(port: u16) -> String {
    format!(
        "{{kind: Policy, domain: \"*\", name: floor, tier: guard, rules: [{{name: no-telnet, from: [any], to: [any], \
         action: deny, traffic: [tcp/{port}]}}]}}\n"
    )
}

fn generations(generations: &[v1::DomainGeneration]) -> Vec<(&str, u64)> {
    generations.iter().map(|of| (of.domain.as_str(), of.generation)).collect()
}

fn rule_ids(bundle: &Bundle) -> BTreeMap<String, u32> {
    bundle.policy.rules.iter().map(|rule| (rule.name.clone(), rule.id)).collect()
}

#[tokio::test]
async fn the_generation_of_every_domain_rises_when_one_is_made_changed_or_deleted() {
    let mut api = Api::start().await;
    api.apply(&format!("{SHOP}---\n{LAB}")).await.unwrap();
    let both = |at| vec![("acme/lab", at), ("acme/prod", at)];
    assert_eq!(generations(&api.apply(&guard(23)).await.unwrap().generations), both(2));
    assert_eq!(generations(&api.apply(&guard(2323)).await.unwrap().generations), both(3));
    assert_eq!(generations(&api.apply(&guard(2323)).await.unwrap().generations), [], "nothing changed");
    let deleted = api.delete(&[key(Kind::Policy, "*", "floor")]).await.unwrap();
    assert_eq!(generations(&deleted.generations), both(4));
    api.stop().await;
}

#[tokio::test]
async fn its_rules_reach_every_host_and_keep_their_ids_in_each_domain() {
    let mut api = Api::start().await;
    api.apply(&format!("{SHOP}---\n{LAB}---\n{}", policy(8080))).await.unwrap();
    let made = api.apply(&guard(23)).await.unwrap();
    let mut agent = api.agent("h1").await;
    let mut seen = Vec::new();
    for generation in [made.generations[0].generation, api.apply(&guard(2323)).await.unwrap().generations[0].generation]
    {
        while agent.held.len() < 2 || agent.held.values().any(|bundle| bundle.generation < generation) {
            agent.follow().await;
        }
        seen.push(agent.held.values().map(rule_ids).collect::<Vec<_>>());
    }
    assert_eq!(seen[0], seen[1]);
    let ids: Vec<u32> = seen[0].iter().map(|ids| ids["*/floor/no-telnet"]).collect();
    assert_ne!(ids[0], ids[1], "each domain has ids of its own");
    api.stop().await;
}

#[tokio::test]
async fn a_domain_made_later_has_them_too() {
    let mut api = Api::start().await;
    api.apply(&format!("{{kind: Tenant, name: acme}}\n---\n{}", guard(23))).await.unwrap();
    api.apply(LAB).await.unwrap();
    let mut agent = api.agent("h1").await;
    agent.follow().await;
    let bundle = agent.held.values().next().unwrap();
    assert!(rule_ids(bundle).contains_key("*/floor/no-telnet"), "{:?}", bundle.policy.rules);
    api.stop().await;
}

#[tokio::test]
async fn only_policies_live_in_the_domain_of_the_platform() {
    let mut api = Api::start().await;
    let mut objects = objects("{kind: Segment, domain: acme/prod, name: web, match: {role: web}}\n");
    objects[0].domain = "*".to_owned();
    let status = api.client.apply(v1::ApplyRequest { objects, ..Default::default() }).await.unwrap_err();
    assert_eq!(invalid(&status)[0].field, "domain", "{status}");
    api.stop().await;
}
