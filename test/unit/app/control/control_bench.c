#include "unit/app/control/control_bench.h"

#include <ftw.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "app/control/command.h"
#include "app/control/control.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/x25519.h"
#include "engine/ts2021/ts2021.h"
#include "io/db.h"
#include "io/httpc.h"
#include "io/stream.h"
#include "io/tcp.h"
#include "kit/kit.h"
#include "part/noise_stream.h"

enum { WAIT_MS = 5000, QUIET_MS = 60, BODY_LIMIT = 16 << 20 };

static void silent(struct log_sink *sink, enum log_level level, const char *line, size_t n)
{
	(void)sink;
	(void)level;
	(void)line;
	(void)n;
}

static void start(struct bench *b)
{
	struct err err = { 0 };

	b->c = control_create(b->loop, &b->conf, &b->sink, &err);
	if (!b->c || control_start(b->c, &err) < 0) {
		(void)fprintf(stderr, "server: %s\n", err.text);
		abort();
	}
}

void bench_database(char out[CONFIG_DATABASE_MAX])
{
	const char *url = getenv("WEFT_TEST_DATABASE");
	struct err err = { 0 };
	struct db *db;

	out[0] = '\0';
	if (!url)
		return;
	(void)snprintf(out, CONFIG_DATABASE_MAX, "%s", url);
	db = db_open(url, &err);
	if (!db || db_exec(db, "DROP SCHEMA public CASCADE; CREATE SCHEMA public", &err) < 0) {
		(void)fprintf(stderr, "%s\n", err.text);
		abort();
	}
	db_close(db);
}

void bench_start(struct bench *b)
{
	*b = (struct bench){ 0 };
	(void)snprintf(b->dir, sizeof(b->dir), "/tmp/weft-control-test-XXXXXX");
	if (!mkdtemp(b->dir))
		abort();
	b->loop = loop_create(NULL);
	b->sink = (struct log_sink){ .write = silent, .level = LOG_ERROR };
	config_defaults(&b->conf);
	(void)snprintf(b->conf.state_dir, sizeof(b->conf.state_dir), "%s/state", b->dir);
	(void)snprintf(b->conf.listen, sizeof(b->conf.listen), "127.0.0.1:0");
	b->conf.stun_port = 0;
	bench_database(b->conf.database);
	if (config_finish(&b->conf, NULL) < 0)
		abort();
	start(b);
}

void bench_settle(struct bench *b)
{
	for (int i = 0; i < 20; i++)
		loop_turn(b->loop, false);
}

void bench_restart(struct bench *b)
{
	control_destroy(b->c);
	bench_settle(b);
	start(b);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st;
	(void)kind;
	(void)at;
	return remove(path);
}

