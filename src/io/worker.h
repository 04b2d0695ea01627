/* io/worker.h - work that blocks, off the loop; the result comes back as a call in the loop's
 * thread. */
#pragma once

struct loop;

/*
 * The pool has few threads and the resolver uses it too: nothing that waits for long. There is no
 * cancel: arg carries an id that its owner looks up again. loop_destroy() waits for what runs.
 */
/* work runs in a pool thread, done in the loop. Both get arg; done always comes, in no order. */
void worker_run(struct loop *loop, void (*work)(void *arg), void (*done)(void *arg), void *arg);
