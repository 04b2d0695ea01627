/* app/cli/cli_up.c - what changes the node: up, down, set, login, logout. */
#include <stdio.h>
#include <string.h>

#include "app/cli/cli_priv.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/secret.h"
#include "io/file.h"

enum { KEY_MAX = 512, POLL_MS = 100, HOPELESS_MS = 3000, BODY_MAX = 1 << 20 };

/* ---- preferences from options: only what was mentioned, or all with --reset ---- */

void cli_pref(struct json_out *o, const char *name, const char *mask)
{
	json_key(o, mask);
	json_put_bool(o, true);
	json_key(o, name);
}

static void text_pref(struct json_out *o, const char *name, const char *mask, const char *v)
{
	cli_pref(o, name, mask);
	json_put_cstr(o, v ? v : "");
}

static void truth_pref(struct json_out *o, const char *name, const char *mask, bool v)
{
	cli_pref(o, name, mask);
	json_put_bool(o, v);
}

static void list_pref(struct json_out *o, const char *name, const char *mask, const char *v)
{
	struct bytes rest = bytes_str(v ? v : ""), item;

	cli_pref(o, name, mask);
	json_open_array(o);
	while (rest.n && text_split(&rest, ',', &item))
		if (text_trim(item).n)
			json_put_string(o, text_trim(item));
	json_close_array(o);
}

static bool wants(const struct cli *cli, const struct cli_up_options *u, const char *option)
{
	return u->reset || cli_mentioned(cli, option);
}

static int put_prefs(struct cli *cli, struct json_out *o, const struct cli_up_options *u,
		     struct err *err)
{
	if (wants(cli, u, "login-server"))
		text_pref(o, "ControlURL", "ControlURLSet", u->login_server);
	if (wants(cli, u, "hostname"))
		text_pref(o, "Hostname", "HostnameSet", u->hostname);
	if (wants(cli, u, "operator"))
		text_pref(o, "OperatorUser", "OperatorUserSet", u->operator);
	if (wants(cli, u, "accept-routes"))
		truth_pref(o, "RouteAll", "RouteAllSet", u->accept_routes);
	if (wants(cli, u, "accept-dns"))
		truth_pref(o, "CorpDNS", "CorpDNSSet", u->accept_dns);
	if (wants(cli, u, "shields-up"))
		truth_pref(o, "ShieldsUp", "ShieldsUpSet", u->shields_up);
	if (wants(cli, u, "advertise-tags"))
		list_pref(o, "AdvertiseTags", "AdvertiseTagsSet", u->advertise_tags);
	return cli_route_prefs(cli, o, u, err);
}

static int patch(struct cli *cli, const struct cli_up_options *u, int running, struct err *err)
{
	struct cli_answer a;
	struct json_out o;
	struct buf body;
	int ret;

	buf_init(&body, BODY_MAX);
	json_out_init(&o, &body);
	json_open_object(&o);
	ret = u ? put_prefs(cli, &o, u, err) : 0;
	if (running >= 0)
		truth_pref(&o, "WantRunning", "WantRunningSet", running > 0);
	json_close_object(&o);
	if (ret == 0)
		ret = cli_call(cli, "PATCH", "prefs", buf_bytes(&body), &a, err);
	buf_fini(&body);
	if (ret == 0 && u)
		cli_warn_forwarding(cli, u);
	return ret;
}

/* ---- joining ---- */

/* "file:PATH" reads it; the key is never printed. */
static int read_key(const char *given, char out[KEY_MAX], struct err *err)
{
	struct bytes text = bytes_str(given);
	struct buf file = { 0 };
	int ret = 0;

	if (bytes_has_prefix(text, "file:")) {
		text = bytes_from(text, 5);
		if (text.n && file_read(given + 5, KEY_MAX, &file, err) < 0)
			return err_wrap(err, "read the auth key");
		text = text_trim(buf_bytes(&file));
	}
	if (!text.n)
		ret = err_set(err, ERR_USAGE, "the auth key is empty: give KEY or file:PATH");
	else if (!bytes_to_cstr(text, out, KEY_MAX))
		ret = err_set(err, ERR_USAGE, "the auth key is too long");
	if (file.p)
		secret_wipe(file.p, file.n);
	buf_fini(&file);
	return ret;
}

static int start_with_key(struct cli *cli, const char *key, struct err *err)
{
	struct cli_answer a;
	struct json_out o;
	struct buf body;
	int ret;

	buf_init(&body, 4096);
	json_out_init(&o, &body);
	json_open_object(&o);
	json_key(&o, "AuthKey");
	json_put_cstr(&o, key);
	json_close_object(&o);
	ret = cli_call(cli, "POST", "start", buf_bytes(&body), &a, err);
	secret_wipe(body.p, body.n);
	buf_fini(&body);
	return ret;
}

