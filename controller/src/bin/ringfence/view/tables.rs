//! Tables of objects, for people.

use std::collections::{BTreeMap, BTreeSet};

use ringfence_policy::{
    model::DEFAULT_PRIORITY,
    object::{Kind, LabelTest, Object, PeerSpec, PolicySpec, Requirement, RuleSpec, Spec},
};

use crate::{
    output::columns,
    view::{
        interfaces::{Interface, Interfaces},
        objects::Stored,
    },
};

/// The order in which kinds are shown.
const KINDS: [Kind; 8] = [
    Kind::Tenant,
    Kind::Domain,
    Kind::Network,
    Kind::Workload,
    Kind::Segment,
    Kind::AddressSet,
    Kind::Policy,
    Kind::Host,
];

/// A table of each kind there is any of, under its name.
pub(crate) fn of_all(objects: &[Stored]) -> String {
    let tables: Vec<_> = KINDS
        .into_iter()
        .filter(|kind| objects.iter().any(|stored| stored.is(*kind)))
        .map(|kind| format!("{kind}\n{}", of_kind(kind, objects)))
        .collect();
    if tables.is_empty() {
        "there is nothing yet; `ringfence apply -f` adds objects\n".to_owned()
    } else {
        tables.join("\n")
    }
}

/// The table of one kind; objects of other kinds are not in it.
pub(crate) fn of_kind(kind: Kind, objects: &[Stored]) -> String {
    let objects = objects.iter();
    match kind {
        Kind::Tenant => columns(["NAME", "SOURCE"], objects.filter_map(tenant)),
        Kind::Domain => {
            columns(["NAME", "DEFAULT", "UPLINK", "ADDRESSES", "NEXT HOPS", "SOURCE"], objects.filter_map(domain))
        }
        Kind::Network => {
            columns(["DOMAIN", "NAME", "SUBNETS", "GATEWAYS", "MTU", "VNI", "SOURCE"], objects.filter_map(network))
        }
        Kind::Workload => {
            columns(["DOMAIN", "NAME", "LABELS", "ADDRESSES", "HOSTS", "SOURCE"], objects.filter_map(workload))
        }
        Kind::Segment => columns(["DOMAIN", "NAME", "MATCH", "SOURCE"], objects.filter_map(segment)),
        Kind::AddressSet => columns(["DOMAIN", "NAME", "ADDRESSES", "SOURCE"], objects.filter_map(address_set)),
        Kind::Policy => columns(
            ["DOMAIN", "POLICY", "TIER", "MODE", "RULE", "PRIORITY", "ACTION", "FROM", "TO", "TRAFFIC", "NOTES"],
            objects.filter_map(rules).flatten(),
        ),
        Kind::Host => columns(["NAME", "UNDERLAY", "AGENT", "LABELS"], objects.filter_map(host)),
    }
}

/// The table of `get interfaces`.
pub(crate) fn interfaces(interfaces: &Interfaces) -> String {
    columns(
        ["DOMAIN", "INTERFACE", "NETWORK", "MAC", "ADDRESSES", "PAIRS", "PORT SECURITY", "HOST", "DEVICE"],
        interfaces.interfaces.iter().cloned().map(|interface| {
            let Interface {
                domain,
                workload,
                name,
                network,
                mac,
                addresses,
                address_pairs,
                port_security,
                host,
                device,
            } = interface;
            let security = if port_security { "on" } else { "off" };
            [
                domain,
                format!("{workload}/{name}"),
                network,
                mac,
                addresses.join(","),
                address_pairs.join(","),
                security.to_owned(),
                host,
                device,
            ]
        }),
    )
}

fn tenant(stored: &Stored) -> Option<[String; 2]> {
    stored.is(Kind::Tenant).then(|| [stored.object.name.clone(), stored.source.clone()])
}

