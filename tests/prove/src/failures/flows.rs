//! What tables and connections are held by.

use super::{
    Bug, Protection,
    Suite::{Agent, Lab, Packets, Programs},
};

pub(super) const PROTECTIONS: &[Protection] = &[
    Protection {
        failure: "F4",
        bug: Bug {
            name: "a frame is copied to as many as there are",
            file: "agent/bpf/replicate.h",
            right: "if (locals + hosts > RF_COPIES + (of.sender != 0))",
            wrong: "if (locals > RF_IFACES)",
        },
        tests: &[(Packets, &["beyond_the_bound_nothing_is_copied"])],
    },
    Protection {
        failure: "F4",
        bug: Bug {
            name: "a flow for which there is no room passes without a connection",
            file: "agent/bpf/life.h",
            right: "reason = RF_REASON_TABLE_FULL;",
            wrong: "reason = RF_REASON_NONE;",
        },
        tests: &[(Packets, &["a_full_table_refuses_new_flows_and_no_built_in_packet"])],
    },
    Protection {
        failure: "F5",
        bug: Bug {
            name: "a connection costs nobody anything",
            file: "agent/bpf/budget.h",
            right: "\tcharge->half_open = 1;\n",
            wrong: "\tif (charge->account[0] || charge->account[1])\n\t\treturn RF_REASON_NONE;\n\tcharge->half_open = 1;\n",
        },
        tests: &[
            (
                Packets,
                &[
                    "one_originator_alone_never_fills_a_destination",
                    "a_thousand_originators_against_one_destination_starve_nobody_else",
                ],
            ),
            (Lab, &["a_flood_costs_nobody_else_a_packet_and_ends_without_an_agent"]),
        ],
    },
    Protection {
        failure: "F9",
        bug: Bug {
            name: "connections are never judged again",
            file: "agent/bpf/conn.h",
            right: "return word && (__u32)*word == conn->domain_epoch &&\n\t       rf_epoch(conn->epoch_ref[0]) == conn->epoch[0] &&\n\t       rf_epoch(conn->epoch_ref[1]) == conn->epoch[1];",
            wrong: "return word != NULL;",
        },
        tests: &[
            (Programs, &["nothing_passes_that_the_definition_denies"]),
            (
                Lab,
                &[
                    "a_new_deny_cuts_its_flow_within_a_second_and_harms_no_other",
                    "of_ten_thousand_flows_those_that_a_change_denies_are_cut_within_a_second_and_no_other_loses_a_datagram",
                ],
            ),
        ],
    },
    Protection {
        failure: "F9",
        bug: Bug {
            name: "the quick way does not ask whether an entry is current",
            file: "agent/bpf/quick.h",
            right: "return rf_conn_current(conn, domain);",
            wrong: "return 1;",
        },
        tests: &[(Packets, &["a_stale_entry_is_judged_again"])],
    },
    Protection {
        failure: "F9",
        bug: Bug {
            name: "the quick way lets pass what an entry denies",
            file: "agent/bpf/quick.h",
            right: "conn->denied ||\n\t    conn->reply_denied ||",
            wrong: "conn->reply_denied ||",
        },
        tests: &[(Packets, &["what_an_entry_refuses_is_refused"])],
    },
    Protection {
        failure: "F9",
        bug: Bug {
            name: "the quick way lets pass the reply that an entry denies",
            file: "agent/bpf/quick.h",
            right: "conn->denied ||\n\t    conn->reply_denied ||",
            wrong: "conn->denied ||",
        },
        tests: &[(Packets, &["what_an_entry_refuses_is_refused"])],
    },
    Protection {
        failure: "F10",
        bug: Bug {
            name: "a class is called what most who were in it are in",
            file: "agent/src/reconcile/plan/classes.rs",
            right: "if now == before || !names.contains(&now) {",
            wrong: "if !names.is_empty() {",
        },
        tests: &[(Agent, &["who_stays_in_a_class_does_not_notice_that_most_others_change_places"])],
    },
    Protection {
        failure: "F10",
        bug: Bug {
            name: "a flow that is judged again is cut until its next packet",
            file: "agent/bpf/flow.h",
            right: "\tfresh->over = 0;",
            wrong: "\tfresh->over = 0;\n\treturn NULL;",
        },
        tests: &[(
            Lab,
            &["of_ten_thousand_flows_those_that_a_change_denies_are_cut_within_a_second_and_no_other_loses_a_datagram"],
        )],
    },
    Protection {
        failure: "F8",
        bug: Bug {
            name: "built-in rules are not asked",
            file: "agent/bpf/ringfence.bpf.c",
            right: "if (!reason && rf_is_built_in(ctx, pkt))",
            wrong: "if (!reason && rf_is_built_in(ctx, pkt) > 1)",
        },
        tests: &[(
            Packets,
            &[
                "neighbours_routers_and_dhcp_are_built_in",
                "the_overlay_between_known_hosts_is_built_in",
                "ssh_to_the_machine_is_built_in_for_whom_settings_name",
                "agent_and_controller_are_built_in_on_either_machine",
                "built_in_rules_need_no_room_and_nothing_known_of_the_nic",
            ],
        )],
    },
];
