/*
 * Two clients with fresh keys join the relay: the first finds out whether the way there works, the
 * second lets packets travel through. Each step prints one line; a failed one says what to look at.
 */
#include "app/relay/relay_check.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/err.h"
#include "base/mem.h"
#include "base/rand.h"
#include "base/text.h"
#include "crypto/keytext.h"
#include "crypto/x25519.h"
#include "io/file.h"
#include "io/loop.h"
#include "io/resolve.h"
#include "io/sockaddr.h"
#include "io/tls.h"
#include "part/derp_client.h"
#include "wire/stun.h"

enum {
	STEP_MS = 10000,
	STUN_MS = 500,
	STUN_TRIES = 4,
	PINGS = 5,
	BULK_BYTES = 1400,
	BULK_BURST = 32,
	PORT_TLS = 443,
	PORT_PLAIN = 3340,
};

struct check;

struct end {
	struct check *check;
	struct derp_client *client;
	struct secret32 priv;
	struct key key;
	bool up, down, pong;
	uint64_t packets, bytes;
	struct err why;
};

struct check {
	const struct relay_check_options *o;
	struct loop *loop;
	struct tls_ctx *tls;
	char host[256];
	uint16_t port;
	struct addrport addrs[RESOLVE_MAX];
	size_t addr_count;
	bool resolved, expired;
	struct err why;
	struct end a, b;
	struct io_timer timer;
	unsigned failed;
};

__attribute__((format(printf, 3, 4))) static void say(struct check *c, bool ok, const char *fmt,
						      ...)
{
	va_list ap;

	c->failed += !ok;
	(void)fputs(ok ? "ok    " : "FAIL  ", stdout);
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	(void)fputc('\n', stdout);
	(void)fflush(stdout);
}

static void hint(const char *text)
{
	(void)printf("      %s\n", text);
}

static void on_timer(struct io_timer *t)
{
	container_of(t, struct check, timer)->expired = true;
}

/* Turns the loop until *done or the time is up. */
static bool wait_for(struct check *c, const bool *done, const bool *failed, int ms)
{
	c->expired = false;
	io_timer_in_ms(c->loop, &c->timer, ms);
	while (!*done && !(failed && *failed) && !c->expired)
		loop_turn(c->loop, true);
	io_timer_stop(&c->timer);
	return *done;
}

/* ---- DNS ---- */

static void on_addresses(void *arg, const struct addrport *to, size_t n, const struct err *err)
{
	struct check *c = arg;

	c->resolved = true;
	c->addr_count = n;
	if (n)
		memcpy(c->addrs, to, n * sizeof(*to));
	else
		c->why = *err;
}

static bool check_dns(struct check *c)
{
	char text[IP_TEXT_MAX];
	struct resolve *r;
	const char *name = c->o->ip ? c->o->ip : c->host;

	r = resolve_start(c->loop, name, c->port, on_addresses, c);
	if (!wait_for(c, &c->resolved, NULL, STEP_MS)) {
		resolve_cancel(r);
		say(c, false, "DNS: no answer for %s in %d s", name, STEP_MS / 1000);
		return false;
	}
	if (!c->addr_count) {
		say(c, false, "DNS: %s", c->why.text);
		hint("the relay's name must have an A or AAAA record; --ip goes around DNS");
		return false;
	}
	for (size_t i = 0; i < c->addr_count; i++)
		say(c, true, "DNS: %s is %s", name, ip_format(c->addrs[i].ip, text));
	return true;
}

/* ---- TLS, upgrade, greeting ---- */

static void on_up(void *arg)
{
	((struct end *)arg)->up = true;
}

static void on_pong(void *arg, const uint8_t data[DERP_PING_LEN])
{
	(void)data;
	((struct end *)arg)->pong = true;
}

static void on_packet(void *arg, const struct key *from, struct bytes pkt)
{
	struct end *e = arg;

	(void)from;
	e->packets++;
	e->bytes += pkt.n;
}

static void on_down(void *arg, const struct err *why)
{
	struct end *e = arg;

	e->down = true;
	e->why = *why;
}

static void dial(struct check *c, struct end *e, struct addrport to)
{
	struct derp_client_conf conf = {
		.host = c->host,
		.port = c->port,
		.tls = c->tls,
		.app = "weft-relay check",
		.prober = true,
		.private_key = &e->priv,
		.queue_bytes = 1 << 20,
		.on_up = on_up,
		.on_pong = on_pong,
		.on_packet = on_packet,
		.on_down = on_down,
		.arg = e,
	};

	*(to.ip.family == 4 ? &conf.ip4 : &conf.ip6) = to.ip;
	e->check = c;
	e->up = e->down = false;
	x25519_public(e->key.b, &e->priv);
	e->client = derp_client_create(c->loop, &conf);
}

