#include "base/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/json.h"
#include "base/text.h"
#include "base/wall.h"

enum { MESSAGE_MAX = 1024, LINE_MAX = 4096 };

static const char *const level_name[] = { "error", "warn", "info", "debug" };

static void write_fd(struct log_sink *sink, enum log_level level, const char *line, size_t n)
{
	(void)level;
	/* A log that cannot be written has nowhere to complain. */
	if (write(sink->fd, line, n) < 0)
		return;
}

void log_sink_init(struct log_sink *sink, int fd)
{
	*sink =
	    (struct log_sink){ .write = write_fd, .level = LOG_INFO, .timestamps = true, .fd = fd };
}

struct log log_of(struct log_sink *sink, const char *subsystem, const char *instance)
{
	struct log log = { .sink = sink, .subsystem = subsystem };

	if (instance)
		(void)snprintf(log.instance, sizeof(log.instance), "%s", instance);
	return log;
}

static bool listed(const char *list, const char *word)
{
	struct bytes rest = bytes_str(list), piece;

	while (text_split(&rest, ',', &piece))
		if (bytes_equal_str(piece, word) || bytes_equal_str(piece, "all"))
			return true;
	return false;
}

bool log_enabled(const struct log *log, enum log_level level)
{
	const struct log_sink *sink = log->sink;

	if (!sink || !sink->write)
		return false;
	return level <= sink->level || (sink->debug_for && listed(sink->debug_for, log->subsystem));
}

/* A line stays one line and a terminal stays sane, whatever a peer put into a name. */
static void flatten(char *s)
{
	for (; *s; s++)
		if ((unsigned char)*s < ' ' || *s == 0x7f)
			*s = ' ';
}

static void as_json(struct buf *line, const struct log *log, const char *level, const char *message)
{
	char when[WALL_TEXT_MAX];
	struct json_out o;

	json_out_init(&o, line);
	json_open_object(&o);
	if (log->sink->timestamps) {
		json_key(&o, "time");
		json_put_cstr(&o, wall_format(wall_now(), when));
	}
	json_key(&o, "level");
	json_put_cstr(&o, level);
	json_key(&o, "subsystem");
	json_put_cstr(&o, log->subsystem);
	if (log->instance[0]) {
		json_key(&o, "instance");
		json_put_cstr(&o, log->instance);
	}
	json_key(&o, "message");
	json_put_cstr(&o, message);
	json_close_object(&o);
	(void)buf_append_str(line, "\n");
}

static void as_text(struct buf *line, const struct log *log, const char *level, const char *message)
{
	char when[WALL_TEXT_MAX];

	if (log->sink->timestamps)
		(void)buf_printf(line, "%.19sZ ", wall_format(wall_now(), when));
	(void)buf_printf(line, "%-5s %s", level, log->subsystem);
	if (log->instance[0])
		(void)buf_printf(line, "[%s]", log->instance);
	(void)buf_printf(line, ": %s\n", message);
}

void log_print(const struct log *log, enum log_level level, const char *fmt, ...)
{
	char message[MESSAGE_MAX];
	struct buf line;
	va_list ap;

	if (!log_enabled(log, level))
		return;
	va_start(ap, fmt);
	(void)vsnprintf(message, sizeof(message), fmt, ap);
	va_end(ap);
	flatten(message);
	buf_init(&line, LINE_MAX * 2);
	if (log->sink->json)
		as_json(&line, log, level_name[level], message);
	else
		as_text(&line, log, level_name[level], message);
	log->sink->write(log->sink, level, (const char *)line.p, line.n);
	buf_fini(&line);
}
