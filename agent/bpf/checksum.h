/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Internet checksums (RFC 1071) of headers that the programs write. */
#ifndef RINGFENCE_CHECKSUM_H
#define RINGFENCE_CHECKSUM_H

#include "kernel.h"
#include "parse.h"

/* Before the Ethernet header of a frame on the stack, to align what follows it. */
#define RF_FRAME_ALIGN 2

/* The helper keeps its input on a stack of 512 bytes before 6.13. */
#define RF_CSUM_CHUNK 512

static __always_inline __u32 rf_fold(__u64 sum)
{
	for (int i = 0; i < 4; i++)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* The sum of `size` bytes, a constant and a multiple of 4, upon `sum`. */
static __always_inline __u32 rf_sum(const void *data, __u32 size, __u32 sum)
{
#pragma unroll
	for (__u32 offset = 0; offset < size; offset += RF_CSUM_CHUNK) {
		__u32 left = size - offset;

		sum = bpf_csum_diff(NULL, 0, (void *)data + offset,
				    left < RF_CSUM_CHUNK ? left : RF_CSUM_CHUNK, sum);
	}
	return sum;
}

static __always_inline __u16 rf_ip4_checksum(const struct iphdr *ip)
{
	return ~rf_fold(rf_sum(ip, sizeof(*ip), 0));
}

/* The pseudo-header of RFC 8200 8.1, `sum` being that of what follows `size` bytes. */
static __always_inline __u16 rf_icmp6_checksum(const struct ipv6hdr *ip, const void *data,
					       __u32 size, __u32 sum)
{
	struct {
		struct in6_addr saddr;
		struct in6_addr daddr;
		__be32 len;
		__be32 l4_proto;
	} pseudo = {
		.saddr = ip->saddr,
		.daddr = ip->daddr,
		.len = bpf_htonl(bpf_ntohs(ip->payload_len)),
		.l4_proto = bpf_htonl(RF_IPPROTO_ICMPV6),
	};

	sum = rf_sum(&pseudo, sizeof(pseudo), sum);
	return ~rf_fold(rf_sum(data, size, sum));
}

#endif