/* What to look at, by where it stopped. */
static void explain(const struct check *c, const struct err *why)
{
	if (strstr(why->text, "refused") && strstr(why->text, "connect"))
		hint("nothing listens on that port, or a firewall says no");
	else if (strstr(why->text, "no answer") || strstr(why->text, "no connection"))
		hint("packets get lost on the way: a firewall drops them, or the address is wrong");
	else if (strstr(why->text, "does not speak TLS"))
		hint("the port speaks no TLS: is --plain meant, or is this another service?");
	else if (strstr(why->text, "TLS") || strstr(why->text, "certificate"))
		hint("clients refuse such a certificate; --ca FILE or --pin HEX for your own, and "
		     "the "
		     "same in the relay's map entry");
	else if (strstr(why->text, "status"))
		hint("something in front of the relay answers HTTP itself: a proxy must pass "
		     "'Upgrade: DERP' through, offer HTTP/1.1 only, and not buffer");
	else if (strstr(why->text, "not admitted"))
		hint("the way there works; the relay admits known nodes only: --node-key FILE with "
		     "the key of one checks the rest");
	else if (!c->tls && strstr(why->text, "closed the connection"))
		hint("the port may expect TLS: drop --plain");
	else if (c->tls && strstr(why->text, "HTTP where DERP"))
		hint("the certificate names a relay that is not there any more");
}

static bool check_way(struct check *c, struct end *e, struct addrport to, bool talk)
{
	char text[ADDRPORT_TEXT_MAX], hex[TEXT_HEX_LEN(32) + 1];
	struct derp_client_stats st;

	dial(c, e, to);
	(void)wait_for(c, &e->up, &e->down, STEP_MS + 2000);
	addrport_format((struct addrport){ to.ip, c->port }, text);
	if (!e->up) {
		say(c, false, "%s: %s", text, e->down ? e->why.text : "no greeting in time");
		explain(c, &e->why);
		return false;
	}
	if (!talk)
		return true;
	derp_client_stats(e->client, &st);
	text_hex(bytes_of(derp_client_relay_key(e->client)->b, 32), hex);
	if (c->tls)
		say(c, true, "%s: TCP %d ms, TLS %d ms, DERP %d ms%s", text, (int)st.dial_ms,
		    (int)(st.tls_ms - st.dial_ms), (int)(st.up_ms - st.tls_ms),
		    derp_client_was_fast(e->client) ? ", fast start" : ", no fast start");
	else
		say(c, true, "%s: TCP %d ms, DERP %d ms, no TLS", text, (int)st.dial_ms,
		    (int)(st.up_ms - st.dial_ms));
	say(c, true, "%s: relay key %s", text, hex);
	return true;
}

static bool check_ping(struct check *c)
{
	struct mono start;
	double best = 1e9;

	for (int i = 0; i < PINGS; i++) {
		double ms;

		c->a.pong = false;
		start = mono_now();
		derp_client_ping(c->a.client, (const uint8_t *)"weftping");
		if (!wait_for(c, &c->a.pong, &c->a.down, 3000)) {
			say(c, false, "ping: no answer in 3 s");
			return false;
		}
		ms = (double)(mono_now().ns - start.ns) / 1e6;
		best = ms < best ? ms : best;
	}
	say(c, true, "ping: %.2f ms, the best of %d", best, PINGS);
	return true;
}

/* ---- STUN ---- */

static bool ask_stun(struct check *c, struct addrport to, double *ms, struct addrport *seen)
{
	struct sockaddr_storage sa;
	socklen_t len = sockaddr_of(to, &sa);
	struct timeval tv = { 0, STUN_MS * 1000 };
	int fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct rng rng = rng_system();
	struct stun_txid txid, got;
	uint8_t out[STUN_REQUEST_LEN], in[256];
	bool ok = false;

	(void)c;
	if (fd < 0 || connect(fd, (struct sockaddr *)&sa, len) < 0) {
		if (fd >= 0)
			(void)close(fd);
		return false;
	}
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv));
	for (int i = 0; i < STUN_TRIES && !ok; i++) {
		struct mono start = mono_now();
		ssize_t n;

		rng.fill(&rng, txid.b, sizeof(txid.b));
		if (send(fd, out, stun_request_encode(out, &txid), 0) < 0)
			continue;
		n = recv(fd, in, sizeof(in), 0);
		ok = n > 0 && stun_response_decode(bytes_of(in, (size_t)n), &got, seen) &&
		     memcmp(&got, &txid, sizeof(txid)) == 0;
		*ms = (double)(mono_now().ns - start.ns) / 1e6;
	}
	(void)close(fd);
	return ok;
}

static void check_stun(struct check *c, struct ip ip)
{
	struct addrport to = { ip, (uint16_t)c->o->stun_port }, seen = { 0 };
	char text[ADDRPORT_TEXT_MAX], saw[ADDRPORT_TEXT_MAX];
	double ms = 0;

	addrport_format(to, text);
	if (ask_stun(c, to, &ms, &seen)) {
		say(c, true, "STUN %s: %.2f ms, it saw us as %s", text, ms,
		    addrport_format(seen, saw));
		return;
	}
	say(c, false, "STUN %s: no answer to %d requests", text, STUN_TRIES);
	hint("UDP to that port must reach the relay on the same address as TCP; nodes choose their "
	     "home relay by it");
}

