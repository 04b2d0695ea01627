#include "app/control/store_text.h"

#include "app/control/model.h"
#include "base/mem.h"
#include "base/text.h"

enum { WORDS_MAX = 1024 };

static void word(struct buf *out, const char *text)
{
	if (out->n)
		(void)buf_append_u8(out, ' ');
	(void)buf_append_str(out, text);
}

void store_text_tags(const struct text_set *set, struct buf *out)
{
	for (size_t i = 0; i < set->n; i++)
		word(out, set->v[i]);
}

void store_text_prefixes(const struct prefix_set *set, struct buf *out)
{
	char text[PREFIX_TEXT_MAX];

	for (size_t i = 0; i < set->n; i++)
		word(out, prefix_format(set->v[i], text));
}

void store_text_endpoints(const struct tn_node *n, struct buf *out)
{
	char text[ADDRPORT_TEXT_MAX];

	for (size_t i = 0; i < n->n_endpoints; i++)
		word(out, addrport_format(n->endpoints[i], text));
}

void store_read_tags(struct text_set *set, struct bytes text)
{
	struct bytes words[WORDS_MAX];
	size_t n = 0;

	while (n < WORDS_MAX && text_split(&text, ' ', &words[n]))
		n += words[n].n > 0;
	(void)text_set_assign(set, words, n);
}

void store_read_prefixes(struct prefix_set *set, struct bytes text)
{
	struct prefix list[WORDS_MAX];
	struct bytes w;
	size_t n = 0;

	while (n < WORDS_MAX && text_split(&text, ' ', &w))
		n += prefix_parse(&list[n], w);
	(void)prefix_set_assign(set, list, n);
}

void store_read_endpoints(struct tn_node *n, struct bytes text)
{
	struct addrport list[WORDS_MAX] = { 0 };
	struct bytes w;
	size_t count = 0;

	while (count < WORDS_MAX && text_split(&text, ' ', &w))
		count += addrport_parse(&list[count], w);
	mem_free(n->endpoints);
	n->endpoints = mem_alloc((count + 1) * sizeof(*n->endpoints));
	memcpy(n->endpoints, list, count * sizeof(*list));
	n->n_endpoints = count;
}
