/* What a person mistypes: refused with a sentence, before anything is done. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "kit/kit.h"

#include "control_bench.h"

#include "app/control/command.h"
#include "app/control/config.h"
#include "base/err.h"
#include "base/mem.h"

/* The sentence, "" when the words are a command. */
static const char *check(const char *words, struct err *err)
{
	char text[256], *argv[16];
	int argc = 0;

	err->text[0] = 0;
	(void)snprintf(text, sizeof(text), "%s", words);
	for (char *save, *at = strtok_r(text, " ", &save); at; at = strtok_r(NULL, " ", &save))
		argv[argc++] = at;
	CHECK((command_check_argv(argc, argv, err) < 0) == (err->text[0] != 0));
	return err->text;
}

TEST(every_option_and_word_of_the_help_is_taken)
{
	static const char *const right[] = {
		"users",
		"users create bob --name Bob --role=admin",
		"keys create --user bob --reusable --ephemeral --preauthorized --expiry 24h",
		"keys create --tags tag:a --description text --tailnet far",
		"users password bob",
		"tailnets create far --domain far.example",
		"tailnets set --device-approval on --key-expiry 180d",
		"nodes extend 3 --expiry 180d",
		"routes approve 3 10.0.0.0/8,fd00::/8",
		"policy set file",
		"policy set",
		"dns nameservers 1.1.1.1 9.9.9.9 8.8.8.8",
		"dns split corp.example 10.0.0.1 10.0.0.2",
		"dns record add x.example 10.0.0.1",
	};
	struct err err;

	for (size_t i = 0; i < array_len(right); i++)
		CHECK_STR(check(right[i], &err), "");
}

TEST(what_no_command_takes_is_named)
{
	static const char *const wrong[][2] = {
		{ "usres list", "did you mean `users list`" },
		{ "nodes frobnicate", "'nodes frobnicate'" },
		{ "users list --nosuch", "--nosuch" },
		{ "users list -x", "-x" },
		{ "users list extra", "'extra'" },
		{ "users create bob --name=B extra", "'extra'" },
		{ "nodes delete 1 2", "'2'" },
		{ "keys create --user bob --reusabel yes", "--reusabel" },
		{ "users create", "usage: weft-control users create LOGIN" },
		{ "users create bob --name", "--name needs a value" },
		{ "", "--help" },
	};
	struct err err;

	for (size_t i = 0; i < array_len(wrong); i++)
		CHECK(strstr(check(wrong[i][0], &err), wrong[i][1]));
}

TEST(nothing_on_the_pipe_is_no_policy)
{
	static const char policy[] = "{\"grants\":[]}";
	struct bench b;

	bench_start(&b);
	(void)bench_command(&b, "policy set", policy);
	CHECK(strstr(bench_command(&b, "policy set", ""), "empty"));
	CHECK(strstr(bench_command(&b, "policy set", " \n"), "empty"));
	CHECK(strstr(bench_command(&b, "policy get", NULL), "grants"));
	bench_stop(&b);
}

TEST(a_configuration_that_is_none_is_not_repeated)
{
	char path[] = "/tmp/weft-config-XXXXXX";
	static const char secret[] = "root:$6$salt$verysecret:20228:0:99999:7:::\n";
	int fd = mkstemp(path);
	struct config conf;
	struct err err;

	CHECK(fd >= 0 && write(fd, secret, sizeof(secret) - 1) == (ssize_t)sizeof(secret) - 1);
	config_defaults(&conf);
	CHECK(config_read(&conf, path, &err) < 0);
	CHECK(!strstr(err.text, "secret") && strstr(err.text, "key: value"));
	(void)close(fd);
	(void)unlink(path);
}
