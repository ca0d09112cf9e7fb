/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Limits and protocol numbers, each with its reason. */
#ifndef RINGFENCE_CONSTS_H
#define RINGFENCE_CONSTS_H

/* Of all maps together; raised when a key or a value changes its meaning. */
#define RF_LAYOUT 3

/* ---- sizes of tables ---- */

/* ifindex below this is found by an array read, above it by a hash lookup.
 * 64 KiB of memory; a host rarely makes more devices in one boot. */
#define RF_DEVICES_NEAR 4096
#define RF_DEVICES_FAR 16384
/* Interfaces of all domains this host takes part in; the bars go to 100,000 workloads. 6 MiB. */
#define RF_IFACES 131072
#define RF_ADDRS 262144
#define RF_HOSTS 8192
#define RF_DOMAINS 32768
#define RF_VNIS 65536
#define RF_PREFIXES 262144
#define RF_SUBNETS 65536
/* DESIGN: 1 M rows a host. */
#define RF_ROWS 1048576
#define RF_PROFILES 65536
#define RF_RUNS 262144
/* Of each family. Its buckets alone are 8 MiB, an entry 250 bytes. The bar is 150 MB of
 * kernel memory and agent at 50,000 interfaces: the tables of connections take 16 MiB of
 * it empty, rf_clock 27, rf_accounts 12, and 36 what the agent writes. */
#define RF_CONNS 524288
/* Every connection of either family, which together are no more than budgets allow, and
 * some that were deleted by another than the sweep. */
#define RF_CLOCK (RF_CONNS + RF_CONNS / 8)
/* The sweep looks after so many at most in one go, about half a millisecond, so often:
 * 80,000 a second. */
#define RF_SWEEP_MOST 4096
#define RF_SWEEP_NS 50000000ULL
/* The domain's epoch of a connection that rf_clock does not have, since the agent put it
 * there or the sweep lost it: no domain ever has it. */
#define RF_EPOCH_NEVER 0xffffffffU
/* One for each interface, whatever its index. */
#define RF_ACCOUNTS 131072
/* One row a device of this host, near or far, from 1 on; 320 KiB a CPU. */
#define RF_PASSED 20481
#define RF_DROPS 65536
#define RF_AUDIT 65536
/* Both underlay addresses of every host, and as many prefixes again. */
#define RF_BUILTINS 32768
/* Eight messages an interface of this host whose network has all services. */
#define RF_SERVICES 65536

/* The longest frame an address service answers with, a router advertisement with all
 * that a network may say; 2 more than a multiple of 4, as types.h aligns it. */
#define RF_REPLY_MAX 1086

/* Packets in fragments that one originator may have under way; one does not send
 * more at once, since each of its CPUs sends the fragments of a packet in a row.
 * 2.5 KiB for each originator that fragments, of the accounts of all interfaces,
 * with what comes to them from outside apart. */
#define RF_FRAGS_EACH 32
#define RF_FRAGS (2 * RF_IFACES)

/* Copies of one packet on one host, which are all made before its program ends:
 * at about a microsecond each a packet costs no more than a few hundred others. */
#define RF_COPIES 64
/* Networks with members on this host in which something is replicated; 2 MiB. */
#define RF_GROUPS 4096
/* Shared addresses of all domains this host takes part in. */
#define RF_CLAIMS 16384

/* Runs in one table never exceed its number space; 2^17 > 65536 + 1. */
#define RF_RUN_SEARCH_STEPS 17

/* rf_epochs: buckets for addresses that are no interface's, by rf_bucket(),
 * then one place for each address of rf_addrs, handed out by the agent. */
#define RF_EPOCH_BUCKETS 65536
#define RF_EPOCHS (RF_EPOCH_BUCKETS + RF_ADDRS)

/* ---- special indexes ---- */
#define RF_HOST_HERE 0
#define RF_HOST_NONE 0xffffffffU
#define RF_HOST_V6 1
/* Of a subnet: no interface has this index, nor ever will. */
#define RF_IFACE_NOBODY 0xffffffffU

/* Of a subnet: the address is shared; rf_claims says by whom. */
#define RF_IFACE_SHARED 0xfffffffeU
/* Interfaces that may share an address, as the model allows. */
#define RF_CLAIMANTS 8

