/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/*
 * Every structure that crosses between the programs and the agent. The agent's
 * types are generated from these by BTF; nothing is written twice.
 *
 * Rules: __u32 and __u64 are host byte order, __be16/__be32 and byte arrays are
 * network byte order. An address is 16 bytes: IPv6, or IPv4 mapped into it
 * (::ffff:a.b.c.d, RFC 4291 2.5.5.2). Padding is explicit and zero, since a key
 * is compared byte by byte.
 *
 * "index" is host-local and dense (an array is read by it); "id" is the
 * controller's and never reused (a stale entry under an id can only be missed).
 */
#ifndef RINGFENCE_TYPES_H
#define RINGFENCE_TYPES_H

#include <linux/bpf.h>
#include <linux/types.h>

#include "consts.h"

/* A hole the compiler makes would be compared as part of a key. */
#pragma clang diagnostic push
#pragma clang diagnostic error "-Wpadded"

/* Aligned so that it is copied and compared in words. */
struct rf_ip {
	__u8 bytes[16];
} __attribute__((aligned(4)));

/* ---- devices and interfaces ------------------------------------------- */

enum rf_device_kind {
	RF_DEVICE_UNKNOWN = 0,	/* no entry, or nothing known of it: denied */
	RF_DEVICE_WORKLOAD = 1, /* ref: interface index */
	RF_DEVICE_OVERLAY = 2,	/* the VXLAN device */
	RF_DEVICE_UPLINK = 3,	/* ref: domain index */
	RF_DEVICE_HOST = 4,	/* the host's own; the guard lets it through */
	RF_DEVICE_NIC = 5,	/* of a bare-metal workload. ref: interface index */
};

/* rf_devices, rf_devices_far: ifindex -> what it is. */
struct rf_device {
	enum rf_device_kind kind;
	__u32 ref;     /* see the kind */
	__u32 counter; /* its row in rf_passed */
	__u32 pad;
	/* CLOCK_MONOTONIC; until then a TCP flow that is under way without a connection
	 * may get one, since the device was there before our programs. 0: it was not. */
	__u64 adopt_until_ns;
};

/*
 * rf_ifaces: interface index -> an interface of a workload, here or elsewhere.
 * Written once for an index; only ifindex changes while addresses point to it.
 * Index 0 is "no interface".
 */
struct rf_iface {
	__u32 id;	 /* controller's */
	__u32 domain_id; /* controller's */
	__u32 domain;	 /* index */
	__u32 host;	 /* index into rf_hosts; RF_HOST_HERE: this host */
	__u32 vni;	 /* of its network */
	__u32 ifindex;	 /* its device on this host; 0: none (yet) */
	__u32 flags;	 /* RF_IFACE_* */
	__u16 mtu;	 /* bytes of L3 that reach it */
	__u8 mac[6];
	__u32 account; /* its place in rf_accounts; stays while the interface does; 0: none */
};

/* rf_hosts: host index -> where its overlay traffic comes from and goes to. */
struct rf_host {
	__be32 v4;	 /* 0: none */
	__u32 flags;	 /* RF_HOST_V6: tunnel over v6 */
	struct rf_ip v6; /* all zero: none */
};

/* ---- domains ----------------------------------------------------------- */

/*
 * rf_domain_words: domain index -> slot and epoch, in one word so that one read
 * decides by which state a packet is judged (RF_WORD_*).
 */

/* rf_domains: domain index -> how its packets leave it. */
struct rf_domain {
	__u32 id; /* controller's; 0: no such domain here */
	__u32 transit_vni;
	__u32 uplink_host;	/* host index; RF_HOST_HERE; RF_HOST_NONE */
	__u32 uplink_ifindex;	/* on the uplink host: the device; 0: absent */
	__u32 uplink_mtu;	/* bytes of L3 toward the uplink from this host */
	__be32 next_hop4;	/* 0: no IPv4 uplink */
	struct rf_ip next_hop6; /* all zero: no IPv6 uplink */
};

/*
 * rf_vnis: VNI -> whose packets it carries. A network with several subnets of a
 * family has the gateway of its first here: it is who answers "too big".
 */
struct rf_vni {
	__u32 domain; /* index */
	__u32 domain_id;
	__be32 gateway4;       /* 0: no IPv4 subnet */
	struct rf_ip gateway6; /* all zero: no IPv6 subnet */
	__u32 group;	       /* index into rf_groups; 0: nothing is replicated in it */
};

