//! Numbers handed out to domains read from the language that operators write.

use ringfence_policy::{
    model::Model,
    text::{self, SourceFile},
};

use super::*;

/// Domain `acme/NAME` with one workload, one rule and these networks: `b` or `b=VNI`.
fn model(domains: &[(&str, &[&str])]) -> Model {
    let mut yaml = "kind: Tenant\nname: acme\n".to_owned();
    for (place, (name, networks)) in domains.iter().enumerate() {
        yaml += &format!("---\n{{kind: Domain, name: acme/{name}}}\n");
        for (index, network) in networks.iter().enumerate() {
            let (network, vni) = network.split_once('=').unwrap_or((network, ""));
            let vni = if vni.is_empty() { String::new() } else { format!(", vni: {vni}") };
            yaml += &format!(
                "---\n{{kind: Network, domain: acme/{name}, name: {network}{vni}, \
                 subnets: [{{cidr: 10.{index}.0.0/24, gateway: 10.{index}.0.1}}]}}\n"
            );
        }
        let network = networks[0].split('=').next().unwrap();
        yaml += &format!(
            "---\n{{kind: Workload, domain: acme/{name}, name: web-1, labels: {{role: web}}, interfaces: \
             [{{name: eth0, network: {network}, mac: \"02:00:00:00:01:0{place}\", addresses: [10.0.0.11], host: h1}}]}}\n\
             ---\n{{kind: Policy, domain: acme/{name}, name: shop, rules: \
             [{{name: all, from: [any], to: [any], action: allow, traffic: [any]}}]}}\n"
        );
    }
    let documents = text::parse(&[SourceFile { name: "test.yaml".to_owned(), text: yaml }]).unwrap();
    let objects: Vec<_> = documents.into_iter().map(|document| document.object).collect();
    Model::default().change(&objects, &[]).unwrap().model
}

fn allocate(ids: &Ids, model: &Model, names: &[&str]) -> Result<Allocation, IdError> {
    let touched = names.iter().map(|name| {
        let name = format!("acme/{name}");
        let domain = model.domains().get(&name).map(|domain| &**domain);
        (name, domain)
    });
    ids.allocate(&touched.collect())
}

fn after(ids: &Ids, model: &Model, names: &[&str]) -> Ids {
    let mut ids = ids.clone();
    let allocation = allocate(&ids, model, names).unwrap();
    ids.install(allocation);
    ids
}

#[test]
fn every_part_gets_a_number_and_keeps_it() {
    let model = model(&[("prod", &["front", "back=500"])]);
    let ids = after(&Ids::default(), &model, &["prod"]);
    let prod = ids.domain("acme/prod").unwrap();
    assert_eq!((prod.domain, prod.transit_vni), (1, FIRST_VNI));
    assert_eq!(prod.networks, [("back".to_owned(), 500), ("front".to_owned(), FIRST_VNI + 1)].into());
    assert_eq!(prod.interfaces.values().collect::<Vec<_>>(), [&1]);
    assert_eq!(prod.rules.values().collect::<Vec<_>>(), [&1]);

    let again = allocate(&ids, &model, &["prod"]).unwrap();
    assert!(again.rows.is_empty(), "nothing to hand out: {:?}", again.rows);
    assert_eq!(again.domains["acme/prod"].as_deref(), Some(prod));
}

#[test]
fn a_name_made_again_gets_new_numbers() {
    let full = model(&[("prod", &["front"])]);
    let first = after(&Ids::default(), &full, &["prod"]);
    let none = after(&first, &Model::default(), &["prod"]);
    assert_eq!(none.domain("acme/prod"), None);
    let second = after(&none, &full, &["prod"]);
    let (old, new) = (first.domain("acme/prod").unwrap(), second.domain("acme/prod").unwrap());
    assert_ne!(old.domain, new.domain);
    assert_ne!(old.transit_vni, new.transit_vni);
    assert_ne!(old.networks, new.networks);
    assert_ne!(old.interfaces, new.interfaces);
    assert_ne!(old.rules, new.rules);
}

#[test]
fn a_vni_asked_for_that_another_has_is_refused_by_name() {
    let ids = after(&Ids::default(), &model(&[("prod", &["front"])]), &["prod"]);
    let taken = format!("back={}", FIRST_VNI + 1);
    let both = model(&[("prod", &["front"]), ("dev", &[&taken])]);
    let error = allocate(&ids, &both, &["dev"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("VNI {} is taken by network acme/prod/front; name another one or leave it out", FIRST_VNI + 1)
    );
    // Whoever asks is told, also when both domains are touched.
    assert_eq!(allocate(&ids, &both, &["dev", "prod"]).unwrap_err(), error);
}

#[test]
fn handing_out_skips_what_is_asked_for() {
    let asked = format!("back={}", FIRST_VNI + 1);
    let model = model(&[("dev", &["front"]), ("prod", &[&asked])]);
    let ids = after(&Ids::default(), &model, &["dev", "prod"]);
    let mut vnis: Vec<u32> =
        ["acme/dev", "acme/prod"].iter().flat_map(|name| vnis_of(ids.domain(name).unwrap())).collect();
    vnis.sort_unstable();
    assert_eq!(vnis, [FIRST_VNI, FIRST_VNI + 1, FIRST_VNI + 2, FIRST_VNI + 3]);
}

#[test]
fn the_rows_of_an_allocation_are_the_state() {
    let full = model(&[("prod", &["front", "back"]), ("dev", &["front=77"])]);
    let less = model(&[("prod", &["back"])]);
    let mut stored = BTreeMap::new();
    let mut ids = Ids::default();
    for model in [&full, &less, &full] {
        let allocation = allocate(&ids, model, &["dev", "prod"]).unwrap();
        for (key, id) in &allocation.rows {
            match id {
                Some(id) => stored.insert(key.clone(), *id),
                None => stored.remove(key),
            };
        }
        ids.install(allocation);
        let loaded = Ids::load(ids.counters, &stored);
        assert_eq!(loaded.domains, ids.domains);
        assert_eq!(loaded.vnis, ids.vnis);
    }
}

#[test]
fn a_sort_of_number_that_is_used_up_is_named() {
    let spent = Counters { rule: u32::MAX, ..Counters::default() };
    let ids = Ids { counters: spent, ..Ids::default() };
    let error = allocate(&ids, &model(&[("prod", &["front"])]), &["prod"]).unwrap_err();
    assert_eq!(error, exhausted("acme/prod", "rule id"));
}