fn domain(stored: &Stored) -> Option<[String; 6]> {
    let Object { name, spec: Spec::Domain(spec), .. } = &stored.object else { return None };
    let (place, addresses, next_hops) = match &spec.uplink {
        Some(up) => (format!("{} {}", up.host, up.device), up.addresses.join(","), up.next_hops.join(",")),
        None => Default::default(),
    };
    let default = spec.default.clone().unwrap_or_else(|| "deny".to_owned());
    Some([name.clone(), default, place, addresses, next_hops, stored.source.clone()])
}

fn network(stored: &Stored) -> Option<[String; 7]> {
    let Object { domain, name, spec: Spec::Network(spec) } = &stored.object else { return None };
    let (cidrs, gateways): (Vec<_>, Vec<_>) =
        spec.subnets.iter().map(|subnet| (subnet.cidr.as_str(), subnet.gateway.as_str())).unzip();
    let or_auto = |number: Option<u32>| number.map_or_else(|| "auto".to_owned(), |number| number.to_string());
    Some([
        domain.clone(),
        name.clone(),
        cidrs.join(","),
        gateways.join(","),
        or_auto(spec.mtu),
        or_auto(spec.vni),
        stored.source.clone(),
    ])
}

fn workload(stored: &Stored) -> Option<[String; 6]> {
    let Object { domain, name, spec: Spec::Workload(spec) } = &stored.object else { return None };
    let addresses: Vec<_> = spec.interfaces.iter().flat_map(|interface| &interface.addresses).cloned().collect();
    let hosts: BTreeSet<_> = spec.interfaces.iter().map(|interface| interface.host.as_str()).collect();
    Some([
        domain.clone(),
        name.clone(),
        labels(&spec.labels),
        addresses.join(","),
        hosts.into_iter().collect::<Vec<_>>().join(","),
        stored.source.clone(),
    ])
}

fn segment(stored: &Stored) -> Option<[String; 4]> {
    let Object { domain, name, spec: Spec::Segment(spec) } = &stored.object else { return None };
    Some([domain.clone(), name.clone(), selector(&spec.requirements), stored.source.clone()])
}

fn address_set(stored: &Stored) -> Option<[String; 4]> {
    let Object { domain, name, spec: Spec::AddressSet(spec) } = &stored.object else { return None };
    Some([domain.clone(), name.clone(), spec.addresses.join(","), stored.source.clone()])
}

fn rules(stored: &Stored) -> Option<impl Iterator<Item = [String; 11]>> {
    let Object { domain, name, spec: Spec::Policy(spec) } = &stored.object else { return None };
    Some(spec.rules.iter().map(|rule| {
        [
            domain.clone(),
            name.clone(),
            spec.tier.clone().unwrap_or_else(|| "tenant".to_owned()),
            spec.mode.clone().unwrap_or_else(|| "enforce".to_owned()),
            rule.name.clone(),
            rule.priority.unwrap_or(DEFAULT_PRIORITY.into()).to_string(),
            rule.action.clone(),
            peers(&rule.from),
            peers(&rule.to),
            rule.traffic.join(","),
            notes(spec, rule),
        ]
    }))
}

