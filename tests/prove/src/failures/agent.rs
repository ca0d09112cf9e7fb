//! What the links, plans and connections of one agent are held by.

use super::{
    Bug, Protection,
    Suite::{Agent, Packets},
};

pub(super) const PROTECTIONS: &[Protection] = &[
    Protection {
        failure: "F1",
        bug: Bug {
            name: "a guard takes the priority of the one before",
            file: "agent/src/bpf/guard.rs",
            right: "let tried = if taken == Some(one) { [other, one] } else { [one, other] };",
            wrong: "let (tried, _) = ([taken.unwrap_or(one); 2], other);",
        },
        tests: &[(Packets, &["only_devices_of_the_host_reach_its_sockets_and_a_restart_leaves_no_gap"])],
    },
    Protection {
        failure: "F2",
        bug: Bug {
            name: "a plan that was cut off raises no epoch",
            file: "agent/src/reconcile/plan/stale.rs",
            right: "if start == Start::Interrupted {\n            stale.domains",
            wrong: "if start == Start::Interrupted && view.observed.domains.is_empty() {\n            stale.domains",
        },
        tests: &[(Agent, &["a_plan_cut_off_anywhere_is_taken_up_and_every_flow_judged_again"])],
    },
    Protection {
        failure: "F3",
        bug: Bug {
            name: "epochs of addresses are not asked",
            file: "agent/bpf/conn.h",
            right: " &&\n\t       rf_epoch(conn->epoch_ref[0]) == conn->epoch[0] &&\n\t       rf_epoch(conn->epoch_ref[1]) == conn->epoch[1];",
            wrong: ";",
        },
        tests: &[(Packets, &["a_flow_follows_an_address_that_moves_to_another_host"])],
    },
    Protection {
        failure: "F3",
        bug: Bug {
            name: "the epoch of the domain is not asked",
            file: "agent/bpf/conn.h",
            right: "return word && (__u32)*word == conn->domain_epoch &&",
            wrong: "return word &&",
        },
        tests: &[(Packets, &["a_flow_ends_when_its_address_is_nobodys"])],
    },
    Protection {
        failure: "F3",
        bug: Bug {
            name: "an interface is known by its index alone",
            file: "agent/bpf/owner.h",
            right: "return iface && iface->id && iface->id == pkt->iface_id;",
            wrong: "return iface && !iface->id && index == pkt->iface;",
        },
        tests: &[(Packets, &["an_interface_keeps_its_flows_while_it_gets_a_new_index"])],
    },
    Protection {
        failure: "F16",
        bug: Bug {
            name: "others run before us",
            file: "agent/src/bpf/links.rs",
            right: "flags: libbpf_sys::BPF_F_BEFORE,",
            wrong: "flags: libbpf_sys::BPF_F_AFTER,",
        },
        tests: &[(Packets, &["who_goes_before_us_is_put_behind_us_and_stays_attached"])],
    },
    Protection {
        failure: "F16",
        bug: Bug {
            name: "nobody runs after us",
            file: "agent/bpf/verdict.h",
            right: "#define RF_NEXT TC_ACT_UNSPEC",
            wrong: "#define RF_NEXT TC_ACT_OK",
        },
        tests: &[(Packets, &["who_comes_after_us_decides_on_what_we_pass_and_leaves_us_as_we_were"])],
    },
    Protection {
        failure: "F18",
        bug: Bug {
            name: "rows are written over those in force",
            file: "agent/src/reconcile/plan/slots.rs",
            right: "                staged.profile[active] = self.view.row_in_force(&key);\n",
            wrong: "                let _ = active;\n",
        },
        tests: &[(Agent, &["every_step_is_wholly_old_or_wholly_new"])],
    },
    Protection {
        failure: "F18",
        bug: Bug {
            name: "later fragments pass by what was judged before",
            file: "agent/bpf/decide.h",
            right: "current = rf_conn_current(conn, pkt->domain);\n\tif (current) {",
            wrong: "current = pkt->fragment == RF_FRAGMENT_LATER || rf_conn_current(conn, pkt->domain);\n\tif (current) {",
        },
        tests: &[(Packets, &["a_policy_change_cuts_a_packet_in_the_middle"])],
    },
];
