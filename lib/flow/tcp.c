/* SPDX-License-Identifier: BSD-3-Clause */
/* TCP as a gateway sees it: enough to know how long an entry has to wait. */
#include "sl_flow.h"

#define FIN 1
#define SYN 2
#define RST 4
#define ACK 16
#define STATE SL_FLOW_TCP_STATE
#define FINS (SL_FLOW_TCP_FIN_I | SL_FLOW_TCP_FIN_R)
#define PROTO_ICMP 1
#define PROTO_TCP 6
#define PROTO_UDP 17
#define PROTO_ICMPV6 58

static bool
closed(const struct sl_flow *f)
{
	return f->tcp & SL_FLOW_TCP_RST || (f->tcp & FINS) == FINS;
}

bool
sl_flow_tcp(struct sl_flow *f, uint8_t tcp_flags, bool from_initiator)
{
	unsigned state = f->tcp & STATE;

	if ((tcp_flags & (SYN | ACK | FIN | RST)) == SYN && closed(f)) {
		f->tcp = SL_FLOW_TCP_NEW;
		return true;
	}
	/* the answers of a flow whose begin was not seen let no connection in */
	if ((tcp_flags & (SYN | ACK)) == SYN && !from_initiator && f->flags & SL_FLOW_MIDSTREAM) {
		f->tcp = SL_FLOW_TCP_NEW;
		return true;
	}
	if (tcp_flags & RST) {
		f->tcp |= SL_FLOW_TCP_RST;
		return false;
	}
	if (state == SL_FLOW_TCP_NEW && !from_initiator) {
		if (f->flags & SL_FLOW_MIDSTREAM)
			state = SL_FLOW_TCP_EST;
		else if (tcp_flags & SYN) /* with ACK, or both sides open at once */
			state = SL_FLOW_TCP_REPLIED;
	} else if (state == SL_FLOW_TCP_REPLIED && from_initiator && tcp_flags & ACK) {
		state = SL_FLOW_TCP_EST;
	}
	f->tcp = (uint8_t)((f->tcp & ~STATE) | state);
	if (tcp_flags & FIN)
		f->tcp |= from_initiator ? SL_FLOW_TCP_FIN_I : SL_FLOW_TCP_FIN_R;
	return false;
}

uint32_t
sl_flow_idle(const struct sl_flow *f)
{
	if (!sl_flow_passes(f))
		return SL_FLOW_IDLE_DENIED;
	switch (f->key.proto) {
	case PROTO_TCP:
		return closed(f)			     ? SL_FLOW_IDLE_CLOSED
		       : (f->tcp & STATE) == SL_FLOW_TCP_EST ? SL_FLOW_IDLE_TCP_EST
							     : SL_FLOW_IDLE_TCP;
	case PROTO_UDP:
		return SL_FLOW_IDLE_UDP;
	case PROTO_ICMP:
	case PROTO_ICMPV6:
		return SL_FLOW_IDLE_ICMP;
	default:
		return SL_FLOW_IDLE_OTHER;
	}
}
