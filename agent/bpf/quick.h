/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The quick way of most packets: of a flow that is established, current, and between
 * two interfaces' own addresses.
 *
 * It decides nothing of its own: what it lets go, decide.h would let go by the same
 * entry, to the same place, with the same counters. Whatever is out of the ordinary
 * goes the long way (RF_LONG_WAY), untouched: options, extension headers, fragments, tags, control
 * flags of TCP, headers outside the linear part, a flow that was silent for a second,
 * one that is judged again, moves or is too long. What an address may and may
 * not be was looked at when the entry was made, since it is its key.
 *
 * No call but the helpers that cannot be done without: on processors that guard
 * returns each costs as much as a look-up in an array.
 */
#ifndef RINGFENCE_QUICK_H
#define RINGFENCE_QUICK_H

#include "decide.h"

/* No program returns it. */
#define RF_LONG_WAY (-2)

/* How long ago the last packet was, at most; less than any timeout. */
#define RF_QUICK_NS 1000000000ULL

/* What is needed of the headers besides the tuple. */
struct rf_quick {
	__u32 l3_len;
	__u32 headers; /* from the IP header to the payload */
	__u32 ports;   /* both, as they stand in the packet */
	__u8 tcp_flags;
	__u8 ttl;
};

/* What follows writes a key by words and compares MACs by halves: what was written in
 * bytes and is read as a word has to wait for its bytes. Packets and entries of arrays
 * are aligned for it, and so are the fields. */

static __always_inline void rf_quick_key(void *ports, void *l4_proto, const struct rf_quick *q,
					 __u32 side, __u8 proto)
{
	*(__u32 *)ports = side ? q->ports >> 16 | q->ports << 16 : q->ports;
	/* The protocol and the zeros after it. */
	*(__u32 *)l4_proto = bpf_htonl((__u32)proto << 24);
}

static __always_inline int rf_quick_same_mac(const void *a, const void *b)
{
	const __u16 *x = a, *y = b;

	return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]));
}

/* A segment of an open connection, or a datagram. */
static __always_inline int rf_quick_l4(void *l4, void *end, __u8 l4_proto, struct rf_quick *q)
{
	struct tcphdr *tcp = l4;

	if (l4_proto == IPPROTO_UDP) {
		if (l4 + 8 > end)
			return -1;
		q->headers += 8;
	} else {
		if (l4_proto != IPPROTO_TCP || (void *)(tcp + 1) > end || tcp->doff < 5)
			return -1;
		q->tcp_flags = ((__u8 *)l4)[13];
		if ((q->tcp_flags & (RF_TCP_SYN | RF_TCP_FIN | RF_TCP_RST | RF_TCP_ACK)) !=
		    RF_TCP_ACK)
			return -1;
		q->headers += tcp->doff * 4;
	}
	q->ports = *(__u32 *)l4;
	return 0;
}

static __always_inline int rf_quick_ipv4(void *ip_header, void *end, struct rf_tuple *tuple,
					 __u32 domain_id, struct rf_quick *q)
{
	struct iphdr *ip = ip_header;
	struct rf_conn4_key *key = &tuple->v4;
	__u32 side;

	if ((void *)(ip + 1) > end || *(__u8 *)ip != 0x45 ||
	    ip->frag_off & bpf_htons(RF_IP_FRAGMENT))
		return -1;
	q->l3_len = bpf_ntohs(ip->tot_len);
	q->ttl = ip->ttl;
	q->headers = sizeof(*ip);
	if (rf_quick_l4(ip + 1, end, ip->protocol, q))
		return -1;
	side = bpf_ntohl(ip->saddr) > bpf_ntohl(ip->daddr);
	key->domain_id = domain_id;
	key->ip[0] = side ? ip->daddr : ip->saddr;
	key->ip[1] = side ? ip->saddr : ip->daddr;
	rf_quick_key(key->port, &key->l4_proto, q, side, ip->protocol);
	tuple->side = side;
	tuple->is_v6 = 0;
	return ip->saddr == ip->daddr;
}