void bench_remove(const char *dir)
{
	(void)nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

void bench_stop(struct bench *b)
{
	control_destroy(b->c);
	bench_settle(b);
	loop_destroy(b->loop);
	bench_remove(b->dir);
}

static void wake(struct io_timer *t)
{
	(void)t; /* only to end a waiting turn */
}

static bool wait_ms(struct bench *b, const bool *done, int64_t ms)
{
	struct mono end = mono_add_ms(mono_now(), ms);
	struct io_timer tick;

	io_timer_init(&tick, wake);
	while (!*done && !mono_reached(mono_now(), end)) {
		io_timer_in_ms(b->loop, &tick, 5);
		loop_turn(b->loop, true);
	}
	io_timer_stop(&tick);
	return *done;
}

bool bench_wait(struct bench *b, const bool *done)
{
	return wait_ms(b, done, WAIT_MS);
}

const char *bench_command(struct bench *b, const char *words, const char *input)
{
	static struct buf answer; /* one bench at a time */
	struct err err = { 0 };
	struct command cmd = { .c = b->c, .actor = "test", .err = &err };
	struct bytes rest = bytes_str(words), word;
	struct json_out out;

	buf_fini(&answer);
	buf_init(&answer, BODY_LIMIT);
	while (text_split(&rest, ' ', &word)) {
		if (!bytes_has_prefix(word, "--")) {
			cmd.words[cmd.n_words++] = word;
			continue;
		}
		word = bytes_from(word, 2);
		cmd.options[cmd.n_options].name = word;
		if (!command_is_flag(word))
			(void)text_split(&rest, ' ', &cmd.options[cmd.n_options].value);
		cmd.n_options++;
	}
	cmd.input = bytes_str(input ? input : "");
	json_out_init(&out, &answer);
	cmd.out = &out;
	if (command_run(&cmd) < 0) {
		buf_clear(&answer);
		(void)buf_append_str(&answer, err.text);
	}
	return buf_cstr(&answer);
}

void bench_key(struct bench *b, const char *user, const char *options, char out[128])
{
	char words[256];
	const char *at, *end;

	if (user) {
		(void)snprintf(words, sizeof(words), "users create %s", user);
		(void)bench_command(b, words, NULL); /* it may exist */
	}
	(void)snprintf(words, sizeof(words), "keys create%s%s%s%s", user ? " --user " : "",
		       user ? user : "", options[0] ? " " : "", options);
	at = strstr(bench_command(b, words, NULL), "tskey-");
	end = at ? strchr(at, '"') : NULL;
	(void)snprintf(out, 128, "%.*s", end ? (int)(end - at) : 0, at ? at : "");
}

/* ---- nodes ---- */

void peer_init(struct peer *p, struct bench *b, uint8_t seed)
{
	*p = (struct peer){ .b = b };
	memset(p->machine.b, seed, sizeof(p->machine.b));
	memset(p->node_key.b, seed + 64, sizeof(p->node_key.b));
	memset(p->disco.b, seed + 128, sizeof(p->disco.b));
	buf_init(&p->body, BODY_LIMIT);
	buf_init(&p->frames, BODY_LIMIT);
	buf_init(&p->frame, BODY_LIMIT);
}

struct dial {
	struct peer *p;
	struct ts2021 *channel;
	bool done;
};

static void on_close(void *arg, const struct err *why)
{
	(void)arg;
	(void)why;
}

static void on_stream(void *arg, struct stream *s, const struct http_header *headers, size_t n)
{
	struct dial *d = arg;

	(void)headers;
	(void)n;
	d->p->h2 =
	    httpc_create(noise_stream_client(s, d->channel, NULL, NULL), true, on_close, d->p);
	d->p->connected = d->done = true;
}

static void on_fail(void *arg, unsigned status, const struct err *why)
{
	struct dial *d = arg;

	(void)why;
	d->p->status = status;
	ts2021_destroy(d->channel);
	d->done = true;
}

bool peer_connect(struct peer *p)
{
	char text[TEXT_BASE64_LEN(TS2021_INITIATION_LEN) + 1];
	struct tcp_conf to = { .to = { ip_v4(127, 0, 0, 1), (uint16_t)control_port(p->b->c) } };
	struct rng rng = rng_system();
	struct dial d = { .p = p };
	struct http_header header = { bytes_str("X-Tailscale-Handshake"), { 0 } };
	struct http_upgrade_conf conf = { .method = "POST",
					  .path = "/ts2021",
					  .host = "127.0.0.1",
					  .protocol = TS2021_UPGRADE,
					  .headers = &header,
					  .header_count = 1,
					  .on_stream = on_stream,
					  .on_fail = on_fail,
					  .arg = &d };
	struct http_upgrading *up;

	d.channel = ts2021_create_client(&p->machine, &p->b->c->noise_public, 145,
					 loop_now(p->b->loop), &rng, NULL);
	text_base64(BASE64_STD, bytes_of(ts2021_initiation(d.channel), TS2021_INITIATION_LEN),
		    text);
	header.value = bytes_str(text);
	up = httpc_upgrade(tcp_connect(p->b->loop, &to), &conf);
	(void)up;
	return bench_wait(p->b, &d.done) && p->connected;
}

void peer_fini(struct peer *p)
{
	httpc_destroy(p->h2);
	bench_settle(p->b);
	buf_fini(&p->body);
	buf_fini(&p->frames);
	buf_fini(&p->frame);
}

static void call_head(void *arg, unsigned status, const struct http_header *headers, size_t n)
{
	(void)headers;
	(void)n;
	((struct peer *)arg)->status = status;
}

static void call_body(void *arg, struct bytes data)
{
	(void)buf_append(&((struct peer *)arg)->body, data);
}

static void call_done(void *arg, const struct err *err)
{
	(void)err;
	((struct peer *)arg)->done = true;
}

static const char *post(struct peer *p, const char *path, struct bytes body)
{
	struct http_call_conf conf = { .method = "POST",
				       .path = path,
				       .authority = "unused",
				       .body = body,
				       .on_head = call_head,
				       .on_body = call_body,
				       .on_done = call_done,
				       .arg = p };

	p->status = 0;
	p->done = false;
	buf_clear(&p->body);
	(void)httpc_call(p->h2, &conf);
	(void)bench_wait(p->b, &p->done);
	return buf_cstr(&p->body);
}

const char *peer_post(struct peer *p, const char *path, const char *fmt, ...)
{
	static char text[65536];
	va_list args;

	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	return post(p, path, bytes_str(text));
}

const char *peer_register(struct peer *p, const char *auth_key, const char *host)
{
	char key[KEYTEXT_MAX];

	return peer_post(p, "/machine/register",
			 "{\"Version\":145,\"NodeKey\":\"%s\",%s%s%s\"Hostinfo\":{\"OS\":\"linux\","
			 "\"Hostname\":\"%s\"}}",
			 keytext_format(&p->node_key, KEY_NODE, key),
			 auth_key ? "\"Auth\":{\"AuthKey\":\"" : "", auth_key ? auth_key : "",
			 auth_key ? "\"}," : "", host);
}

const char *peer_update(struct peer *p, const char *more)
{
	char key[KEYTEXT_MAX], disco[KEYTEXT_MAX];

	return peer_post(
	    p, "/machine/map",
	    "{\"Version\":145,\"NodeKey\":\"%s\",\"DiscoKey\":\"%s\",\"OmitPeers\":true%s%s}",
	    keytext_format(&p->node_key, KEY_NODE, key),
	    keytext_format(&p->disco, KEY_DISCO, disco), more[0] ? "," : "", more);
}

static void poll_head(void *arg, unsigned status, const struct http_header *headers, size_t n)
{
	(void)headers;
	(void)n;
	((struct peer *)arg)->poll_status = status;
}

static void poll_body(void *arg, struct bytes data)
{
	(void)buf_append(&((struct peer *)arg)->frames, data);
}

static void poll_done(void *arg, const struct err *err)
{
	(void)err;
	((struct peer *)arg)->poll_done = true;
	((struct peer *)arg)->poll = NULL;
}

void peer_poll(struct peer *p)
{
	char key[KEYTEXT_MAX], text[256];
	struct http_call_conf conf = { .method = "POST",
				       .path = "/machine/map",
				       .authority = "unused",
				       .on_head = poll_head,
				       .on_body = poll_body,
				       .on_done = poll_done,
				       .arg = p };

	(void)snprintf(text, sizeof(text),
		       "{\"Version\":145,\"NodeKey\":\"%s\",\"Stream\":true,\"KeepAlive\":true}",
		       keytext_format(&p->node_key, KEY_NODE, key));
	conf.body = bytes_str(text);
	p->poll_status = 0;
	p->poll_done = false;
	buf_clear(&p->frames);
	p->poll = httpc_call(p->h2, &conf);
}

void peer_hang_up(struct peer *p)
{
	if (p->poll)
		http_call_cancel(p->poll);
	p->poll = NULL;
	bench_settle(p->b);
}

static bool take_frame(struct peer *p)
{
	struct reader r = reader_of(buf_bytes(&p->frames));
	uint32_t n = read_le32(&r);
	struct bytes json = read_bytes(&r, n);

	if (r.bad)
		return false;
	buf_clear(&p->frame);
	(void)buf_append(&p->frame, json);
	buf_consume(&p->frames, 4 + (size_t)n);
	return true;
}

static const char *frame_within(struct peer *p, int64_t ms)
{
	struct mono end = mono_add_ms(mono_now(), ms);
	bool never = false;

	do {
		while (take_frame(p))
			if (!strstr(buf_cstr(&p->frame), "\"KeepAlive\":true"))
				return buf_cstr(&p->frame);
		(void)wait_ms(p->b, &never, 5);
	} while (!mono_reached(mono_now(), end) && !p->poll_done);
	return take_frame(p) ? buf_cstr(&p->frame) : NULL;
}

const char *peer_frame(struct peer *p)
{
	return frame_within(p, WAIT_MS);
}

bool peer_is_quiet(struct peer *p)
{
	return !frame_within(p, QUIET_MS);
}
