#include "base/opt.h"

#include <stdlib.h>

#include "base/err.h"
#include "kit/kit.h"

struct values {
	bool verbose, color;
	const char *name;
	int64_t count, wait;
	uint16_t port;
	struct opt_list routes;
};

#define FIELD(f) offsetof(struct values, f)
static const struct opt opts[] = {
	{ "verbose", OPT_FLAG, FIELD(verbose), NULL, NULL, "say more" },
	{ "color", OPT_FLAG, FIELD(color), "true", NULL, "in colour" },
	{ "name", OPT_STRING, FIELD(name), "weft0", "NAME", "what to call it" },
	{ "count", OPT_INT, FIELD(count), "3", "N", "how often" },
	{ "wait", OPT_DURATION, FIELD(wait), "1s", "TIME", "how long" },
	{ "port", OPT_PORT, FIELD(port), "41641", "PORT", "where" },
	{ "route", OPT_LIST, FIELD(routes), NULL, "PREFIX", "a route" },
};
enum { OPTS = sizeof(opts) / sizeof(opts[0]) };

static struct values v;
static struct err err;

static int parse(const char *line, int *rest)
{
	static char copy[200];
	static char *words[20];
	char *save = NULL, **argv = words;
	int argc = 0, ret;

	v = (struct values){ 0 };
	(void)snprintf(copy, sizeof(copy), "%s", line);
	for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
		words[argc++] = w;
	ret = opt_parse(opts, OPTS, &v, &argc, &argv, &err);
	*rest = argc;
	return ret;
}

TEST(values_and_defaults)
{
	int rest;

	CHECK(parse("", &rest) == 0 && v.count == 3 && v.port == 41641 && v.wait == 1000 &&
	      v.color);
	CHECK_STR(v.name, "weft0");
	CHECK(parse("--verbose -name=x --count -5 --no-color --route a --route b --wait 1h30m up "
		    "--port 1",
		    &rest) == 0);
	CHECK(v.verbose && !v.color && v.count == -5 && v.wait == 5400000 && v.routes.n == 2 &&
	      rest == 3);
	CHECK_STR(v.name, "x");
	CHECK(parse("--verbose=no --wait 250ms -- --port", &rest) == 0 && !v.verbose &&
	      v.wait == 250 && rest == 1);
}

TEST(options_may_stand_behind_words)
{
	char *words[] = { (char *)"status",    (char *)"--count", (char *)"7",      (char *)"web",
			  (char *)"--verbose", (char *)"--",      (char *)"--port", NULL };
	char **argv = words;
	int argc = 7;

	v = (struct values){ 0 };
	CHECK(opt_parse_mixed(opts, OPTS, &v, &argc, &argv, &err) == 0);
	CHECK(argc == 3 && v.count == 7 && v.verbose && v.port == 41641);
	CHECK_STR(argv[0], "status");
	CHECK_STR(argv[1], "web");
	CHECK_STR(argv[2], "--port");
	argc = 1;
	argv = (char *[]){ (char *)"--cuont", NULL };
	CHECK(opt_parse_mixed(opts, OPTS, &v, &argc, &argv, &err) == -1);
}

TEST(errors_name_the_option_and_guess)
{
	int rest;

	CHECK(parse("--verbos", &rest) == -1 && err.code == ERR_USAGE);
	CHECK_STR(err.text, "unknown option --verbos; did you mean --verbose?");
	CHECK(parse("--zzzzzz", &rest) == -1);
	CHECK_STR(err.text, "unknown option --zzzzzz; --help lists all");
	CHECK(parse("--port 70000", &rest) == -1);
	CHECK_STR(err.text, "--port takes a port from 0 to 65535, not '70000'");
	CHECK(parse("--port", &rest) == -1);
	CHECK_STR(err.text, "--port needs a value: PORT");
	CHECK(parse("--count 1x", &rest) == -1 && parse("--wait 5y", &rest) == -1 &&
	      parse("--verbose=maybe", &rest) == -1 && parse("--no-color=true", &rest) == -1);
}

static const struct opt_command commands[] = {
	{ "up", NULL, "connect", opts, 2, NULL, NULL },
	{ "status", "[PEER]", "show peers", NULL, 0, NULL, NULL },
};
static const struct opt_program program = {
	.name = "weft",
	.help = "the command line",
	.opts = opts,
	.opt_count = OPTS,
	.commands = commands,
	.command_count = 2,
	.example = "  weft up\n",
};

TEST(commands_are_found_or_guessed)
{
	CHECK(opt_find_command(&program, "up", &err) == &commands[0]);
	CHECK(!opt_find_command(&program, "satus", &err));
	CHECK_STR(err.text, "unknown command 'satus'; did you mean 'status'?");
	CHECK(!opt_find_command(&program, "frobnicate", &err));
	CHECK(!opt_find_command(&program, "", &err)); /* too short for a guess */
	CHECK(!strstr(err.text, "did you mean"));
}

TEST(help_man_and_completion_come_from_the_table)
{
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	opt_print_help(f, &program);
	opt_print_command_help(f, &program, &commands[1]);
	opt_print_man(f, &program, "0.1");
	opt_print_completion(f, &program);
	(void)fclose(f);
	CHECK(strstr(text, "  --port PORT") && strstr(text, "where (default 41641)"));
	CHECK(strstr(text, "usage: weft status [PEER]"));
	CHECK(strstr(text, ".TH weft 1") && strstr(text, ".B \\-\\-port \\fIPORT\\fR"));
	CHECK(strstr(text, "complete -F _weft"));
	free(text);
}
