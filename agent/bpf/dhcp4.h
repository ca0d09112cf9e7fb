/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * DHCPv4 (RFC 2131) with one address an interface: its own. Who asks is told by the
 * device; that the message says the same is checked, since a message may be passed
 * on by somebody behind it.
 */
#ifndef RINGFENCE_DHCP4_H
#define RINGFENCE_DHCP4_H

#include "owner.h"
#include "service.h"

#define RF_BOOTREQUEST 1
#define RF_DHCP4_BROADCAST 0x8000
#define RF_DHCP4_COOKIE 0x63825363
#define RF_DHCP4_COOKIE_OFFSET 236
#define RF_DHCP4_OPTIONS_OFFSET 240

#define RF_DHCP4_PAD 0
#define RF_DHCP4_REQUESTED 50
#define RF_DHCP4_TYPE 53
#define RF_DHCP4_SERVER_ID 54
#define RF_DHCP4_END 255

/* More than clients send, padding among them; each costs the verifier a round. */
#define RF_DHCP4_OPTIONS_MAX 64

enum rf_dhcp4_type {
	RF_DHCP4_DISCOVER = 1,
	RF_DHCP4_OFFER = 2,
	RF_DHCP4_REQUEST = 3,
	RF_DHCP4_ACK = 5,
	RF_DHCP4_NAK = 6,
	RF_DHCP4_INFORM = 8,
};

struct rf_dhcp4 {
	__u8 op;
	__u8 htype;
	__u8 hlen;
	__u8 hops;
	__be32 xid;
	__be16 secs;
	__be16 flags;
	__be32 ciaddr;
	__be32 yiaddr;
	__be32 siaddr;
	__be32 giaddr;
	__u8 chaddr[6];
	__u8 chaddr_unused[2];
};

/* Of its options those that decide. */
struct rf_dhcp4_options {
	__be32 requested; /* 0: none */
	__be32 server;	  /* 0: none */
	__u8 type;	  /* 0: none */
	__u8 pad[3];
};

/* In place of the fields of the same names, which lie side by side. */
struct rf_dhcp4_filled {
	__be32 xid;
	__be16 secs;
	__be16 flags;
	__be32 ciaddr;
	__be32 yiaddr;
};

/* Where the frames of the agent have things. */
#define RF_DHCP4_UDP_OFFSET (RF_L3_OFFSET + sizeof(struct iphdr))
#define RF_DHCP4_OFFSET (RF_DHCP4_UDP_OFFSET + 8)
/* Its first option is the message type: tag, length, value. */
#define RF_DHCP4_TYPE_OFFSET (RF_DHCP4_OFFSET + RF_DHCP4_OPTIONS_OFFSET + 2)

/* Whether a workload asks for an address, or for another lease of the one it has:
 * from 0.0.0.0 it may do nothing else. */
static __always_inline int rf_asks_dhcp4(const struct rf_pkt *pkt)
{
	struct rf_addr *addr;

	if (pkt->is_v6 || pkt->l4_proto != IPPROTO_UDP ||
	    pkt->sport != bpf_htons(RF_DHCP4_CLIENT_PORT) ||
	    pkt->dport != bpf_htons(RF_DHCP4_SERVER_PORT))
		return 0;
	if (rf_seeks_address(pkt) || rf_ip_v4(&pkt->dst) == 0xffffffff)
		return 1;
	addr = rf_find_addr(pkt->domain_id, &pkt->dst);
	return addr && !addr->iface;
}

/* Reads the options between two offsets; -1: they are not well formed. Global, as
 * rf_ask is. */
__noinline int rf_read_dhcp4(struct __sk_buff *ctx, __u32 offset, __u32 end,
			     struct rf_dhcp4_options *options)
{
	__u8 tag, len;

	if (!options)
		return -1;
	for (int i = 0; i < RF_DHCP4_OPTIONS_MAX; i++) {
		if (offset >= end || bpf_skb_load_bytes(ctx, offset, &tag, sizeof(tag)))
			return -1;
		offset++;
		if (tag == RF_DHCP4_END)
			return 0;
		if (tag == RF_DHCP4_PAD)
			continue;
		if (offset >= end || bpf_skb_load_bytes(ctx, offset, &len, sizeof(len)))
			return -1;
		offset++;
		if (tag == RF_DHCP4_TYPE &&
		    (len != 1 || bpf_skb_load_bytes(ctx, offset, &options->type, 1)))
			return -1;
		if (tag == RF_DHCP4_REQUESTED &&
		    (len != 4 || bpf_skb_load_bytes(ctx, offset, &options->requested, 4)))
			return -1;
		if (tag == RF_DHCP4_SERVER_ID &&
		    (len != 4 || bpf_skb_load_bytes(ctx, offset, &options->server, 4)))
			return -1;
		offset += len;
	}
	return -1;
}

/* RFC 2131 4.1: who has an address is told by it, who cannot take a unicast packet yet
 * says so, and a refusal goes to all. */
static __always_inline __be32 rf_dhcp4_receiver(const struct rf_dhcp4_filled *filled)
{
	if (filled->ciaddr)
		return filled->ciaddr;
	if (filled->flags & bpf_htons(RF_DHCP4_BROADCAST) || !filled->yiaddr)
		return 0xffffffff;
	return filled->yiaddr;
}

