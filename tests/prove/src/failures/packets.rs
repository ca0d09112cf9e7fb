//! What single packets are held by.

use super::{Bug, Protection, Suite::Packets};

pub(super) const PROTECTIONS: &[Protection] = &[
    Protection {
        failure: "F15",
        bug: Bug {
            name: "TCP begins with any packet that has a SYN",
            file: "agent/bpf/untracked.h",
            right: "(pkt->tcp_flags & (RF_TCP_SYN | RF_TCP_ACK | RF_TCP_RST | RF_TCP_FIN)) != RF_TCP_SYN",
            wrong: "!(pkt->tcp_flags & RF_TCP_SYN)",
        },
        tests: &[(Packets, &["tcp_without_a_connection_must_begin_with_a_syn"])],
    },
    Protection {
        failure: "F15",
        bug: Bug {
            name: "a reset closes, whatever follows",
            file: "agent/bpf/tcp.h",
            right: "\tboth = conn->tcp_flags[0] & conn->tcp_flags[1];",
            wrong: "\tif (conn->state == RF_CONN_CLOSED)\n\t\treturn;\n\tboth = conn->tcp_flags[0] & conn->tcp_flags[1];",
        },
        tests: &[(Packets, &["a_reset_that_both_sides_ignore_does_not_close"])],
    },
    Protection {
        failure: "F15",
        bug: Bug {
            name: "an echo request of the side that was asked passes as a reply",
            file: "agent/bpf/decide.h",
            right: "if (pkt->icmp_role && (pkt->icmp_role == RF_ICMP_REQUEST) != (conn->origin == side)) {",
            wrong: "if (pkt->icmp_role && side > 1) {",
        },
        tests: &[(Packets, &["an_echo_reply_needs_its_request_and_a_request_back_is_no_reply"])],
    },
];
