/* os/sandbox/sandbox_impl.h - the two fences behind sandbox_enter(). */
#pragma once

#include <stdbool.h>

#include "os/sandbox/sandbox.h"

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANDBOX_SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) ||                         \
    __has_feature(memory_sanitizer)
#define SANDBOX_SANITIZED 1
#endif
#endif
#ifndef SANDBOX_SANITIZED
#define SANDBOX_SANITIZED 0
#endif

/* 1: on; 0: the kernel has none; -1: refused. */
int sandbox_calls_on(bool helper, struct err *err);
/* The version that is on; 0: the kernel has none; -1: refused. */
int sandbox_files_on(const struct sandbox_conf *conf, struct err *err);
