//! What whole hosts are held by.

use super::{Bug, Protection, Suite::Lab};

pub(super) const PROTECTIONS: &[Protection] = &[
    Protection {
        failure: "F1",
        bug: Bug {
            name: "devices of before are those of now",
            file: "agent/src/reconcile/machine/prepare.rs",
            right: "            && self.site == *site\n",
            wrong: "",
        },
        tests: &[(Lab, &["a_device_that_is_made_again_under_its_name_is_enforced_from_its_first_packet"])],
    },
    Protection {
        failure: "F1",
        bug: Bug {
            name: "states on disk are left there",
            file: "agent/src/reconcile/run/states.rs",
            right: "Ok(()) => self.held.restore(bundle),",
            wrong: "Ok(()) => drop(bundle),",
        },
        tests: &[(Lab, &["a_host_that_reboots_without_a_controller_enforces_what_it_knew"])],
    },
    Protection {
        failure: "F1",
        bug: Bug {
            name: "the guard lets everything through",
            file: "agent/bpf/ringfence.bpf.c",
            right: "\trf_count_drop(ifindex, RF_REASON_HOST_GUARD);\n\treturn RF_NF_DROP;",
            wrong: "\trf_count_drop(ifindex, RF_REASON_HOST_GUARD);\n\treturn RF_NF_ACCEPT;",
        },
        tests: &[(Lab, &["nothing_of_a_strange_device_reaches_a_socket_of_its_host"])],
    },
    Protection {
        failure: "F1",
        bug: Bug {
            name: "a strange device is told addresses of other devices",
            file: "agent/src/netlink/sysctl.rs",
            right: "(\"ipv4\", \"rp_filter\", \"1\"),\n    (\"ipv4\", \"arp_ignore\", \"1\"),",
            wrong: "(\"ipv4\", \"rp_filter\", \"1\"),\n    (\"ipv4\", \"arp_ignore\", \"0\"),",
        },
        tests: &[(Lab, &["a_host_answers_no_strange_device_that_asks_for_its_address"])],
    },
    Protection {
        failure: "F2",
        bug: Bug {
            name: "programs are taken off before the new ones come",
            file: "agent/src/bpf/datapath.rs",
            right: "self.links.renew(hook, ifindex, self.program(hook))?;",
            wrong: "self.links.detach(hook, ifindex)?;",
        },
        tests: &[(Lab, &["killing_and_starting_an_agent_loses_nothing_and_opens_nothing"])],
    },
    Protection {
        failure: "F2",
        bug: Bug {
            name: "an agent that starts knows nothing",
            file: "agent/src/reconcile/run.rs",
            right: "        self.held.inherit(self.machine.take_inherited());\n        self.take_loaded();\n",
            wrong: "",
        },
        tests: &[(Lab, &["an_agent_that_starts_without_a_controller_enforces_what_it_knew"])],
    },
    Protection {
        failure: "F2",
        bug: Bug {
            name: "connections are not carried over",
            file: "agent/src/bpf/older.rs",
            right: "for (key, conn) in found {",
            wrong: "for (key, conn) in found.into_iter().take(0) {",
        },
        tests: &[(Lab, &["hosts_of_an_earlier_release_are_upgraded_under_the_flows_that_run"])],
    },
    Protection {
        failure: "F3",
        bug: Bug {
            name: "every change is judged to be one of all",
            file: "agent/src/reconcile/plan/stale.rs",
            right: "if classes.verdict_changed(view) {",
            wrong: "if classes.verdict_changed(view) || !differ.is_empty() {",
        },
        tests: &[(Lab, &["five_hundred_changes_a_second_disturb_no_flow_of_others"])],
    },
    Protection {
        failure: "F8",
        bug: Bug {
            name: "no built-in rule speaks for SSH",
            file: "agent/src/lower/builtins.rs",
            right: "site.ssh.iter().for_each(|net| name(*net, RF_BUILTIN_SSH));",
            wrong: "",
        },
        tests: &[(Lab, &["a_policy_that_denies_all_leaves_overlay_controller_and_ssh"])],
    },
    Protection {
        failure: "F8",
        bug: Bug {
            name: "no built-in rule speaks for the overlay",
            file: "agent/src/lower/builtins.rs",
            right: "hosts.for_each(|address| name(IpNet::from(*address), RF_BUILTIN_UNDERLAY));",
            wrong: "hosts.for_each(|address| name(IpNet::from(*address), 0));",
        },
        tests: &[(Lab, &["a_policy_that_denies_all_leaves_overlay_controller_and_ssh"])],
    },
    Protection {
        failure: "F8",
        bug: Bug {
            name: "a NIC may have any MAC address",
            file: "agent/src/lower/admit/bare_metal.rs",
            right: "if interface.mac != way.mac {",
            wrong: "if interface.mac != way.mac && interface.addresses.is_empty() {",
        },
        tests: &[(Lab, &["a_bundle_that_would_cut_a_machine_off_is_refused_and_the_one_before_holds"])],
    },
    Protection {
        failure: "F8",
        bug: Bug {
            name: "an agent does not ask for a rescue",
            file: "agent/src/reconcile/devices.rs",
            right: "if matches!(role, Some(Role::Nic(_))) && !seen.rescued {",
            wrong: "if matches!(role, Some(Role::Nic(_))) {",
        },
        tests: &[(Lab, &["a_rescue_opens_at_once_with_nobody_to_ask_and_lasts_until_it_is_ended"])],
    },
    Protection {
        failure: "F14",
        bug: Bug {
            name: "a checksum of IPv4 that is left to a device is refused",
            file: "agent/bpf/offload.h",
            right: "\tif (!rf_left_checksum(ctx, &left))\n\t\treturn 1;",
            wrong: "\tif (!rf_left_checksum(ctx, &left))\n\t\treturn 1;\n\tif (!pkt->is_v6)\n\t\treturn 0;",
        },
        tests: &[(Lab, &["offloads_on_and_off_change_no_byte_and_segments_of_udp_arrive_apart"])],
    },
    Protection {
        failure: "F14",
        bug: Bug {
            name: "a packet of many segments counts as one",
            file: "agent/bpf/too_big.h",
            right: "\tif (ctx->gso_size)\n\t\tlength",
            wrong: "\tif (ctx->gso_size > 0xffff)\n\t\tlength",
        },
        tests: &[(Lab, &["the_overlay_is_not_much_slower_than_a_plain_path_on_either_underlay"])],
    },
    Protection {
        failure: "F14",
        bug: Bug {
            name: "a lease says nothing of the MTU",
            file: "agent/src/services/dhcp4.rs",
            right: "    option(bytes, 26, &served.mtu.to_be_bytes());\n",
            wrong: "",
        },
        tests: &[(Lab, &["guests_move_a_gigabyte_through_the_overlay"])],
    },
    Protection {
        failure: "F16",
        bug: Bug {
            name: "a link that is detached counts as attached",
            file: "agent/src/bpf/links.rs",
            right: "match there.iter().position(|id| *id == info.id) {",
            wrong: "match there.iter().position(|id| *id == info.id).or(Some(0)) {",
        },
        tests: &[(Lab, &["a_program_that_was_taken_off_is_put_back_and_reported"])],
    },
    Protection {
        failure: "F16",
        bug: Bug {
            name: "maps are not read back",
            file: "agent/src/reconcile/run.rs",
            right: "            self.machine.read_back()?;\n",
            wrong: "",
        },
        tests: &[(Lab, &["an_edited_or_deleted_entry_of_any_map_is_put_back_and_reported"])],
    },
];