/*
 * rf_groups: group index -> who gets a copy of what is for all members of a
 * network. Written once for an index: a program walks through it while it makes
 * copies, so a network whose members change gets another index. Lists end with
 * their counts; one that has more than are listed is beyond RF_COPIES.
 */
struct rf_group {
	__u32 flags;		    /* RF_GROUP_* */
	__u32 mtu;		    /* bytes of L3 that every member takes */
	__u32 locals;		    /* members on this host */
	__u32 hosts;		    /* other hosts with members */
	__u32 local[RF_COPIES + 1]; /* interface indexes; one of them sends */
	__u32 host[RF_COPIES];	    /* host indexes; RF_HOST_NONE: no way there */
};

/* ---- addresses and classes --------------------------------------------- */

struct rf_addr_key {
	__u32 domain_id;
	struct rf_ip ip;
};

/*
 * rf_addrs: what an address of a domain is. class_id is kept per slot; 0 in a
 * slot means the address is no interface's in that slot's state.
 */
struct rf_addr {
	__u32 iface;	   /* index; 0: a gateway */
	__u32 epoch;	   /* its place in rf_epochs */
	__u32 class_id[2]; /* by slot */
	__u32 gateway_vni; /* of a gateway: its network; else 0 */
};

/* rf_prefixes (LPM): class of an address that has no entry in rf_addrs, by slot. */
struct rf_prefix_key {
	__u32 prefixlen; /* RF_PREFIX_FIXED_BITS + bits of ip */
	__u32 domain_id;
	__u32 slot;
	struct rf_ip ip;
};

/*
 * rf_subnets (LPM): whose the addresses of a prefix are that have no entry in
 * rf_addrs: those of a subnet are on-link and nobody's, never the uplink's; those
 * of an address pair are an interface's. No IPv6 prefix here is so short that it
 * holds the IPv4 addresses mapped into IPv6: the agent cuts such a one up.
 */
struct rf_subnet {
	__u32 vni; /* of the network; of a pair: of its interface's network */
	/* Index; 0: a subnet. RF_IFACE_NOBODY: it changes hands, and until it has
	 * nobody has it, nor may speak from it. RF_IFACE_SHARED: who holds it has it. */
	__u32 iface;
	__u8 mac[6]; /* of a pair: who answers for its addresses */
	__u8 bits;   /* length of the prefix, in bits of a 16-byte address */
	__u8 pad;
};

struct rf_subnet_key {
	__u32 prefixlen; /* RF_SUBNET_FIXED_BITS + bits of ip */
	__u32 domain_id;
	struct rf_ip ip;
};

/* One of those who share an address. */
struct rf_claim {
	__u32 iface; /* index; 0: none */
	__u8 mac[6]; /* of its pair */
	__u8 pad[2];
};

/* rf_claims: (domain, address) -> who may hold it. */
struct rf_claims {
	__u32 vni; /* of the network they are in */
	struct rf_claim of[RF_CLAIMANTS];
};

/*
 * rf_shared: (domain, address) -> who holds it, as it announced by ARP or ND. Only
 * the programs write it, and the agent deletes what nobody claims any more. A
 * holder that is no claimant by now holds nothing.
 */
struct rf_shared {
	/* CLOCK_MONOTONIC: the first announcement that was heard of those within
	 * RF_ANNOUNCE_NS. */
	__u64 since_ns;
	__u32 iface_id; /* controller's: its index may be another's by now */
	__u32 changes;	/* of holder or MAC since then */
	__u8 mac[6];	/* that it announced: its pair's or its own */
	__u8 pad[2];
};

/* ---- policy ------------------------------------------------------------ */

/*
 * A pair of classes. RF_CLASS_HOST is the stack of this host. The row of
 * RF_CLASS_NONE on both sides, if there is one, is for pairs of known classes
 * without a row: it is there where a domain's default is to allow.
 */
struct rf_row_key {
	__u32 domain_id;
	__u32 from_class;
	__u32 to_class;
};

/* rf_rows: class pair -> profile index by slot; 0: no row in that slot. */
struct rf_row {
	__u32 profile[2];
};

/* Some consecutive places of rf_runs. */
struct rf_span {
	__u32 start;
	__u32 count;
};

