//! Generated policies.

use proptest::{collection::vec, option, prelude::*, sample::select};
use ringfence_policy::object::{PeerSpec, PolicySpec, RuleSpec};

use super::{CIDRS, SEGMENTS, SETS, WORKLOADS, requirements};

const PORTS: [u32; 6] = [0, 80, 81, 443, 65534, 65535];

/// Moments that windows begin and end at; a window of one and a later one is never empty.
const MOMENTS: [&str; 4] =
    ["1970-01-01T00:00:00Z", "1970-01-01T00:01:40Z", "2026-12-01T06:00:00Z", "2026-12-01T07:00:00+01:00"];

pub(super) fn of_domain() -> impl Strategy<Value = PolicySpec> {
    policy(peer().boxed())
}

/// Its peers mean something in every domain.
pub(super) fn of_platform() -> impl Strategy<Value = PolicySpec> {
    policy(prop_oneof![name("any"), name("outside"), labels(), cidr()].boxed())
}

fn policy(peer: BoxedStrategy<PeerSpec>) -> impl Strategy<Value = PolicySpec> {
    let tier = option::of(select(vec!["guard", "tenant", "baseline"]));
    let mode = option::weighted(0.4, select(vec!["enforce", "audit"]));
    let rules = vec(rule(peer), 1..5);
    (tier, mode, option::weighted(0.3, Just(())), rules).prop_map(|(tier, mode, stateless, mut rules)| {
        for (place, rule) in rules.iter_mut().enumerate() {
            rule.name = format!("r{place}");
        }
        let (tier, mode) = (tier.map(Into::into), mode.map(Into::into));
        PolicySpec { tier, mode, stateless: stateless.is_some(), rules }
    })
}

fn rule(peer: BoxedStrategy<PeerSpec>) -> impl Strategy<Value = RuleSpec> {
    let ends = (vec(peer.clone(), 1..3), vec(peer, 1..3), vec(traffic(), 1..3));
    let action = select(vec!["allow", "allow", "deny", "pass"]);
    let priority = option::of(select(vec![10_u32, 999, 1000, 1001]));
    let side = option::weighted(0.3, select(vec!["from", "to"]));
    (ends, action, priority, side, any::<bool>(), window()).prop_map(
        |((from, to, traffic), action, priority, side, log, (not_before, not_after))| RuleSpec {
            name: String::new(),
            from,
            to,
            action: action.into(),
            traffic,
            priority,
            side: side.map(Into::into),
            log,
            not_before,
            not_after,
        },
    )
}

fn window() -> impl Strategy<Value = (Option<String>, Option<String>)> {
    let moment = |place: usize| Some(MOMENTS[place].to_owned());
    prop_oneof![
        4 => Just((None, None)),
        1 => (0..3_usize).prop_map(move |start| (moment(start), None)),
        1 => (1..3_usize).prop_map(move |end| (None, moment(end))),
        1 => (0..2_usize).prop_map(move |start| (moment(start), moment(start + 1))),
    ]
}

fn name(name: &str) -> BoxedStrategy<PeerSpec> {
    Just(PeerSpec::Name(name.into())).boxed()
}

fn labels() -> BoxedStrategy<PeerSpec> {
    requirements().prop_map(PeerSpec::Labels).boxed()
}

/// A prefix with what of the others lies inside it left out, or some of that.
fn cidr() -> BoxedStrategy<PeerSpec> {
    let except = option::weighted(0.4, vec(any::<bool>(), CIDRS.len()));
    let prefix = |text: &str| text.parse::<ipnet::IpNet>().unwrap();
    (select(&CIDRS[..]), except)
        .prop_map(move |(cidr, except)| {
            let chosen = CIDRS.iter().zip(except.into_iter().flatten()).filter(|(_, chosen)| *chosen);
            let inside = chosen.filter(|(other, _)| **other != cidr && prefix(cidr).contains(&prefix(other)));
            PeerSpec::Cidr { cidr: cidr.into(), except: inside.map(|(other, _)| (*other).into()).collect() }
        })
        .boxed()
}

fn peer() -> impl Strategy<Value = PeerSpec> {
    let numbered =
        |kind: &'static str, count: usize| (0..count).prop_map(move |n| PeerSpec::Name(format!("{kind}{n}")));
    prop_oneof![
        1 => name("any"),
        1 => name("outside"),
        1 => name("host"),
        2 => numbered("segment/s", SEGMENTS),
        1 => numbered("addresses/a", SETS),
        1 => select(&WORKLOADS[..]).prop_map(|name| PeerSpec::Name(format!("workload/{name}"))),
        1 => labels(),
        2 => cidr(),
    ]
}

fn traffic() -> impl Strategy<Value = String> {
    let with_ports = || select(vec!["tcp", "udp", "sctp"]);
    let port = || select(&PORTS[..]);
    let ranges = (with_ports(), port(), port()).prop_map(|(of, a, b)| format!("{of}/{}-{}", a.min(b), a.max(b)));
    let named = (with_ports(), select(vec!["web", "admin"])).prop_map(|(of, name)| format!("{of}/{name}"));
    let whole = select(vec!["any", "tcp", "udp", "sctp", "icmp", "icmp6"]).prop_map(str::to_owned);
    let icmp = (select(vec!["icmp", "icmp6"]), select(vec!["0", "8", "3/4", "8/0", "128", "255", "255/255"]));
    let number = select(vec![0, 1, 6, 17, 47, 58, 132, 255]);
    prop_oneof![
        2 => ranges,
        2 => whole,
        1 => named,
        1 => icmp.prop_map(|(of, types)| format!("{of}/{types}")),
        1 => number.prop_map(|number| format!("proto/{number}")),
    ]
}
