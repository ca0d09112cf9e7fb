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
/* Interfaces of all domains this host takes part in; the bar is 50,000. */
#define RF_IFACES 65536
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
#define RF_CONNS 262144
/* One row a device of this host, near or far, from 1 on; 320 KiB a CPU. */
#define RF_PASSED 20481
#define RF_DROPS 65536
#define RF_AUDIT 65536
/* Both underlay addresses of every host, and as many prefixes again. */
#define RF_BUILTINS 32768

/* Packets in fragments that one originator may have under way; one does not send
 * more at once, since each of its CPUs sends the fragments of a packet in a row.
 * 2.5 KiB for each originator that fragments, of the accounts of all interfaces,
 * with what comes to them from outside apart. */
#define RF_FRAGS_EACH 32
#define RF_FRAGS (2 * RF_IFACES)

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

/* ---- tables of a profile, by what their numbers are ---- */
#define RF_TABLE_TCP 0	 /* destination port */
#define RF_TABLE_UDP 1	 /* destination port */
#define RF_TABLE_SCTP 2	 /* destination port */
#define RF_TABLE_ICMP 3	 /* type << 8 | code */
#define RF_TABLE_ICMP6 4 /* type << 8 | code */
#define RF_TABLE_OTHER 5 /* protocol */
#define RF_TABLES 6

/* ---- connection timeouts, seconds without a packet, by state ---- */
#define RF_TIMEOUT_OPENING_S 60
/* RFC 5382 REQ-5: not less than 2 h 4 min. */
#define RF_TIMEOUT_TCP_S 7440
#define RF_TIMEOUT_CLOSING_S 120
#define RF_TIMEOUT_CLOSED_S 10
/* RFC 4787 REQ-5: not less than 2 min. */
#define RF_TIMEOUT_ANSWERED_S 180

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
