#include "app/control/rate.h"

#include <string.h>

void rate_init(struct rate *r, unsigned per_minute)
{
	memset(r, 0, sizeof(*r));
	r->per_minute = per_minute;
}

static struct ip bucket_of(struct ip ip)
{
	ip = ip_unmap(ip);
	if (ip.family == 6)
		memset(ip.b + 8, 0, 8);
	return ip;
}

static unsigned slot_of(struct ip ip)
{
	unsigned h = 2166136261u;

	for (size_t i = 0; i < ip_len(ip); i++)
		h = (h ^ ip.b[i]) * 16777619u;
	return h % RATE_SLOTS;
}

bool rate_allow(struct rate *r, struct ip ip, struct mono now)
{
	unsigned at;

	ip = bucket_of(ip);
	at = slot_of(ip);
	/* Two addresses in one slot: the newer takes it. Losing a count is better than blocking a
	 * stranger. */
	if (!ip_equal(r->slots[at].ip, ip) || mono_since_ms(now, r->slots[at].since) >= 60000) {
		r->slots[at].ip = ip;
		r->slots[at].since = now;
		r->slots[at].n = 0;
	}
	return ++r->slots[at].n <= r->per_minute;
}
