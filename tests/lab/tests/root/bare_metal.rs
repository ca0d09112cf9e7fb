//! Hosts that are workloads themselves, each by its device on the underlay: what they say and hear is what policy says, and
//! nothing that policy says cuts them off.

use std::{
    path::PathBuf,
    process::Output,
    sync::MutexGuard,
    time::{Duration, Instant},
};

use ringfence_lab::{
    cabling::UNDERLAY_DEVICE,
    daemon::find_program,
    lab::{Lab, Options},
    probe::{
        Endpoint, Outcome, Question, Service,
        asker::{Patience, ask},
        expectation,
        responder::Responders,
    },
    registry, wait,
};
use ringfence_policy::model::Model;

use super::{model_of, turn};

const METAL: &str = "acme/metal";
const OTHER: &str = "globex/prod";
/// What policy denies to machines, and is answered all the same where nothing is enforced.
const DENIED: Service = Service::Tcp(5432);

/// `h1` runs workloads and is one, `h2` is one and runs one of another tenant, `h3` has the uplink.
const OBJECTS: &str = r#"
kind: Tenant
name: acme
---
kind: Tenant
name: globex
---
kind: Domain
name: acme/metal
uplink:
  host: h3
  device: out-metal
  addresses: [192.0.2.2/24, "2001:db8:2::2/64"]
  nextHops: [192.0.2.1, "2001:db8:2::1"]
---
kind: Network
domain: acme/metal
name: machines
subnets:
  - {cidr: 10.99.0.0/24, gateway: 10.99.0.254}
  - {cidr: "fd99::/64", gateway: "fd99::fe"}
---
kind: Network
domain: acme/metal
name: front
subnets:
  - {cidr: 10.1.0.0/24, gateway: 10.1.0.1}
  - {cidr: "fd00:1::/64", gateway: "fd00:1::1"}
---
kind: Workload
domain: acme/metal
name: m1
labels: {role: build}
bareMetal: true
interfaces:
  - {name: nic, network: machines, mac: "02:00:00:99:00:0b", addresses: [10.99.0.11, "fd99::b"], host: h1, device: underlay0}
---
kind: Workload
domain: acme/metal
name: m2
labels: {role: store}
bareMetal: true
interfaces:
  - {name: nic, network: machines, mac: "02:00:00:99:00:0c", addresses: [10.99.0.12, "fd99::c"], host: h2, device: underlay0}
---
kind: Workload
domain: acme/metal
name: web
labels: {role: web}
interfaces:
  - {name: eth0, network: front, mac: "02:00:00:00:01:01", addresses: [10.1.0.11, "fd00:1::11"], host: h1}
---
kind: Domain
name: globex/prod
default: allow
---
kind: Network
domain: globex/prod
name: net
subnets: [{cidr: 10.7.0.0/24, gateway: 10.7.0.1}]
---
kind: Workload
domain: globex/prod
name: v1
interfaces: [{name: eth0, network: net, mac: "02:00:00:00:07:01", addresses: [10.7.0.11], host: h1}]
---
kind: Workload
domain: globex/prod
name: v2
interfaces: [{name: eth0, network: net, mac: "02:00:00:00:07:02", addresses: [10.7.0.12], host: h2}]
"#;

/// Some of the lab's services for each pair, and none for all.
const POLICY: &str = r#"
kind: Policy
domain: acme/metal
name: metal
rules:
  - {name: build-to-store, from: [workload/m1], to: [workload/m2], action: allow, traffic: [tcp/8080, icmp, icmp6]}
  - {name: web-to-store, from: [workload/web], to: [workload/m2], action: allow, traffic: [tcp/8090]}
  - {name: web-to-build, from: [workload/web], to: [workload/m1], action: allow, traffic: [tcp/8091]}
  - {name: store-to-web, from: [workload/m2], to: [workload/web], action: allow, traffic: [tcp/8080, udp]}
  - {name: store-out, from: [workload/m2], to: [outside], action: allow, traffic: [tcp/443]}
  - {name: users, from: [outside], to: [workload/m1], action: allow, traffic: [tcp/443]}
"#;

struct Metal {
    lab: Lab,
    files: tempfile::TempDir,
    _responders: Responders,
    _turn: MutexGuard<'static, ()>,
}

