//! Bugs of the programs' look-ups.

use ringfence_prove::failures::Bug;

pub(super) const BUGS: &[Bug] = &[
    Bug {
        name: "a run begins one number late",
        file: "agent/bpf/policy.h",
        right: "if (run->first <= number) {",
        wrong: "if (run->first < number) {",
    },
    Bug {
        name: "the search loses the last of an odd number of runs",
        file: "agent/bpf/policy.h",
        right: "left -= left / 2;",
        wrong: "left /= 2;",
    },
    Bug {
        name: "one side is enough",
        file: "agent/bpf/policy.h",
        right: "return j->answer.allows == RF_ALLOW_BOTH;",
        wrong: "return j->answer.allows != 0;",
    },
    Bug {
        name: "the classes of the sides are exchanged",
        file: "agent/bpf/policy.h",
        right: ".from_class = class_id[0],\n\t\t.to_class = class_id[1],",
        wrong: ".from_class = class_id[1],\n\t\t.to_class = class_id[0],",
    },
    Bug {
        name: "there is no default",
        file: "agent/bpf/policy.h",
        right: "\tif (!profile) {\n",
        wrong: "\tif (!profile && slot > 1) {\n",
    },
    Bug {
        name: "prefixes longer than 120 bits are not found",
        file: "agent/bpf/policy.h",
        right: ".prefixlen = RF_PREFIX_FIXED_BITS + 128,",
        wrong: ".prefixlen = RF_PREFIX_FIXED_BITS + 120,",
    },
    Bug {
        name: "an interface's own address is looked up as a prefix",
        file: "agent/bpf/policy.h",
        right: "\tif (addr)\n\t\treturn addr->class_id[slot & 1];",
        wrong: "\tif (addr && !addr->iface)\n\t\treturn addr->class_id[slot & 1];",
    },
    Bug {
        name: "both sides are judged by the source's rule",
        file: "agent/bpf/policy.h",
        right: "a->rule[1] = run->to_rule;",
        wrong: "a->rule[1] = run->from_rule;",
    },
    Bug {
        name: "shadow is what is enforced",
        file: "agent/bpf/policy.h",
        right: "a->shadow_allows = run->verdict & RF_SHADOW_BOTH;",
        wrong: "a->shadow_allows = run->verdict << 2 & RF_SHADOW_BOTH;",
    },
    Bug {
        name: "notes are of a stateful rule, whatever it is",
        file: "agent/bpf/policy.h",
        right: "a->notes = run->notes;",
        wrong: "a->notes = run->notes | RF_STATEFUL_BOTH;",
    },
    Bug {
        name: "a flow that nobody wants tracked is",
        file: "agent/bpf/untracked.h",
        right: "flow->tracked = opens && flow->j.answer.notes & RF_STATEFUL_BOTH;",
        wrong: "flow->tracked = opens;",
    },
    Bug {
        name: "the answer is judged by the wrong side",
        file: "agent/bpf/flow.h",
        right: "(stateless & RF_ALLOW_FROM && !(allows & RF_ALLOW_TO))",
        wrong: "(stateless & RF_ALLOW_FROM && !(allows & RF_ALLOW_FROM))",
    },
    Bug {
        name: "an answer that is refused passes",
        file: "agent/bpf/decide.h",
        right: "if (denied || (reply_denied && conn->origin != side))",
        wrong: "if (denied || (reply_denied && conn->origin != side && pkt->is_v6 > 1))",
    },
    Bug {
        name: "the answer to an echo request is judged as a request",
        file: "agent/bpf/conn.h",
        right: "q->number = answers ? 0 : 8 << 8;",
        wrong: "q->number = 8 << 8;",
    },
    Bug {
        name: "the answer's ports are those of the question",
        file: "agent/bpf/conn.h",
        right: "port = from ? tuple->v4.port[0] : tuple->v4.port[1];",
        wrong: "port = from ? tuple->v4.port[1] : tuple->v4.port[0];",
    },
];
