/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * DHCPv6 (RFC 8415): the addresses of an interface in one association, IA_NA, and
 * what else its network says to who asks for that alone. A client is told by its
 * device, so its identifier (DUID) is only given back.
 */
#ifndef RINGFENCE_DHCP6_H
#define RINGFENCE_DHCP6_H

#include "arp_nd.h"
#include "service.h"

#define RF_DHCP6_CLIENT_ID 1
#define RF_DHCP6_SERVER_ID 2
#define RF_DHCP6_IA_NA 3
#define RF_DHCP6_IA_ADDR 5
#define RF_DHCP6_RAPID_COMMIT 14

/* A DUID has 1 to 128 bytes after its type, RFC 8415 11.1. */
#define RF_DHCP6_DUID_MIN 3
#define RF_DHCP6_DUID_MAX 130

/* More than clients send; each costs the verifier a round. */
#define RF_DHCP6_OPTIONS_MAX 32

enum rf_dhcp6_type {
	RF_DHCP6_SOLICIT = 1,
	RF_DHCP6_ADVERTISE = 2,
	RF_DHCP6_REQUEST = 3,
	RF_DHCP6_CONFIRM = 4,
	RF_DHCP6_RENEW = 5,
	RF_DHCP6_REBIND = 6,
	RF_DHCP6_REPLY = 7,
	RF_DHCP6_RELEASE = 8,
	RF_DHCP6_DECLINE = 9,
	RF_DHCP6_INFORMATION_REQUEST = 11,
};

struct rf_dhcp6_option {
	__be16 code;
	__be16 len;
};

/* What a question says of things that decide. */
struct rf_dhcp6_question {
	__be32 head; /* type and transaction */
	__be32 iaid; /* of the first IA_NA */
	__u32 client_at;
	__u32 client_len;     /* 0: no client identifier */
	struct rf_ip address; /* the first of the first IA_NA */
	__u8 has_association;
	__u8 has_address;
	__u8 has_server;
	__u8 is_for_other; /* another server than this */
	__u8 is_rapid;
	__u8 pad[3];
};

/* The server's identifier by the gateway's MAC: DUID-LL of Ethernet, RFC 8415 11.4. */
struct rf_dhcp6_server {
	__be16 type;
	__be16 hardware;
	__u8 mac[6];
	__u8 pad[2];
};
#define RF_DHCP6_SERVER_LEN 10

/* Behind the frame of the agent; the first option is there only in a rapid commit. */
struct rf_dhcp6_tail {
	struct rf_dhcp6_option rapid;
	struct rf_dhcp6_option client;
	__u8 duid[RF_DHCP6_DUID_MAX + 2]; /* a multiple of 4, the rest is zero */
};

/* Where the frames of the agent have things. */
#define RF_DHCP6_UDP_OFFSET (RF_L3_OFFSET + sizeof(struct ipv6hdr))
#define RF_DHCP6_OFFSET (RF_DHCP6_UDP_OFFSET + 8)
/* Their first option is the server's identifier, the second IA_NA, if they have one:
 * the IAID follows its header. */
#define RF_DHCP6_IAID_OFFSET (RF_DHCP6_OFFSET + 4 + 4 + RF_DHCP6_SERVER_LEN + 4)

/* Whether a workload asks for addresses, or what else there is to know. */
static __always_inline int rf_asks_dhcp6(const struct rf_pkt *pkt)
{
	return pkt->is_v6 && pkt->l4_proto == IPPROTO_UDP &&
	       pkt->dport == bpf_htons(RF_DHCP6_SERVER_PORT) &&
	       (pkt->dst.bytes[0] == 0xff || rf_link_local(&pkt->dst));
}

static __always_inline int rf_is_other_server(struct __sk_buff *ctx, __u32 offset, __u32 len)
{
	struct rf_dhcp6_server server = {};

	if (len != RF_DHCP6_SERVER_LEN ||
	    bpf_skb_load_bytes(ctx, offset, &server, RF_DHCP6_SERVER_LEN) ||
	    server.type != bpf_htons(3) || server.hardware != bpf_htons(1))
		return 1;
	for (int i = 0; i < 6; i++)
		if (server.mac[i] != rf_config.gateway_mac[i])
			return 1;
	return 0;
}

/* The first association, and its first address, if it names one. */
static __always_inline int rf_read_association(struct __sk_buff *ctx, __u32 offset, __u32 len,
					       struct rf_dhcp6_question *question)
{
	struct rf_dhcp6_option option;

	if (question->has_association)
		return 0;
	if (len < 12 || bpf_skb_load_bytes(ctx, offset, &question->iaid, sizeof(__be32)))
		return -1;
	question->has_association = 1;
	if (len < 12 + sizeof(option) + 24)
		return 0;
	if (bpf_skb_load_bytes(ctx, offset + 12, &option, sizeof(option)))
		return -1;
	if (option.code != bpf_htons(RF_DHCP6_IA_ADDR))
		return 0;
	question->has_address = 1;
	return bpf_skb_load_bytes(ctx, offset + 12 + sizeof(option), &question->address,
				  sizeof(question->address));
}