impl Metal {
    /// A lab without a policy: what there is, is denied in one domain and allowed in the other.
    fn new() -> Self {
        let turn = turn();
        let files = tempfile::tempdir().unwrap();
        let objects = files.path().join("objects.yaml");
        std::fs::write(&objects, OBJECTS).unwrap();
        let mut lab = Lab::raise(&[&objects], &Options::default()).unwrap();
        let responders = Responders::start(&lab.endpoints).unwrap();
        lab.apply(&objects).unwrap();
        lab.wait_until_settled(true).unwrap();
        Self { lab, files, _responders: responders, _turn: turn }
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.files.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn apply_policy(&mut self) -> Model {
        let policy = self.write("policy.yaml", POLICY);
        self.lab.apply(&policy).unwrap();
        model_of(&[&self.files.path().join("objects.yaml"), &policy])
    }

    fn endpoint(&self, domain: &str, name: &str) -> Endpoint {
        self.lab.endpoint(domain, name).unwrap().clone()
    }

    /// Whether one asks another and is answered.
    fn reaches(&self, (domain, from, to): (&str, &str, &str), service: Service) -> bool {
        let asker = self.lab.endpoints.iter().position(|it| it.domain == domain && it.name == from).unwrap();
        let target = self.endpoint(domain, to).addresses[0];
        let source = self.lab.endpoints[asker].address_like(target).unwrap();
        let patience = Patience { for_silence: Duration::from_millis(300), ..Patience::default() };
        let outcomes =
            ask(&self.lab.endpoints, &[Question { asker, source, target, service }], patience, |_| false).unwrap();
        matches!(outcomes[0], Outcome::Answered { .. })
    }

    /// Whether `m2` is reached against its policy, by somebody whom no other host judges.
    fn machine_is_open(&self) -> bool {
        self.reaches((METAL, "internet", "m2"), DENIED)
    }

    /// Somebody from outside opens SSH to it.
    fn has_ssh(&self) -> bool {
        self.reaches((METAL, "internet", "m2"), Service::Tcp(22))
    }

    /// `ringfence-agent rescue` on `h2`, with nothing but the places.
    fn rescue(&self, further: &[&str]) -> Output {
        let agent = find_program("ringfence-agent").unwrap();
        let id = self.lab.id();
        let mut command = self.lab.host("h2").unwrap().namespace.command(agent).unwrap();
        command.arg("rescue").arg("--bpffs").arg(registry::pins_of(id).join("h2"));
        command.arg("--state-dir").arg(registry::directory_of(id).join("h2")).args(further).output().unwrap()
    }
}

#[test]
fn machines_workloads_and_outside_meet_as_policy_says() {
    let mut metal = Metal::new();
    let model = metal.apply_policy();
    // What is built in is no policy; this much of it can be switched off.
    metal.lab.restart_agents(&["--ssh-from", "none"]).unwrap();
    let questions = expectation::questions(&metal.lab.endpoints);
    let answers = expectation::ask_all(&metal.lab.endpoints, &questions, &model).unwrap();
    expectation::require_right(&metal.lab.endpoints, &answers).unwrap();
    // By which rule, and so by which way: both families, or what of them the traffic has.
    let between = |from: &str, to: &str| {
        let target = metal.endpoint(METAL, to);
        let answered = answers.iter().filter(|it| {
            let asker = &metal.lab.endpoints[it.question.asker];
            (asker.domain.as_str(), asker.name.as_str()) == (METAL, from)
                && target.addresses.contains(&it.question.target)
                && it.observed != Outcome::Silence
        });
        answered.count()
    };
    for (from, to) in [("m1", "m2"), ("web", "m2"), ("web", "m1"), ("m2", "web"), ("m2", "internet"), ("office", "m1")]
    {
        assert!(between(from, to) > 0, "{from} never reached {to}");
    }
    assert_eq!((between("m2", "m1"), between("m1", "web"), between("internet", "m2")), (0, 0, 0));

    // The negative control: it was the verdict.
    let denied: Vec<Question> = answers
        .iter()
        .filter(|it| {
            let asker = &metal.lab.endpoints[it.question.asker];
            let asked = |name: &str| metal.endpoint(METAL, name).addresses.contains(&it.question.target);
            asker.domain == METAL && asker.name.starts_with('m') && (asked("m1") || asked("m2"))
        })
        .filter(|it| it.expected == Outcome::Silence)
        .map(|it| it.question)
        .collect();
    metal.lab.restart_agents(&["--verdict-off"]).unwrap();
    let outcomes = ask(&metal.lab.endpoints, &denied, Patience::default(), |_| true).unwrap();
    assert!(!denied.is_empty() && outcomes.iter().all(|it| matches!(it, Outcome::Answered { .. })), "{outcomes:?}");
}

#[test]
fn a_policy_that_denies_all_leaves_overlay_controller_and_ssh() {
    let metal = Metal::new();
    assert!(!metal.machine_is_open());
    assert!(metal.reaches((OTHER, "v1", "v2"), Service::Tcp(5432)), "the overlay between two machines");
    assert!(metal.has_ssh());
    // It was settled under that policy, and still is: agents and their controller talk through the NICs.
    assert!(metal.lab.is_settled().unwrap());
    let counters = metal.lab.cli_ok(&["counters", "-o", "json"]).unwrap().answer;
    let counters: serde_json::Value = serde_json::from_str(&counters).unwrap();
    for machine in ["m1", "m2"] {
        let nic = counters["interfaces"].as_array().unwrap().iter().find(|row| row["workload"] == machine).unwrap();
        assert_eq!(nic["device"], UNDERLAY_DEVICE);
        assert!(nic["passedBuiltIn"].as_u64().unwrap() > 20, "{nic}");
    }
}

#[test]
fn a_bundle_that_would_cut_a_machine_off_is_refused_and_the_one_before_holds() {
    let mut metal = Metal::new();
    metal.apply_policy();
    let allowed = (METAL, "m1", "m2");
    assert!(metal.reaches(allowed, Service::Tcp(8080)) && !metal.machine_is_open());
    let wrong = OBJECTS.replace("02:00:00:99:00:0c", "02:00:00:99:00:77");
    let wrong = metal.write("wrong.yaml", &wrong);
    let output = metal.lab.cli(&["apply", "-f", &wrong.display().to_string(), "--wait-timeout", "5s"]).unwrap();
    let told = [output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into_owned()).concat();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("with MAC address 02:00:00:99:00:77"), "{told}");
    assert!(metal.reaches(allowed, Service::Tcp(8080)) && !metal.machine_is_open());
    metal.lab.apply(&metal.files.path().join("objects.yaml")).unwrap();
    metal.lab.wait_until_settled(true).unwrap();
}

