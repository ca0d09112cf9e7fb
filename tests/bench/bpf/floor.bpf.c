// SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only
/*
 * The floor: the least that a program does which forwards by connection. It parses,
 * looks one connection up, and takes the forward action that stands in it; no policy,
 * no port security, no counters, no state. And the stage, which both it and the
 * programs proper are measured on.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "types.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* ---- the floor ----------------------------------------------------------- */

/* What a connection of the floor says: where its packets go. */
struct floor_flow {
	__u32 ifindex;
	__u32 vni;     /* 0: to a device of this host */
	__be32 remote; /* the outer addresses, else 0 */
	__be32 local;
	__u32 routed; /* 1: TTL less one, and these MACs */
	__u8 macs[12];
};

/* Under the tuple as it stands in the packet. As many places as the connections proper
 * have, so that both look up in a table of the same size. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, RF_CONNS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct rf_conn4_key);
	__type(value, struct floor_flow);
} floor_flows4 SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, RF_CONNS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct rf_conn6_key);
	__type(value, struct floor_flow);
} floor_flows6 SEC(".maps");

static __always_inline int floor_forward(struct __sk_buff *ctx, const struct floor_flow *flow)
{
	struct bpf_tunnel_key key = {.tunnel_id = flow->vni, .tunnel_ttl = 64};

	if (!flow->vni) {
		ctx->mark = 1;
		return bpf_redirect(flow->ifindex, 0);
	}
	key.remote_ipv4 = bpf_ntohl(flow->remote);
	key.local_ipv4 = bpf_ntohl(flow->local);
	if (bpf_skb_set_tunnel_key(ctx, &key, sizeof(key),
				   BPF_F_ZERO_CSUM_TX | BPF_F_DONT_FRAGMENT))
		return TC_ACT_SHOT;
	return bpf_redirect(flow->ifindex, 0);
}

static __always_inline int floor_ipv4(struct __sk_buff *ctx, __u32 domain_id)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct iphdr *ip = data + ETH_HLEN;
	struct rf_conn4_key key = {.domain_id = domain_id};
	struct floor_flow *flow;
	__be16 *ports;

	if ((void *)(ip + 1) > end)
		return TC_ACT_SHOT;
	ports = (void *)ip + ip->ihl * 4;
	if ((void *)(ports + 2) > end)
		return TC_ACT_SHOT;
	key.ip[0] = ip->saddr;
	key.ip[1] = ip->daddr;
	key.port[0] = ports[0];
	key.port[1] = ports[1];
	key.l4_proto = ip->protocol;
	flow = bpf_map_lookup_elem(&floor_flows4, &key);
	if (!flow)
		return TC_ACT_SHOT;
	if (flow->routed) {
		__u32 sum = ip->check + bpf_htons(0x0100);

		/* RFC 1624: TTL is the high byte of its word. */
		ip->check = sum + (sum >= 0xffff);
		ip->ttl--;
		__builtin_memcpy(data, flow->macs, sizeof(flow->macs));
	}
	return floor_forward(ctx, flow);
}

static __always_inline int floor_ipv6(struct __sk_buff *ctx, __u32 domain_id)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ipv6hdr *ip = data + ETH_HLEN;
	__be16 *ports = (void *)(ip + 1);
	struct rf_conn6_key key = {.domain_id = domain_id};
	struct floor_flow *flow;

	if ((void *)(ports + 2) > end)
		return TC_ACT_SHOT;
	__builtin_memcpy(&key.ip[0], &ip->saddr, sizeof(key.ip[0]));
	__builtin_memcpy(&key.ip[1], &ip->daddr, sizeof(key.ip[1]));
	key.port[0] = ports[0];
	key.port[1] = ports[1];
	key.l4_proto = ip->nexthdr;
	flow = bpf_map_lookup_elem(&floor_flows6, &key);
	if (!flow)
		return TC_ACT_SHOT;
	if (flow->routed) {
		ip->hop_limit--;
		__builtin_memcpy(data, flow->macs, sizeof(flow->macs));
	}
	return floor_forward(ctx, flow);
}

static __always_inline int floor(struct __sk_buff *ctx, __u32 domain_id)
{
	struct ethhdr *eth = (void *)(long)ctx->data;

	if ((void *)(eth + 1) > (void *)(long)ctx->data_end)
		return TC_ACT_SHOT;
	if (eth->h_proto == bpf_htons(ETH_P_IP))
		return floor_ipv4(ctx, domain_id);
	if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		return floor_ipv6(ctx, domain_id);
	return TC_ACT_SHOT;
}

/* Whose a packet of a device is, is known: 0 stands for its domain. */
SEC("tcx/ingress")
int floor_workload(struct __sk_buff *ctx)
{
	return floor(ctx, 0);
}

/* A frame from the overlay says whose it is by its VNI, nothing else does. */
SEC("tcx/ingress")
int floor_overlay(struct __sk_buff *ctx)
{
	struct bpf_tunnel_key key = {};

	if (bpf_skb_get_tunnel_key(ctx, &key, sizeof(key), 0))
		return TC_ACT_SHOT;
	return floor(ctx, key.tunnel_id);
}

/* ---- the stage ----------------------------------------------------------- */

/* A test run repeats one frame, as the run before left it. So the stage restores what
 * programs rewrite, makes a new flow of it if asked to, and goes on to the program. */

#define STAGE_TARGETS 16

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, STAGE_TARGETS);
	__type(key, __u32);
	__type(value, __u32);
} stage_targets SEC(".maps");

struct stage_run {
	__u32 target;	   /* place in stage_targets */
	__u32 next_flow;   /* source port of the next repetition; 0: it stays */
	__u32 tunnel_vni;  /* 0: the frame comes from no tunnel */
	__be32 tunnel_src; /* outer source */
	__u32 ip_head;	   /* IPv4: TTL, protocol, checksum as they were; 0: IPv6 */
	__u8 macs[12];	   /* as they were */
};

struct stage_run stage_run = {};

static __always_inline int stage_restore(struct __sk_buff *ctx, struct stage_run *run)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	void *ip = data + ETH_HLEN;

	if (ip + sizeof(struct ipv6hdr) + 2 > end)
		return -1;
	__builtin_memcpy(data, run->macs, sizeof(run->macs));
	if (run->ip_head)
		*(__u32 *)(ip + 8) = run->ip_head;
	else
		*(__u8 *)(ip + 7) = 64;
	if (run->next_flow) {
		__u32 size = run->ip_head ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);

		*(__be16 *)(ip + size) = bpf_htons(run->next_flow);
		run->next_flow++;
	}
	return 0;
}

SEC("tcx/ingress")
int stage(struct __sk_buff *ctx)
{
	struct stage_run *run = &stage_run;
	struct bpf_tunnel_key key = {.tunnel_id = run->tunnel_vni};

	if (stage_restore(ctx, run))
		return TC_ACT_SHOT;
	if (run->tunnel_vni) {
		/* Who sent it is read from where a sender puts its own. */
		key.local_ipv4 = bpf_ntohl(run->tunnel_src);
		if (bpf_skb_set_tunnel_key(ctx, &key, sizeof(key), BPF_F_ZERO_CSUM_TX))
			return TC_ACT_SHOT;
	}
	/* A jump to a place that is known at load is patched to a direct one. */
#pragma unroll
	for (int place = 0; place < STAGE_TARGETS; place++) {
		if (run->target == place)
			bpf_tail_call(ctx, &stage_targets, place);
	}
	return TC_ACT_SHOT;
}

/* What the stage itself costs. */
SEC("tcx/ingress")
int nothing(struct __sk_buff *ctx)
{
	return TC_ACT_OK;
}
