#include "kit/kit.h"

#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "kit/kit_run.h"

static struct {
	struct kit_test *tests;
	void **garbage;
	size_t garbage_n, garbage_cap;
	unsigned failed_checks, checks;
	const char *skip_reason;
	jmp_buf skip;
} kit;

void kit_register(struct kit_test *t)
{
	struct kit_test **at = &kit.tests;

	while (*at) /* in the order of the file */
		at = &(*at)->next;
	*at = t;
}

struct kit_test *kit_tests(void)
{
	return kit.tests;
}

bool kit_check(bool ok, const char *what, const char *file, int line)
{
	kit.checks++;
	if (!ok) {
		kit.failed_checks++;
		(void)fprintf(stderr, "# %s:%d: failed: %s\n", file, line, what);
	}
	return ok;
}

bool kit_check_str(const char *got, const char *want, const char *what, const char *file, int line)
{
	bool ok = got && want && strcmp(got, want) == 0;

	if (!kit_check(ok, what, file, line))
		(void)fprintf(stderr, "#   got:  %s\n#   want: %s\n", got ? got : "(null)",
			      want ? want : "(null)");
	return ok;
}

bool kit_check_int(int64_t got, int64_t want, const char *what, const char *file, int line)
{
	if (kit_check(got == want, what, file, line))
		return true;
	(void)fprintf(stderr, "#   got:  %lld\n#   want: %lld\n", (long long)got, (long long)want);
	return false;
}

static void *keep(void *p)
{
	mem_reserve(kit.garbage, kit.garbage_n, kit.garbage_cap);
	kit.garbage[kit.garbage_n++] = p;
	return p;
}

struct bytes kit_copy(struct bytes b)
{
	uint8_t *p = keep(malloc(b.n ? b.n : 1));

	if (b.n)
		memcpy(p, b.p, b.n);
	return bytes_of(p, b.n);
}

struct bytes kit_hex(const char *hex)
{
	size_t n = strlen(hex) / 2;
	uint8_t *p = keep(malloc(n ? n : 1));

	if (!text_unhex(bytes_str(hex), p, n)) {
		(void)fprintf(stderr, "# bad hex in a test: %s\n", hex);
		abort();
	}
	return bytes_of(p, n);
}

struct bytes kit_file(const char *path)
{
	const char *root = getenv("WEFT_SOURCE");
	struct buf name, content;
	FILE *f;
	uint8_t *room;

	buf_init(&name, 4096);
	buf_init(&content, 1 << 28);
	(void)buf_printf(&name, "%s%s%s", path[0] == '/' || !root ? "" : root,
			 path[0] == '/' || !root ? "" : "/", path);
	f = fopen(buf_cstr(&name), "rb");
	if (!f)
		kit_skip(buf_cstr(&name));
	buf_fini(&name);
	while ((room = buf_reserve(&content, 65536))) {
		size_t n = fread(room, 1, 65536, f);

		content.n += n;
		if (!n)
			break;
	}
	(void)fclose(f);
	keep(content.p);
	return buf_bytes(&content);
}

void kit_skip(const char *why)
{
	kit.skip_reason = why;
	longjmp(kit.skip, 1);
}

enum kit_result kit_run(struct kit_test *t, const char **skip_reason)
{
	kit.failed_checks = kit.checks = 0;
	kit.skip_reason = NULL;
	if (setjmp(kit.skip) == 0)
		t->run();
	while (kit.garbage_n)
		free(kit.garbage[--kit.garbage_n]);
	mem_free(kit.garbage);
	kit.garbage = NULL;
	kit.garbage_cap = 0;
	*skip_reason = kit.skip_reason;
	if (kit.failed_checks)
		return KIT_FAILED;
	if (kit.skip_reason)
		return KIT_SKIPPED;
	if (!kit.checks) {
		(void)fprintf(stderr, "# %s: no CHECK was reached\n", t->name);
		return KIT_FAILED;
	}
	return KIT_PASSED;
}