#[test]
fn a_machine_that_boots_without_a_controller_is_reachable_and_enforces() {
    let mut metal = Metal::new();
    metal.lab.controller.as_mut().unwrap().kill().unwrap();
    metal.lab.agent("h2").unwrap().kill().unwrap();
    // What a boot leaves: the disk.
    std::fs::remove_dir_all(registry::pins_of(metal.lab.id()).join("h2")).unwrap();
    wait::until("nothing is enforced", Duration::from_secs(5), || Ok(metal.machine_is_open())).unwrap();
    metal.lab.agent("h2").unwrap().start_again(&[]).unwrap();
    wait::until("it enforces", Duration::from_secs(10), || Ok(!metal.machine_is_open())).unwrap();
    assert!(metal.has_ssh());
    metal.lab.agent("h2").unwrap().check().unwrap();
}

#[test]
fn a_rescue_opens_at_once_with_nobody_to_ask_and_lasts_until_it_is_ended() {
    let mut metal = Metal::new();
    metal.lab.controller.as_mut().unwrap().kill().unwrap();
    metal.lab.agent("h2").unwrap().kill().unwrap();
    assert!(!metal.machine_is_open());
    let rescued = metal.rescue(&[]);
    assert!(rescued.status.success(), "{rescued:?}");
    assert!(metal.machine_is_open(), "{rescued:?}");
    assert!(metal.reaches((OTHER, "v1", "v2"), Service::Tcp(5432)), "workloads are as before");
    // An agent keeps to it.
    metal.lab.agent("h2").unwrap().start_again(&[]).unwrap();
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(4) {
        assert!(metal.machine_is_open(), "closed again after {:?}", began.elapsed());
    }
    let ended = metal.rescue(&["--end"]);
    assert!(ended.status.success(), "{ended:?}");
    wait::until("it enforces again", Duration::from_secs(5), || Ok(!metal.machine_is_open())).unwrap();
    // And with the agent running it opens as fast, and is not put back.
    metal.rescue(&[]);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(4) {
        assert!(metal.machine_is_open(), "put back after {:?}", began.elapsed());
    }
    metal.lab.agent("h2").unwrap().check().unwrap();
}

/// Nothing of it is the agent's to set.
#[test]
fn a_nic_is_left_as_it_is_and_teardown_gives_it_back() {
    let mut metal = Metal::new();
    let settings = |metal: &Metal| {
        let host = &metal.lab.host("h2").unwrap().namespace;
        let read = |name: &str| std::fs::read_to_string(format!("/proc/sys/net/{name}")).unwrap();
        let names =
            ["ipv4/conf/underlay0/rp_filter", "ipv4/conf/underlay0/arp_ignore", "ipv6/conf/underlay0/disable_ipv6"];
        host.run(|| Ok(names.map(read))).unwrap()
    };
    assert_eq!(settings(&metal)[2].trim(), "0");
    let before = settings(&metal);
    metal.lab.agent("h2").unwrap().stop().unwrap();
    let agent = find_program("ringfence-agent").unwrap();
    let id = metal.lab.id().to_owned();
    let mut teardown = metal.lab.host("h2").unwrap().namespace.command(agent).unwrap();
    teardown.arg("teardown").args(["--host", "h2", "--controller", "http://10.99.0.1:7420"]);
    teardown.arg("--bpffs").arg(registry::pins_of(&id).join("h2"));
    teardown.arg("--state-dir").arg(registry::directory_of(&id).join("h2"));
    let done = teardown.args(["--underlay-address", "10.99.0.12"]).output().unwrap();
    assert!(done.status.success(), "{done:?}");
    // The kernel lets go of a link a moment after its pin went.
    wait::until("nothing is enforced", Duration::from_secs(5), || Ok(metal.machine_is_open())).unwrap();
    assert_eq!(settings(&metal), before);
}
