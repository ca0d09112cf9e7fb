//! `Counters`: what agents report by number is told by name.
#![allow(clippy::unwrap_used, clippy::panic)]

mod api_support;

use api_support::{Api, SHOP, policy, soon};
use ringfence_proto::v1::{self, agent_message::Message as FromAgent, controller_message::Message as ToAgent};

/// A policy in audit.
const TRIAL: &str = "{kind: Policy, domain: acme/prod, name: trial, mode: audit, rules: [{name: stop, from: [any], to: \
                     [any], action: deny, traffic: [tcp]}]}\n";

#[tokio::test]
async fn what_a_policy_in_audit_would_turn_is_named_by_rule_and_domain() {
    let mut api = Api::start().await;
    let mut agent = api.agent("h1").await;
    let applied = api.apply(&format!("{SHOP}---\n{}---\n{TRIAL}", policy(8080))).await.unwrap();
    agent.follow_to(applied.generations[0].generation).await;
    let (&domain_id, bundle) = agent.held.first_key_value().unwrap();
    let rule_id = bundle.policy.rules.iter().find(|rule| rule.name == "trial/stop").unwrap().id;

    let ask = |domain: &str| {
        let mut client = api.client.clone();
        let request = v1::CountersRequest { domain: domain.to_owned(), host: "h1".to_owned() };
        tokio::spawn(async move { client.counters(request).await })
    };
    let asked = ask("acme/prod");
    let request_id = loop {
        if let ToAgent::Counters(asked) = agent.next().await {
            break asked.request_id;
        }
    };
    let counter = |domain_id, rule_id, allows| v1::AuditCounter { domain_id, rule_id, allows, judgements: 7 };
    let audit = vec![
        counter(domain_id, rule_id, false),
        counter(domain_id, 0, true),
        counter(domain_id, u32::MAX, false),
        counter(domain_id + 1, rule_id, false),
    ];
    agent.send(FromAgent::Counters(v1::CountersReport { request_id, audit, ..Default::default() })).await;
    let response = soon("the counters come", asked).await.unwrap().unwrap().into_inner();
    let told: Vec<_> =
        response.audit.iter().map(|audit| (audit.domain.as_str(), audit.rule.as_str(), audit.allows)).collect();
    assert_eq!(
        told,
        [("acme/prod", "trial/stop", false), ("acme/prod", "default/deny", true), ("acme/prod", "", false),],
        "a rule that is gone has no name, and of a domain that is gone nothing is told"
    );
    api.stop().await;
}