/* Reads a message between two offsets; -1: it is not well formed. */
static __noinline int rf_read_dhcp6(struct __sk_buff *ctx, __u32 offset, __u32 end,
				    struct rf_dhcp6_question *question)
{
	struct rf_dhcp6_option option;
	__u32 len;

	if (offset + 4 > end || bpf_skb_load_bytes(ctx, offset, &question->head, sizeof(__be32)))
		return -1;
	offset += 4;
	for (int i = 0; i < RF_DHCP6_OPTIONS_MAX; i++) {
		if (offset == end)
			return 0;
		if (offset + sizeof(option) > end ||
		    bpf_skb_load_bytes(ctx, offset, &option, sizeof(option)))
			return -1;
		offset += sizeof(option);
		len = bpf_ntohs(option.len);
		if (offset + len > end)
			return -1;
		switch (bpf_ntohs(option.code)) {
		case RF_DHCP6_CLIENT_ID:
			if (len < RF_DHCP6_DUID_MIN || len > RF_DHCP6_DUID_MAX)
				return -1;
			question->client_at = offset;
			question->client_len = len;
			break;
		case RF_DHCP6_SERVER_ID:
			question->has_server = 1;
			question->is_for_other |= rf_is_other_server(ctx, offset, len);
			break;
		case RF_DHCP6_IA_NA:
			if (rf_read_association(ctx, offset, len, question))
				return -1;
			break;
		case RF_DHCP6_RAPID_COMMIT:
			question->is_rapid = 1;
			break;
		}
		offset += len;
	}
	return -1;
}

/* What answers a question; 0: nothing does (RFC 8415 16, 18.3). */
static __always_inline enum rf_service rf_dhcp6_service(const struct rf_dhcp6_question *question,
							__u8 type)
{
	int has_client = question->client_len, has_server = question->has_server;

	if (question->is_for_other)
		return 0;
	switch (type) {
	case RF_DHCP6_SOLICIT:
	case RF_DHCP6_REBIND:
		return has_client && !has_server && question->has_association ? RF_SERVICE_DHCP6
									      : 0;
	case RF_DHCP6_REQUEST:
	case RF_DHCP6_RENEW:
		return has_client && has_server && question->has_association ? RF_SERVICE_DHCP6 : 0;
	case RF_DHCP6_CONFIRM:
		return has_client && !has_server && question->has_address ? RF_SERVICE_DHCP6_SUCCESS
									  : 0;
	case RF_DHCP6_RELEASE:
	case RF_DHCP6_DECLINE:
		return has_client && has_server ? RF_SERVICE_DHCP6_SUCCESS : 0;
	case RF_DHCP6_INFORMATION_REQUEST:
		return question->has_association ? 0 : RF_SERVICE_DHCP6_STATELESS;
	}
	return 0;
}

/* Writes what follows the frame; its length, or -1. `sum` becomes that of the bytes. */
static __noinline int rf_put_tail(struct __sk_buff *ctx, const struct rf_dhcp6_tail *tail,
				  __u32 offset, __u32 *sum)
{
	__u32 len = sizeof(tail->client) + bpf_ntohs(tail->client.len);

	/* Where clang knows that it has 16 bits it masks it, and the verifier forgets that
	 * it is not 0. */
	barrier_var(len);
	if (len > sizeof(tail->client) + RF_DHCP6_DUID_MAX)
		return -1;
	*sum = rf_fold(rf_sum(&tail->client, sizeof(tail->client) + sizeof(tail->duid), 0));
	if (!tail->rapid.code)
		return bpf_skb_store_bytes(ctx, offset, &tail->client, len, 0) ? -1 : len;
	*sum = rf_fold((__u64)*sum + rf_sum(&tail->rapid, sizeof(tail->rapid), 0));
	len += sizeof(tail->rapid);
	return bpf_skb_store_bytes(ctx, offset, tail, len, 0) ? -1 : len;
}

struct rf_dhcp6_headers {
	struct ipv6hdr ip;
	__be16 source;
	__be16 dest;
	__be16 len;
	__be16 check;
};

/* Puts lengths, destination and checksum into a reply of `sum` but for those. */
static __noinline int rf_finish_dhcp6(struct __sk_buff *ctx, const struct rf_pkt *pkt, __u32 more,
				      __u64 sum)
{
	struct rf_dhcp6_headers headers;
	__u64 pseudo;

	if (bpf_skb_load_bytes(ctx, RF_L3_OFFSET, &headers, sizeof(headers)))
		return -1;
	headers.len = bpf_htons(bpf_ntohs(headers.len) + more);
	headers.ip.payload_len = headers.len;
	__builtin_memcpy(&headers.ip.daddr, &pkt->src, sizeof(pkt->src));
	/* Its length counts twice, in the pseudo-header and in UDP's own. */
	sum += 2 * (__u64)bpf_htons(more) + rf_sum(&headers.ip.daddr, 16, 0);
	pseudo = (__u64)rf_sum(&headers.ip.saddr, 32, 0) + bpf_htons(IPPROTO_UDP) + headers.len;
	headers.check = rf_reply_checksum(ctx, sum, pseudo);
	return bpf_skb_store_bytes(ctx, RF_L3_OFFSET, &headers, sizeof(headers), 0) ||
	       bpf_skb_store_bytes(ctx, 0, pkt->src_mac, 6, 0);
}

