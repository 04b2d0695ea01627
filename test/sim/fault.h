/*
 * sim/fault.h - mistakes made on purpose, to prove that the invariants see them.
 *
 * Each is what a real bug of that kind would look like from outside an engine. `sim --plant NAME`
 * runs the scenario that must notice; `sim --planted` runs all and fails when one goes unnoticed.
 */
#pragma once

/* clang-format off */
#define FAULTS(X)                                                                                   \
	X(PLAINTEXT,   "plaintext",    "cold-start",     "a host sends a packet around its tunnel")  \
	X(WRONG_HOST,  "wrong-host",   "cold-start",     "a decrypted packet goes to another host")  \
	X(WRONG_OWNER, "wrong-owner",  "cold-start",     "a packet is taken for another peer's")     \
	X(DAMAGE,      "damage",       "cold-start",     "a bit flips behind the tunnel")            \
	X(TWICE,       "twice",        "cold-start",     "a packet is handed on twice")              \
	X(NO_FILTER,   "no-filter",    "denied",         "a host does not ask its packet filter")    \
	X(NO_REVOKE,   "no-revoke",    "revocation",     "some peers are not told of a revocation")  \
	X(LOST_KEY,    "lost-key",     "key-rotation",   "one peer is not told of a new key")        \
	X(LOST_HOME,   "lost-home",    "region-loss",    "control forgets a host's new home region") \
	X(DEAF_RELAY,  "deaf-relay",   "cold-start",     "a relay never writes to one host")         \
	X(CLOSED_NAT,  "closed-nat",   "cold-start",     "a gateway forgets what it opened")         \
	X(FLAPPING,    "flapping",     "cold-start",     "a host's datagrams come and go")           \
	X(CLOCK_FLOOR, "clock-floor",  "clock-steps",    "a restarted host forgets its last timestamp") \
	X(TIMER_STORM, "timer-storm",  "long-day",       "an idle host wakes up every second")       \
	X(LEAK,        "leak",         "leak-hunt",      "a few bytes are lost with every session")  \
	X(FULL_MTU,    "full-mtu",     "small-mtu",      "a path is smaller than a tunnel packet")   \
	X(WALL_CLOCK,  "wall-clock",   "cold-start",     "something reads the real clock")
/* clang-format on */

enum fault {
	FAULT_NONE,
#define X(id, name, scenario, sentence) FAULT_##id,
	FAULTS(X)
#undef X
};