/* rf_profiles: profile index -> by RF_TABLE_*, its runs sorted by first. */
struct rf_profile {
	struct rf_span table[RF_TABLES];
};

/* rf_runs: from `first` to the next run's first, one verdict. */
struct rf_run {
	__u16 first;
	__u8 verdict;	 /* RF_ALLOW_*, RF_SHADOW_* */
	__u8 notes;	 /* RF_STATEFUL_*, RF_LOG_*: none for a side without a vote */
	__u32 from_rule; /* ids; 0: the domain's default, or a side without a vote */
	__u32 to_rule;
	__u32 shadow_from_rule; /* the same, were policies in audit enforced */
	__u32 shadow_to_rule;
};

/* ---- connections ------------------------------------------------------- */

/*
 * The tuple is normalised: side 0 ("low") has the lesser (address, port) as
 * big-endian numbers, so both directions find one entry. ICMP echo has its
 * identifier as the port of who asks and zero as that of who answers, so that a
 * question never finds the entry of one in the other direction. A protocol
 * without ports has zeros.
 */
struct rf_conn4_key {
	__u32 domain_id;
	__be32 ip[2];
	__be16 port[2];
	__u8 l4_proto;
	__u8 pad[3];
};

struct rf_conn6_key {
	__u32 domain_id;
	struct rf_ip ip[2];
	__be16 port[2];
	__u8 l4_proto;
	__u8 pad[3];
};

enum rf_conn_state {
	RF_CONN_OPENING = 0,	 /* not answered; of TCP: its handshake is under way */
	RF_CONN_ESTABLISHED = 1, /* answered; of TCP: both sides have acknowledged */
	RF_CONN_CLOSING = 2,	 /* FIN seen from one side */
	RF_CONN_CLOSED = 3,	 /* FIN from both, or RST that nobody ignored */
};

/* Whose an address is. */
enum rf_whose {
	RF_WHOSE_NOBODY = 0, /* beyond the uplink, or behind an interface without port security */
	RF_WHOSE_NETWORK,    /* a subnet's, and no interface's */
	RF_WHOSE_GATEWAY,
	RF_WHOSE_IFACE,	 /* an interface's own */
	RF_WHOSE_PAIR,	 /* an interface's by an address pair */
	RF_WHOSE_SHARED, /* of who holds it among those who share it */
	RF_WHOSE_HOST,	 /* the stack's of the host that the other end runs on */
};

/* What an entry takes of the budgets of who opened it and of who was asked; taken
 * when it is made, given back when it goes, whatever became of its ends meanwhile. */
struct rf_charge {
	__u32 account[2];   /* places in rf_accounts: who opened, who was asked; 0: not charged */
	__u32 half_open;    /* 1: as half-open, too; put to 0 once, in one atomic step */
	__u32 from_outside; /* 1: account[1] is charged for outside, not for an interface */
};

/* rf_conns4, rf_conns6. [2] is by side: 0 low, 1 high. With key, the kernel's header
 * and its allocator's an entry fits 256 bytes, which is the next size it has: 152
 * at most here. */
struct rf_conn {
	__u64 seen_ns;	    /* CLOCK_MONOTONIC of the last packet */
	__u64 packets[2];   /* sent by that side */
	__u64 bytes[2];	    /* L3 bytes sent by that side */
	__u32 domain_epoch; /* at its last judgement */
	__u32 epoch_ref[2]; /* places in rf_epochs */
	__u32 epoch[2];	    /* values at its last judgement */
	__u32 iface[2];	    /* where it is: index; 0: beyond the uplink, or the host */
	__u32 origin_iface; /* the interface that opened it; 0: outside */
	/* Id of the interface without port security that the end which is nobody's
	 * stands behind: its index may be another's by now. 0: no end does. */
	__u32 behind;
	/* For operators: host index of the side that is not here; RF_HOST_HERE: both
	 * are. */
	__u32 remote_host;
	__u32 from_rule; /* ids, of the originator's side and the other's */
	__u32 to_rule;
	enum rf_conn_state state;
	__u8 origin;	   /* which side opened it */
	__u8 denied;	   /* judged again and refused: kept to drop quickly */
	__u8 reply_denied; /* a side that is stateless refuses what answers */
	__u8 tcp_flags[2]; /* flags seen from that side, ORed; ACK: since the last RST */
	__u8 whose[2];	   /* enum rf_whose of its address */
	__u8 life;	   /* RF_LIFE_* */
	__u32 over; /* 1: somebody deletes or replaces it; put to 1 once, in one atomic step */
	struct rf_charge charge;
};