/* Answers with a message of that type to whoever sent `asked`. */
static __noinline int rf_reply_dhcp4(struct __sk_buff *ctx, const struct rf_pkt *pkt,
				     const struct rf_reply *reply, const struct rf_dhcp4 *asked,
				     __u8 type)
{
	struct rf_dhcp4_filled filled = {
		.xid = asked->xid,
		.flags = asked->flags,
		.ciaddr = type == RF_DHCP4_ACK ? asked->ciaddr : 0,
		.yiaddr = rf_ip_v4(&reply->address),
	};
	__be32 to = rf_dhcp4_receiver(&filled);
	struct iphdr ip;
	__u64 sum, pseudo;
	__be16 checksum;
	__u8 mac[6];

	if (rf_put_reply(ctx, reply, 0) || bpf_skb_load_bytes(ctx, RF_L3_OFFSET, &ip, sizeof(ip)))
		return rf_drop(ctx, RF_REASON_INTERNAL);
	ip.daddr = to;
	ip.check = rf_ip4_checksum(&ip);
	__builtin_memcpy(mac, pkt->src_mac, 6);
	if (to == 0xffffffff)
		__builtin_memset(mac, 0xff, 6);
	sum = (__u64)reply->sum + rf_sum(&to, sizeof(to), rf_sum(&filled, sizeof(filled), 0)) +
	      bpf_htons(type << 8);
	pseudo = (__u64)rf_sum(&ip.saddr, 8, 0) + bpf_htons(IPPROTO_UDP) +
		 bpf_htons(bpf_ntohs(ip.tot_len) - sizeof(ip));
	checksum = rf_reply_checksum(ctx, sum, pseudo);
	if (bpf_skb_store_bytes(ctx, 0, mac, sizeof(mac), 0) ||
	    bpf_skb_store_bytes(ctx, RF_L3_OFFSET, &ip, sizeof(ip), 0) ||
	    bpf_skb_store_bytes(ctx, RF_DHCP4_UDP_OFFSET + RF_UDP_CHECKSUM_OFFSET, &checksum,
				sizeof(checksum), 0) ||
	    bpf_skb_store_bytes(ctx, RF_DHCP4_OFFSET + offsetof(struct rf_dhcp4, xid), &filled,
				sizeof(filled), 0) ||
	    bpf_skb_store_bytes(ctx, RF_DHCP4_TYPE_OFFSET, &type, sizeof(type), 0))
		return rf_drop(ctx, RF_REASON_INTERNAL);
	return rf_answer(ctx, pkt);
}

/* Whether the message is this interface's, and asked of nobody else. */
static __always_inline int rf_is_own_dhcp4(const struct rf_pkt *pkt, const struct rf_dhcp4 *asked)
{
	__u32 index = pkt->iface;
	struct rf_iface *iface = bpf_map_lookup_elem(&rf_ifaces, &index);

	return iface && asked->op == RF_BOOTREQUEST && asked->htype == 1 && asked->hlen == 6 &&
	       !asked->giaddr && rf_mac_equal(asked->chaddr, iface->mac);
}

/* Global, as rf_ask is. */
__noinline int rf_answer_dhcp4(struct __sk_buff *ctx, const struct rf_pkt *pkt)
{
	struct rf_dhcp4_options options = {};
	enum rf_service service = RF_SERVICE_DHCP4;
	__u8 type = RF_DHCP4_ACK;
	struct rf_reply *reply;
	struct rf_dhcp4 asked;
	__be32 cookie, own, server;
	__u32 end;

	if (!pkt)
		return rf_drop(ctx, RF_REASON_INTERNAL);
	end = RF_L3_OFFSET + pkt->l3_len;
	/* No client sends options of IP, and the answer has none. */
	if (pkt->l4_offset != RF_DHCP4_UDP_OFFSET ||
	    bpf_skb_load_bytes(ctx, RF_DHCP4_OFFSET, &asked, sizeof(asked)) ||
	    bpf_skb_load_bytes(ctx, RF_DHCP4_OFFSET + RF_DHCP4_COOKIE_OFFSET, &cookie,
			       sizeof(cookie)) ||
	    cookie != bpf_htonl(RF_DHCP4_COOKIE) ||
	    rf_read_dhcp4(ctx, RF_DHCP4_OFFSET + RF_DHCP4_OPTIONS_OFFSET, end, &options))
		return rf_drop(ctx, RF_REASON_MALFORMED);
	reply = rf_find_reply(pkt, RF_SERVICE_DHCP4);
	if (!reply || !rf_is_own_dhcp4(pkt, &asked))
		return rf_drop(ctx, RF_REASON_DHCP_UNANSWERED);
	own = rf_ip_v4(&reply->address);
	server = ((struct iphdr *)(reply->frame + ETH_HLEN))->saddr;
	if (options.server && options.server != server)
		return rf_drop(ctx, RF_REASON_DHCP_UNANSWERED);

	switch (options.type) {
	case RF_DHCP4_DISCOVER:
		type = RF_DHCP4_OFFER;
		break;
	case RF_DHCP4_REQUEST:
		if ((asked.ciaddr ? asked.ciaddr : options.requested) == own)
			break;
		service = RF_SERVICE_DHCP4_NAK;
		type = RF_DHCP4_NAK;
		break;
	case RF_DHCP4_INFORM:
		if (asked.ciaddr != own)
			return rf_drop(ctx, RF_REASON_DHCP_UNANSWERED);
		service = RF_SERVICE_DHCP4_INFORM;
		break;
	default:
		return rf_drop(ctx, RF_REASON_DHCP_UNANSWERED);
	}
	reply = rf_find_reply(pkt, service);
	if (!reply)
		return rf_drop(ctx, RF_REASON_DHCP_UNANSWERED);
	return rf_reply_dhcp4(ctx, pkt, reply, &asked, type);
}

#endif
