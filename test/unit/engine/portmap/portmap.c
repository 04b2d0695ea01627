#include "engine/portmap/portmap.h"

#include <stdio.h>
#include <string.h>

#include "kit/kit.h"
#include "wire/natpmp.h"
#include "wire/pcp.h"

enum { PORT = 41641 };

struct bench {
	struct portmap *p;
	struct mono now;
	unsigned changes;
	struct addrport gateway;
	struct portmap_datagram last; /* that was sent */
};

static void on_change(void *arg)
{
	((struct bench *)arg)->changes++;
}

static void set_up(struct bench *b)
{
	struct portmap_conf conf = { .rng = rng_seeded(1), .on_change = on_change, .arg = b };

	*b = (struct bench){ .now = { 1000000000 },
			     .gateway = { ip_v4(192, 168, 1, 1), NATPMP_PORT } };
	b->p = portmap_create(&conf);
	portmap_set_gateway(b->p, b->gateway.ip, ip_v4(192, 168, 1, 10), PORT);
}

/* How many datagrams are waiting to leave; the last one is kept. */
static unsigned sent(struct bench *b)
{
	unsigned n = 0;

	while (portmap_next_datagram(b->p, &b->last)) {
		CHECK(addrport_equal(b->last.to, b->gateway));
		n++;
	}
	return n;
}

static void pass(struct bench *b, int64_t ms)
{
	struct mono end = mono_add_ms(b->now, ms);

	while (mono_reached(end, portmap_deadline(b->p))) {
		b->now = portmap_deadline(b->p);
		portmap_tick(b->p, b->now);
	}
	b->now = end;
}

static void answer(struct bench *b, const char *hex)
{
	portmap_input(b->p, b->now, b->gateway, kit_hex(hex));
}

static const char *mapped(struct bench *b)
{
	static char text[ADDRPORT_TEXT_MAX];
	struct addrport at;

	return portmap_mapped(b->p, &at) ? addrport_format(at, text) : "";
}

static void map_by_pmp(struct bench *b)
{
	portmap_want(b->p, b->now);
	CHECK_INT(sent(b), 2);
	answer(b, "0080000000000064"
		  "0b000005");
	pass(b, 250);
	CHECK_INT(sent(b), 2);
	CHECK_INT(b->last.n, NATPMP_MAP_REQUEST_LEN);
	answer(b, "0081000000000064"
		  "a2a9"
		  "1388"
		  "00001c20");
}

TEST(portmap_asks_only_private_gateways)
{
	struct bench b;

	set_up(&b);
	portmap_set_gateway(b.p, ip_v4(11, 0, 0, 1), ip_v4(11, 0, 0, 10), PORT);
	portmap_want(b.p, b.now);
	CHECK_INT(sent(&b), 0);
	portmap_set_gateway(b.p, (struct ip){ 0 }, (struct ip){ 0 }, PORT);
	portmap_want(b.p, b.now);
	CHECK_INT(sent(&b), 0);
	CHECK_INT(portmap_deadline(b.p).ns, MONO_NEVER.ns);
	portmap_destroy(b.p);
}

TEST(portmap_by_natpmp)
{
	struct bench b;

	set_up(&b);
	map_by_pmp(&b);
	CHECK_STR(mapped(&b), "11.0.0.5:5000");
	CHECK(portmap_services(b.p).pmp && !portmap_services(b.p).pcp);
	CHECK_INT(b.changes, 2); /* what it can do, and the mapping */
	/* Nothing more until half its life is over. */
	pass(&b, 3599000);
	CHECK_INT(sent(&b), 0);
	portmap_want(b.p, b.now);
	CHECK_INT(sent(&b), 0);
	pass(&b, 1000);
	CHECK_INT(sent(&b), 2);
	CHECK(bytes_equal(bytes_of(b.last.bytes, b.last.n), kit_hex("00010000a2a9138800001c20")));
	answer(&b, "0081000000000e74"
		   "a2a9"
		   "1388"
		   "00001c20");
	CHECK_STR(mapped(&b), "11.0.0.5:5000");
	CHECK_INT(b.changes, 2);
	portmap_destroy(b.p);
}

TEST(portmap_by_pcp_when_only_that_answers)
{
	struct pcp_response r;
	struct bench b;
	uint8_t reply[PCP_MAP_LEN];

	set_up(&b);
	portmap_want(b.p, b.now);
	CHECK_INT(sent(&b), 2);
	answer(&b, "028000000000000000000007000000000000000000000000");
	pass(&b, 250);
	CHECK_INT(sent(&b), 1);
	CHECK_INT(b.last.n, PCP_MAP_LEN);
	memcpy(reply, b.last.bytes, sizeof(reply));
	reply[1] |= 0x80;
	memcpy(reply + 42, "\x13\x88", 2);
	memcpy(reply + 56, "\x0b\0\0\x05", 4);
	reply[30] ^= 1; /* not our nonce */
	portmap_input(b.p, b.now, b.gateway, bytes_of(reply, sizeof(reply)));
	CHECK_STR(mapped(&b), "");
	reply[30] ^= 1;
	CHECK(pcp_response_decode(&r, bytes_of(reply, sizeof(reply))));
	portmap_input(b.p, b.now, b.gateway, bytes_of(reply, sizeof(reply)));
	CHECK_STR(mapped(&b), "11.0.0.5:5000");
	portmap_destroy(b.p);
}

