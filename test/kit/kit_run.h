/* kit/kit_run.h - between the two halves of the kit. */
#pragma once

#include "kit/kit.h"

enum kit_result { KIT_PASSED, KIT_FAILED, KIT_SKIPPED };

struct kit_test *kit_tests(void);
enum kit_result kit_run(struct kit_test *t, const char **skip_reason);