static __always_inline int rf_quick_ipv6(void *ip_header, void *end, struct rf_tuple *tuple,
					 __u32 domain_id, struct rf_quick *q)
{
	struct ipv6hdr *ip = ip_header;
	struct rf_conn6_key *key = &tuple->v6;
	const struct rf_ip *src = (void *)&ip->saddr, *dst = (void *)&ip->daddr;
	__u32 side;

	if ((void *)(ip + 1) > end || ip->version != 6)
		return -1;
	q->l3_len = sizeof(*ip) + bpf_ntohs(ip->payload_len);
	q->ttl = ip->hop_limit;
	q->headers = sizeof(*ip);
	if (rf_quick_l4(ip + 1, end, ip->nexthdr, q))
		return -1;
	side = rf_ip_after(src, dst);
	key->domain_id = domain_id;
	key->ip[0] = side ? *dst : *src;
	key->ip[1] = side ? *src : *dst;
	rf_quick_key(key->port, &key->l4_proto, q, side, ip->nexthdr);
	tuple->side = side;
	tuple->is_v6 = 1;
	return rf_ip_equal(src, dst);
}

/* Whether the checksum, if it was left to the device, is that of the packet's own L4
 * header. */
static __always_inline int rf_quick_checksum(struct __sk_buff *ctx, __u32 l4_offset, __u8 l4_proto)
{
	struct rf_left_checksum left;

	return !rf_left_checksum(ctx, &left) ||
	       (left.start == l4_offset && left.place == l4_offset + rf_checksum_field(l4_proto));
}

/* Fills the tuple and the rest; -1: not by the quick way. */
static __always_inline int rf_quick_parse(struct __sk_buff *ctx, __u32 domain_id,
					  struct rf_tuple *tuple, struct rf_quick *q)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	__u32 l4_offset;
	__u8 l4_proto;

	if ((void *)(eth + 1) > end || ctx->vlan_present)
		return -1;
	if (eth->h_proto == bpf_htons(ETH_P_IP)) {
		if (rf_quick_ipv4(eth + 1, end, tuple, domain_id, q))
			return -1;
		l4_offset = RF_L3_OFFSET + sizeof(struct iphdr);
		l4_proto = tuple->v4.l4_proto;
	} else {
		if (eth->h_proto != bpf_htons(ETH_P_IPV6) ||
		    rf_quick_ipv6(eth + 1, end, tuple, domain_id, q))
			return -1;
		l4_offset = RF_L3_OFFSET + sizeof(struct ipv6hdr);
		l4_proto = tuple->v6.l4_proto;
	}
	if (q->headers > q->l3_len || RF_L3_OFFSET + q->l3_len > ctx->len)
		return -1;
	return rf_quick_checksum(ctx, l4_offset, l4_proto) ? 0 : -1;
}

/* The entry, if it speaks for the packet without anything being asked again. */
static __always_inline struct rf_conn *rf_quick_conn(const struct rf_tuple *tuple, __u32 domain,
						     __u64 now)
{
	struct rf_conn *conn = rf_conn_look_up(tuple);

	if (!conn || conn->state != RF_CONN_ESTABLISHED || conn->denied || conn->reply_denied ||
	    conn->whose[0] != RF_WHOSE_IFACE || conn->whose[1] != RF_WHOSE_IFACE ||
	    now - conn->seen_ns > RF_QUICK_NS)
		return NULL;
	return rf_conn_current(conn, domain) ? conn : NULL;
}

/* The interface on that side of an entry. */
static __always_inline __u32 rf_quick_iface(const struct rf_conn *conn, __u32 side)
{
	return side ? conn->iface[1] : conn->iface[0];
}

/* The time that a tick of the kernel's began at. The call that asks for it costs as
 * much as a look-up of a connection, so a CPU asks once a tick. */
struct rf_tick {
	__u64 jiffies;
	__u64 ns; /* CLOCK_MONOTONIC */
};

RF_MAP(tick_scratch, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct rf_tick, 1, 0);

static __always_inline __u64 rf_quick_now(void)
{
	__u64 jiffies = bpf_jiffies64();
	__u32 zero = 0;
	struct rf_tick *tick = bpf_map_lookup_elem(&tick_scratch, &zero);

	if (!tick)
		return 0;
	if (tick->jiffies != jiffies) {
		tick->jiffies = jiffies;
		tick->ns = bpf_ktime_get_coarse_ns();
	}
	return tick->ns;
}

