#include "base/log.h"

#include <stdio.h>

#include "kit/kit.h"

static char last[4096];

static void capture(struct log_sink *sink, enum log_level level, const char *line, size_t n)
{
	(void)sink;
	(void)level;
	(void)snprintf(last, sizeof(last), "%.*s", (int)n, line);
}

TEST(a_line_says_who_and_what)
{
	struct log_sink sink = { .write = capture, .level = LOG_INFO };
	struct log log = log_of(&sink, "derp", "fra");

	log_info(&log, "relay %s up in %d ms", "https://r", 12);
	CHECK_STR(last, "info  derp[fra]: relay https://r up in 12 ms\n");
	sink.json = true;
	log_warn(&log, "name was \"%s\"", "a\nb\x1b[0m");
	CHECK_STR(last, "{\"level\":\"warn\",\"subsystem\":\"derp\",\"instance\":\"fra\","
			"\"message\":\"name was \\\"a b [0m\\\"\"}\n");
}

TEST(levels_per_subsystem)
{
	struct log_sink sink = { .write = capture, .level = LOG_WARN, .debug_for = "wg,derp" };
	struct log derp = log_of(&sink, "derp", NULL), dns = log_of(&sink, "dns", NULL),
		   silent = { 0 };

	CHECK(log_enabled(&derp, LOG_DEBUG) && !log_enabled(&dns, LOG_INFO) &&
	      log_enabled(&dns, LOG_WARN));
	CHECK(!log_enabled(&silent, LOG_ERROR));
	log_error(&silent, "nobody hears this");
}
