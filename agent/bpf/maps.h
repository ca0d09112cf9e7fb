/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Every map. All are pinned and outlive the agent; the agent writes all but the
 * connections, holders of shared addresses, counters and decisions, which only the programs write.
 */
#ifndef RINGFENCE_MAPS_H
#define RINGFENCE_MAPS_H

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "types.h"

#define RF_MAP(NAME, TYPE, KEY, VALUE, MAX, FLAGS)                                                 \
	struct {                                                                                   \
		__uint(type, TYPE);                                                                \
		__uint(max_entries, MAX);                                                          \
		__uint(map_flags, FLAGS);                                                          \
		__type(key, KEY);                                                                  \
		__type(value, VALUE);                                                              \
	} NAME SEC(".maps")

/* ifindex -> device. */
RF_MAP(rf_devices, BPF_MAP_TYPE_ARRAY, __u32, struct rf_device, RF_DEVICES_NEAR, 0);
RF_MAP(rf_devices_far, BPF_MAP_TYPE_HASH, __u32, struct rf_device, RF_DEVICES_FAR,
       BPF_F_NO_PREALLOC);

/* Between two look-ups of which one takes place: clang makes one call of them, with the
 * map as a variable, and then the kernel can neither inline it nor call the map's own
 * function directly. */
#define RF_KEEP_APART(FOUND) asm volatile("" : "+r"(FOUND))

static __always_inline struct rf_device *rf_find_device(__u32 ifindex)
{
	struct rf_device *device;

	if (ifindex < RF_DEVICES_NEAR) {
		device = bpf_map_lookup_elem(&rf_devices, &ifindex);
		RF_KEEP_APART(device);
		return device;
	}
	return bpf_map_lookup_elem(&rf_devices_far, &ifindex);
}

/* Indexed by what the agent hands out. */
RF_MAP(rf_ifaces, BPF_MAP_TYPE_ARRAY, __u32, struct rf_iface, RF_IFACES, 0);
RF_MAP(rf_hosts, BPF_MAP_TYPE_ARRAY, __u32, struct rf_host, RF_HOSTS, 0);
RF_MAP(rf_domains, BPF_MAP_TYPE_ARRAY, __u32, struct rf_domain, RF_DOMAINS, 0);

/* Mapped into the agent's memory: it stores a word in one instruction. */
RF_MAP(rf_domain_words, BPF_MAP_TYPE_ARRAY, __u32, __u64, RF_DOMAINS, BPF_F_MMAPABLE);
RF_MAP(rf_epochs, BPF_MAP_TYPE_ARRAY, __u32, __u64, RF_EPOCHS, BPF_F_MMAPABLE);

RF_MAP(rf_vnis, BPF_MAP_TYPE_HASH, __u32, struct rf_vni, RF_VNIS, BPF_F_NO_PREALLOC);
RF_MAP(rf_groups, BPF_MAP_TYPE_ARRAY, __u32, struct rf_group, RF_GROUPS, 0);
RF_MAP(rf_addrs, BPF_MAP_TYPE_HASH, struct rf_addr_key, struct rf_addr, RF_ADDRS,
       BPF_F_NO_PREALLOC);
RF_MAP(rf_prefixes, BPF_MAP_TYPE_LPM_TRIE, struct rf_prefix_key, __u32, RF_PREFIXES,
       BPF_F_NO_PREALLOC);
RF_MAP(rf_subnets, BPF_MAP_TYPE_LPM_TRIE, struct rf_subnet_key, struct rf_subnet, RF_SUBNETS,
       BPF_F_NO_PREALLOC);

RF_MAP(rf_claims, BPF_MAP_TYPE_HASH, struct rf_addr_key, struct rf_claims, RF_CLAIMS,
       BPF_F_NO_PREALLOC);
RF_MAP(rf_shared, BPF_MAP_TYPE_HASH, struct rf_addr_key, struct rf_shared, RF_CLAIMS,
       BPF_F_NO_PREALLOC);

RF_MAP(rf_rows, BPF_MAP_TYPE_HASH, struct rf_row_key, struct rf_row, RF_ROWS, BPF_F_NO_PREALLOC);
RF_MAP(rf_profiles, BPF_MAP_TYPE_ARRAY, __u32, struct rf_profile, RF_PROFILES, 0);
RF_MAP(rf_runs, BPF_MAP_TYPE_ARRAY, __u32, struct rf_run, RF_RUNS, 0);

/* Plain hash, never LRU: one workload's flood must not evict another's flow. */
RF_MAP(rf_conns4, BPF_MAP_TYPE_HASH, struct rf_conn4_key, struct rf_conn, RF_CONNS,
       BPF_F_NO_PREALLOC);
RF_MAP(rf_conns6, BPF_MAP_TYPE_HASH, struct rf_conn6_key, struct rf_conn, RF_CONNS,
       BPF_F_NO_PREALLOC);

/* Each originator has its own places, made when it fragments for the first time:
 * nothing is shared, so nobody fills another's, and nothing has to be collected. */
RF_MAP(rf_frags, BPF_MAP_TYPE_HASH, struct rf_frags_key, struct rf_frags, RF_FRAGS,
       BPF_F_NO_PREALLOC);

/* By account, mapped into the agent's memory; the limits are the agent's. */
RF_MAP(rf_accounts, BPF_MAP_TYPE_ARRAY, __u32, struct rf_account, RF_ACCOUNTS, BPF_F_MMAPABLE);
RF_MAP(rf_limits, BPF_MAP_TYPE_ARRAY, __u32, struct rf_limits, 1, 0);

_Static_assert(RF_PASSED == RF_DEVICES_NEAR + RF_DEVICES_FAR + 1, "every device needs a row");
RF_MAP(rf_passed, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct rf_passed, RF_PASSED, 0);
RF_MAP(rf_drops, BPF_MAP_TYPE_PERCPU_HASH, struct rf_drop_key, __u64, RF_DROPS, BPF_F_NO_PREALLOC);
RF_MAP(rf_audit, BPF_MAP_TYPE_PERCPU_HASH, struct rf_audit_key, __u64, RF_AUDIT, BPF_F_NO_PREALLOC);

RF_MAP(rf_builtins, BPF_MAP_TYPE_LPM_TRIE, struct rf_builtin_key, __u32, RF_BUILTINS,
       BPF_F_NO_PREALLOC);
/* Of interfaces of this host alone. */
RF_MAP(rf_services, BPF_MAP_TYPE_HASH, struct rf_service_key, struct rf_reply, RF_SERVICES,
       BPF_F_NO_PREALLOC);

/* Written only when rf_config.record is set: by tests and by dry runs, which have
 * one of their own. */
RF_MAP(rf_decisions, BPF_MAP_TYPE_ARRAY, __u32, struct rf_decision, 1, 0);

/* RF_LAYOUT and the mark, for the agent that comes after this one. */
RF_MAP(rf_boot, BPF_MAP_TYPE_ARRAY, __u32, struct rf_boot, 1, 0);

#endif