/* The gateways' MAC as halves, as they stand in a frame. */
static __always_inline void rf_quick_gateway(__u16 *mac)
{
	for (int i = 0; i < 3; i++)
		mac[i] = bpf_htons(rf_config.gateway_mac[2 * i] << 8 |
				   rf_config.gateway_mac[2 * i + 1]);
}

/* What a router does, in one call for IPv4: a checksum of the whole does not change
 * with a TTL that its header's checksum makes up for. */
static __always_inline int rf_quick_rewrite(struct __sk_buff *ctx, const struct rf_quick *q,
					    const __u8 *mac, int is_v6)
{
	void *data = (void *)(long)ctx->data;
	__u8 ttl = q->ttl - 1;
	struct {
		__u16 macs[6];
		__be16 eth_proto;
		__u16 ip[6]; /* to the checksum */
	} head;
	const __u16 *from = data + 2 * ETH_ALEN, *to = (const void *)mac;
	__u32 sum;

	if (data + sizeof(head) > (void *)(long)ctx->data_end)
		return -1;
	for (int i = 0; i < 3; i++)
		head.macs[i] = to[i];
	rf_quick_gateway(head.macs + 3);
	if (is_v6)
		return bpf_skb_store_bytes(ctx, RF_L3_OFFSET + offsetof(struct ipv6hdr, hop_limit),
					   &ttl, sizeof(ttl), BPF_F_RECOMPUTE_CSUM) ||
		       bpf_skb_store_bytes(ctx, 0, head.macs, sizeof(head.macs), 0);
	head.eth_proto = from[0];
	for (int i = 0; i < 6; i++)
		head.ip[i] = from[1 + i];
	/* RFC 1624: TTL is the high byte of its word. */
	sum = head.ip[5] + bpf_htons(0x0100);
	head.ip[5] = sum + (sum >= 0xffff);
	head.ip[4] -= bpf_htons(0x0100);
	return bpf_skb_store_bytes(ctx, 0, &head, sizeof(head), 0);
}

/*
 * To an interface of the domain; `vni` is that of the network that the frame is in.
 * flow->left says whether it is on its way, as of rf_forward.
 */
static __always_inline int rf_quick_forward(struct __sk_buff *ctx, const struct rf_iface *to,
					    __u32 domain_id, __u32 vni, int from_workload,
					    struct rf_flow *flow, const struct rf_quick *q)
{
	__u32 length = ctx->gso_size ? q->headers + ctx->gso_size : q->l3_len;
	void *data = (void *)(long)ctx->data;
	__u16 gateway[3];

	if (to->domain_id != domain_id || to->flags & RF_IFACE_BARE_METAL || length > to->mtu ||
	    data + ETH_HLEN > (void *)(long)ctx->data_end)
		return RF_LONG_WAY;
	if (!rf_quick_same_mac(data, to->mac) || to->vni != vni) {
		rf_quick_gateway(gateway);
		if (!from_workload || !rf_quick_same_mac(data, gateway) || q->ttl <= 1)
			return RF_LONG_WAY;
		if (rf_quick_rewrite(ctx, q, to->mac, flow->tuple.is_v6))
			return rf_drop(ctx, RF_REASON_INTERNAL);
	}
	if (to->host == RF_HOST_HERE)
		return rf_to_local(ctx, to->ifindex, flow);
	return from_workload ? rf_to_overlay(ctx, to->host, to->vni, flow) : RF_LONG_WAY;
}

/* As rf_conn_advance, of a packet that changes no state. */
static __always_inline void rf_quick_advance(struct rf_conn *conn, __u32 side,
					     const struct rf_quick *q, __u64 now)
{
	conn->seen_ns = now;
	if (side) {
		conn->packets[1] += 1;
		conn->bytes[1] += q->l3_len;
		conn->tcp_flags[1] |= q->tcp_flags;
	} else {
		conn->packets[0] += 1;
		conn->bytes[0] += q->l3_len;
		conn->tcp_flags[0] |= q->tcp_flags;
	}
}

