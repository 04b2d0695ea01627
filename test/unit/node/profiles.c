/* Accounts come, go and are taken in turn; the state file keeps them all. */
#include "node/profiles.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/err.h"
#include "base/rand.h"
#include "kit/kit.h"
#include "node/prefs.h"
#include "node/state.h"

static void log_in(struct profiles *all, uint8_t key)
{
	all->current->node_key.b[0] = key;
}

TEST(profiles_take_turns)
{
	struct rng rng = rng_seeded(1);
	struct profiles all = { 0 };
	char first[8], second[8];
	struct err err;

	all.current = profile_create(&all, &rng);
	(void)snprintf(first, sizeof(first), "%s", all.current->info.id);
	log_in(&all, 1);
	CHECK(profiles_new(&all, &rng, &err) == 0 && all.other_count == 1);
	(void)snprintf(second, sizeof(second), "%s", all.current->info.id);
	CHECK(strcmp(first, second) != 0);
	CHECK(profiles_switch(&all, "none", &err) < 0 && !strcmp(all.current->info.id, second));
	/* Nobody logged in with the second: it goes. */
	CHECK(profiles_switch(&all, first, &err) == 0 && all.other_count == 0);
	CHECK_INT(all.current->node_key.b[0], 1);
	CHECK(profiles_new(&all, &rng, &err) == 0);
	log_in(&all, 2);
	CHECK(profiles_switch(&all, first, &err) == 0 && all.other_count == 1);
	CHECK(profiles_remove(&all, first, &rng, &err) == 0);
	CHECK(!profile_has_key(all.current) && all.other_count == 1);
	CHECK_INT(all.others[0]->node_key.b[0], 2);
	profiles_fini(&all);
}

TEST(profiles_are_bounded)
{
	struct rng rng = rng_seeded(1);
	struct profiles all = { 0 };
	struct err err;
	int made = 1;

	all.current = profile_create(&all, &rng);
	log_in(&all, 1);
	while (made < 1000 && profiles_new(&all, &rng, &err) == 0) {
		log_in(&all, 1);
		made++;
	}
	CHECK_INT(made, PROFILES_MAX);
	CHECK_INT(err.code, ERR_LIMIT);
	profiles_fini(&all);
}

TEST(profiles_survive_in_the_state_with_maps_of_their_own)
{
	char dir[] = "/tmp/weft-profiles-XXXXXX", command[128], first[8];
	struct rng rng = rng_seeded(1);
	struct state *s;
	struct err err;
	struct buf map;

	if (!mkdtemp(dir))
		kit_skip("no folder in /tmp");
	s = state_open(dir, &rng, &err);
	CHECK(s != NULL);
	state_node_key(s)->b[0] = 1;
	state_set_text(&state_profile(s)->login_name, bytes_str("ana"));
	(void)snprintf(first, sizeof(first), "%s", state_profile(s)->id);
	CHECK(state_save_map(s, bytes_str("{\"of\":\"ana\"}"), &rng, &err) == 0);
	CHECK(state_new_profile(s, &rng, &err) == 0);
	state_node_key(s)->b[0] = 2;
	CHECK(state_load_map(s, &map, &err) < 0 && err.code == ERR_NONE);
	buf_fini(&map);
	CHECK(state_save(s, &err) == 0);
	state_close(s);
	s = state_open(dir, &rng, &err);
	CHECK(s && state_profiles(s)->other_count == 1);
	CHECK_INT(state_node_key(s)->b[0], 2);
	CHECK(state_switch_profile(s, first, &err) == 0);
	CHECK_STR(state_profile(s)->login_name, "ana");
	CHECK(state_load_map(s, &map, &err) == 0);
	buf_fini(&map);
	CHECK(state_remove_profile(s, state_profile(s)->id, &rng, &err) == 0);
	state_close(s);
	(void)snprintf(command, sizeof(command), "%s/netmap-%s.cache", dir, first);
	CHECK(access(command, F_OK) < 0);
	(void)snprintf(command, sizeof(command), "%s/weftd.state", dir);
	CHECK(unlink(command) == 0);
	(void)snprintf(command, sizeof(command), "%s/lock", dir);
	CHECK(unlink(command) == 0 && rmdir(dir) == 0);
}
