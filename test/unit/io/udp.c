#include "io/udp.h"

#include <poll.h>

#include "base/err.h"
#include "kit/kit.h"

static void open_pair(struct udp *a, struct udp *b, bool no_gso, bool no_gro)
{
	struct udp_conf conf = {
		.family = 4, .bind = ip_v4(127, 0, 0, 1), .no_gso = no_gso, .no_gro = no_gro
	};
	struct err err;

	CHECK(udp_open(a, &conf, &err) == 0 && udp_open(b, &conf, &err) == 0);
	CHECK(a->port != 0 && a->port != b->port && b->rcvbuf > 0);
	CHECK(!no_gso || !a->gso);
	CHECK(!no_gro || !b->gro);
}

/* Datagrams of 100, the last of 40 bytes; each starts with its number. */
static void run_arrives(bool no_gso, bool no_gro, unsigned count)
{
	struct udp a, b;
	uint8_t data[200 * 100];
	struct udp_vector *v;
	struct addrport to;
	struct udp_run run;
	struct udp_run_result sent;
	unsigned got = 0;

	open_pair(&a, &b, no_gso, no_gro);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i / 100);
	to = (struct addrport){ ip_v4(127, 0, 0, 1), b.port };
	run = (struct udp_run){ .to = &to, .p = data, .n = (count - 1) * 100 + 40, .segment = 100 };
	sent = udp_send_run(&a, &run);
	CHECK(sent.sent == UDP_SENT && sent.datagrams == count && !sent.too_long);
	v = udp_vector_create(b.gro, 0);
	while (got < count) {
		struct pollfd p = { b.fd, POLLIN, 0 };
		int n;

		if (!CHECK(poll(&p, 1, 1000) == 1))
			break;
		n = udp_receive(&b, v);
		CHECK(n > 0);
		for (int i = 0; i < n; i++) {
			struct udp_slot *s = udp_vector_slot(v, (unsigned)i);

			CHECK(s->from.port == a.port && ip_is_loopback(s->from.ip));
			for (size_t at = 0; at < s->n; at += s->segment, got++) {
				size_t left = s->n - at;
				size_t n1 = left < s->segment ? left : s->segment;

				CHECK_INT(n1, got + 1 == count ? 40 : 100);
				CHECK(s->p[at] == got && s->p[at + n1 - 1] == got);
			}
		}
	}
	CHECK_INT(got, count);
	CHECK_INT(udp_receive(&b, v), 0);
	udp_vector_destroy(v);
	udp_close(&a);
	udp_close(&b);
}

TEST(runs_arrive_whole_with_and_without_offloads)
{
	for (int i = 0; i < 4; i++) {
		run_arrives(i & 1, i & 2, 1);
		run_arrives(i & 1, i & 2, 64);
		run_arrives(i & 1, i & 2, 150);
	}
}

TEST(a_long_super_datagram_is_sent_singly)
{
	struct udp a, b;
	struct addrport to;
	static uint8_t data[60000];
	struct udp_run_result r;

	open_pair(&a, &b, false, false);
	to = (struct addrport){ ip_v4(127, 0, 0, 1), b.port };
	r = udp_send_run(
	    &a,
	    &(struct udp_run){ .to = &to, .p = data, .n = 60000, .segment = 100, .no_gso = true });
	CHECK(r.sent == UDP_SENT && r.datagrams == 600);
	CHECK(udp_send(&a, &to, data, 1000) == UDP_SENT);
	CHECK(udp_send(&a, &to, data, 66000) == UDP_TOO_LONG);
	udp_close(&a);
	udp_close(&b);
}

TEST(a_socket_of_another_process_is_adopted)
{
	struct udp a, b, c;
	struct err err;

	open_pair(&a, &b, false, false);
	CHECK(udp_adopt(&c, a.fd, &err) == 0 && c.port == a.port && c.family == 4);
	CHECK(c.gso == a.gso && c.gro == a.gro);
	CHECK(udp_adopt(&c, 0, &err) < 0 && err.code == ERR_SYSTEM);
	udp_close(&a);
	udp_close(&b);
}
