/* io/worker.h - work that blocks, off the loop; the result comes back as a call in the loop's
 * thread. */
#pragma once

struct loop;

/* work runs in a pool thread, done in the loop. Both get arg; done always comes, in no order. */
void worker_run(struct loop *loop, void (*work)(void *arg), void (*done)(void *arg), void *arg);
