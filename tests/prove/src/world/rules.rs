//! Policies, rules and their traffic.

use ringfence_policy::{
    model::format_moment,
    object::{PeerSpec, PolicySpec, RuleSpec},
};

use super::{BOUNDARIES, EPOCH};
use crate::random::Random;

/// Names of ports.
pub(super) const PORT_NAMES: [&str; 2] = ["http", "api"];
/// Ends of ranges of ports.
const PORTS: [u16; 8] = [0, 1, 80, 81, 443, 8080, 65_534, 65_535];
/// Types of ICMP: echo and its answer, an error, and those at the ends.
const TYPES: [u8; 6] = [8, 0, 3, 13, 14, 255];
/// The same of ICMPv6.
const TYPES6: [u8; 5] = [128, 129, 1, 139, 255];
/// Echo requests and their answers.
const ECHO: [&str; 4] = ["icmp/8", "icmp/0", "icmp6/128", "icmp6/129"];
/// Protocols, those with words of their own included.
const PROTOCOLS: [u8; 9] = [6, 17, 132, 1, 58, 47, 50, 2, 255];

pub(super) fn policy(random: &mut Random, mut peer: impl FnMut(&mut Random) -> PeerSpec) -> PolicySpec {
    let tier = random.one([None, Some("guard"), Some("tenant"), Some("baseline")]).map(str::to_owned);
    let mode = random.one([None, None, Some("enforce"), Some("audit")]).map(str::to_owned);
    let stateless = random.chance(25);
    // Questions and their answers are told apart by type alone, and where nothing is tracked both are judged.
    let echo = random.chance(if stateless { 40 } else { 10 });
    let mut rules: Vec<RuleSpec> = (0..random.between(1, 4)).map(|n| rule(random, n, echo, &mut peer)).collect();
    if echo && random.chance(50) {
        rules.extend(questions_without_answers(random));
    }
    PolicySpec { tier, mode, stateless, rules }
}

/// Questions pass, on one side or both, and their answers do not, unless it is for their connection.
fn questions_without_answers(random: &mut Random) -> [RuleSpec; 2] {
    let (question, answer) = random.one([
        ("icmp/8", "icmp/0"),
        ("icmp6/128", "icmp6/129"),
        ("tcp/80", "tcp/40000"),
        ("udp/443", "udp/8080"),
    ]);
    let any = || vec![PeerSpec::Name("any".to_owned())];
    let rule = |name: &str, action: &str, traffic: &str, priority: u32, side: Option<&str>| RuleSpec {
        name: name.to_owned(),
        from: any(),
        to: any(),
        action: action.to_owned(),
        traffic: vec![traffic.to_owned()],
        priority: Some(priority),
        side: side.map(str::to_owned),
        ..RuleSpec::default()
    };
    let side = random.one([None, Some("from"), Some("to")]);
    [rule("question", "allow", question, 0, side), rule("answer", "deny", answer, 1, None)]
}

fn rule(random: &mut Random, n: usize, echo: bool, peer: &mut impl FnMut(&mut Random) -> PeerSpec) -> RuleSpec {
    let mut peers = |random: &mut Random| -> Vec<PeerSpec> {
        // Most rules have a side that many flows match, so that several rules meet.
        let count = random.one([0, 0, 0, 1, 1, 2]);
        if count == 0 { vec![PeerSpec::Name("any".to_owned())] } else { (0..count).map(|_| peer(random)).collect() }
    };
    let (from, to) = (peers(random), peers(random));
    let traffic = (0..random.one([1, 1, 1, 2]))
        .map(|_| if echo && random.chance(70) { random.one(ECHO).to_owned() } else { traffic(random) })
        .collect();
    let (not_before, not_after) = window(random);
    RuleSpec {
        name: format!("r{n}"),
        from,
        to,
        action: random.one(["allow", "allow", "deny", "pass"]).to_owned(),
        traffic,
        priority: random.one([None, None, Some(0), Some(999), Some(1000), Some(65_535)]),
        side: random.one([None, None, None, Some("from"), Some("to")]).map(str::to_owned),
        log: random.chance(25),
        not_before,
        not_after,
    }
}

fn window(random: &mut Random) -> (Option<String>, Option<String>) {
    let moment = |place: usize| BOUNDARIES.get(place).map(|offset| format_moment(EPOCH + offset));
    if random.chance(75) {
        return (None, None);
    }
    let start = random.below(BOUNDARIES.len() - 1);
    let end = random.between(start + 1, BOUNDARIES.len() - 1);
    match random.below(3) {
        0 => (moment(start), None),
        1 => (None, moment(end)),
        _ => (moment(start), moment(end)),
    }
}

fn traffic(random: &mut Random) -> String {
    match random.below(12) {
        0 | 1 => "any".to_owned(),
        2..8 => {
            let protocol = random.one(["tcp", "tcp", "udp", "sctp"]);
            let (a, b) = (random.one(PORTS), random.one(PORTS));
            match random.below(4) {
                0 => protocol.to_owned(),
                1 => format!("{protocol}/{a}"),
                2 => format!("{protocol}/{}-{}", a.min(b), a.max(b)),
                _ => format!("{protocol}/{}", random.one(PORT_NAMES)),
            }
        }
        8 | 9 => {
            let (protocol, kind) = match random.chance(50) {
                true => ("icmp", random.one(TYPES)),
                false => ("icmp6", random.one(TYPES6)),
            };
            match random.below(3) {
                0 => protocol.to_owned(),
                1 => format!("{protocol}/{kind}"),
                _ => format!("{protocol}/{kind}/{}", random.one([0, 1, 255])),
            }
        }
        _ => format!("proto/{}", random.one(PROTOCOLS)),
    }
}
