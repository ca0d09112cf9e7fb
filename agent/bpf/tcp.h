/* SPDX-License-Identifier: BSD-2-Clause OR GPL-2.0-only */
/* The state of a TCP connection, by the flags that were seen from either side. */
#ifndef RINGFENCE_TCP_H
#define RINGFENCE_TCP_H

#include "packet.h"

#define RF_TCP_FIN 0x01
#define RF_TCP_SYN 0x02
#define RF_TCP_RST 0x04
#define RF_TCP_ACK 0x10

/*
 * Opening until both sides have acknowledged, whoever began and in whatever order:
 * what the destination answers alone proves nothing of who asked.
 *
 * A reset closes, whoever sent it: sequence numbers are not looked at. If both
 * sides go on afterwards, neither believed it, so it was a forgery or too late,
 * and the connection is as open as before.
 */
static __always_inline void rf_tcp_advance(struct rf_conn *conn, __u8 flags, __u32 side)
{
	__u8 both;

	if (flags & RF_TCP_RST) {
		conn->tcp_flags[0] &= ~RF_TCP_ACK;
		conn->tcp_flags[1] &= ~RF_TCP_ACK;
		conn->state = RF_CONN_CLOSED;
		return;
	}
	/* Not indexed by side: clang would OR it into a pointer, which the
	 * verifier refuses. */
	if (side)
		conn->tcp_flags[1] |= flags;
	else
		conn->tcp_flags[0] |= flags;
	both = conn->tcp_flags[0] & conn->tcp_flags[1];
	if (both & RF_TCP_FIN)
		conn->state = RF_CONN_CLOSED;
	else if (!(both & RF_TCP_ACK))
		return;
	else if ((conn->tcp_flags[0] | conn->tcp_flags[1]) & RF_TCP_FIN)
		conn->state = RF_CONN_CLOSING;
	else
		conn->state = RF_CONN_ESTABLISHED;
}

#endif
