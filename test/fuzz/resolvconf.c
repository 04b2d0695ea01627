/* What other programs write to the files of the host's resolver. */
#include "os/resolver/resolver_decide.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct resolver_want want = { .server_count = 1, .servers = { ip_v4(100, 100, 100, 100) } };
	struct resolver_facts f = { .exists = true };
	struct resolver_decision d;
	struct bytes text = bytes_of(data, size);
	struct resolv_conf again;
	struct buf ours, back;

	resolv_conf_parse(&f.file, text);
	resolver_decide(&d, &f);
	(void)nsswitch_has_resolve(text);
	(void)resolvconf_kind_of(0, text);
	buf_init(&ours, 4 * RESOLV_CONF_BYTES_MAX);
	buf_init(&back, 4 * RESOLV_CONF_BYTES_MAX);
	(void)resolv_conf_original(text, &back);
	buf_clear(&back);
	resolv_conf_render(&ours, &want, text);
	if (ours.bad)
		goto out;
	/* Whatever it was, ours names us alone and gives it back (but for a newline at the end). */
	resolv_conf_parse(&again, buf_bytes(&ours));
	if (ours.n < RESOLV_CONF_BYTES_MAX && again.up.count != 1)
		__builtin_trap();
	if (!resolv_conf_original(buf_bytes(&ours), &back) && size)
		__builtin_trap();
	if (back.n < size ? size - back.n > 1 : back.n - size > 1)
		__builtin_trap();
out:
	buf_fini(&ours);
	buf_fini(&back);
	return 0;
}
