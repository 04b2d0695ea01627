#include "app/tunnel/owners.h"

#include "base/mem.h"

static void push(struct owner_list *l, uint32_t owner)
{
	mem_reserve(l->v, l->n, l->cap);
	l->v[l->n++] = owner;
}

void owners_fini(struct owners *o)
{
	mem_free(o->free.v);
	mem_free(o->back.v);
	mem_free(o->resting.v);
}

bool owners_take(struct owners *o, uint32_t max, uint32_t *owner)
{
	if (o->free.n)
		*owner = o->free.v[--o->free.n];
	else if (o->next < max)
		*owner = o->next++;
	else
		return false;
	return true;
}

void owners_give_back(struct owners *o, uint32_t owner)
{
	push(&o->back, owner);
}

bool owners_rest(struct owners *o)
{
	struct owner_list empty = o->resting;

	if (o->resting.n || !o->back.n)
		return false;
	o->resting = o->back;
	o->back = empty;
	return true;
}

void owners_rested(struct owners *o)
{
	for (size_t i = 0; i < o->resting.n; i++)
		push(&o->free, o->resting.v[i]);
	o->resting.n = 0;
}
