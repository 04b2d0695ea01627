/* base/err.h - why a cold path failed, in a form that a person reads and a program can decide on.
 */
#pragma once

enum err_code {
	ERR_NONE,
	ERR_MALFORMED, /* the peer sent bytes that break the wire format */
	ERR_REFUSED,   /* the peer answered, and the answer is no */
	ERR_AUTH,      /* signature, MAC or key did not verify */
	ERR_LIMIT,     /* one of our own limits was reached */
	ERR_TIMEOUT,
	ERR_SYSTEM,   /* a system call failed; sys holds errno */
	ERR_USAGE,    /* the caller, a person or a file, asked for something that cannot be */
	ERR_INTERNAL, /* our bug */
};

struct err {
	enum err_code code;
	int sys;
	char text[256]; /* outermost context first */
};

/* All three return -1, so that a failing function can `return err_set(...)`. err may be NULL. */
int err_set(struct err *err, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
/* Appends strerror(errno). */
int err_sys(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Prepends context. */
int err_wrap(struct err *err, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
