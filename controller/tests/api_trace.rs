//! `Trace`: what is asked of an agent, and how its answer is held against the explanation.
#![allow(clippy::unwrap_used, clippy::panic)]

mod api_support;

use api_support::{Api, FakeAgent, SHOP, policy, soon};
use ringfence_proto::v1::{
    self, agent_message::Message as FromAgent, controller_message::Message as ToAgent, live_trace::Agreement,
    traced_rule::Part,
};
use tonic::Code;

fn request(live: bool) -> v1::TraceRequest {
    v1::TraceRequest {
        from: "web-1".to_owned(),
        to: "app-1".to_owned(),
        traffic: "tcp/8080".to_owned(),
        live,
        ..v1::TraceRequest::default()
    }
}

/// What a host says that does as explained.
fn verdict(generation: u64) -> v1::LiveVerdict {
    v1::LiveVerdict {
        generation,
        hook: "from_workload".to_owned(),
        passes: true,
        judged: true,
        from_allows: true,
        to_allows: true,
        from_rule_name: "shop/to-app".to_owned(),
        to_rule_name: "shop/to-app".to_owned(),
        target: "overlay h2".to_owned(),
        ..v1::LiveVerdict::default()
    }
}

/// A domain with one rule, and an agent of `h1` that enforces it.
async fn start() -> (Api, FakeAgent, u64) {
    let mut api = Api::start().await;
    let mut agent = api.agent("h1").await;
    let generation = api.apply(&format!("{SHOP}---\n{}", policy(8080))).await.unwrap().generations[0].generation;
    agent.follow_to(generation).await;
    (api, agent, generation)
}

async fn next_question(agent: &mut FakeAgent) -> v1::TraceAsked {
    loop {
        match agent.next().await {
            ToAgent::Trace(asked) => return asked,
            ToAgent::Admission(_) | ToAgent::Synced(_) => {}
            other => panic!("not a question: {other:?}"),
        }
    }
}

/// Asks, lets the agent answer, and gives what was told of the host.
async fn asked(api: &Api, agent: &mut FakeAgent, report: v1::TraceReport) -> v1::LiveTrace {
    let mut client = api.client.clone();
    let answer = tokio::spawn(async move { client.trace(request(true)).await.unwrap().into_inner() });
    let request_id = next_question(agent).await.request_id;
    agent.send(FromAgent::Trace(v1::TraceReport { request_id, ..report })).await;
    let response = soon("the answer comes", answer).await.unwrap();
    response.flows[0].live.clone().unwrap()
}

#[tokio::test]
async fn the_explanation_has_every_rule_with_its_part_and_its_generation() {
    let (mut api, _agent, generation) = start().await;
    let response = api.client.trace(request(false)).await.unwrap().into_inner();
    assert_eq!((response.domain.as_str(), response.generation), ("acme/prod", generation));
    let [flow] = &response.flows[..] else { panic!("one address pair, not {:?}", response.flows) };
    assert_eq!((flow.source.as_str(), flow.destination.as_str(), flow.allows), ("10.1.0.11", "10.1.0.12", true));
    assert_eq!(flow.live, None);
    let side = flow.from.as_ref().unwrap();
    assert_eq!((side.matched[0].rule.as_str(), side.matched[0].part()), ("shop/to-app", Part::Decides));
    assert_eq!(side.otherwise.as_ref().unwrap().rule, "default/deny");
}

#[tokio::test]
async fn the_host_of_the_source_is_asked_the_flow_by_number() {
    let (api, mut agent, _) = start().await;
    let mut client = api.client.clone();
    let answer = tokio::spawn(async move { client.trace(request(true)).await });
    let asked = next_question(&mut agent).await;
    assert_eq!(Some(&asked.domain_id), agent.held.keys().next());
    let flow = v1::TraceFlow { source: vec![10, 1, 0, 11], destination: vec![10, 1, 0, 12], protocol: 6, number: 8080 };
    assert_eq!(asked.flow, Some(flow));
    answer.abort();
}

#[tokio::test]
async fn what_a_host_says_is_the_same_or_different_or_of_another_state() {
    let (api, mut agent, generation) = start().await;
    let same = verdict(generation);
    type Change = fn(&mut v1::LiveVerdict);
    let cases: [(Agreement, Change); 9] = [
        (Agreement::Same, |_| {}),
        (Agreement::Same, |verdict| (verdict.passes, verdict.reason) = (false, "no_host".to_owned())),
        (Agreement::Different, |verdict| (verdict.passes, verdict.reason) = (false, "policy_deny".to_owned())),
        (Agreement::Different, |verdict| verdict.passes = false),
        (Agreement::Different, |verdict| verdict.to_allows = false),
        (Agreement::Different, |verdict| verdict.from_rule_name = "shop/else".to_owned()),
        (Agreement::Different, |verdict| verdict.to_rule_name = String::new()),
        (Agreement::OtherGeneration, |verdict| verdict.generation += 1),
        (Agreement::NotJudged, |verdict| {
            (verdict.judged, verdict.passes, verdict.reason) = (false, false, "spoofed".to_owned());
        }),
    ];
    for (expected, change) in cases {
        let mut verdict = same.clone();
        change(&mut verdict);
        let report = v1::TraceReport { verdict: Some(verdict.clone()), ..v1::TraceReport::default() };
        let live = asked(&api, &mut agent, report).await;
        assert_eq!((live.agreement(), live.host.as_str()), (expected, "h1"), "{verdict:?}");
        assert_eq!(live.from.is_some(), verdict.judged, "{verdict:?}");
    }
}

#[tokio::test]
async fn why_a_host_has_no_answer_is_told() {
    let (api, mut agent, _) = start().await;
    let error = "the dry-run build cannot be loaded".to_owned();
    let report = v1::TraceReport { error: error.clone(), ..v1::TraceReport::default() };
    let live = asked(&api, &mut agent, report).await;
    assert_eq!((live.error.as_str(), live.agreement()), (error.as_str(), Agreement::Unspecified));
    let live = asked(&api, &mut agent, v1::TraceReport::default()).await;
    assert_eq!(live.error, "its agent gave an answer without a verdict");
}

#[tokio::test]
async fn an_agent_that_goes_away_before_it_answers_is_named() {
    let (api, mut agent, _) = start().await;
    let mut client = api.client.clone();
    let answer = tokio::spawn(async move { client.trace(request(true)).await.unwrap().into_inner() });
    next_question(&mut agent).await;
    drop(agent);
    let response = soon("the answer comes", answer).await.unwrap();
    assert_eq!(response.flows[0].live.as_ref().unwrap().error, "its agent disconnected before it answered");
}

#[tokio::test]
async fn a_question_that_is_none_is_an_invalid_argument() {
    let (mut api, _agent, _) = start().await;
    let status = api.client.trace(v1::TraceRequest { to: "nobody".to_owned(), ..request(false) }).await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::InvalidArgument, "to: there is no workload nobody in acme/prod: add it or correct the name")
    );
}
