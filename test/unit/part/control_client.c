/* Frames of the map stream, requests of control, server URLs. */
#include <zstd.h>

#include "base/err.h"
#include "kit/kit.h"
#include "part/control_client/control_c2n.h"
#include "part/control_client/control_dial.h"
#include "part/control_client/control_frames.h"
#include "wire/tailcfg_map.h"

static size_t frame_of(const char *json, uint8_t *out, size_t size)
{
	size_t n = ZSTD_compress(out + 4, size - 4, json, strlen(json), 3);
	struct writer w = writer_of(out, 4);

	write_le32(&w, (uint32_t)n);
	return n + 4;
}

TEST(frames_come_byte_by_byte)
{
	struct control_frames f;
	struct tailcfg_map_response m;
	struct arena arena;
	uint8_t wire[256];
	struct err err = { 0 };
	size_t n = frame_of("{\"KeepAlive\":true}", wire, sizeof(wire));

	control_frames_init(&f, false);
	for (size_t i = 0; i + 1 < n; i++) {
		control_frames_input(&f, bytes_of(wire + i, 1));
		CHECK_INT(control_frames_next(&f, &arena, &m, &err), 0);
	}
	control_frames_input(&f, bytes_of(wire + n - 1, 1));
	CHECK_INT(control_frames_next(&f, &arena, &m, &err), 1);
	CHECK(m.keep_alive);
	arena_fini(&arena);
	CHECK_INT(control_frames_next(&f, &arena, &m, &err), 0);
	control_frames_fini(&f);
}

static int refused(const void *p, size_t n)
{
	struct control_frames f;
	struct tailcfg_map_response m;
	struct arena arena;
	struct err err = { 0 };
	int ret;

	control_frames_init(&f, false);
	control_frames_input(&f, kit_copy(bytes_of(p, n)));
	ret = control_frames_next(&f, &arena, &m, &err);
	if (ret > 0)
		arena_fini(&arena);
	control_frames_fini(&f);
	return ret;
}

TEST(bad_frames_end_the_stream)
{
	uint8_t wire[256];
	size_t n = frame_of("{\"KeepAlive\":true}", wire, sizeof(wire));

	CHECK_INT(refused("\xff\xff\xff\xff", 4), -1); /* before anyone waits for the body */
	CHECK_INT(refused("\0\0\0\0", 4), -1);
	CHECK_INT(refused("\x04\0\0\0abcd", 8), -1);
	wire[0]--; /* cut short */
	CHECK_INT(refused(wire, n), -1);
	n = frame_of("{\"KeepAlive\":1}", wire, sizeof(wire));
	CHECK_INT(refused(wire, n), -1);
}

TEST(bombs_do_not_grow)
{
	enum { LARGE = 1 << 20 };
	static uint8_t zeros[LARGE], packed[4096];
	size_t n = ZSTD_compress(packed, sizeof(packed), zeros, LARGE, 3);
	struct err err = { 0 };
	struct buf out;

	CHECK(control_unzstd(bytes_of(packed, n), LARGE + 65536, &out, &err) == 0);
	CHECK_INT(out.n, LARGE);
	buf_fini(&out);
	CHECK(control_unzstd(bytes_of(packed, n), LARGE / 2, &out, &err) < 0);
	CHECK_INT(err.code, ERR_LIMIT);
	buf_fini(&out);
}

static void answer(const char *payload, struct buf *out)
{
	buf_init(out, 4096);
	control_c2n_answer(kit_copy(bytes_str(payload)), out);
}

TEST(requests_of_control)
{
	struct buf out;

	answer("POST /echo HTTP/1.1\r\nHost: x\r\n\r\nhello", &out);
	CHECK(bytes_has_prefix(buf_bytes(&out), "HTTP/1.1 200 OK\r\n"));
	CHECK_STR(buf_cstr(&out) + out.n - 9, "\r\n\r\nhello");
	buf_fini(&out);
	answer("GET /debug/goroutines?x=1 HTTP/1.1\r\n\r\n", &out);
	CHECK(bytes_has_prefix(buf_bytes(&out), "HTTP/1.1 400 "));
	CHECK(strstr(buf_cstr(&out), "unknown c2n path") != NULL);
	buf_fini(&out);
	answer("", &out);
	CHECK(bytes_has_prefix(buf_bytes(&out), "HTTP/1.1 400 "));
	buf_fini(&out);
}

TEST(ports_of_a_server)
{
	static const struct {
		const char *url;
		uint16_t plain, tls;
	} cases[] = {
		{ "https://h", 80, 443 },
		{ "https://h:8443", 80, 8443 },
		{ "http://h", 80, 443 },
		{ "http://h:8080", 8080, 443 },
		{ "http://10.0.0.1:8080", 8080, 0 },
		{ "http://localhost", 80, 0 },
		{ "http://[::1]:81/x", 81, 0 },
	};
	struct control_server s;
	struct err err;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		CHECK(control_server_parse(&s, cases[i].url, &err) == 0);
		CHECK_INT(s.plain_port, cases[i].plain);
		CHECK_INT(s.tls_port, cases[i].tls);
	}
	CHECK(control_server_parse(&s, "ftp://h", &err) < 0);
	CHECK(control_server_parse(&s, "http://", &err) < 0);
	CHECK(control_server_parse(&s, "http://h:0", &err) < 0);
	CHECK(control_server_parse(&s, "http://h:70000", &err) < 0);
}
