//! Bugs of the compiler.

use ringfence_prove::failures::Bug;

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "action counts before priority",
        file: "controller/policy/src/compile/order.rs",
        right: "(o.tier, o.rule.priority, o.rule.action, o.ordinal)",
        wrong: "(o.tier, o.rule.action, o.rule.priority, o.ordinal)",
    },
    Bug {
        name: "the later of two equal rules decides",
        file: "controller/policy/src/compile/order.rs",
        right: "(o.tier, o.rule.priority, o.rule.action, o.ordinal)",
        wrong: "(o.tier, o.rule.priority, o.rule.action, u32::MAX - o.ordinal)",
    },
    Bug {
        name: "pass goes on in its own tier",
        file: "controller/policy/src/compile/tables.rs",
        right: "from = rules.partition_point(|other| other.tier <= ordered.tier);",
        wrong: "from = rules.iter().position(|other| std::ptr::eq(*other, *ordered))? + 1;",
    },
    Bug {
        name: "pass leads past every tier to the default",
        file: "controller/policy/src/compile/tables.rs",
        right: "from = rules.partition_point(|other| other.tier <= ordered.tier);",
        wrong: "from = rules.len() + usize::from(ordered.rule.log);",
    },
    Bug {
        name: "the last port of a range is not in it",
        file: "controller/policy/src/compile/tables.rs",
        right: "turns.push((range.end() + 1, place, false));",
        wrong: "turns.push(((*range.end()).max(range.start() + 1), place, false));",
    },
    Bug {
        name: "an ICMP type lacks its last code",
        file: "controller/policy/src/compile/tables.rs",
        right: "number(kind, 0)..=number(kind, u8::MAX)",
        wrong: "number(kind, 0)..=number(kind, u8::MAX - 1)",
    },
    Bug {
        name: "proto/6 is not TCP",
        file: "controller/policy/src/compile/tables.rs",
        right: "(self.protocol() == Some(*number)).then(|| self.all())",
        wrong: "(self.protocol() == Some(*number) && self != Self::Tcp).then(|| self.all())",
    },
    Bug {
        name: "policies in audit decide where they log",
        file: "controller/policy/src/compile/tables.rs",
        right: "ordered.mode == Mode::Enforce).collect()",
        wrong: "ordered.mode == Mode::Enforce || ordered.rule.log).collect()",
    },
    Bug {
        name: "a rule for the source alone has no row",
        file: "controller/policy/src/compile/rows.rs",
        right: "let from = source.votes && group.binds.binds(Side::From);",
        wrong: "let from = source.votes && group.binds == Binds::Both;",
    },
    Bug {
        name: "except leaves nothing out",
        file: "controller/policy/src/compile/peers.rs",
        right: "places.retain(|place| !turn.cease.contains(place));",
        wrong: "places.retain(|place| !turn.cease.contains(place) || turn.begin.is_empty());",
    },
    Bug {
        name: "named ports of SCTP are not noted",
        file: "controller/policy/src/compile/peers.rs",
        right: " | Traffic::Sctp(Ports::Named(name)) => {",
        wrong: " => {",
    },
    Bug {
        name: "only the first condition of a selector is asked",
        file: "controller/policy/src/compile/selectors.rs",
        right: "tried.filter(|(_, selector)| selector.matches(labels)).map",
        wrong: "tried.map",
    },
    Bug {
        name: "rules never end",
        file: "controller/policy/src/compile/profiles.rs",
        right: "[window.not_before, window.not_after]",
        wrong: "[window.not_before, window.not_before]",
    },
    Bug {
        name: "the shortest prefix counts",
        file: "controller/policy/src/compile/nested.rs",
        right: ".range(..=longest).rev();",
        wrong: ".range(..=longest);",
    },
    Bug {
        name: "a change keeps classes that nobody is in any more",
        file: "controller/policy/src/compile/compilation.rs",
        right: "if !members.same_classes(&before) {",
        wrong: "if self.bundle.interfaces.is_empty() && !members.same_classes(&before) {",
    },
];
