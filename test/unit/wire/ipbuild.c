#include "wire/ipbuild.h"

#include "kit/kit.h"

/* RFC 1071 as it is written, word by word; the code under test sums in larger steps. */
static uint32_t words(const uint8_t *p, size_t n)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < n; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	return sum;
}

static uint16_t folded(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static struct addrport at(const char *ip, uint16_t port)
{
	struct addrport a = { .port = port };

	CHECK(ip_parse(&a.ip, bytes_str(ip)));
	return a;
}

/* Addresses, protocol, length and segment together make all ones when the checksum is right. */
static void check_udp(const char *from, const char *to, const char *text)
{
	struct addrport src = at(from, 53), dst = at(to, 40000);
	size_t head = ipbuild_header_len(src.ip), addresses = src.ip.family == 4 ? 8 : 32;
	size_t data = strlen(text), len = IPBUILD_UDP_LEN + data;
	uint8_t packet[128];

	memset(packet, 0xee, sizeof(packet));
	CHECK(ipbuild_udp(packet, sizeof(packet), &src, &dst, bytes_str(text)) == head + len);
	CHECK(packet[0] >> 4 == src.ip.family);
	CHECK(words(packet + head, 2) == 53 && words(packet + head + 2, 2) == 40000);
	CHECK(words(packet + head + 4, 2) == len);
	CHECK(memcmp(packet + head + IPBUILD_UDP_LEN, text, data) == 0);
	CHECK(folded(words(packet + head - addresses, addresses) + 17 + (uint32_t)len +
		     words(packet + head, len)) == 0xffff);
	if (src.ip.family == 4) {
		CHECK(folded(words(packet, head)) == 0xffff);
		CHECK(words(packet + 2, 2) == head + len && packet[9] == 17);
	} else {
		CHECK(words(packet + 4, 2) == len && packet[6] == 17);
	}
	CHECK(packet[head + len] == 0xee); /* not a byte more */
}

TEST(udp_packets_have_right_lengths_and_checksums)
{
	check_udp("100.100.100.100", "100.64.0.1", "");
	check_udp("100.100.100.100", "100.64.0.1", "even");
	check_udp("100.100.100.100", "100.64.0.1", "odd");
	check_udp("fd7a:115c:a1e0::53", "fd7a:115c:a1e0::1", "odd");
}

TEST(what_does_not_fit_is_no_packet)
{
	struct addrport src = at("192.0.2.1", 1), dst = at("192.0.2.2", 2);
	uint8_t packet[31];

	CHECK(ipbuild_udp(packet, 31, &src, &dst, bytes_str("abc")) == 31);
	CHECK(ipbuild_udp(packet, 30, &src, &dst, bytes_str("abc")) == 0);
}
