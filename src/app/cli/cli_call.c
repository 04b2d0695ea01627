/* app/cli/cli_call.c - one request to the daemon, waited for; and reading what it said. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "app/cli/cli_priv.h"
#include "base/ip.h"
#include "io/httpc.h"
#include "io/loop.h"
#include "io/tcp.h"

enum { ANSWER_MAX = 256 << 20, TIMEOUT_MS = 60000 };

struct waiting {
	struct loop *loop;
	unsigned status;
	struct buf body;
	struct err err;
	bool done;
};

static void on_head(void *arg, unsigned status, const struct http_header *headers, size_t n)
{
	(void)headers;
	(void)n;
	((struct waiting *)arg)->status = status;
}

static void on_body(void *arg, struct bytes data)
{
	(void)buf_append(&((struct waiting *)arg)->body, data);
}

static void on_done(void *arg, const struct err *err)
{
	struct waiting *w = arg;

	w->err = *err;
	w->done = true;
	loop_stop(w->loop);
}

static void on_close(void *arg, const struct err *why)
{
	struct waiting *w = arg;

	if (!w->done)
		on_done(arg, why);
}

/* The daemon's words: a JSON member "error", or plain text. */
static int refused(struct cli *cli, const struct cli_answer *a, struct err *err)
{
	const struct json *v = json_get_nocase(a->json, "error");
	struct bytes text = a->body;

	(void)cli;
	(void)json_string(v, &text);
	while (text.n && text.p[text.n - 1] == '\n')
		text.n--;
	if (a->status == 403)
		return err_set(err, ERR_REFUSED,
			       "%.*s: this needs root, or an operator (`weft set --operator=NAME`)",
			       BYTES_FMT(text));
	return err_set(err, ERR_REFUSED, "%.*s", BYTES_FMT(text));
}

int cli_call(struct cli *cli, const char *method, const char *path, struct bytes body,
	     struct cli_answer *out, struct err *err)
{
	char full[1024];
	struct waiting w = { 0 };
	struct http_call_conf call = { .method = method,
				       .path = full,
				       .authority = "local-tailscaled.sock",
				       .body = body,
				       .body_max = ANSWER_MAX,
				       .timeout_ms = TIMEOUT_MS,
				       .on_head = on_head,
				       .on_body = on_body,
				       .on_done = on_done,
				       .arg = &w };
	struct httpc *http;
	struct err ignored;

	(void)snprintf(full, sizeof(full), "/localapi/v0/%s", path);
	w.loop = loop_create(err);
	if (!w.loop)
		return -1;
	buf_init(&w.body, ANSWER_MAX);
	http = httpc_create(unix_connect(w.loop, cli->socket), false, on_close, &w);
	(void)httpc_call(http, &call);
	loop_run(w.loop);
	httpc_destroy(http);
	loop_turn(w.loop, false);
	loop_destroy(w.loop);
	*out = (struct cli_answer){ .status = w.status };
	out->body = arena_bytes(&cli->arena, buf_bytes(&w.body));
	buf_fini(&w.body);
	if (w.err.code != ERR_NONE && !w.status)
		return err_set(err, ERR_SYSTEM,
			       "no daemon answers at %s; is weftd running? (%.100s)", cli->socket,
			       w.err.text);
	if (w.err.code != ERR_NONE) {
		*err = w.err;
		return -1;
	}
	if (out->body.n)
		out->json = json_parse(&cli->arena, out->body, 0, &ignored);
	return out->status < 300 ? 0 : refused(cli, out, err);
}

bool cli_mentioned(const struct cli *cli, const char *option)
{
	size_t n = strlen(option);

	for (int i = 0; i < cli->argc; i++) {
		const char *word = cli->argv[i];

		if (word[0] != '-')
			continue;
		word += word[1] == '-' ? 2 : 1;
		if (!strncmp(word, "no-", 3) && !strcmp(word + 3, option))
			return true;
		if (!strncmp(word, option, n) && (!word[n] || word[n] == '='))
			return true;
	}
	return false;
}

const char *cli_text(struct cli *cli, const struct json *object, const char *key)
{
	struct bytes text = { NULL, 0 };
	const char *copy;

	if (!json_string(json_get(object, key), &text))
		return "";
	copy = arena_str(&cli->arena, text);
	return copy ? copy : "";
}

int64_t cli_number(const struct json *object, const char *key)
{
	int64_t v = 0;

	(void)json_i64(json_get(object, key), &v);
	return v;
}

bool cli_truth(const struct json *object, const char *key)
{
	bool v = false;

	(void)json_bool(json_get(object, key), &v);
	return v;
}

int cli_fail(const struct err *err)
{
	(void)fprintf(stderr, "weft: %s\n", err->text);
	return 1;
}

void cli_sleep_ms(unsigned ms)
{
	struct timespec t = { ms / 1000, (long)(ms % 1000) * 1000000 };

	(void)nanosleep(&t, NULL);
}

/* ---- nodes by name ---- */

static bool is_named(const struct json *node, struct bytes name)
{
	struct bytes dns, host;

	if (json_string(json_get(node, "HostName"), &host) && bytes_equal_nocase(host, name))
		return true;
	if (json_string(json_get(node, "DNSName"), &dns)) {
		struct bytes label = dns;

		if (dns.n && dns.p[dns.n - 1] == '.')
			dns.n--;
		if (bytes_equal_nocase(dns, name))
			return true;
		for (label.n = 0; label.n < dns.n && dns.p[label.n] != '.';)
			label.n++;
		if (bytes_equal_nocase(label, name))
			return true;
	}
	json_each (ip, json_get(node, "TailscaleIPs"))
		if (bytes_equal(ip->text, name))
			return true;
	return false;
}

const struct json *cli_find_node(struct cli *cli, const struct json *status, const char *name)
{
	struct bytes text = bytes_str(name);

	(void)cli;
	if (text.n && text.p[text.n - 1] == '.')
		text.n--;
	if (is_named(json_get(status, "Self"), text))
		return json_get(status, "Self");
	json_each (peer, json_get(status, "Peer"))
		if (is_named(peer, text) || bytes_equal(peer->key, text))
			return peer;
	return NULL;
}
