//! Bugs of the agent's lowering.

use ringfence_prove::failures::Bug;

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "a domain that allows by default has no row for it beside others",
        file: "agent/src/lower/policy.rs",
        right: "if policy.default_allows {",
        wrong: "if policy.default_allows && policy.rows.is_empty() {",
    },
    Bug {
        name: "what is allowed by default is not tracked",
        file: "agent/src/lower/policy.rs",
        right: "notes: (RF_STATEFUL_FROM | RF_STATEFUL_TO) as u8,",
        wrong: "notes: 0,",
    },
    Bug {
        name: "rules hold as they did from ever",
        file: "agent/src/lower/policy.rs",
        right: "let index = row.profile_at(at);",
        wrong: "let index = row.profile_at(at.min(0));",
    },
    Bug {
        name: "the votes of the sides are exchanged",
        file: "agent/src/lower/policy.rs",
        right: "[row.from_class, row.to_class].map(|class| self.voting",
        wrong: "[row.to_class, row.from_class].map(|class| self.voting",
    },
    Bug {
        name: "a profile is lowered once, whoever votes",
        file: "agent/src/lower/policy.rs",
        right: "self.places.get(&(index, votes))",
        wrong: "self.places.range((index, [false; 2])..=(index, [true; 2])).map(|(_, place)| place).next()",
    },
    Bug {
        name: "the source's side is stateful by the destination's rule",
        file: "agent/src/lower/policy.rs",
        right: "from_votes && is_stateful(from_rule)",
        wrong: "from_votes && is_stateful(to_rule)",
    },
    Bug {
        name: "the destination's side logs by the source's rule",
        file: "agent/src/lower/policy.rs",
        right: "to_votes && is_logged(to_rule)",
        wrong: "to_votes && is_logged(from_rule)",
    },
    Bug {
        name: "shadow names the enforced rule",
        file: "agent/src/lower/policy.rs",
        right: "shadow_to_rule: id(run.shadow.to_rule),",
        wrong: "shadow_to_rule: id(to_rule),",
    },
    Bug {
        name: "shadow allows what is enforced",
        file: "agent/src/lower/policy.rs",
        right: "bit(run.shadow.from_allows, RF_SHADOW_FROM)",
        wrong: "bit(from_allows, RF_SHADOW_FROM)",
    },
    Bug {
        name: "the tables of ICMP and ICMPv6 are exchanged",
        file: "agent/src/lower/policy.rs",
        right: "[tcp, udp, sctp, icmp, icmp6, other].map",
        wrong: "[tcp, udp, sctp, icmp6, icmp, other].map",
    },
    Bug {
        name: "every address of an interface has the class of its first",
        file: "agent/src/lower/domain.rs",
        right: "class_id: *class_id }",
        wrong: "class_id: interface.addresses.first().map_or(*class_id, |(_, first)| *first) }",
    },
    Bug {
        name: "a subnet in an address pair is nobody's",
        file: "agent/src/lower/pairs.rs",
        right: "(net, self.holding(net).copied().unwrap_or(vacant))",
        wrong: "(net, self.by_prefix.get(&net).copied().unwrap_or(vacant))",
    },
    Bug {
        name: "a host has no rows toward its own workloads",
        file: "agent/src/lower/policy.rs",
        right: "local.contains(&row.from_class) || local.contains(&row.to_class)",
        wrong: "local.contains(&row.from_class)",
    },
    Bug {
        name: "a host has no rows for the address pairs of its workloads",
        file: "agent/src/lower/policy.rs",
        right: "if classed.votes { pairs.owner",
        wrong: "if classed.votes && !classed.votes { pairs.owner",
    },
    Bug {
        name: "prefixes are written to one slot",
        file: "agent/src/lower/assign.rs",
        right: "for slot in [0, 1] {\n                self.image.prefixes",
        wrong: "for slot in [0, 0] {\n                self.image.prefixes",
    },
];
