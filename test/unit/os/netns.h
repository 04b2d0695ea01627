/* A network namespace of the test's own, with loopback up. Skips the test when that needs more
 * rights than there are. */
#pragma once

void netns_enter(void);
