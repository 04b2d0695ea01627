/* node/peerapi_at.c - see peerapi_at.h. */
#include "node/peerapi_at.h"

#include <stdio.h>

#include "wire/tailcfg_map.h"

/* CRC-32 (IEEE 802.3) of so few bytes that a table would be longer than the work. */
static uint32_t crc32_of(const uint8_t *p, size_t n)
{
	uint32_t crc = UINT32_MAX;

	for (size_t i = 0; i < n; i++) {
		crc ^= p[i];
		for (int bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
	}
	return ~crc;
}

uint16_t peerapi_port(struct ip ip, unsigned attempt)
{
	const uint8_t *last = ip.b + ip_len(ip) - 3;
	uint8_t tail[3] = { (uint8_t)(last[0] + attempt), last[1], last[2] };

	return (uint16_t)(0x8000 | crc32_of(tail, sizeof(tail)));
}

uint16_t peerapi_service(const struct tailcfg_node *n, const char *proto)
{
	for (size_t i = 0; n->hostinfo && i < n->hostinfo->services.n; i++) {
		const struct tailcfg_service *s = &n->hostinfo->services.v[i];

		if (bytes_equal_str(s->proto, proto))
			return s->port > 0 && s->port <= UINT16_MAX ? (uint16_t)s->port : 0;
	}
	return 0;
}

static const struct prefix *address_of(const struct tailcfg_node *n, uint8_t family)
{
	for (size_t i = 0; i < n->addresses.n; i++)
		if (n->addresses.v[i].addr.family == family)
			return &n->addresses.v[i];
	return NULL;
}

bool peerapi_of_family(const struct tailcfg_node *n, uint8_t family, struct addrport *out)
{
	uint16_t port = peerapi_service(n, family == 4 ? "peerapi4" : "peerapi6");
	const struct prefix *address = address_of(n, family);

	if (!port || !address)
		return false;
	*out = (struct addrport){ address->addr, port };
	return true;
}

bool peerapi_of(const struct tailcfg_node *self, const struct tailcfg_node *peer,
		struct addrport *out)
{
	bool four = address_of(self, 4) && address_of(peer, 4);

	return peerapi_of_family(peer, four ? 4 : 6, out);
}

const char *peerapi_url(struct addrport at, char out[PEERAPI_URL_MAX])
{
	char text[ADDRPORT_TEXT_MAX];

	(void)snprintf(out, PEERAPI_URL_MAX, "http://%s", addrport_format(at, text));
	return out;
}
