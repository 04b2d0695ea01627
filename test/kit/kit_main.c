/* Runs the tests of one program and prints TAP: `ok 1 - name`. Exit status 1 when one failed. */
#include <stdio.h>
#include <string.h>

#include "kit/kit_run.h"

static bool wanted(const struct kit_test *t, int argc, char **argv)
{
	for (int i = 1; i < argc; i++)
		if (strstr(t->name, argv[i]))
			return true;
	return argc < 2;
}

static int list(void)
{
	for (struct kit_test *t = kit_tests(); t; t = t->next)
		(void)puts(t->name);
	return 0;
}

int main(int argc, char **argv)
{
	unsigned number = 0, failed = 0;
	const char *why;

	if (argc == 2 && strcmp(argv[1], "--list") == 0)
		return list();
	(void)setvbuf(stdout, NULL, _IOLBF, 0);
	for (struct kit_test *t = kit_tests(); t; t = t->next) {
		enum kit_result r;

		if (!wanted(t, argc, argv))
			continue;
		r = kit_run(t, &why);
		failed += r == KIT_FAILED;
		(void)printf("%s %u - %s%s%s\n", r == KIT_FAILED ? "not ok" : "ok", ++number,
			     t->name, r == KIT_SKIPPED ? " # SKIP " : "",
			     r == KIT_SKIPPED ? why : "");
	}
	(void)printf("1..%u\n", number);
	return failed || !number;
}
