/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What is known of a packet while it is decided; every step takes this. */
#ifndef RINGFENCE_PACKET_H
#define RINGFENCE_PACKET_H

#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ipv6.h>
#include <stddef.h>

#include "maps.h"

#define RF_IPPROTO_HOPOPTS 0
#define RF_IPPROTO_ROUTING 43
#define RF_IPPROTO_FRAGMENT 44
#define RF_IPPROTO_AH 51
#define RF_IPPROTO_ICMPV6 58
#define RF_IPPROTO_DSTOPTS 60
#define RF_IPPROTO_SCTP 132

#define RF_L3_OFFSET ETH_HLEN

/* RFC 2131 4.1, RFC 8415 7.2 */
#define RF_DHCP4_SERVER_PORT 67
#define RF_DHCP4_CLIENT_PORT 68
#define RF_DHCP6_CLIENT_PORT 546
#define RF_DHCP6_SERVER_PORT 547

enum rf_icmp_role {
	RF_ICMP_NOT = 0,
	RF_ICMP_REQUEST, /* echo: opens a connection */
	RF_ICMP_REPLY,	 /* echo: only on a connection */
	RF_ICMP_ERROR,	 /* quotes a packet of some connection */
	RF_ICMP_OTHER,	 /* judged one by one, without a connection */
};

enum rf_fragment {
	RF_FRAGMENT_NOT = 0,
	RF_FRAGMENT_FIRST, /* has the L4 header */
	RF_FRAGMENT_LATER, /* is what its first fragment was */
};

/* Where a fragment belongs in its packet. */
struct rf_part {
	__u32 id;      /* as on the wire; 16 bits in IPv4 */
	__u16 offset;  /* bytes */
	__u16 length;  /* bytes, without the headers that each fragment has */
	__u16 judged;  /* of a first one: bytes up to the end of its L4 header */
	__u8 l4_proto; /* as its own header says */
	__u8 more;     /* 0: it is the last */
};

/* As AF_INET and AF_INET6 of the kernel. */
#define RF_AF_INET 2
#define RF_AF_INET6 10

struct rf_pkt {
	/* set by the entry program */
	enum rf_device_kind from; /* where it came from */
	__u32 counter;		  /* that device's row in rf_passed */
	__u32 domain;		  /* index */
	__u32 domain_id;
	__u32 iface;	    /* of the device: interface index; 0: it is no workload's */
	__u32 iface_id;	    /* the same interface's id */
	__u32 iface_flags;  /* and its RF_IFACE_* */
	__u32 vni;	    /* from a workload: its network; from the overlay: the frame's */
	__u32 to_host;	    /* from a workload: 1: the frame is for the host's stack */
	__u32 arrives;	    /* at a NIC: 1: from its network; 0: from its machine */
	__u32 outer_family; /* from the overlay: who sent the frame; RF_AF_* */
	struct rf_ip outer;

	/* set by rf_parse */
	struct rf_ip src;
	struct rf_ip dst;
	__u8 src_mac[6];
	__u8 dst_mac[6];
	__u32 l3_len; /* bytes from the IP header on, as the header says */
	__u32 l4_offset;
	__u32 l4_header_len;
	__u16 eth_proto;
	__be16 sport; /* as in the connection's key */
	__be16 dport;
	__u16 number; /* in its profile table */
	__u8 l4_proto;
	__u8 table; /* RF_TABLE_* */
	__u8 ttl;
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 icmp_role; /* enum rf_icmp_role */
	__u8 is_v6;
	__u8 fragment;	     /* enum rf_fragment */
	struct rf_part part; /* of a fragment alone */
};

/*
 * The packet at hand, off the stack, which has room for 512 bytes in all. A
 * program never runs within another of its kind on one CPU before its redirect, so
 * nothing here is needed after that; it is of one load, hence not pinned.
 */
RF_MAP(scratch, BPF_MAP_TYPE_PERCPU_ARRAY, __u32, struct rf_pkt, 2, 0);

static __always_inline struct rf_pkt *rf_pkt_begin(enum rf_device_kind from)
{
	/* The programs of a NIC run within others: a copy that one of them makes for the
	 * overlay leaves by the NIC before it goes on. */
	__u32 place = from == RF_DEVICE_NIC;
	struct rf_pkt *pkt = bpf_map_lookup_elem(&scratch, &place);

	if (!pkt)
		return NULL;
	__builtin_memset(pkt, 0, offsetof(struct rf_pkt, part));
	pkt->from = from;
	return pkt;
}

