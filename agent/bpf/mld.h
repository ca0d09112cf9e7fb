/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* What multicast listeners and their routers say (RFC 2710, RFC 3810). */
#ifndef RINGFENCE_MLD_H
#define RINGFENCE_MLD_H

#include "packet.h"

#define RF_MLD_QUERY 130
#define RF_MLD_REPORT 131
#define RF_MLD_DONE 132
#define RF_MLD2_REPORT 143

/* Whether it is multicast listener discovery, which never leaves its link. */
static __always_inline int rf_is_mld(const struct rf_pkt *pkt)
{
	return pkt->is_v6 && pkt->l4_proto == RF_IPPROTO_ICMPV6 && pkt->ttl == 1;
}

/* Whether a listener says it. */
static __always_inline int rf_reports_listening(const struct rf_pkt *pkt)
{
	return rf_is_mld(pkt) &&
	       (pkt->icmp_type == RF_MLD_REPORT || pkt->icmp_type == RF_MLD_DONE ||
		pkt->icmp_type == RF_MLD2_REPORT);
}

#endif
