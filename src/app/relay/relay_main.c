#include "app/relay/relay_main.h"

#include <stdio.h>

#include "app/relay/relay_app.h"
#include "app/relay/relay_check.h"
#include "app/relay/relay_options.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/text.h"
#include "crypto/x25519.h"

enum { STATUS_FAILED = 1, STATUS_USAGE = 2 };

static int complain(const struct err *err)
{
	(void)fprintf(stderr, "weft-relay: %s\n", err->text);
	return err->code == ERR_USAGE ? STATUS_USAGE : STATUS_FAILED;
}

static int too_many(const char *word)
{
	(void)fprintf(stderr,
		      "weft-relay: '%s' is one word too many; --help says what goes where\n", word);
	return STATUS_USAGE;
}

static int run(void *context, const void *values, int argc, char **argv)
{
	const struct relay_options *o = values;
	struct err err;

	(void)context;
	if (argc)
		return too_many(argv[0]);
	if (secret_harden_process(&err) < 0 || relay_options_check(o, &err) < 0 ||
	    relay_app_run(o, &err) < 0)
		return complain(&err);
	return 0;
}

static int check(void *context, const void *values, int argc, char **argv)
{
	(void)context;
	if (argc == 1)
		return relay_check_run(values, argv[0]);
	if (argc > 1)
		return too_many(argv[1]);
	(void)fputs("weft-relay: check needs HOST or HOST:PORT\n", stderr);
	return STATUS_USAGE;
}

/* Makes the key when there is none, so that it can be put into a map before the relay runs. */
static int key(void *context, const void *values, int argc, char **argv)
{
	const struct relay_options *o = values;
	char hex[TEXT_HEX_LEN(32) + 1];
	struct secret32 priv;
	uint8_t pub[32];
	struct err err;

	(void)context;
	if (argc)
		return too_many(argv[0]);
	if (secret_harden_process(&err) < 0 || relay_load_key(o->state, &priv, &err) < 0)
		return complain(&err);
	x25519_public(pub, &priv);
	secret32_wipe(&priv);
	text_hex(bytes_of(pub, sizeof(pub)), hex);
	(void)puts(hex);
	return 0;
}

static const struct opt key_opts[] = {
	{ "state", OPT_STRING, offsetof(struct relay_options, state), "/var/lib/weft-relay", "DIR",
	  "where the relay's own key is kept" },
};

int relay_main(int argc, char **argv)
{
	const struct opt_command commands[] = {
		{ "run", NULL, "relay packets and answer STUN", relay_opts, relay_opt_count, run,
		  "  weft-relay run --cert relay.pem --key relay.key --verify "
		  "https://control.example.com/verify --http :80\n"
		  "  weft-relay run --plain --listen 127.0.0.1:3340 --proxy 127.0.0.1/32 "
		  "--allow nodes.txt\n"
		  "  weft-relay run --hostname 192.0.2.1 --open --state /tmp/relay\n" },
		{ "check", "HOST[:PORT]",
		  "look at a relay from outside: DNS, TLS, upgrade, STUN, throughput",
		  relay_check_opts, relay_check_opt_count, check,
		  "  weft-relay check relay.example.com\n"
		  "  weft-relay check --pin 5f2e... 192.0.2.1:8443\n" },
		{ "key", NULL, "print the relay's public key", key_opts, array_len(key_opts), key,
		  NULL },
	};
	const struct opt_program program = {
		.name = "weft-relay",
		.help = "relay packets between nodes that cannot reach each other directly",
		.commands = commands,
		.command_count = array_len(commands),
		.example = "  weft-relay run --cert relay.pem --key relay.key --verify "
			   "https://control.example.com/verify\n"
			   "  weft-relay check relay.example.com\n",
	};
	union {
		struct relay_options run;
		struct relay_check_options check;
	} values;
	const struct opt_command *c;
	struct err err;
	int status;

	if (opt_common(&program, WEFT_VERSION, argc, argv, &status))
		return status;
	if (argc < 2) {
		opt_print_help(stderr, &program);
		return STATUS_USAGE;
	}
	c = opt_find_command(&program, argv[1], &err);
	if (!c)
		return complain(&err);
	argc -= 2;
	argv += 2;
	memset(&values, 0, sizeof(values));
	if (opt_parse(c->opts, c->opt_count, &values, &argc, &argv, &err) < 0)
		return complain(&err);
	return c->run(NULL, &values, argc, argv);
}
