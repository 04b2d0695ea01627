#include "os/nft/nft.h"

#include <stdio.h>
#include <string.h>

#include "base/err.h"
#include "kit/kit.h"
#include "netns.h"

static const struct nft_conf everything = { .device = "weft0",
					    .hooks = true,
					    .snat = true,
					    .stateful = true,
					    .drop_spoofed = true,
					    .keep_marks = true };

static void enter(void)
{
	struct err err = { 0 };

	netns_enter();
	if (nft_remove(&err) < 0)
		kit_skip(err.text);
}

struct counting {
	const char *chain;
	unsigned n;
};

static void count(void *arg, const char *chain)
{
	struct counting *c = arg;

	c->n += !strcmp(chain, c->chain);
}

static unsigned lines(const struct nft_conf *conf, const char *chain)
{
	struct counting c = { .chain = chain };
	struct err err = { 0 };

	if (conf && !CHECK(nft_apply(conf, &err) == 0))
		CHECK_STR(err.text, "");
	CHECK(nft_rules(count, &c, &err) == 0);
	return c.n;
}

TEST(nft_applies_the_same_rules_twice_and_removes_them)
{
	enter();
	CHECK_INT(lines(&everything, "weft-forward"), 6);
	CHECK_INT(lines(&everything, "weft-forward"), 6);
	CHECK_INT(lines(NULL, "weft-input"), 4);
	CHECK_INT(lines(NULL, "weft-postrouting"), 1);
	CHECK_INT(lines(NULL, "weft-output"), 1);
	CHECK_INT(lines(NULL, "weft-prerouting"), 1);
	CHECK_INT(lines(NULL, "forward"), 1);
	CHECK(nft_remove(NULL) == 0);
	CHECK_INT(lines(NULL, "weft-forward"), 0);
	CHECK(nft_remove(NULL) == 0);
}

TEST(nft_leaves_out_what_is_not_wanted)
{
	struct nft_conf conf = { .device = "weft0", .hooks = true };

	enter();
	CHECK_INT(lines(&everything, "weft-postrouting"), 1);
	CHECK_INT(lines(&conf, "weft-postrouting"), 0);
	CHECK_INT(lines(NULL, "weft-forward"), 5);
	CHECK_INT(lines(NULL, "weft-input"), 2);
	CHECK_INT(lines(NULL, "weft-output"), 0);
	CHECK_INT(lines(NULL, "output"), 1);
	conf.hooks = false;
	CHECK_INT(lines(&conf, "output"), 0);
	CHECK_INT(lines(NULL, "weft-forward"), 5);
	CHECK(nft_remove(NULL) == 0);
}

static void collect(void *arg, const char *text)
{
	(void)snprintf(arg, 64, "%s", text);
}

TEST(nft_notes_last_until_the_table_goes)
{
	char found[64] = "", longest[NFT_NOTE_MAX + 1];

	enter();
	CHECK(nft_note("src_valid_mark-eth0.5", NULL) == 0);
	CHECK(nft_note("src_valid_mark-eth0.5", NULL) == 0);
	CHECK(nft_apply(&everything, NULL) == 0);
	CHECK(nft_notes(collect, found, NULL) == 0);
	CHECK_STR(found, "src_valid_mark-eth0.5");
	CHECK(nft_forget("src_valid_mark-eth0.5", NULL) == 0);
	found[0] = '\0';
	CHECK(nft_notes(collect, found, NULL) == 0);
	CHECK_STR(found, "");
	memset(longest, 'x', NFT_NOTE_MAX);
	longest[NFT_NOTE_MAX] = '\0';
	CHECK(nft_note(longest, NULL) < 0);
	CHECK(nft_note(longest + 1, NULL) == 0);
	CHECK(nft_remove(NULL) == 0);
	found[0] = '\0';
	CHECK(nft_notes(collect, found, NULL) == 0);
	CHECK_STR(found, "");
}