/*
 * rf_sweep[0]: what deletes connections whose time is over, a part of those in
 * rf_clock at a time. One timer for all: memory for one of each is not always to be
 * had where packets are.
 */
struct rf_sweep {
	struct bpf_timer timer; /* the kernel's alone */
	__s64 waiting;		/* in rf_clock, about */
};

/* ---- budgets ------------------------------------------------------------ */

/*
 * rf_accounts: account -> what an interface has in use now, and how often it was
 * refused more, each by RF_BUDGET_*. Programs count; the agent, which has it in
 * its memory, corrects what a race left behind.
 */
struct rf_account {
	__u64 used[RF_BUDGETS];
	__u64 refused[RF_BUDGETS];
};

/*
 * rf_limits[0]: how much of each budget an interface may use, the same for all. What is
 * beyond its share is borrowed from what all have in common: rf_accounts[0].used[0],
 * which is nobody's account. All shares and what may be borrowed fill a table.
 */
struct rf_limits {
	__u64 of[RF_BUDGETS];
	__u64 share[RF_BUDGETS];
	__u64 common;
};

/* ---- built-in rules ----------------------------------------------------- */

/* rf_builtins (LPM): which built-in rules of NICs name an address: RF_BUILTIN_*. A
 * prefix says all that those around it say. */
struct rf_builtin_key {
	__u32 prefixlen;
	struct rf_ip ip;
};

/* ---- packets in fragments ----------------------------------------------- */

/* rf_frags: by who fragments. */
struct rf_frags_key {
	__u32 account; /* of the interface that sends, or is sent to; 0: of none */
	/* 1: to the interface, from what is none: outside, the host, or a NIC's network */
	__u32 inbound;
};

/* What the fragments of one packet have in common (RFC 791 3.2, RFC 8200 4.5). */
struct rf_frag_id {
	__u32 domain_id;
	__u32 ifindex; /* of the program's device */
	struct rf_ip src;
	struct rf_ip dst;
	__u32 id;      /* as on the wire; 16 bits in IPv4 */
	__u8 l4_proto; /* IPv4; in IPv6 only the first fragment says it: 0 */
	__u8 from;     /* enum rf_device_kind: which way it goes */
	__u8 pad[2];
};

/* What the first fragment of a packet said, which holds for those that follow. */
struct rf_frag {
	__u64 seen_ns; /* CLOCK_MONOTONIC of the first fragment; 0: a free place */
	struct rf_frag_id id;
	__u32 got;   /* bytes of the packet seen, without the headers each fragment has */
	__u32 total; /* bytes it has; 0: its last fragment was not seen */
	__be16 sport;
	__be16 dport;
	__u16 number;
	__u16 judged; /* bytes, of those that fragments share out, up to the end of its L4 header */
	__u8 l4_proto;
	__u8 table;
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 icmp_role;
	__u8 pad[3];
};

struct rf_frags {
	struct bpf_spin_lock lock;
	__u32 pad;
	struct rf_frag frag[RF_FRAGS_EACH];
};

/* ---- address services --------------------------------------------------- */

/* Messages that the agent writes beforehand. */
enum rf_service {
	RF_SERVICE_DHCP4 = 1,	     /* OFFER and ACK */
	RF_SERVICE_DHCP4_INFORM = 2, /* ACK without an address */
	RF_SERVICE_DHCP4_NAK = 3,
	RF_SERVICE_DHCP6 = 4,		/* ADVERTISE and REPLY with addresses */
	RF_SERVICE_DHCP6_STATELESS = 5, /* REPLY without */
	RF_SERVICE_DHCP6_SUCCESS = 6,	/* REPLY with a status code alone */
	RF_SERVICE_DHCP6_OFF_LINK = 7,	/* the same: addresses of another link */
	RF_SERVICE_ROUTER = 8,		/* router advertisement */
};

struct rf_service_key {
	__u32 iface_id; /* controller's: an interface keeps it when its index changes */
	enum rf_service service;
};

/*
 * rf_services: what an interface of this host is answered, as a whole frame. What
 * its question decides is zero in it and filled in by the program.
 */