TEST(portmap_goes_on_to_pcp_when_natpmp_refuses)
{
	struct bench b;

	set_up(&b);
	portmap_want(b.p, b.now);
	(void)sent(&b);
	answer(&b, "008000000000006400000000");
	answer(&b, "028000000000000000000007000000000000000000000000");
	CHECK_INT(sent(&b), 2); /* both are there: no need to wait */
	answer(&b, "0081000200000064");
	CHECK_INT(sent(&b), 1);
	CHECK_INT(b.last.n, PCP_MAP_LEN);
	pass(&b, 6000);
	CHECK_STR(mapped(&b), "");
	portmap_destroy(b.p);
}

TEST(portmap_silence_is_remembered_for_a_while)
{
	struct bench b;

	set_up(&b);
	portmap_want(b.p, b.now);
	CHECK_INT(sent(&b), 2);
	pass(&b, 250);
	CHECK(portmap_services(b.p).checked);
	CHECK_INT(b.changes, 1);
	pass(&b, 4000);
	portmap_want(b.p, b.now);
	CHECK_INT(sent(&b), 0);
	pass(&b, 1000);
	portmap_want(b.p, b.now);
	CHECK_INT(sent(&b), 2);
	portmap_destroy(b.p);
}

TEST(portmap_believes_only_the_gateway)
{
	struct addrport other = { ip_v4(192, 168, 1, 2), NATPMP_PORT };
	struct bench b;

	set_up(&b);
	answer(&b, "0081000000000064"
		   "a2a9"
		   "1388"
		   "00001c20"); /* nobody asked */
	CHECK_STR(mapped(&b), "");
	portmap_want(b.p, b.now);
	(void)sent(&b);
	portmap_input(b.p, b.now, other, kit_hex("00800000000000640b000005"));
	other = (struct addrport){ b.gateway.ip, 1 };
	portmap_input(b.p, b.now, other, kit_hex("00800000000000640b000005"));
	pass(&b, 250);
	CHECK(!portmap_services(b.p).pmp);
	portmap_destroy(b.p);
}

TEST(portmap_refuses_useless_grants)
{
	static const char *const addresses[] = { "00000000", "7f000001", "e0000001", "64400001",
						 "a9fe0001" };
	static const char *const maps[] = { "a2aa138800001c20",   /* another port of ours */
					    "a2a9000000001c20",   /* port 0 */
					    "a2a913880000003b" }; /* for 59 seconds */
	struct bench b;
	char hex[64];

	for (size_t i = 0; i < 8; i++) {
		const char *address = i < 5 ? addresses[i] : "0b000005";
		const char *map = i < 5 ? "a2a9138800001c20" : maps[i - 5];

		set_up(&b);
		portmap_want(b.p, b.now);
		(void)snprintf(hex, sizeof(hex), "0080000000000064%s", address);
		answer(&b, hex);
		pass(&b, 250);
		(void)snprintf(hex, sizeof(hex), "0081000000000064%s", map);
		answer(&b, hex);
		CHECK_STR(mapped(&b), "");
		pass(&b, 10000);
		CHECK_STR(mapped(&b), "");
		portmap_destroy(b.p);
	}
}

TEST(portmap_lost_mapping_ends)
{
	struct bench b;

	set_up(&b);
	map_by_pmp(&b);
	pass(&b, 7199000);
	CHECK_STR(mapped(&b), "11.0.0.5:5000");
	CHECK(sent(&b) <= 4);
	pass(&b, 6000);
	CHECK_STR(mapped(&b), "");
	CHECK_INT(b.changes, 3);
	portmap_destroy(b.p);
}

TEST(portmap_another_network)
{
	struct bench b;

	set_up(&b);
	map_by_pmp(&b);
	/* The same addresses, but nobody confirms. */
	portmap_rebind(b.p, b.now);
	CHECK_INT(sent(&b), 2);
	CHECK_STR(mapped(&b), "11.0.0.5:5000");
	pass(&b, 6000);
	CHECK_STR(mapped(&b), "");
	portmap_destroy(b.p);
	/* Other addresses. */
	set_up(&b);
	map_by_pmp(&b);
	portmap_set_gateway(b.p, ip_v4(10, 0, 0, 1), ip_v4(10, 0, 0, 9), PORT);
	CHECK_STR(mapped(&b), "");
	CHECK_INT(b.changes, 3);
	CHECK(!portmap_services(b.p).checked);
	portmap_destroy(b.p);
}

TEST(portmap_gateway_that_restarted)
{
	struct bench b;

	set_up(&b);
	map_by_pmp(&b);
	pass(&b, 3600000);
	(void)sent(&b);
	/* Its clock began anew and it hands out another port. */
	answer(&b, "0080000000000001"
		   "0b000005");
	CHECK_STR(mapped(&b), "");
	answer(&b, "0081000000000001"
		   "a2a9"
		   "1389"
		   "00001c20");
	CHECK_STR(mapped(&b), "11.0.0.5:5001");
	portmap_destroy(b.p);
}

TEST(portmap_gives_back)
{
	struct bench b;

	set_up(&b);
	map_by_pmp(&b);
	portmap_release(b.p);
	CHECK_INT(sent(&b), 1);
	CHECK(bytes_equal(bytes_of(b.last.bytes, b.last.n), kit_hex("00010000a2a9000000000000")));
	CHECK_STR(mapped(&b), "");
	portmap_release(b.p);
	CHECK_INT(sent(&b), 0);
	portmap_destroy(b.p);
}
