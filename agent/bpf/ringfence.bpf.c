// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/* stub */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>
#include "maps.h"

const volatile struct rf_config rf_config = {};
#define STUB(N,S) SEC(S) int N(struct __sk_buff *ctx) { __u32 k=rf_config.mark; bpf_map_lookup_elem(&rf_boot,&k); return TC_ACT_SHOT; }
STUB(from_workload,"tcx/ingress")
STUB(to_workload,"tcx/egress")
STUB(from_overlay,"tcx/ingress")
STUB(from_uplink,"tcx/ingress")
STUB(to_uplink,"tcx/egress")
struct bpf_nf_ctx;
SEC("netfilter") int guard(struct bpf_nf_ctx *ctx) { return 1; }
char LICENSE[] SEC("license") = "Dual BSD/GPL";