/* ---- throughput ---- */

static void check_throughput(struct check *c)
{
	static const uint8_t bulk[BULK_BYTES] = { 4 };
	struct mono start = mono_now(), end = mono_add_s(start, c->o->seconds);
	uint64_t sent = 0;
	double seconds;

	while (!mono_reached(mono_now(), end) && !c->a.down && !c->b.down) {
		struct derp_client_stats st;

		derp_client_stats(c->a.client, &st);
		for (int i = 0; i < BULK_BURST && st.queued_bytes < 512 << 10; i++)
			sent +=
			    derp_client_send(c->a.client, &c->b.key, bytes_of(bulk, sizeof(bulk)));
		io_timer_in_ms(c->loop, &c->timer, 1);
		loop_turn(c->loop, derp_client_queued(c->a.client) > 64 << 10);
	}
	seconds = (double)(mono_now().ns - start.ns) / 1e9;
	if (c->a.down || c->b.down || !c->b.packets) {
		say(c, false, "throughput: %s",
		    c->a.down   ? c->a.why.text
		    : c->b.down ? c->b.why.text
				: "nothing arrived");
		return;
	}
	say(c, true, "throughput: %.1f Mbit/s through the relay, %d of %d packets arrived",
	    (double)c->b.bytes * 8 / seconds / 1e6, (int)c->b.packets, (int)sent);
}

/* ---- all of it ---- */

static int load_keys(struct check *c, struct err *err)
{
	struct rng rng = rng_system();
	struct buf text;
	bool ok;

	x25519_generate(&c->a.priv, &rng);
	x25519_generate(&c->b.priv, &rng);
	if (!c->o->key)
		return 0;
	if (file_read(c->o->key, 4096, &text, err) < 0)
		return -1;
	ok = keytext_parse_private(&c->a.priv, text_trim(buf_bytes(&text)));
	secret_wipe(text.p, text.n);
	buf_fini(&text);
	/* One admitted key is enough: what it sends to itself comes back. */
	c->b.priv = c->a.priv;
	return ok ? 0 : err_set(err, ERR_USAGE, "%s is not privkey: and 64 hex digits", c->o->key);
}

static int prepare(struct check *c, const char *host, struct err *err)
{
	struct tls_client_conf tc = { .ca_file = c->o->ca,
				      .insecure = c->o->insecure,
				      .alpn = "http/1.1" };

	if (relay_parse_host(host, c->o->plain ? PORT_PLAIN : PORT_TLS, c->host, &c->port, err) < 0)
		return -1;
	if (c->o->pin && !text_unhex(bytes_str(c->o->pin), tc.pin_sha256, 32))
		return err_set(err, ERR_USAGE, "--pin takes 64 hex digits");
	if (load_keys(c, err) < 0)
		return -1;
	if (!c->o->plain) {
		c->tls = tls_ctx_client(&tc, err);
		if (!c->tls)
			return -1;
	}
	io_timer_init(&c->timer, on_timer);
	c->loop = loop_create(err);
	return c->loop ? 0 : -1;
}

static void check_all(struct check *c)
{
	struct addrport good = { 0 };

	if (!check_dns(c))
		return;
	for (size_t i = 0; i < c->addr_count; i++) {
		bool ok = check_way(c, &c->a, c->addrs[i], true);

		if (ok)
			good = c->addrs[i];
		if (!c->o->no_stun)
			check_stun(c, c->addrs[i].ip);
		if (ok && i + 1 == c->addr_count)
			break; /* the last one stays for what follows */
		derp_client_destroy(c->a.client);
		c->a.client = NULL;
	}
	if (!ip_is_valid(good.ip))
		return;
	if (!c->a.client && !check_way(c, &c->a, good, false))
		return;
	if (!check_ping(c) || c->o->no_throughput)
		return;
	if (check_way(c, &c->b, good, false))
		check_throughput(c);
}

int relay_check_run(const struct relay_check_options *o, const char *host_text)
{
	struct check *c = mem_alloc(sizeof(*c));
	struct err err;
	int ret = 2;

	c->o = o;
	if (prepare(c, host_text, &err) < 0) {
		(void)fprintf(stderr, "weft-relay check: %s\n", err.text);
	} else {
		check_all(c);
		ret = c->failed != 0;
		(void)printf("%s\n", ret ? "something is wrong, see above" : "all is well");
	}
	derp_client_destroy(c->a.client);
	derp_client_destroy(c->b.client);
	io_timer_stop(&c->timer);
	if (c->tls)
		tls_ctx_unref(c->tls);
	loop_destroy(c->loop);
	secret32_wipe(&c->a.priv);
	secret32_wipe(&c->b.priv);
	mem_free(c);
	return ret;
}