/* Answers with a message that begins with this word, and IAID where it has one. */
static __noinline int rf_reply_dhcp6(struct __sk_buff *ctx, const struct rf_pkt *pkt,
				     const struct rf_reply *reply,
				     const struct rf_dhcp6_question *question, __be32 head)
{
	struct rf_dhcp6_tail tail = {
		.rapid.code = question->is_rapid ? bpf_htons(RF_DHCP6_RAPID_COMMIT) : 0,
		.client.code = bpf_htons(RF_DHCP6_CLIENT_ID),
		.client.len = bpf_htons(question->client_len),
	};
	__u32 client_len = question->client_len, room = 0, more = 0;
	__u32 len = reply->len;
	__be32 iaid = question->iaid;
	__u32 tail_sum = 0;
	__u64 sum;

	if (client_len) {
		if (client_len > RF_DHCP6_DUID_MAX ||
		    bpf_skb_load_bytes(ctx, question->client_at, tail.duid, client_len))
			return rf_drop(ctx, RF_REASON_INTERNAL);
		room = client_len + sizeof(tail.client);
		room += question->is_rapid ? sizeof(tail.rapid) : 0;
	}
	if (rf_put_reply(ctx, reply, room))
		return rf_drop(ctx, RF_REASON_INTERNAL);
	if (client_len)
		more = rf_put_tail(ctx, &tail, len, &tail_sum);
	if (more != room)
		return rf_drop(ctx, RF_REASON_INTERNAL);
	/* What begins at an odd place has its bytes the other way round (RFC 1071 2 B). */
	if ((len - RF_DHCP6_UDP_OFFSET) & 1)
		tail_sum = (tail_sum >> 8 | tail_sum << 8) & 0xffff;
	sum = (__u64)reply->sum + tail_sum + rf_sum(&head, sizeof(head), 0);
	/* Only the frame with addresses has an association. */
	if (!rf_ip_is_zero(&reply->address)) {
		sum += rf_sum(&iaid, sizeof(iaid), 0);
		if (bpf_skb_store_bytes(ctx, RF_DHCP6_IAID_OFFSET, &iaid, sizeof(iaid), 0))
			return rf_drop(ctx, RF_REASON_INTERNAL);
	}
	if (bpf_skb_store_bytes(ctx, RF_DHCP6_OFFSET, &head, sizeof(head), 0) ||
	    rf_finish_dhcp6(ctx, pkt, more, sum))
		return rf_drop(ctx, RF_REASON_INTERNAL);
	return rf_answer(ctx, pkt);
}

/* Global, as rf_ask is. */
__noinline int rf_answer_dhcp6(struct __sk_buff *ctx, const struct rf_pkt *pkt)
{
	struct rf_dhcp6_question question = {};
	__u8 type, answer = RF_DHCP6_REPLY;
	enum rf_service service;
	struct rf_reply *reply, *addresses;

	if (!pkt)
		return rf_drop(ctx, RF_REASON_INTERNAL);
	if (pkt->l4_offset != RF_DHCP6_UDP_OFFSET ||
	    rf_read_dhcp6(ctx, RF_DHCP6_OFFSET, RF_L3_OFFSET + pkt->l3_len, &question))
		return rf_drop(ctx, RF_REASON_MALFORMED);
	if (!rf_link_local(&pkt->src) && !rf_speaks_for(pkt, &pkt->src))
		return rf_drop(ctx, RF_REASON_SOURCE_ADDRESS);
	type = bpf_ntohl(question.head) >> 24;
	service = rf_dhcp6_service(&question, type);
	if (type != RF_DHCP6_SOLICIT)
		question.is_rapid = 0;
	if (type == RF_DHCP6_SOLICIT && !question.is_rapid)
		answer = RF_DHCP6_ADVERTISE;
	if (type == RF_DHCP6_CONFIRM && service) {
		addresses = rf_find_reply(pkt, RF_SERVICE_DHCP6);
		if (!addresses || !rf_ip_equal(&addresses->address, &question.address))
			service = RF_SERVICE_DHCP6_OFF_LINK;
	}
	reply = rf_find_reply(pkt, service);
	if (!reply)
		return rf_drop(ctx, RF_REASON_DHCP_UNANSWERED);
	return rf_reply_dhcp6(ctx, pkt, reply, &question,
			      (question.head & bpf_htonl(0xffffff)) | bpf_htonl(answer << 24));
}

#endif
