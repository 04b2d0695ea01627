/* part/control_client/control_frames.c - see control_frames.h. */
#include "part/control_client/control_frames.h"

#include <zstd.h>

#include "base/err.h"
#include "wire/tailcfg_map.h"

enum { LENGTH_LEN = 4, CHUNK = 64 << 10 };

void control_frames_init(struct control_frames *f, bool plain)
{
	buf_init(&f->in, CONTROL_FRAME_MAX + LENGTH_LEN + (1 << 20));
	f->plain = plain;
}

void control_frames_fini(struct control_frames *f)
{
	buf_fini(&f->in);
}

void control_frames_input(struct control_frames *f, struct bytes data)
{
	(void)buf_append(&f->in, data);
}

int control_unzstd(struct bytes in, size_t max, struct buf *out, struct err *err)
{
	ZSTD_inBuffer from = { in.p, in.n, 0 };
	ZSTD_DStream *stream = ZSTD_createDStream();
	size_t left = 1;
	int ret = -1;

	buf_init(out, max);
	if (!stream)
		return err_set(err, ERR_LIMIT, "no memory to decompress");
	/* A window larger than the content makes no sense; this bounds what a header can claim. */
	(void)ZSTD_DCtx_setParameter(stream, ZSTD_d_windowLogMax, 27);
	while (left) {
		uint8_t *room = buf_reserve(out, CHUNK);
		ZSTD_outBuffer to = { room, CHUNK, 0 };

		if (!room) {
			err_set(err, ERR_LIMIT, "a map frame is too large");
			goto out;
		}
		left = ZSTD_decompressStream(stream, &to, &from);
		if (ZSTD_isError(left)) {
			err_set(err, ERR_MALFORMED, "a map frame does not decompress: %s",
				ZSTD_getErrorName(left));
			goto out;
		}
		out->n += to.pos;
		if (left && from.pos == from.size && to.pos < to.size) {
			err_set(err, ERR_MALFORMED, "a map frame is cut short");
			goto out;
		}
	}
	if (from.pos != from.size) {
		err_set(err, ERR_MALFORMED, "a map frame has bytes behind its end");
		goto out;
	}
	ret = 0;
out:
	ZSTD_freeDStream(stream);
	return ret;
}

static int decode(struct bytes body, bool plain, struct arena *arena,
		  struct tailcfg_map_response *out, struct err *err)
{
	struct bytes json = body;
	struct buf text;
	int ret = -1;

	if (!plain && control_unzstd(body, CONTROL_PLAIN_MAX, &text, err) < 0)
		goto out;
	if (!plain)
		json = buf_bytes(&text);
	/* A decoded tree is a small multiple of its text. */
	arena_init(arena, json.n * 40 + (256 << 10));
	json = arena_bytes(arena, json);
	*out = (struct tailcfg_map_response){ 0 };
	ret = schema_decode(out, &tailcfg_map_response_schema, arena, json, err);
	if (ret < 0)
		arena_fini(arena);
out:
	if (!plain)
		buf_fini(&text);
	return ret;
}

int control_frames_next(struct control_frames *f, struct arena *arena,
			struct tailcfg_map_response *out, struct err *err)
{
	struct reader r = reader_of(buf_bytes(&f->in));
	uint32_t n = read_le32(&r);

	if (f->in.bad)
		return err_set(err, ERR_LIMIT, "the map stream came faster than it was read");
	if (r.bad)
		return 0;
	if (n > CONTROL_FRAME_MAX)
		return err_set(err, ERR_LIMIT, "a map frame of %u bytes", n);
	if (reader_left(&r) < n)
		return 0;
	if (decode(read_bytes(&r, n), f->plain, arena, out, err) < 0)
		return -1;
	buf_consume(&f->in, LENGTH_LEN + (size_t)n);
	return 1;
}