/* ---- the domain word: bits 0-31 epoch, bit 32 slot ---- */
#define RF_WORD_SLOT_SHIFT 32

/* Bits of a key before its address. */
#define RF_PREFIX_FIXED_BITS 64
#define RF_SUBNET_FIXED_BITS 32

/* ---- verdict bits of a run ---- */
#define RF_ALLOW_FROM 1
#define RF_ALLOW_TO 2
#define RF_SHADOW_FROM 4 /* the same, were policies in audit enforced */
#define RF_SHADOW_TO 8
#define RF_ALLOW_BOTH (RF_ALLOW_FROM | RF_ALLOW_TO)
#define RF_SHADOW_BOTH (RF_SHADOW_FROM | RF_SHADOW_TO)

/* ---- notes of a run ---- */
#define RF_STATEFUL_FROM 1 /* that side wants what it allows tracked */
#define RF_STATEFUL_TO 2
#define RF_STATEFUL_BOTH (RF_STATEFUL_FROM | RF_STATEFUL_TO)
#define RF_LOG_FROM 4 /* the rule that decides there asks for a log */
#define RF_LOG_TO 8

/* ---- classes that are no hash of what rules tell apart ---- */
#define RF_CLASS_NONE 0
#define RF_CLASS_HOST 1

/* ---- flags of an interface ---- */
#define RF_IFACE_NO_PORT_SECURITY 1
#define RF_IFACE_BARE_METAL 2 /* its device is a NIC of its host */

/* ---- built-in rules of a NIC, by the prefix of who they are about ---- */
#define RF_BUILTIN_SSH 1	/* may open SSH to the machine */
#define RF_BUILTIN_UNDERLAY 2	/* a host's: the overlay's outer packets */
#define RF_BUILTIN_CONTROLLER 4 /* the controller's: what agents and it say */

/* ---- flags of a group ---- */
#define RF_GROUP_MULTICAST 1 /* multicast and broadcast of its members are for all of them */

/* ---- tables of a profile, by what their numbers are ---- */
#define RF_TABLE_TCP 0	 /* destination port */
#define RF_TABLE_UDP 1	 /* destination port */
#define RF_TABLE_SCTP 2	 /* destination port */
#define RF_TABLE_ICMP 3	 /* type << 8 | code */
#define RF_TABLE_ICMP6 4 /* type << 8 | code */
#define RF_TABLE_OTHER 5 /* protocol */
#define RF_TABLES 6

/* ---- budgets: what an interface may have of the connection tables of a host, both
 * families together. The half-open ones of a kind stand behind it, and count there, too. */
#define RF_BUDGET_OWN 0	     /* opened by it */
#define RF_BUDGET_OWN_HALF 1 /* and not answered */
#define RF_BUDGET_INBOUND 2  /* opened to it by interfaces */
#define RF_BUDGET_INBOUND_HALF 3
#define RF_BUDGET_OUTSIDE 4 /* opened to it from outside, or by the host's stack */
#define RF_BUDGET_OUTSIDE_HALF 5
#define RF_BUDGETS 6

/* ---- what the timeout of a connection depends on besides its state ---- */
#define RF_LIFE_TCP 0
#define RF_LIFE_UDP 1
#define RF_LIFE_ICMP 2 /* echo, of both families */
#define RF_LIFE_SCTP 3
#define RF_LIFE_OTHER 4
/* Rows and columns of the table of timeouts; powers of two. */
#define RF_LIVES 8
#define RF_CONN_STATES 4

/* ---- packets in fragments ---- */
/* How long later fragments are waited for; Linux puts none together after 30 s. */
#define RF_FRAGMENT_S 30
/* From then on one that is not complete gives way to another of its originator:
 * fragments of one packet are milliseconds apart. */
#define RF_FRAGMENT_YIELD_MS 200

/* ---- extension headers of an IPv6 packet (RFC 8504 5.3 asks for a limit) ---- */
#define RF_EXTENSIONS 8
/* With the IP header, the longest TCP header and an error's own, it fits an ICMPv6
 * error, so that an error tells of which flow it is. */
#define RF_EXTENSION_BYTES 1024

#endif