/* Whether it is neighbour discovery of any kind, router's included (133-137). */
static __always_inline int rf_is_nd(const struct rf_pkt *pkt)
{
	return pkt->is_v6 && pkt->l4_proto == RF_IPPROTO_ICMPV6 && pkt->icmp_type >= 133 &&
	       pkt->icmp_type <= 137;
}

static __always_inline int rf_has_extensions(const struct rf_pkt *pkt)
{
	return pkt->is_v6 && pkt->l4_offset != RF_L3_OFFSET + sizeof(struct ipv6hdr);
}

/* What one slot says to a question. [2]: 0 of the source, 1 of the destination. */
struct rf_answer {
	__u32 allows;	     /* RF_ALLOW_*: what holds */
	__u32 shadow_allows; /* RF_SHADOW_*: what would, were policies in audit enforced */
	__u32 notes;	     /* RF_STATEFUL_*, RF_LOG_* */
	__u32 class_id[2];
	__u32 rule[2];
	__u32 shadow_rule[2];
};

/* One judgement by policy, and what it was made by; sides as above. */
struct rf_judgement {
	struct rf_answer answer;
	__u32 judged; /* 0: none was needed */
	__u32 domain_epoch;
	__u32 slot;
	__u32 epoch_ref[2];
	__u32 epoch[2];
	__u32 reply_denied; /* a side that is stateless refuses what answers */
	enum rf_way way;    /* for tests */
};

static __always_inline int rf_ip_equal(const struct rf_ip *a, const struct rf_ip *b)
{
	const __u32 *x = (const void *)a, *y = (const void *)b;

	return !((x[0] ^ y[0]) | (x[1] ^ y[1]) | (x[2] ^ y[2]) | (x[3] ^ y[3]));
}

static __always_inline int rf_ip_is_zero(const struct rf_ip *a)
{
	const __u32 *x = (const void *)a;

	return !(x[0] | x[1] | x[2] | x[3]);
}

static __always_inline void rf_ip_map4(struct rf_ip *ip, __be32 v4)
{
	__u32 *x = (void *)ip;

	x[0] = 0;
	x[1] = 0;
	x[2] = bpf_htonl(0xffff);
	x[3] = v4;
}

static __always_inline __be32 rf_ip_v4(const struct rf_ip *ip)
{
	return ((const __u32 *)ip)[3];
}

static __always_inline int rf_mac_equal(const __u8 *a, const __u8 *b)
{
	__u8 diff = 0;

	for (int i = 0; i < 6; i++)
		diff |= a[i] ^ b[i];
	return !diff;
}

static __always_inline int rf_link_local(const struct rf_ip *ip)
{
	return ip->bytes[0] == 0xfe && (ip->bytes[1] & 0xc0) == 0x80;
}

/* IPv4 mapped into IPv6: how an IPv4 address is kept here. In an IPv6 packet it
 * would be taken for that IPv4 address, whose policy is another family's. */
static __always_inline int rf_is_mapped4(const struct rf_ip *ip)
{
	const __u32 *x = (const void *)ip;

	return !(x[0] | x[1]) && x[2] == bpf_htonl(0xffff);
}

/* No source and no destination of any packet on a wire: 0/8, 127/8 (RFC 1122
 * 3.2.1.3), ::1 and ::ffff:0:0/96 (RFC 4291 2.5.3, 2.5.5.2). `::` is the source
 * of duplicate address detection. */
static __always_inline int rf_is_martian(const struct rf_ip *ip, int is_v6)
{
	const __u32 *x = (const void *)ip;

	if (is_v6)
		return rf_is_mapped4(ip) || (!(x[0] | x[1] | x[2]) && x[3] == bpf_htonl(1));
	return ip->bytes[12] == 0 || ip->bytes[12] == 127;
}

/* Whether a workload asks for an address by DHCPv4, for which it has 0.0.0.0: such a
 * packet is answered or dropped, and goes nowhere. */
static __always_inline int rf_seeks_address(const struct rf_pkt *pkt)
{
	return pkt->from == RF_DEVICE_WORKLOAD && !pkt->is_v6 && !rf_ip_v4(&pkt->src) &&
	       pkt->l4_proto == IPPROTO_UDP && pkt->sport == bpf_htons(RF_DHCP4_CLIENT_PORT) &&
	       pkt->dport == bpf_htons(RF_DHCP4_SERVER_PORT);
}

/* Neither a source nor a destination of a unicast packet that is routed. */
static __always_inline int rf_not_unicast(const struct rf_ip *ip, int is_v6)
{
	if (is_v6)
		return ip->bytes[0] == 0xff || rf_ip_is_zero(ip);
	return ip->bytes[12] >= 224;
}

#endif
