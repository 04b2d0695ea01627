/* The relay as a product: who is admitted, three relays in a mesh over TCP, what a person may say.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/relay/relay_admission.h"
#include "app/relay/relay_mesh.h"
#include "app/relay/relay_options.h"
#include "base/json.h"
#include "base/log.h"
#include "base/mem.h"
#include "derp_support.h"
#include "io/file.h"

#include "kit/kit.h"

static const struct log silent;

/* ---- options ---- */

TEST(relay_listen_addresses)
{
	struct addrport at;
	struct err err;

	CHECK(relay_parse_listen(":443", &at, &err) == 0 && at.port == 443 && !at.ip.family);
	CHECK(relay_parse_listen("80", &at, &err) == 0 && at.port == 80 && !at.ip.family);
	CHECK(relay_parse_listen("[::1]:1", &at, &err) == 0 && at.ip.family == 6);
	CHECK(relay_parse_listen("192.0.2.1:1", &at, &err) == 0 && at.ip.family == 4);
	CHECK(relay_parse_listen("relay.example.com:1", &at, &err) < 0);
	CHECK(err.code == ERR_USAGE && strstr(err.text, "relay.example.com:1"));
	CHECK(relay_parse_listen("65536", &at, &err) < 0);
}

TEST(relay_hosts)
{
	static const struct {
		const char *text, *host;
		int port; /* -1: refused */
	} cases[] = {
		{ "a.example", "a.example", 443 },
		{ "a.example:8443", "a.example", 8443 },
		{ "192.0.2.1:1", "192.0.2.1", 1 },
		{ "2001:db8::1", "2001:db8::1", 443 },
		{ "[2001:db8::1]", "2001:db8::1", 443 },
		{ "[2001:db8::1]:5", "2001:db8::1", 5 },
		{ "", "", -1 },
		{ "a:b", "", -1 },
		{ ":443", "", -1 },
	};
	char host[256];
	uint16_t port;
	struct err err;

	for (size_t i = 0; i < array_len(cases); i++) {
		int ret = relay_parse_host(cases[i].text, 443, host, &port, &err);

		CHECK_INT(ret == 0 ? port : -1, cases[i].port);
		if (ret == 0)
			CHECK_STR(host, cases[i].host);
	}
}

static bool refuses(struct relay_options o, const char *word)
{
	struct err err = { 0 };

	o.connections = o.memory_mib = o.handshakes = 1;
	o.queue_kib = o.queue_kib ? o.queue_kib : 512;
	return relay_options_check(&o, &err) < 0 && err.code == ERR_USAGE && strstr(err.text, word);
}

TEST(relay_options_that_make_no_sense)
{
	struct opt_list url = { { "ftp://x" }, 1 }, host = { { "x" }, 1 };

	CHECK(refuses((struct relay_options){ 0 }, "nobody could use"));
	CHECK(refuses((struct relay_options){ .open = true, .allow = "x" }, "--open"));
	CHECK(refuses((struct relay_options){ .open = true, .cert = "x" }, "--key"));
	CHECK(refuses((struct relay_options){ .open = true, .mesh_with = host }, "--mesh-key"));
	CHECK(refuses((struct relay_options){ .verify = url }, "ftp://x"));
	CHECK(refuses((struct relay_options){ .allow = "x", .verify_fail_open = true },
		      "--verify-fail-open"));
	CHECK(refuses((struct relay_options){ .open = true, .queue_kib = 64 }, "65 KiB"));
	CHECK(!refuses((struct relay_options){ .open = true }, ""));
}

TEST(relay_key_is_made_once)
{
	char folder[] = "/tmp/weft-unit-XXXXXX", path[64];
	struct secret32 a, b;
	struct err err;

	CHECK(mkdtemp(folder) != NULL);
	CHECK(relay_load_key(folder, &a, &err) == 0 && relay_load_key(folder, &b, &err) == 0);
	CHECK(secret_equal(a.b, b.b, 32) && !secret_is_zero(a.b, 32));
	(void)snprintf(path, sizeof(path), "%s/relay.key", folder);
	CHECK(file_write(path, bytes_str("rubbish\n"), 0600, &err) == 0);
	CHECK(relay_load_key(folder, &a, &err) < 0 && strstr(err.text, "relay.key"));
	(void)unlink(path);
	(void)rmdir(folder);
}

/* ---- admission ---- */

