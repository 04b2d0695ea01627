/* app/cli/cli_profiles.c - accounts: switch between them, list them, remove one; login adds one. */
#include <stdio.h>
#include <string.h>

#include "app/cli/cli_priv.h"

#define NO_BODY ((struct bytes){ NULL, 0 })

enum { POLL_MS = 100, SWITCH_MAX_MS = 20000 };

static const char *tailnet_of(struct cli *cli, const struct json *profile)
{
	const struct json *net = json_get(profile, "NetworkProfile");
	const char *name = cli_text(cli, net, "DisplayName");

	if (!*name)
		name = cli_text(cli, net, "DomainName");
	return *name ? name : cli_text(cli, net, "MagicDNSName");
}

static const char *account_of(struct cli *cli, const struct json *profile)
{
	return cli_text(cli, json_get(profile, "UserProfile"), "LoginName");
}

static bool is_named(struct cli *cli, const struct json *profile, const char *name)
{
	return !strcmp(cli_text(cli, profile, "ID"), name) ||
	       !strcmp(cli_text(cli, profile, "Name"), name) ||
	       !strcmp(account_of(cli, profile), name) || !strcmp(tailnet_of(cli, profile), name);
}

/* The one that is meant; an ID wins over names, a name of two is nobody's. */
static const struct json *find_profile(struct cli *cli, const struct json *list, const char *name,
				       struct err *err)
{
	const struct json *found = NULL;

	json_each (p, list) {
		if (!strcmp(cli_text(cli, p, "ID"), name))
			return p;
		if (!is_named(cli, p, name))
			continue;
		if (found) {
			err_set(err, ERR_USAGE,
				"'%s' names several accounts; take the ID that `weft switch "
				"--list` shows",
				name);
			return NULL;
		}
		found = p;
	}
	if (!found)
		err_set(err, ERR_REFUSED,
			"there is no account '%s'; `weft switch --list` shows all", name);
	return found;
}

static void print_list(struct cli *cli, const struct json *list, const char *current)
{
	(void)printf("%-6s%-24s%s\n", "ID", "Tailnet", "Account");
	json_each (p, list) {
		const char *id = cli_text(cli, p, "ID");

		(void)printf("%-6s%-24s%s%s\n", id, tailnet_of(cli, p), cli_text(cli, p, "Name"),
			     !strcmp(id, current) ? "*" : "");
	}
}

static void print_json(struct cli *cli, const struct json *list, const char *current)
{
	struct json_out o;
	struct buf out;

	buf_init(&out, 1 << 20);
	json_out_init(&o, &out);
	json_open_array(&o);
	json_each (p, list) {
		const char *id = cli_text(cli, p, "ID");

		json_open_object(&o);
		json_key(&o, "id");
		json_put_cstr(&o, id);
		json_key(&o, "nickname");
		json_put_cstr(&o, cli_text(cli, p, "Name"));
		json_key(&o, "tailnet");
		json_put_cstr(&o, tailnet_of(cli, p));
		json_key(&o, "account");
		json_put_cstr(&o, account_of(cli, p));
		json_key(&o, "selected");
		json_put_bool(&o, !strcmp(id, current));
		json_close_object(&o);
	}
	json_close_array(&o);
	(void)printf("%.*s\n", BYTES_FMT(buf_bytes(&out)));
	buf_fini(&out);
}

static int wait_for_state(struct cli *cli, struct err *err)
{
	struct cli_answer a;

	for (int waited = 0; waited < SWITCH_MAX_MS; waited += POLL_MS) {
		const char *state;

		if (cli_call(cli, "GET", "status?peers=false", NO_BODY, &a, err) < 0)
			return -1;
		state = cli_text(cli, a.json, "BackendState");
		if (!strcmp(state, "Running") || !strcmp(state, "NeedsMachineAuth")) {
			(void)printf("Success.\n");
			return 0;
		}
		if (!strcmp(state, "NeedsLogin")) {
			(void)printf("Logged out.\nTo log in, run:\n  weft up\n");
			return 0;
		}
		if (!strcmp(state, "Stopped")) {
			(void)printf("Success; this account is stopped, `weft up` starts it.\n");
			return 0;
		}
		cli_sleep_ms(POLL_MS);
	}
	return err_set(err, ERR_TIMEOUT, "not running after 20 s; `weft status` says more");
}

static int switch_to(struct cli *cli, const struct json *profile, const char *current,
		     struct err *err)
{
	const char *id = cli_text(cli, profile, "ID");
	struct cli_answer a;
	char path[64];

	if (!strcmp(id, current)) {
		(void)printf("Already on account \"%s\"\n", cli_text(cli, profile, "Name"));
		return 0;
	}
	(void)printf("Switching to account \"%s\"\n", cli_text(cli, profile, "Name"));
	(void)snprintf(path, sizeof(path), "profiles/%.16s", id);
	if (cli_call(cli, "POST", path, NO_BODY, &a, err) < 0)
		return -1;
	return wait_for_state(cli, err);
}

static int remove_one(struct cli *cli, const struct json *profile, struct err *err)
{
	struct cli_answer a;
	char path[64];

	(void)snprintf(path, sizeof(path), "profiles/%.16s", cli_text(cli, profile, "ID"));
	return cli_call(cli, "DELETE", path, NO_BODY, &a, err);
}

int cli_switch(void *context, const void *values, int argc, char **argv)
{
	const struct cli_switch_options *o = values;
	bool removes = argc == 2 && !strcmp(argv[0], "remove");
	struct cli *cli = context;
	struct cli_answer current, list;
	const struct json *profile;
	const char *id;
	struct err err;

	if (o->list ? argc != 0 : argc != 1 && !removes) {
		(void)fprintf(stderr,
			      "weft: switch takes an account, or remove and one, or --list\n");
		return 2;
	}
	if (cli_call(cli, "GET", "profiles/current", NO_BODY, &current, &err) < 0 ||
	    cli_call(cli, "GET", "profiles/", NO_BODY, &list, &err) < 0)
		return cli_fail(&err);
	id = cli_text(cli, current.json, "ID");
	if (o->list) {
		if (o->json)
			print_json(cli, list.json, id);
		else
			print_list(cli, list.json, id);
		return 0;
	}
	profile = find_profile(cli, list.json, argv[argc - 1], &err);
	if (!profile ||
	    (removes ? remove_one(cli, profile, &err) : switch_to(cli, profile, id, &err)) < 0)
		return cli_fail(&err);
	return 0;
}

int cli_login(void *context, const void *values, int argc, char **argv)
{
	struct cli *cli = context;
	struct cli_answer a;
	struct err err;

	if (argc) {
		(void)fprintf(stderr, "weft: login takes no words, only options\n");
		return 2;
	}
	if (cli_call(cli, "PUT", "profiles/", NO_BODY, &a, &err) < 0)
		return cli_fail(&err);
	return cli_up(context, values, argc, argv);
}
