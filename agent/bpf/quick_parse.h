/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The headers of most packets, to a tuple and the little else that quick.h and first.h
 * need of them. */
#ifndef RINGFENCE_QUICK_PARSE_H
#define RINGFENCE_QUICK_PARSE_H

#include "conn.h"
#include "parse.h"

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

/* A segment of an open connection, or the first of one, or a datagram. */
static __always_inline int rf_quick_l4(void *l4, void *end, __u8 l4_proto, struct rf_quick *q)
{
	struct tcphdr *tcp = l4;
	__u8 control;

	if (l4_proto == IPPROTO_UDP) {
		if (l4 + 8 > end)
			return -1;
		q->headers += 8;
	} else {
		if (l4_proto != IPPROTO_TCP || (void *)(tcp + 1) > end || tcp->doff < 5)
			return -1;
		q->tcp_flags = ((__u8 *)l4)[13];
		control = q->tcp_flags & (RF_TCP_SYN | RF_TCP_FIN | RF_TCP_RST | RF_TCP_ACK);
		if (control != RF_TCP_ACK && control != RF_TCP_SYN)
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

#endif
