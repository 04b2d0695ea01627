#include "wire/tsmp.h"

#include "wire/ipbuild.h"
#include "wire/ippkt.h"

/* The shortest message is a reject without flags: upstream drops everything below it unread. */
enum { MIN_LEN = 7 };

bool tsmp_decode(struct tsmp *m, struct bytes payload)
{
	struct reader r = reader_of(payload);

	*m = (struct tsmp){ 0 };
	if (payload.n < MIN_LEN)
		return false;
	m->type = (enum tsmp_type)read_u8(&r);
	switch (m->type) {
	case TSMP_REJECT:
		m->proto = read_u8(&r);
		m->reason = read_u8(&r);
		m->src_port = read_be16(&r);
		m->dst_port = read_be16(&r);
		if (reader_left(&r))
			m->flags = read_u8(&r);
		break;
	case TSMP_PING:
		read_copy(&r, m->data, sizeof(m->data));
		break;
	case TSMP_PONG:
		read_copy(&r, m->data, sizeof(m->data));
		/* Old nodes have no PeerAPI and end here. */
		if (reader_left(&r) >= 2)
			m->peerapi_port = read_be16(&r);
		break;
	case TSMP_DISCO:
		read_copy(&r, m->disco.b, sizeof(m->disco.b));
		break;
	default:
		return false;
	}
	return !r.bad;
}

size_t tsmp_encode(uint8_t packet[TSMP_PACKET_MAX], const struct tsmp *m, struct ip src,
		   struct ip dst)
{
	size_t head = ipbuild_header_len(src);
	struct writer w = writer_of(packet + head, TSMP_PACKET_MAX - head);

	write_u8(&w, (uint8_t)m->type);
	switch (m->type) {
	case TSMP_REJECT:
		write_u8(&w, m->proto);
		write_u8(&w, m->reason);
		write_be16(&w, m->src_port);
		write_be16(&w, m->dst_port);
		if (m->flags)
			write_u8(&w, m->flags);
		break;
	case TSMP_PING:
		write_copy(&w, m->data, sizeof(m->data));
		break;
	case TSMP_PONG:
		write_copy(&w, m->data, sizeof(m->data));
		write_be16(&w, m->peerapi_port);
		break;
	case TSMP_DISCO:
		write_copy(&w, m->disco.b, sizeof(m->disco.b));
		break;
	}
	return ipbuild_bare(packet, src, dst, IPPKT_TSMP, w.n);
}

const char *tsmp_reason_sentence(uint8_t reason)
{
	switch (reason) {
	case 'A':
		return "its rules do not allow it";
	case 'S':
		return "its shields are up";
	case 'F':
		return "IP forwarding is off there";
	case 'W':
		return "the host's own firewall drops it there";
	default:
		return "it did not say why";
	}
}
