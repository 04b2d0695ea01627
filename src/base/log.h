/*
 * base/log.h - facts for people: one line each, past tense, noun first, reason last.
 *
 * A handle carries who speaks (subsystem and instance) and comes from its owner; handles share a
 * sink. The datapath does not log, it counts.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO, LOG_DEBUG };

struct log_sink {
	/* Where a whole line goes. */
	void (*write)(struct log_sink *sink, enum log_level level, const char *line, size_t n);
	enum log_level level; /* the most talkative level that is written */
	const char
	    *debug_for;  /* comma list of subsystems that may say debug all the same, or NULL */
	bool json;       /* JSON lines instead of text */
	bool timestamps; /* off under systemd, which adds its own */
	int fd;
};

struct log {
	struct log_sink *sink; /* NULL: silent */
	const char *subsystem; /* "derp" */
	char instance[24];     /* "fra", or empty */
};

/* A sink that writes to a file descriptor. */
void log_sink_init(struct log_sink *sink, int fd);
struct log log_of(struct log_sink *sink, const char *subsystem, const char *instance);

bool log_enabled(const struct log *log, enum log_level level);
void log_print(const struct log *log, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#define log_error(log, ...) log_print((log), LOG_ERROR, __VA_ARGS__)
#define log_warn(log, ...) log_print((log), LOG_WARN, __VA_ARGS__)
#define log_info(log, ...) log_print((log), LOG_INFO, __VA_ARGS__)
#define log_debug(log, ...)                                                                        \
	do {                                                                                       \
		if (log_enabled((log), LOG_DEBUG))                                                 \
			log_print((log), LOG_DEBUG, __VA_ARGS__);                                  \
	} while (0)
