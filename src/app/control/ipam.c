#include "app/control/ipam.h"

#include <stddef.h>

enum {
	FIRST = 0x64400001, /* 100.64.0.1 */
	LAST = 0x647ffffe,  /* 100.127.255.254 */
};

/* ChromeOS uses 100.115.92.0/23; clients answer DNS on 100.100.100.100 and keep its neighbours. */
static const struct {
	uint32_t first, last;
} taken[] = {
	{ 0x64640000, 0x646400ff }, /* 100.100.0.0/24 */
	{ 0x64646400, 0x646464ff }, /* 100.100.100.0/24 */
	{ 0x64735c00, 0x64735dff }, /* 100.115.92.0/23 */
};

static bool is_taken(uint32_t a, uint32_t *skip_to)
{
	for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++)
		if (a >= taken[i].first && a <= taken[i].last) {
			*skip_to = taken[i].last + 1;
			return true;
		}
	return false;
}

struct ip ipam_v6_of(struct ip v4)
{
	static const uint8_t ula[6] = { 0xfd, 0x7a, 0x11, 0x5c, 0xa1, 0xe0 };
	uint8_t b[16] = { 0 };

	for (size_t i = 0; i < sizeof(ula); i++)
		b[i] = ula[i];
	for (size_t i = 0; i < 4; i++)
		b[12 + i] = v4.b[i];
	return ip_v6_of(b);
}

bool ipam_is_ours(struct ip ip)
{
	uint32_t skip;

	if (ip.family != 4)
		return false;
	return ip_v4_u32(ip) >= FIRST && ip_v4_u32(ip) <= LAST && !is_taken(ip_v4_u32(ip), &skip);
}

bool ipam_next(uint32_t *cursor, bool (*is_used)(void *arg, struct ip v4), void *arg, struct ip *v4,
	       struct ip *v6)
{
	uint32_t a = *cursor < FIRST || *cursor >= LAST ? FIRST : *cursor + 1;

	for (uint32_t tries = 0; tries <= LAST - FIRST + 1; tries++) {
		uint32_t skip_to;

		if (a > LAST)
			a = FIRST;
		if (is_taken(a, &skip_to)) {
			a = skip_to;
			continue;
		}
		if (!is_used(arg, ip_v4_of(a))) {
			*cursor = a;
			*v4 = ip_v4_of(a);
			*v6 = ipam_v6_of(*v4);
			return true;
		}
		a++;
	}
	return false;
}