/* The first thing the daemon complains about that is not merely being logged out. */
static const char *complaint(struct cli *cli, const struct json *status)
{
	json_each (line, json_get(status, "Health")) {
		const char *text = arena_str(&cli->arena, line->text);

		if (text && strncmp(text, "You are logged out", 18) != 0)
			return text;
	}
	return NULL;
}

static void show_url(struct cli *cli, const struct json *status, const char **shown)
{
	const char *url = cli_text(cli, status, "AuthURL");

	if (!*url || (*shown && !strcmp(*shown, url)))
		return;
	(void)fprintf(stderr, "\nTo authenticate, visit:\n\n\t%s\n\n", url);
	*shown = url;
}

static int wait_until_running(struct cli *cli, int64_t timeout_ms, bool with_key, struct err *err)
{
	const char *shown = NULL, *why = NULL;
	bool told_approval = false;
	int64_t waited = 0, hopeless = 0;
	struct cli_answer a;

	for (;;) {
		const char *state;

		if (cli_call(cli, "GET", "status?peers=false", (struct bytes){ NULL, 0 }, &a, err) <
		    0)
			return -1;
		state = cli_text(cli, a.json, "BackendState");
		if (!strcmp(state, "Running")) {
			if (shown || told_approval)
				(void)fprintf(stderr, "Success.\n");
			return 0;
		}
		show_url(cli, a.json, &shown);
		if (!strcmp(state, "NeedsMachineAuth") && !told_approval) {
			(void)fprintf(stderr, "\nThis node waits for an admin's approval.\n\n");
			told_approval = true;
		}
		why = complaint(cli, a.json);
		/* A key that the server refused will not get better; without one a person is on
		 * the way. */
		hopeless = why && with_key && !strcmp(state, "NeedsLogin") ? hopeless + POLL_MS : 0;
		if (hopeless >= HOPELESS_MS)
			return err_set(err, ERR_REFUSED, "%s", why);
		if (timeout_ms && waited >= timeout_ms)
			return err_set(err, ERR_TIMEOUT, "not running after %lld s (%s)%s%s",
				       (long long)(timeout_ms / 1000), state, why ? ": " : "",
				       why ? why : "");
		cli_sleep_ms(POLL_MS);
		waited += POLL_MS;
	}
}

int cli_up(void *context, const void *values, int argc, char **argv)
{
	const struct cli_up_options *u = values;
	struct cli *cli = context;
	char key[KEY_MAX] = "";
	struct cli_answer a;
	struct err err = { 0 };
	bool log_in;
	int ret = -1;

	(void)argv;
	if (argc) {
		(void)fprintf(stderr, "weft: up takes no words, only options\n");
		return 2;
	}
	if (u->authkey && read_key(u->authkey, key, &err) < 0)
		return cli_fail(&err);
	if (cli_call(cli, "GET", "status?peers=false", (struct bytes){ NULL, 0 }, &a, &err) < 0)
		goto out;
	log_in = u->force_reauth || !cli_truth(a.json, "HaveNodeKey") ||
		 !strcmp(cli_text(cli, a.json, "BackendState"), "NeedsLogin");
	if (patch(cli, u, 1, &err) < 0)
		goto out;
	if (key[0] && start_with_key(cli, key, &err) < 0)
		goto out;
	if (!key[0] && log_in &&
	    cli_call(cli, "POST", "login-interactive", (struct bytes){ NULL, 0 }, &a, &err) < 0)
		goto out;
	ret = wait_until_running(cli, u->timeout_ms, key[0] != '\0', &err);
out:
	secret_wipe(key, sizeof(key));
	return ret < 0 ? cli_fail(&err) : 0;
}

int cli_set(void *context, const void *values, int argc, char **argv)
{
	struct cli *cli = context;
	struct err err;

	(void)argv;
	if (argc || !cli->argc) {
		(void)fprintf(stderr, "weft: set takes options; `weft set --help` lists them\n");
		return 2;
	}
	return patch(cli, values, -1, &err) < 0 ? cli_fail(&err) : 0;
}

int cli_down(void *context, const void *values, int argc, char **argv)
{
	struct cli *cli = context;
	struct cli_answer a;
	struct err err;

	(void)values;
	(void)argc;
	(void)argv;
	if (cli_call(cli, "GET", "status?peers=false", (struct bytes){ NULL, 0 }, &a, &err) < 0)
		return cli_fail(&err);
	if (!strcmp(cli_text(cli, a.json, "BackendState"), "Stopped")) {
		(void)fprintf(stderr, "weft was stopped already\n");
		return 0;
	}
	return patch(cli, NULL, 0, &err) < 0 ? cli_fail(&err) : 0;
}

int cli_logout(void *context, const void *values, int argc, char **argv)
{
	struct cli *cli = context;
	struct cli_answer a;
	struct err err;

	(void)values;
	(void)argc;
	(void)argv;
	if (cli_call(cli, "POST", "logout", (struct bytes){ NULL, 0 }, &a, &err) < 0)
		return cli_fail(&err);
	return 0;
}