/* The program's flow; only what the quick way reads of it is set. */
static __always_inline struct rf_flow *rf_quick_begin(void)
{
	__u32 zero = 0;
	struct rf_flow *flow = bpf_map_lookup_elem(&flow_scratch, &zero);

	if (!flow || rf_config.dry)
		return NULL;
	flow->left = 0;
	if (rf_config.record)
		__builtin_memset(&flow->j, 0, sizeof(flow->j));
	return flow;
}

/* From a workload's device, of its own interface. */
static __always_inline int rf_quick_from_workload(struct __sk_buff *ctx,
						  const struct rf_device *device,
						  const struct rf_iface *iface)
{
	void *data = (void *)(long)ctx->data;
	struct rf_flow *flow = rf_quick_begin();
	__u64 now = rf_quick_now();
	struct rf_quick q = {};
	struct rf_conn *conn;
	struct rf_iface *to;
	__u32 side, index;
	int action;

	if (!flow || data + ETH_HLEN > (void *)(long)ctx->data_end ||
	    !rf_quick_same_mac(data + ETH_ALEN, iface->mac) ||
	    rf_quick_parse(ctx, iface->domain_id, &flow->tuple, &q))
		return RF_LONG_WAY;
	side = flow->tuple.side;
	conn = rf_quick_conn(&flow->tuple, iface->domain, now);
	if (!conn || rf_quick_iface(conn, side) != device->ref)
		return RF_LONG_WAY;
	index = rf_quick_iface(conn, !side);
	to = bpf_map_lookup_elem(&rf_ifaces, &index);
	if (!to)
		return RF_LONG_WAY;
	action = rf_quick_forward(ctx, to, iface->domain_id, iface->vni, 1, flow, &q);
	if (flow->left) {
		rf_quick_advance(conn, side, &q, now);
		rf_count_from(device->counter);
	}
	return action;
}

/* Whether a frame of an interface comes from where it runs; of IPv4 underlays. */
static __always_inline int rf_quick_outer_is(__u32 index, __be32 outer)
{
	struct rf_iface *from = bpf_map_lookup_elem(&rf_ifaces, &index);
	struct rf_host *host;

	/* A machine's come from the uplink's host. */
	if (!from || from->host == RF_HOST_HERE || from->flags & RF_IFACE_BARE_METAL)
		return 0;
	index = from->host;
	host = bpf_map_lookup_elem(&rf_hosts, &index);
	return host && outer && host->v4 == outer;
}

/* From the overlay. A function of its own, off the stack of the long way. */
static __noinline int rf_quick_from_overlay(struct __sk_buff *ctx, const struct rf_device *device)
{
	struct rf_flow *flow = rf_quick_begin();
	struct bpf_tunnel_key key = {};
	__u64 now = rf_quick_now();
	struct rf_quick q = {};
	struct rf_conn *conn;
	struct rf_iface *to;
	struct rf_vni *vni;
	__u32 side, index;
	int action;

	if (!flow || bpf_skb_get_tunnel_key(ctx, &key, sizeof(key), 0))
		return RF_LONG_WAY;
	index = key.tunnel_id;
	vni = bpf_map_lookup_elem(&rf_vnis, &index);
	if (!vni || rf_quick_parse(ctx, vni->domain_id, &flow->tuple, &q))
		return RF_LONG_WAY;
	side = flow->tuple.side;
	conn = rf_quick_conn(&flow->tuple, vni->domain, now);
	if (!conn || !rf_quick_outer_is(rf_quick_iface(conn, side), bpf_htonl(key.remote_ipv4)))
		return RF_LONG_WAY;
	index = rf_quick_iface(conn, !side);
	to = bpf_map_lookup_elem(&rf_ifaces, &index);
	if (!to)
		return RF_LONG_WAY;
	action = rf_quick_forward(ctx, to, vni->domain_id, key.tunnel_id, 0, flow, &q);
	if (flow->left) {
		rf_quick_advance(conn, side, &q, now);
		rf_count_from(device->counter);
	}
	return action;
}

#endif
