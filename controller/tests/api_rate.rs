//! How many changes a second go through, and that each costs what it changes.
#![allow(clippy::unwrap_used, clippy::panic)]

mod api_support;

use std::time::Instant;

use api_support::{Api, PATIENCE, objects};
use ringfence_controller::store::Disk;
use ringfence_proto::v1;

/// Workloads of the domain, on eight hosts.
const WORKLOADS: usize = 1_000;
/// Objects of a request of usual size.
const BATCH: usize = 50;
/// What a controller must take, changes a second.
const WANTED: f64 = 500.0;

/// A domain in which every workload is in one of ten segments, each of which may reach the next.
fn domain() -> String {
    let mut yaml = "{kind: Tenant, name: acme}\n---\n{kind: Domain, name: acme/prod}\n---\n{kind: Network, domain: \
                    acme/prod, name: front, subnets: [{cidr: 10.64.0.0/16, gateway: 10.64.0.1}]}\n"
        .to_owned();
    for role in 0..10 {
        let next = (role + 1) % 10;
        yaml += &format!(
            "---\n{{kind: Segment, domain: acme/prod, name: s{role}, match: {{role: r{role}}}}}\n---\n{{kind: Policy, domain: \
             acme/prod, name: p{role}, rules: [{{name: a, from: [segment/s{role}], to: [segment/s{next}], action: allow, \
             traffic: [tcp/{}]}}]}}\n",
            8000 + role
        );
    }
    (0..WORKLOADS).for_each(|n| yaml += &format!("---\n{}", workload(n, 0)));
    yaml
}

/// A workload that says something else in each round: its host, and a label that no rule uses.
fn workload(n: usize, round: usize) -> String {
    format!(
        "{{kind: Workload, domain: acme/prod, name: w-{n}, labels: {{role: r{}, build: \"{round}\"}}, interfaces: [{{name: eth0, \
         network: front, mac: \"02:00:00:00:{:02x}:{:02x}\", addresses: [10.64.{}.{}], host: h{}, device: tap{n}}}]}}\n",
        n % 10,
        n / 256,
        n % 256,
        1 + n / 200,
        1 + n % 200,
        1 + (n + round) % 8
    )
}

fn request(first: usize, count: usize, round: usize) -> v1::ApplyRequest {
    let yaml: Vec<String> = (first..first + count).map(|n| workload(n % WORKLOADS, round)).collect();
    v1::ApplyRequest { objects: objects(&yaml.join("---\n")), ..v1::ApplyRequest::default() }
}

/// Sends requests of so many objects one after the other; changes a second.
async fn rate(api: &mut Api, requests: usize, size: usize, round: usize) -> f64 {
    let requests: Vec<_> = (0..requests).map(|n| request(n * size, size, round)).collect();
    let changes = requests.len() * size;
    let start = Instant::now();
    for request in requests {
        api.client.apply(request).await.unwrap();
    }
    changes as f64 / start.elapsed().as_secs_f64()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_hundred_changes_a_second_go_through_a_domain_of_a_thousand_workloads() {
    let directory = tempfile::tempdir().unwrap();
    let mut api = Api::start_on(Box::new(Disk::open(directory.path()).unwrap()), PATIENCE).await;
    api.apply(&domain()).await.unwrap();
    let mut agents = Vec::new();
    for host in ["h1", "h2"] {
        let mut agent = api.agent(host).await;
        agents.push(tokio::spawn(async move {
            loop {
                agent.follow().await;
            }
        }));
    }
    let batches = rate(&mut api, 40, BATCH, 1).await;
    let single = rate(&mut api, 200, 1, 2).await;
    println!("workload changes a second: {batches:.0} in requests of {BATCH}, {single:.0} in requests of one");
    // A build that is not optimised, on a machine that does other things, only shows that nothing is far off.
    let wanted = if cfg!(debug_assertions) { WANTED / 10.0 } else { WANTED };
    assert!(batches > wanted, "{batches:.0}");
    agents.iter().for_each(|agent| agent.abort());
}
