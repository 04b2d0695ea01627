/* A hostile gateway: whatever it answers and whenever, our traffic and our beliefs stay bounded.
 * Input: byte 0 the length, byte 1 the time that passes, then the datagram; and again. */
#include "engine/portmap/portmap.h"

#include <stdlib.h>

#include "wire/natpmp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void on_change(void *arg)
{
	(void)arg;
}

/* No more than a handful of datagrams per second of virtual time and per answer. */
static unsigned drain(struct portmap *p)
{
	struct portmap_datagram d;
	unsigned n = 0;

	while (portmap_next_datagram(p, &d)) {
		if (!d.n || d.to.port != NATPMP_PORT)
			abort();
		n++;
	}
	return n;
}

static struct mono pass(struct portmap *p, struct mono now, struct mono end)
{
	for (unsigned i = 0; mono_reached(end, portmap_deadline(p)); i++) {
		struct mono next = portmap_deadline(p);

		if (i > 1000)
			abort(); /* it spins */
		now = next.ns > now.ns ? next : now;
		portmap_tick(p, now);
		if (drain(p) > 4)
			abort();
	}
	return end;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct portmap_conf conf = { .rng = rng_seeded(1), .on_change = on_change };
	struct addrport gateway = { ip_v4(10, 0, 0, 1), NATPMP_PORT }, at;
	struct reader r = reader_of(bytes_of(data, n));
	struct portmap *p = portmap_create(&conf);
	struct mono now = { 1 };

	portmap_set_gateway(p, gateway.ip, ip_v4(10, 0, 0, 2), 41641);
	while (reader_left(&r) > 2) {
		uint8_t len = read_u8(&r), time = read_u8(&r);
		struct bytes msg = read_bytes(&r, len < reader_left(&r) ? len : reader_left(&r));

		portmap_want(p, now);
		portmap_input(p, now, gateway, msg);
		if (drain(p) > 4)
			abort();
		if (portmap_mapped(p, &at) && (!at.port || at.ip.family != 4 || !at.ip.b[0]))
			abort();
		now = pass(p, now, mono_add_ms(now, (int64_t)time * time * 30));
	}
	portmap_destroy(p);
	return 0;
}