struct judge { /* somebody's /verify */
	struct loop *loop;
	struct httpd *httpd;
	struct tcp_listener *listener;
	char url[64], asked[512];
	const char *answer;
	unsigned status, answers;
	bool allowed;
};

static void on_verify(void *arg, struct http_exchange *x, const struct http_request *req)
{
	struct judge *j = arg;

	(void)bytes_to_cstr(req->body, j->asked, sizeof(j->asked));
	http_reply(x, j->status, "application/json", bytes_str(j->answer));
}

static const struct httpd_route verify_routes[] = { { "POST", "/verify", on_verify, 4096 } };

static void on_accept(void *arg, struct stream *s, struct addrport peer)
{
	struct judge *j = arg;

	httpd_serve(j->httpd, s, HTTPD_H1, peer, NULL, NULL);
}

static void judge_init(struct judge *j)
{
	struct httpd_conf hc = { .routes = verify_routes, .route_count = 1, .arg = j };
	struct addrport at = { ip_v4(127, 0, 0, 1), 0 };

	*j = (struct judge){ .loop = loop_create(NULL), .status = 200 };
	j->httpd = httpd_create(j->loop, &hc);
	j->listener = tcp_listen(j->loop, at, on_accept, j, NULL);
	(void)snprintf(j->url, sizeof(j->url), "http://127.0.0.1:%u/verify",
		       tcp_listener_address(j->listener).port);
}

static void judge_fini(struct judge *j)
{
	struct bench b = { .loop = j->loop };

	tcp_listener_destroy(j->listener);
	httpd_destroy(j->httpd);
	turn_for_ms(&b, 0);
	loop_destroy(j->loop);
}

static void on_answer(void *arg, uint64_t client, bool allow)
{
	struct judge *j = arg;

	CHECK(client == 42);
	j->answers++;
	j->allowed = allow;
}

static bool asks(struct judge *j, struct relay_admission *a, const char *answer, unsigned status)
{
	struct bench b = { .loop = j->loop };
	struct key key = { { 1 } };

	j->answer = answer;
	j->status = status;
	j->answers = 0;
	relay_admission_ask(a, 42, &key, ip_v4(192, 0, 2, 7));
	CHECK(turn_until(&b, &j->answers, 1));
	turn_for_ms(&b, 0);
	return j->allowed;
}

TEST(relay_admission_by_url)
{
	struct judge j;
	struct relay_admission_conf conf = { .log = &silent, .on_answer = on_answer, .arg = &j };
	struct relay_admission *a;
	struct relay_admission_stats st;
	const char *urls[2];

	judge_init(&j);
	conf.loop = j.loop;
	conf.urls = urls;
	urls[0] = j.url;
	conf.url_count = 1;
	a = relay_admission_create(&conf, NULL);
	CHECK(asks(&j, a, "{\"Allow\":true}", 200));
	CHECK_STR(j.asked, "{\"NodePublic\":\"nodekey:01000000000000000000000000000000000000000000"
			   "00000000000000000000\",\"Source\":\"192.0.2.7\"}");
	CHECK(!asks(&j, a, "{\"Allow\":false}", 200));
	CHECK(!asks(&j, a, "{\"Allow\":true}", 500)); /* closed when it cannot be told */
	CHECK(!asks(&j, a, "{}", 200));
	CHECK(!asks(&j, a, "no json", 200));
	relay_admission_stats(a, &st);
	CHECK(st.allowed == 1 && st.refused == 4 && st.unreachable == 3 && st.pending == 0);
	relay_admission_destroy(a);
	/* one of two is enough, and open only by wish */
	urls[0] = "http://127.0.0.1:1/verify";
	urls[1] = j.url;
	conf.url_count = 2;
	conf.fail_open = true;
	a = relay_admission_create(&conf, NULL);
	CHECK(asks(&j, a, "{\"Allow\":true}", 200));
	CHECK(!asks(&j, a, "{\"Allow\":false}", 200)); /* somebody was reached and said no */
	CHECK(asks(&j, a, "", 503));
	relay_admission_destroy(a);
	judge_fini(&j);
}

