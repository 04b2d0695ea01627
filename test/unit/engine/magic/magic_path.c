#include "engine/magic/magic.h"

#include "kit/kit.h"

static struct magic_score score(const char *addr, int64_t ms)
{
	struct magic_score s = { .latency_ns = ms * 1000000 };

	if (*addr)
		CHECK(addrport_parse(&s.addr, bytes_str(addr)));
	return s;
}

static bool better(const char *a, int64_t a_ms, const char *b, int64_t b_ms)
{
	struct magic_score x = score(a, a_ms), y = score(b, b_ms);

	return magic_is_better(&x, &y);
}

TEST(better_addresses)
{
	CHECK(better("1.1.1.1:1", 50, "", 0) && !better("", 0, "1.1.1.1:1", 50));
	CHECK(!better("1.1.1.1:1", 1, "1.1.1.1:1", 50));
	CHECK(better("1.1.1.1:1", 20, "2.2.2.2:2", 30) &&
	      !better("2.2.2.2:2", 30, "1.1.1.1:1", 20));
	CHECK(!better("1.1.1.1:1", 100, "2.2.2.2:2", 101)); /* one per cent is not worth a change */
	CHECK(better("192.168.0.2:1", 20, "2.2.2.2:2", 20));
	CHECK(better("[2001:db8::1]:1", 20, "2.2.2.2:2", 20));
	CHECK(better("[2001:db8::1]:1", 21, "2.2.2.2:2", 20));  /* ten points against four */
	CHECK(!better("[2001:db8::1]:1", 25, "2.2.2.2:2", 20)); /* ten against twenty */
}

TEST(classes_of_datagrams)
{
	CHECK(magic_classify(kit_hex("")) == MAGIC_EMPTY);
	CHECK(magic_classify(kit_hex("04000000080706050000000000000000")) == MAGIC_WIREGUARD);
	CHECK(magic_classify(kit_hex("0101000c2112a4420102030405060708090a0b0c")) == MAGIC_STUN);
	CHECK(magic_classify(kit_hex("0101000c2112a4420102030405060708090a0b")) == MAGIC_WIREGUARD);
	CHECK(magic_classify(kit_hex("0111000c2112a4420102030405060708090a0b0c")) != MAGIC_STUN);
	CHECK(magic_classify(kit_hex("00807a1112345600")) == MAGIC_GENEVE);
	CHECK(magic_classify(kit_hex("00007a1212345600")) == MAGIC_GENEVE);
	CHECK(magic_classify(kit_hex("07")) == MAGIC_WIREGUARD);
}
