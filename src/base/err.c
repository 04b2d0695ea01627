#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void format(struct err *err, const char *fmt, va_list ap)
{
	if (vsnprintf(err->text, sizeof(err->text), fmt, ap) < 0)
		err->text[0] = '\0';
}

static void append(char *text, size_t size, const char *tail)
{
	size_t n = strlen(text);

	(void)snprintf(text + n, size - n, ": %s", tail);
}

int err_set(struct err *err, enum err_code code, const char *fmt, ...)
{
	va_list ap;

	if (!err)
		return -1;
	err->code = code;
	err->sys = 0;
	va_start(ap, fmt);
	format(err, fmt, ap);
	va_end(ap);
	return -1;
}

int err_sys(struct err *err, const char *fmt, ...)
{
	int sys = errno;
	va_list ap;

	if (!err)
		return -1;
	err->code = ERR_SYSTEM;
	err->sys = sys;
	va_start(ap, fmt);
	format(err, fmt, ap);
	va_end(ap);
	append(err->text, sizeof(err->text), strerror(sys));
	return -1;
}

int err_wrap(struct err *err, const char *fmt, ...)
{
	char inner[sizeof(err->text)];
	va_list ap;

	if (!err)
		return -1;
	memcpy(inner, err->text, sizeof(inner));
	va_start(ap, fmt);
	format(err, fmt, ap);
	va_end(ap);
	append(err->text, sizeof(err->text), inner);
	return -1;
}