TEST(relay_admission_by_list)
{
	struct judge j;
	char path[] = "/tmp/weft-unit-XXXXXX";
	struct relay_admission_conf conf = {
		.log = &silent, .allow_file = path, .on_answer = on_answer, .arg = &j
	};
	struct relay_admission *a;
	struct err err;
	int fd = mkstemp(path);

	(void)close(fd);
	judge_init(&j);
	conf.loop = j.loop;
	CHECK(file_write(
		  path,
		  bytes_str("# ours\n\n"
			    "nodekey:0100000000000000000000000000000000000000000000000000000000"
			    "000000 laptop\n"),
		  0600, &err) == 0);
	a = relay_admission_create(&conf, &err);
	CHECK(asks(&j, a, "", 0));
	CHECK(file_write(path, bytes_str("nodekey:xyz\n"), 0600, &err) == 0);
	CHECK(relay_admission_reload(a, &err) < 0 && strstr(err.text, "line 1"));
	CHECK(asks(&j, a, "", 0)); /* the old list stays */
	CHECK(file_write(path, bytes_str(""), 0600, &err) == 0);
	CHECK(relay_admission_reload(a, &err) == 0);
	CHECK(!asks(&j, a, "", 0));
	relay_admission_destroy(a);
	judge_fini(&j);
	(void)unlink(path);
}

/* ---- mesh ---- */

enum { RELAYS = 3 };

static void mesh_start(struct bench *b, struct loop *loop, uint8_t secret)
{
	bench_init(b);
	loop_destroy(b->loop);
	b->loop = loop; /* one loop for all */
	memset(b->conf.private_key.b, secret, 32);
	memset(b->conf.mesh_key.b, 0x42, 32);
	bench_start(b, false);
}

static void mesh_stop(struct bench *b)
{
	tcp_listener_destroy(b->listener);
	derp_server_destroy(b->server);
	httpd_destroy(b->httpd);
}

static unsigned remote_keys(struct bench *b)
{
	struct relay_stats st;

	derp_server_stats(b->server, &st);
	return (unsigned)st.remote_keys;
}

TEST(relay_mesh_of_three_over_tcp)
{
	struct loop *loop = loop_create(NULL);
	struct bench b[RELAYS];
	struct relay_mesh *mesh[RELAYS];
	struct end x, y, z;
	struct secret32 mesh_key;
	uint8_t big[1400] = { 4 };

	memset(mesh_key.b, 0x42, 32);
	for (uint8_t i = 0; i < RELAYS; i++)
		mesh_start(&b[i], loop, 0x71 + i);
	for (int i = 0; i < RELAYS; i++) {
		struct relay_mesh_conf conf = { .loop = loop,
						.server = b[i].server,
						.private_key = &b[i].conf.private_key,
						.mesh_key = &mesh_key,
						.log = &silent };

		mesh[i] = relay_mesh_create(&conf);
		for (int k = 0; k < RELAYS; k++)
			if (k != i)
				relay_mesh_add(mesh[i], "127.0.0.1", b[k].port);
	}
	end_open(&x, &b[0], 1);
	end_open(&y, &b[1], 2);
	end_open(&z, &b[2], 3);
	for (int n = 0; n < 1000 && remote_keys(&b[0]) + remote_keys(&b[1]) + remote_keys(&b[2]) <
					2 * RELAYS + 2 * RELAYS;
	     n++)
		turn_for_ms(&b[0], 5);
	CHECK(derp_client_send(x.client, &y.key, bytes_str("x to y")));
	CHECK(derp_client_send(y.client, &z.key, bytes_str("y to z")));
	CHECK(derp_client_send(z.client, &x.key, bytes_str("z to x")));
	CHECK(turn_until(&b[0], &x.packets, 1) && turn_until(&b[0], &y.packets, 1) &&
	      turn_until(&b[0], &z.packets, 1));
	CHECK_STR(buf_cstr(&y.got), "x to y");
	CHECK_STR(buf_cstr(&z.got), "y to z");
	CHECK_STR(buf_cstr(&x.got), "z to x");
	/* Far more than a link takes at a time. */
	y.packets = 0;
	for (int i = 0; i < 2000; i++) {
		(void)derp_client_send(x.client, &y.key, bytes_of(big, sizeof(big)));
		if (i % 20 == 19)
			turn_for_ms(&b[0], 0);
	}
	CHECK(turn_until(&b[0], &y.packets, 1500));
	end_fini(&x);
	CHECK(turn_until(&b[0], &y.gone, 1) && y.why_gone == DERP_GONE_DISCONNECTED);
	end_fini(&y);
	end_fini(&z);
	for (int i = 0; i < RELAYS; i++)
		relay_mesh_destroy(mesh[i]);
	for (int i = 0; i < RELAYS; i++)
		mesh_stop(&b[i]);
	turn_for_ms(&b[0], 0);
	loop_destroy(loop);
}