/// What few rules say: which side they bind, when they hold, and what else becomes of what they decide.
fn notes(policy: &PolicySpec, rule: &RuleSpec) -> String {
    let said = |word: &'static str| move |text: &String| format!("{word} {text}");
    let notes = [
        rule.side.as_ref().map(said("side")),
        rule.not_before.as_ref().map(said("not before")),
        rule.not_after.as_ref().map(said("not after")),
        policy.stateless.then(|| "stateless".to_owned()),
        rule.log.then(|| "log".to_owned()),
    ];
    notes.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn host(stored: &Stored) -> Option<[String; 4]> {
    let Object { name, spec: Spec::Host(spec), .. } = &stored.object else { return None };
    Some([name.clone(), spec.underlay.join(","), spec.agent_version.clone(), labels(&spec.labels)])
}

fn peers(peers: &[PeerSpec]) -> String {
    let peer = |peer: &PeerSpec| match peer {
        PeerSpec::Name(name) => name.clone(),
        PeerSpec::Cidr { cidr, except } if except.is_empty() => cidr.clone(),
        PeerSpec::Cidr { cidr, except } => format!("{cidr} except ({})", except.join(",")),
        PeerSpec::Labels(requirements) => format!("{{{}}}", selector(requirements)),
    };
    peers.iter().map(peer).collect::<Vec<_>>().join(",")
}

fn selector(requirements: &[Requirement]) -> String {
    requirements.iter().map(requirement).collect::<Vec<_>>().join(" and ")
}

fn labels(labels: &BTreeMap<String, String>) -> String {
    labels.iter().map(|(key, value)| format!("{key}={value}")).collect::<Vec<_>>().join(",")
}

fn requirement(requirement: &Requirement) -> String {
    let Requirement { key, test } = requirement;
    match test {
        LabelTest::Equals(value) => format!("{key}={value}"),
        LabelTest::In(values) => format!("{key} in ({})", values.join(",")),
        LabelTest::NotIn(values) => format!("{key} not in ({})", values.join(",")),
        LabelTest::Exists(true) => format!("{key} exists"),
        LabelTest::Exists(false) => format!("{key} is absent"),
    }
}

#[cfg(test)]
mod tests {
    use ringfence_policy::object::{
        AddressSetSpec, DomainSpec, HostSpec, NetworkSpec, SegmentSpec, SubnetSpec, UplinkSpec, WorkloadSpec,
    };

    use super::*;
    use crate::view::objects::stored;

    fn table(name: &str, spec: Spec) -> String {
        let object = Object { domain: "acme/prod".into(), name: name.into(), spec };
        of_kind(object.kind(), &[stored(&object)])
    }

    #[test]
    fn a_domain_shows_its_default_and_its_way_out() {
        let uplink = UplinkSpec {
            host: "h1".into(),
            device: "out-acme".into(),
            addresses: vec!["192.0.2.2/24".into(), "2001:db8::2/64".into()],
            next_hops: vec!["192.0.2.1".into()],
        };
        assert_eq!(
            table("acme/prod", Spec::Domain(DomainSpec { uplink: Some(uplink), default: None })),
            "NAME       DEFAULT  UPLINK       ADDRESSES                    NEXT HOPS  SOURCE\n\
             acme/prod  deny     h1 out-acme  192.0.2.2/24,2001:db8::2/64  192.0.2.1  shop.yaml\n"
        );
    }

    #[test]
    fn a_network_shows_what_it_leaves_to_the_controller() {
        let subnets =
            vec![SubnetSpec { cidr: "10.1.0.0/24".into(), gateway: "10.1.0.1".into(), ..SubnetSpec::default() }];
        assert_eq!(
            table("front", Spec::Network(NetworkSpec { subnets, mtu: Some(1400), ..NetworkSpec::default() })),
            "DOMAIN     NAME   SUBNETS      GATEWAYS  MTU   VNI   SOURCE\n\
             acme/prod  front  10.1.0.0/24  10.1.0.1  1400  auto  shop.yaml\n"
        );
    }

    #[test]
    fn a_workload_without_interface_shows_dashes() {
        let labels = [("role", "web"), ("app", "shop")].map(|(key, value)| (key.to_owned(), value.to_owned()));
        assert_eq!(
            table("web-1", Spec::Workload(WorkloadSpec { labels: labels.into(), ..Default::default() })),
            "DOMAIN     NAME   LABELS             ADDRESSES  HOSTS  SOURCE\n\
             acme/prod  web-1  app=shop,role=web  -          -      shop.yaml\n"
        );
    }

    #[test]
    fn a_segment_shows_every_condition() {
        let values = || vec!["web".to_owned(), "edge".to_owned()];
        let requirements = [
            LabelTest::Equals("web".into()),
            LabelTest::In(values()),
            LabelTest::NotIn(values()),
            LabelTest::Exists(true),
            LabelTest::Exists(false),
        ]
        .map(|test| Requirement { key: "k".into(), test });
        assert_eq!(
            table("web", Spec::Segment(SegmentSpec { requirements: requirements.into() })),
            "DOMAIN     NAME  MATCH                                                                           SOURCE\n\
             acme/prod  web   k=web and k in (web,edge) and k not in (web,edge) and k exists and k is absent  shop.yaml\n"
        );
    }

    #[test]
    fn a_policy_shows_a_row_for_each_rule() {
        let rule = |name: &str, priority| RuleSpec {
            name: name.into(),
            from: vec![PeerSpec::Name("segment/web".into()), cidr(&[])],
            to: vec![PeerSpec::Name("any".into())],
            action: "deny".into(),
            traffic: vec!["tcp/22".into(), "icmp".into()],
            priority,
            ..Default::default()
        };
        let rules = vec![rule("a", None), rule("b", Some(10))];
        assert_eq!(
            table("shop", Spec::Policy(PolicySpec { rules, ..Default::default() })),
            "DOMAIN     POLICY  TIER    MODE     RULE  PRIORITY  ACTION  FROM                    TO   TRAFFIC      NOTES\n\
             acme/prod  shop    tenant  enforce  a     1000      deny    segment/web,10.0.0.0/8  any  tcp/22,icmp  -\n\
             acme/prod  shop    tenant  enforce  b     10        deny    segment/web,10.0.0.0/8  any  tcp/22,icmp  -\n"
        );
    }

    #[test]
    fn what_few_rules_say_stands_in_the_notes() {
        let labels = vec![Requirement { key: "role".into(), test: LabelTest::Equals("db".into()) }];
        let rule = RuleSpec {
            name: "a".into(),
            from: vec![cidr(&["10.1.0.0/16"])],
            to: vec![PeerSpec::Labels(labels)],
            action: "pass".into(),
            traffic: vec!["any".into()],
            side: Some("to".into()),
            not_after: Some("2027-01-01T00:00:00Z".into()),
            log: true,
            ..Default::default()
        };
        let spec =
            PolicySpec { tier: Some("guard".into()), mode: Some("audit".into()), stateless: true, rules: vec![rule] };
        let shown = table("shop", Spec::Policy(spec));
        let row = "guard  audit  a     1000      pass    10.0.0.0/8 except (10.1.0.0/16)  {role=db}  any      \
                   side to, not after 2027-01-01T00:00:00Z, stateless, log\n";
        assert!(shown.ends_with(row), "{shown}");
    }

    fn cidr(except: &[&str]) -> PeerSpec {
        PeerSpec::Cidr { cidr: "10.0.0.0/8".into(), except: except.iter().map(|text| (*text).into()).collect() }
    }

    #[test]
    fn an_address_set_shows_its_addresses() {
        let addresses = vec!["192.0.2.0/24".into(), "2001:db8::1".into()];
        assert_eq!(
            table("partners", Spec::AddressSet(AddressSetSpec { addresses })),
            "DOMAIN     NAME      ADDRESSES                 SOURCE\n\
             acme/prod  partners  192.0.2.0/24,2001:db8::1  shop.yaml\n"
        );
    }

    #[test]
    fn a_host_shows_what_its_agent_registered() {
        let spec = HostSpec { underlay: vec!["192.0.2.1".into()], agent_version: "0.1.0".into(), ..Default::default() };
        assert_eq!(table("h1", Spec::Host(spec)), "NAME  UNDERLAY   AGENT  LABELS\nh1    192.0.2.1  0.1.0  -\n");
    }

    #[test]
    fn all_kinds_are_shown_under_their_names_and_kinds_without_objects_are_not() {
        let tenant = |name: &str| stored(&Object { domain: String::new(), name: name.into(), spec: Spec::Tenant });
        assert_eq!(
            of_all(&[tenant("acme"), tenant("globex")]),
            "Tenant\nNAME    SOURCE\nacme    shop.yaml\nglobex  shop.yaml\n"
        );
        assert!(of_all(&[]).contains("ringfence apply"));
    }
}
