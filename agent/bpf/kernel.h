/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * The few things of the kernel that UAPI headers do not have, by CO-RE: only
 * the named fields matter, their places are found at load.
 */
#ifndef RINGFENCE_KERNEL_H
#define RINGFENCE_KERNEL_H

#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

/* include/linux/skbuff.h: the checksum from csum_start on is left to the device. */
#define RF_CHECKSUM_PARTIAL 3
/* include/uapi/linux/if_packet.h: for this device's MAC. */
#define RF_PACKET_HOST 0

#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)

struct sk_buff {
	__u8 ip_summed : 2;
	__u16 csum_start;
	__u16 csum_offset;
	__u32 mark;
	unsigned char *head;
	unsigned char *data;
	unsigned int end; /* from head */
	unsigned int len;
	unsigned int data_len;
	struct sk_buff *next;
};

struct skb_shared_info {
	struct sk_buff *frag_list;
};

struct net_device {
	int ifindex;
};

struct nf_hook_state {
	__u8 pf;
	struct net_device *in;
};

struct bpf_nf_ctx {
	const struct nf_hook_state *state;
	struct sk_buff *skb;
};

#pragma clang attribute pop

/* include/linux/skbuff.h: the segments are as long as they are in frag_list, without
 * headers; as of SCTP. */
#define RF_GSO_BY_FRAGS 0xffff

extern void *bpf_rdonly_cast(const void *pointer, __u32 btf_id) __ksym;
extern void *bpf_cast_to_kern_ctx(void *ctx) __ksym;
extern int bpf_dynptr_from_skb(struct sk_buff *skb, __u64 flags, struct bpf_dynptr *ptr) __ksym;

#endif
