/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* Limits and protocol numbers, each with its reason. */
#ifndef RINGFENCE_CONSTS_H
#define RINGFENCE_CONSTS_H

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
/* One row a device of this host. */
#define RF_PASSED 8192
#define RF_DROPS 65536

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

/* ---- the domain word: bits 0-31 epoch, bit 32 slot ---- */
#define RF_WORD_SLOT_SHIFT 32

#define RF_VNI_TRANSIT 1

/* Bits of a key before its address. */
#define RF_PREFIX_FIXED_BITS 64
#define RF_SUBNET_FIXED_BITS 32

/* ---- verdict bits of a run ---- */
#define RF_ALLOW_FROM 1
#define RF_ALLOW_TO 2

/* ---- connection timeouts, nanoseconds ---- */
#define RF_SECOND_NS 1000000000ULL
#define RF_TIMEOUT_OPENING_NS (60 * RF_SECOND_NS)
/* RFC 5382 REQ-5: not less than 2 h 4 min. */
#define RF_TIMEOUT_TCP_NS (7440 * RF_SECOND_NS)
#define RF_TIMEOUT_CLOSING_NS (120 * RF_SECOND_NS)
#define RF_TIMEOUT_CLOSED_NS (10 * RF_SECOND_NS)
/* RFC 4787 REQ-5: not less than 2 min. */
#define RF_TIMEOUT_ANSWERED_NS (180 * RF_SECOND_NS)

#endif
