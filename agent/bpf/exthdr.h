/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Extension headers of IPv6 (RFC 8200 4): from the first to what they lead to.
 * ESP and "no next header" end a chain, as protocols of their own.
 */
#ifndef RINGFENCE_EXTHDR_H
#define RINGFENCE_EXTHDR_H

#include <linux/ipv6.h>

#include "packet.h"

/* All that may be before an L4 header in an IP packet. */
#define RF_HEADERS_BYTES (sizeof(struct ipv6hdr) + RF_EXTENSION_BYTES)

/* Type of a routing header that takes a packet to and fro (RFC 5095). */
#define RF_ROUTING_SOURCE 0
#define RF_EXTENSION_OFFSET 0xfff8 /* of a fragment, in bytes */
#define RF_EXTENSION_MORE 1

/* The beginning of any extension header; each is as long at least. */
struct rf_extension {
	__u8 next;
	__u8 length; /* beyond the first 8 bytes, in units of 8; of AH see below */
	union {
		__u8 routing_type;
		__be16 cut; /* of a fragment: offset and flag */
		__u16 word;
	};
	__be32 id; /* of a fragment's packet */
};

/* A walk along the headers; offsets are in the frame. */
struct rf_chain {
	__u32 offset; /* of the header at hand */
	__u32 end;    /* of the packet */
	__u32 part;   /* of what fragments share out; 0: there is no fragment header */
	__u32 id;     /* of the fragment header, as on the wire */
	__u16 start;  /* of the fragment in its packet, bytes */
	__u8 more;    /* fragments follow this one */
	__u8 next;    /* what the header at hand is */
};

static __always_inline int rf_is_extension(__u8 next)
{
	switch (next) {
	case RF_IPPROTO_HOPOPTS:
	case RF_IPPROTO_ROUTING:
	case RF_IPPROTO_FRAGMENT:
	case RF_IPPROTO_AH:
	case RF_IPPROTO_DSTOPTS:
		return 1;
	}
	return 0;
}

static __always_inline __u32 rf_extension_size(__u8 kind, const struct rf_extension *header)
{
	switch (kind) {
	case RF_IPPROTO_FRAGMENT:
		return sizeof(*header);
	case RF_IPPROTO_AH: /* RFC 4302 2.2 */
		return (header->length + 2) * 4;
	}
	return (header->length + 1) * 8;
}

static __always_inline int rf_step(struct rf_chain *chain, const struct rf_extension *header)
{
	if (chain->next == RF_IPPROTO_ROUTING && header->routing_type == RF_ROUTING_SOURCE)
		return -1;
	if (chain->next == RF_IPPROTO_FRAGMENT) {
		if (chain->part)
			return -1;
		chain->part = chain->offset + sizeof(*header);
		chain->id = header->id;
		chain->start = bpf_ntohs(header->cut) & RF_EXTENSION_OFFSET;
		chain->more = bpf_ntohs(header->cut) & RF_EXTENSION_MORE;
	}
	chain->offset += rf_extension_size(chain->next, header);
	chain->next = header->next;
	return chain->offset > chain->end ? -1 : 0;
}

/*
 * Goes to the first header that is no extension, or to what follows the fragment
 * header of a later fragment. -1: too many, too long, cut off (of a first fragment,
 * too: RFC 7112), or in an order that is none. Global, as rf_ask is.
 */
__noinline int rf_walk_extensions(struct __sk_buff *ctx, struct rf_chain *chain)
{
	struct rf_extension header;
	__u32 first;

	if (!chain)
		return -1;
	first = chain->offset;
	for (int n = 0; rf_is_extension(chain->next); n++) {
		if (n == RF_EXTENSIONS || (n && chain->next == RF_IPPROTO_HOPOPTS) ||
		    bpf_skb_load_bytes(ctx, chain->offset, &header, sizeof(header)) ||
		    rf_step(chain, &header) || chain->offset - first > RF_EXTENSION_BYTES)
			return -1;
		if (chain->start)
			break;
	}
	return 0;
}

#endif