struct rf_reply {
	__u16 len;	      /* of the frame */
	__be16 sum;	      /* RFC 1071, not complemented: pseudo-header and L4 as they stand */
	struct rf_ip address; /* handed out, the first if there are several; else zero */
	__u8 align[2];	      /* of what follows the frame's Ethernet header */
	__u8 frame[RF_REPLY_MAX];
};

/* ---- counters and records ---------------------------------------------- */

/* rf_passed (per CPU): a device's packets accepted from it and handed to it. */
struct rf_passed {
	__u64 from;
	__u64 to;
	/* Of a NIC: those that a built-in rule let pass, either way; not among the others. */
	__u64 builtin;
};

/* rf_drops (per CPU): (device, reason) -> packets. */
struct rf_drop_key {
	__u32 ifindex;
	__u32 reason; /* enum rf_reason */
};

/*
 * rf_audit (per CPU): judgements that policies in audit would turn, were they
 * enforced, by the rule that would decide. Counted on the host of the side alone.
 */
struct rf_audit_key {
	__u32 domain_id;
	__u32 rule;   /* id; 0: the domain's default */
	__u32 allows; /* 1: it would allow what is denied; 0: deny what is allowed */
};

enum rf_action {
	RF_ACTION_DROP = 0,
	RF_ACTION_LOCAL = 1, /* redirected to a local device */
	RF_ACTION_OVERLAY = 2,
	RF_ACTION_UPLINK = 3,
	RF_ACTION_ANSWER = 4,  /* the program answered it itself */
	RF_ACTION_DELIVER = 5, /* admitted by an egress hook */
	RF_ACTION_STACK = 6,   /* given to the host's stack (uplink neighbours) */
	RF_ACTION_COPIES = 7,  /* a copy for each receiver, and the packet itself ends */
};

/* By which of the programs' ways. */
enum rf_way {
	RF_WAY_LONG = 0,  /* decide.h, or none */
	RF_WAY_QUICK = 1, /* quick.h: by its connection */
	RF_WAY_FIRST = 2, /* first.h: by policy */
};

/* What the programs did with a packet, for tests: rf_decisions[0]. */
struct rf_decision {
	__u32 count;  /* decisions written since load */
	__u32 reason; /* enum rf_reason; 0: passed */
	enum rf_action action;
	__u32 judged; /* 1: by policy now; 0: by a connection, or not at all */
	__u32 allows; /* RF_ALLOW_FROM | RF_ALLOW_TO, when judged */
	__u32 from_rule;
	__u32 to_rule;
	__u32 shadow_allows; /* RF_SHADOW_FROM | RF_SHADOW_TO, when judged */
	__u32 shadow_from_rule;
	__u32 shadow_to_rule;
	__u32 notes;	    /* RF_STATEFUL_*, RF_LOG_*, when judged */
	__u32 reply_denied; /* as in the connection, when one was made or judged again */
	__u32 from_class;
	__u32 to_class;
	__u32 domain_epoch;
	__u32 slot;
	__u32 ifindex;	   /* target device */
	__u32 vni;	   /* when sent by the overlay */
	__u32 remote_host; /* host index, when sent by the overlay */
	enum rf_way way;
};

/* ---- settings ----------------------------------------------------------- */

/* rf_boot[0]: what must outlive the agent but not the boot. */
struct rf_boot {
	__u32 layout; /* RF_LAYOUT of who made the maps; 0: just made */
	__u32 mark;   /* nonce that only packets admitted by a program bear */
};

/* Read-only from load on, so that the verifier drops what is off. */
struct rf_config {
	__u32 mark;	       /* rf_boot.mark */
	__u32 overlay_ifindex; /* the VXLAN device; 0: none */
	__u8 gateway_mac[6];
	__u8 record;	  /* write rf_decisions */
	__u8 verdict_off; /* without policy and connections: unjudged.h */
	__u8 dry;	  /* judge afresh and write nothing but rf_decisions */
	__u8 guard; /* the guard is loaded, which knows what was given to the stack by its mark */
	__be16 vxlan_port;
	__be16 controller_port; /* 0: there is none */
	/* For test runs: a packet from the overlay has its tunnel in its cb, the VNI, then the
	 * address it came from. */
	__u8 tunnel_in_cb;
	__u8 pad;
	/* Without a packet, until an entry goes: by RF_LIFE_* and enum rf_conn_state. */
	__u64 timeout_ns[RF_LIVES][RF_CONN_STATES];
};

#pragma clang diagnostic pop

#endif
