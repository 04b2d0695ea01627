/* What is on disk: kept, locked, set aside when it cannot be read. */
#include "node/state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/err.h"
#include "base/rand.h"
#include "io/file.h"
#include "kit/kit.h"
#include "node/prefs.h"

struct place {
	char dir[64], file[128];
};

static void place_make(struct place *p)
{
	(void)snprintf(p->dir, sizeof(p->dir), "/tmp/weft-state-XXXXXX");
	if (!mkdtemp(p->dir))
		kit_skip("no folder in /tmp");
	(void)snprintf(p->file, sizeof(p->file), "%s/weftd.state", p->dir);
}

static void place_remove(const struct place *p)
{
	char command[128];

	(void)snprintf(command, sizeof(command), "%s/lock", p->dir);
	(void)unlink(command);
	(void)unlink(p->file);
	(void)rmdir(p->dir);
}

TEST(keys_survive)
{
	struct rng rng = rng_seeded(1);
	struct secret32 machine;
	struct place at;
	struct err err;
	struct state *s;

	place_make(&at);
	s = state_open(at.dir, &rng, &err);
	CHECK(s && !secret_is_zero(state_machine_key(s)->b, 32));
	machine = *state_machine_key(s);
	state_node_key(s)->b[3] = 7;
	CHECK(state_save(s, &err) == 0);
	state_close(s);
	s = state_open(at.dir, &rng, &err);
	CHECK(s && secret_equal(&machine, state_machine_key(s), 32));
	CHECK_INT(state_node_key(s)->b[3], 7);
	state_close(s);
	place_remove(&at);
}

TEST(file_is_private_and_one_daemon_has_it)
{
	struct rng rng = rng_seeded(1);
	struct place at;
	struct stat st;
	struct err err;
	struct state *s;

	place_make(&at);
	s = state_open(at.dir, &rng, &err);
	CHECK(stat(at.file, &st) == 0 && (st.st_mode & 0777) == 0600);
	CHECK(stat(at.dir, &st) == 0 && (st.st_mode & 0777) == 0700);
	state_close(s);
	place_remove(&at);
}

TEST(unreadable_state_is_set_aside)
{
	struct rng rng = rng_seeded(1);
	struct place at;
	struct err err = { 0 };

	place_make(&at);
	CHECK(file_write(at.file, bytes_str("{\"machineKey\":"), 0600, &err) == 0);
	CHECK(!state_open(at.dir, &rng, &err));
	CHECK_INT(err.code, ERR_MALFORMED);
	CHECK(strstr(err.text, "corrupt-") != NULL);
	CHECK(!file_exists(at.file));
	(void)at;
}

TEST(map_is_sealed)
{
	struct rng rng = rng_seeded(1);
	struct place at;
	struct err err;
	struct state *s;
	struct buf got;

	place_make(&at);
	s = state_open(at.dir, &rng, &err);
	CHECK(state_load_map(s, &got, &err) < 0 && err.code == ERR_NONE);
	buf_fini(&got);
	CHECK(state_save_map(s, bytes_str("{\"a\":1}"), &rng, &err) == 0);
	CHECK(state_load_map(s, &got, &err) == 0);
	CHECK(bytes_equal_str(buf_bytes(&got), "{\"a\":1}"));
	buf_fini(&got);
	state_machine_key(s)->b[0] ^= 1; /* somebody else's */
	CHECK(state_load_map(s, &got, &err) < 0 && err.code == ERR_AUTH);
	buf_fini(&got);
	state_forget_map(s);
	state_close(s);
	place_remove(&at);
}
