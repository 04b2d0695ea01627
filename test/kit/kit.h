/*
 * test/kit.h - the whole unit-test framework.
 *
 *   TEST(ping_vectors) { CHECK(disco_ping_decode(&ping, body)); }
 *
 * A test fails when a CHECK in it fails; it goes on, so one run shows all. Every TEST in a program
 * runs; `program NAME` runs those whose name contains NAME; `program --list` lists.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"

struct kit_test {
	const char *name;
	const char *file;
	void (*run)(void);
	struct kit_test *next;
};

void kit_register(struct kit_test *t);
bool kit_check(bool ok, const char *what, const char *file, int line);

#define TEST(title)                                                                                \
	static void test_##title(void);                                                            \
	__attribute__((constructor)) static void register_##title(void)                            \
	{                                                                                          \
		static struct kit_test t = { #title, __FILE__, test_##title, NULL };               \
		kit_register(&t);                                                                  \
	}                                                                                          \
	static void test_##title(void)

#define CHECK(cond) kit_check((cond), #cond, __FILE__, __LINE__)
/* Equal text; prints both when not. */
#define CHECK_STR(got, want) kit_check_str((got), (want), #got, __FILE__, __LINE__)
#define CHECK_INT(got, want)                                                                       \
	kit_check_int((int64_t)(got), (int64_t)(want), #got, __FILE__, __LINE__)

bool kit_check_str(const char *got, const char *want, const char *what, const char *file, int line);
bool kit_check_int(int64_t got, int64_t want, const char *what, const char *file, int line);

/* Bytes from hex, in an exact-size heap block so that ASan sees every overrun. Freed after the
 * test. */
struct bytes kit_hex(const char *hex);
struct bytes kit_copy(struct bytes b);
/* Leaves the test now and counts it as skipped. */
_Noreturn void kit_skip(const char *why);
/* A whole file under the environment variable WEFT_SOURCE (the checkout), or an absolute path. */
struct bytes kit_file(const char *path);
