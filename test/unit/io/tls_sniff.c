#include "io/tls_sniff.h"

#include <unistd.h>

#include "io/loop.h"
#include "io/stream.h"
#include "kit/kit.h"

struct seen {
	struct stream *s;
	bool tls;
	struct buf data;
};

static void on_data(void *arg, struct bytes data)
{
	(void)buf_append(&((struct seen *)arg)->data, data);
}

static void on_stream(void *arg, struct stream *s, struct addrport peer, bool tls)
{
	static const struct stream_up up = { .on_data = on_data };
	struct seen *seen = arg;

	CHECK(peer.port == 7);
	seen->s = s;
	seen->tls = tls;
	stream_set_up(s, &up, seen);
}

/* What the other side sends first, and then more. */
static struct seen sniffed(const char *first, size_t n, unsigned waiting_ms)
{
	struct seen seen = { 0 };
	struct tls_sniff_conf conf = { .waiting_ms = waiting_ms,
				       .on_stream = on_stream,
				       .arg = &seen };
	struct loop *loop = loop_create(NULL);
	struct tls_sniff *t = tls_sniff_create(loop, &conf);
	struct stream *a, *b;

	buf_init(&seen.data, 1000);
	stream_pair(loop, &a, &b);
	tls_sniff_add(t, b, (struct addrport){ ip_v4(192, 0, 2, 1), 7 });
	for (int i = 0; i < 5; i++)
		loop_turn(loop, false);
	stream_send(a, bytes_of(first, n));
	for (int i = 0; i < 5; i++)
		loop_turn(loop, false);
	stream_send(a, bytes_str("more"));
	for (int i = 0; i < 5; i++)
		loop_turn(loop, false);
	stream_destroy(a);
	stream_destroy(seen.s);
	tls_sniff_destroy(t);
	loop_turn(loop, false);
	loop_destroy(loop);
	return seen;
}

TEST(the_first_byte_tells_and_is_not_lost)
{
	struct seen seen = sniffed("\x16\x03\x01", 3, 0);

	CHECK(seen.s && seen.tls &&
	      bytes_equal(buf_bytes(&seen.data), bytes_str("\x16\x03\x01more")));
	buf_fini(&seen.data);
	seen = sniffed("GET / HTTP/1.1\r\n", 16, 0);
	CHECK(seen.s && !seen.tls &&
	      bytes_equal(buf_bytes(&seen.data), bytes_str("GET / HTTP/1.1\r\nmore")));
	buf_fini(&seen.data);
}

static void on_close(void *arg, const struct err *why)
{
	(void)why;
	*(bool *)arg = true;
}

TEST(who_says_nothing_is_dropped)
{
	static const struct stream_up up = { .on_close = on_close };
	bool a_closed = false, c_closed = false;
	struct tls_sniff_conf conf = { .waiting_ms = 1, .waiting_max = 1, .on_stream = on_stream };
	struct loop *loop = loop_create(NULL);
	struct tls_sniff *t = tls_sniff_create(loop, &conf);
	struct stream *a, *b, *c, *d;

	stream_pair(loop, &a, &b);
	stream_pair(loop, &c, &d);
	stream_set_up(a, &up, &a_closed);
	stream_set_up(c, &up, &c_closed);
	tls_sniff_add(t, b, (struct addrport){ .port = 7 });
	tls_sniff_add(t, d, (struct addrport){ .port = 7 }); /* one too many: closed at once */
	for (int ms = 0; ms < 2000 && !(a_closed && c_closed); ms++) {
		loop_turn(loop, false);
		(void)usleep(1000);
	}
	CHECK(a_closed && c_closed);
	stream_destroy(a);
	stream_destroy(c);
	tls_sniff_destroy(t);
	loop_turn(loop, false);
	loop_destroy(loop);
}
