//! What fragments, headers, sizes, senders and neighbours are held by.

use super::{
    Bug, Protection,
    Suite::{Lab, Packets, Programs},
};

pub(super) const PROTECTIONS: &[Protection] = &[
    Protection {
        failure: "F11",
        bug: Bug {
            name: "a later fragment may reach into what was judged",
            file: "agent/bpf/frag.h",
            right: "||\n\t    pkt->part.offset < first.judged)",
            wrong: ")",
        },
        tests: &[
            (Packets, &["nothing_reaches_into_what_was_judged"]),
            (Programs, &["nothing_passes_that_the_definition_denies"]),
        ],
    },
    Protection {
        failure: "F11",
        bug: Bug {
            name: "a later fragment is of no port",
            file: "agent/bpf/frag.h",
            right: "pkt->dport = first.dport;",
            wrong: "pkt->dport = 0;",
        },
        tests: &[(Packets, &["later_fragments_pass_in_any_order_after_the_first_and_by_its_connection"])],
    },
    Protection {
        failure: "F11",
        bug: Bug {
            name: "a first fragment is kept before it is judged",
            file: "agent/bpf/frag.h",
            right: "\t\treason = rf_frag_join(pkt, ctx->ifindex);\n",
            wrong: "\t\treason = rf_frag_join(pkt, ctx->ifindex);\n\tif (!reason && pkt->fragment == RF_FRAGMENT_FIRST)\n\t\trf_frag_keep(pkt, ctx->ifindex);\n",
        },
        tests: &[(Packets, &["what_follows_a_first_fragment_that_did_not_pass_does_not_either"])],
    },
    Protection {
        failure: "F11",
        bug: Bug {
            name: "a first fragment takes the place of another's that is still under way",
            file: "agent/bpf/frag.h",
            right: "if (rf_frag_yields(&frags->frag[i], now))",
            wrong: "if (i < RF_FRAGS_EACH)",
        },
        tests: &[(Packets, &["a_flood_of_first_fragments_is_refused_and_starves_nobody_else"])],
    },
    Protection {
        failure: "F12",
        bug: Bug {
            name: "AH counts in units of 8 bytes",
            file: "agent/bpf/exthdr.h",
            right: "return (header->length + 2) * 4;",
            wrong: "return (header->length + 1) * 8;",
        },
        tests: &[(Packets, &["every_kind_is_stepped_over_and_policy_sees_what_is_behind"])],
    },
    Protection {
        failure: "F12",
        bug: Bug {
            name: "a routing header of type 0 is stepped over",
            file: "agent/bpf/exthdr.h",
            right: "if (chain->next == RF_IPPROTO_ROUTING && header->routing_type == RF_ROUTING_SOURCE)",
            wrong: "if (chain->next == RF_IPPROTO_ROUTING && !chain->end)",
        },
        tests: &[
            (Packets, &["headers_out_of_order_too_many_too_long_or_of_routing_type_0_have_a_reason"]),
            (Programs, &["nothing_passes_that_the_definition_denies"]),
        ],
    },
    Protection {
        failure: "F13",
        bug: Bug {
            name: "an error is judged as a packet of its own",
            file: "agent/bpf/icmp_error.h",
            right: "if (quote == RF_QUOTE_TRACKED)\n",
            wrong: "if (quote > RF_QUOTE_TRACKED)\n",
        },
        tests: &[(Packets, &["an_error_about_a_flow_passes_to_its_sender"])],
    },
    Protection {
        failure: "F13",
        bug: Bug {
            name: "nobody is told that a packet is too long",
            file: "agent/bpf/too_big.h",
            right: "return unanswered ? rf_drop(ctx, RF_REASON_TOO_BIG)",
            wrong: "return unanswered || mtu ? rf_drop(ctx, RF_REASON_TOO_BIG)",
        },
        tests: &[
            (
                Packets,
                &[
                    "a_long_packet_is_answered_by_the_gateway_of_its_senders_network",
                    "the_uplinks_mtu_and_what_comes_in_by_it_count_too",
                ],
            ),
            (
                Lab,
                &[
                    "a_sender_into_a_smaller_network_learns_its_size",
                    "a_datagram_that_does_not_fit_comes_back_as_too_big_and_smaller_ones_arrive",
                ],
            ),
        ],
    },
    Protection {
        failure: "F13",
        bug: Bug {
            name: "a packet of any length goes on its way",
            file: "agent/bpf/too_big.h",
            right: "return mtu && length > mtu;",
            wrong: "return mtu && length > 0xffff;",
        },
        tests: &[(
            Packets,
            &[
                "a_long_packet_is_answered_by_the_gateway_of_its_senders_network",
                "the_uplinks_mtu_and_what_comes_in_by_it_count_too",
            ],
        )],
    },
    Protection {
        failure: "F13",
        bug: Bug {
            name: "the quick way does not measure",
            file: "agent/bpf/quick_forward.h",
            right: "to->flags & RF_IFACE_BARE_METAL || length > to->mtu ||",
            wrong: "to->flags & RF_IFACE_BARE_METAL || length > 0xffff ||",
        },
        tests: &[(Packets, &["what_is_too_long_is_told_so_and_segments_are_measured"])],
    },
    Protection {
        failure: "F15",
        bug: Bug {
            name: "a workload sends with any MAC address",
            file: "agent/bpf/ringfence.bpf.c",
            right: "\tif (!rf_may_use_mac(pkt, iface, &pkt->src, pkt->src_mac))\n\t\treturn rf_drop(ctx, RF_REASON_SOURCE_MAC);\n",
            wrong: "",
        },
        tests: &[(Packets, &["the_source_mac_is_the_interfaces"])],
    },
    Protection {
        failure: "F15",
        bug: Bug {
            name: "the quick way takes any MAC address of its sender",
            file: "agent/bpf/quick.h",
            right: "\t    !rf_quick_same_mac(data + ETH_ALEN, iface->mac) ||\n",
            wrong: "",
        },
        tests: &[(Packets, &["who_may_not_send_does_not"])],
    },
    Protection {
        failure: "F15",
        bug: Bug {
            name: "any host sends for any workload",
            file: "agent/bpf/ends.h",
            right: "return host->v4 && rf_ip_v4(&pkt->outer) == host->v4;",
            wrong: "return host->v4 != 0;",
        },
        tests: &[(
            Packets,
            &[
                "a_frame_from_another_host_is_refused_also_for_a_known_flow",
                "an_answer_must_come_by_the_way_on_which_its_source_lives",
            ],
        )],
    },
    Protection {
        failure: "F15",
        bug: Bug {
            name: "the quick way takes a frame from any host",
            file: "agent/bpf/quick_forward.h",
            right: "return host && outer && host->v4 == outer;",
            wrong: "return host && outer;",
        },
        tests: &[(Packets, &["an_answer_must_come_by_the_way_on_which_its_source_lives"])],
    },
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
    Protection {
        failure: "F20",
        bug: Bug {
            name: "a network has multicast unasked",
            file: "agent/bpf/replicate.h",
            right: "if (!group || !(group->flags & RF_GROUP_MULTICAST))",
            wrong: "if (!group)",
        },
        tests: &[(Packets, &["without_the_networks_word_multicast_and_broadcast_are_dropped"])],
    },
    Protection {
        failure: "F20",
        bug: Bug {
            name: "who sends to a group gets a copy",
            file: "agent/bpf/replicate.h",
            right: "if (iface->id == of->sender || !iface->ifindex)",
            wrong: "if (!iface->ifindex)",
        },
        tests: &[(Packets, &["every_other_member_gets_one_copy_as_it_was_sent_and_nobody_else_any"])],
    },
    Protection {
        failure: "F20",
        bug: Bug {
            name: "ARP speaks for any address",
            file: "agent/bpf/arp_nd.h",
            right: "(arp.sender_ip && !rf_speaks_for(pkt, &sender))",
            wrong: "(arp.sender_ip && !pkt)",
        },
        tests: &[(Packets, &["arp_speaks_for_its_own_interface_only"])],
    },
    Protection {
        failure: "F20",
        bug: Bug {
            name: "neighbour discovery comes from afar",
            file: "agent/bpf/arp_nd.h",
            right: "\tif (pkt->ttl != RF_ND_HOP_LIMIT)\n\t\treturn rf_drop(ctx, RF_REASON_MALFORMED);\n",
            wrong: "",
        },
        tests: &[(Packets, &["nd_speaks_for_its_own_interface_only_and_comes_from_the_link"])],
    },
    Protection {
        failure: "F20",
        bug: Bug {
            name: "a frame of any VLAN is taken",
            file: "agent/bpf/parse.h",
            right: "if (tag & RF_VLAN_VID || rf_is_tag(inner))",
            wrong: "if ((tag & RF_VLAN_VID) > RF_VLAN_VID || rf_is_tag(inner))",
        },
        tests: &[(Packets, &["a_tag_is_dropped_unless_it_names_no_vlan"])],
    },
];
