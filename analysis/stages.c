/* stages.c: the stages in their order, and the counts of the talk's table. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/stages.h"

#define IS_ACCESS (IR_F_READ | IR_F_UPDATE)

const char *scope_name(enum object_scope s)
{
	static const char *const names[] = {"per-flow", "multi-flow", "all-flows", "configuration"};

	return names[s];
}

const char *output_name(enum output_level l)
{
	static const char *const names[] = {"none", "error", "class", "forwarding"};

	return names[l];
}

static void index_objects(const struct ir *ir, const struct objects *o, struct stages *s)
{
	uint32_t in_table[256] = {0};

	for (uint32_t v = 0; v < ir->n_values; v++)
		s->object_of[v] = IR_NONE;
	for (uint32_t i = 0; i < o->n; i++) {
		in_table[o->items[i].table]++;
		for (uint32_t j = 0; j < o->items[i].n_sites; j++) {
			uint16_t flags = ir_ops[ir->values[o->items[i].sites[j]].op].flags;

			s->object_of[o->items[i].sites[j]] = i;
			s->objects[i].reads |= (flags & IR_F_READ) != 0;
			s->objects[i].updates |= (flags & IR_F_UPDATE) != 0;
		}
	}
	for (uint32_t i = 0; i < o->n; i++)
		s->objects[i].coupled = in_table[o->items[i].table] > 1;
}

static void count(const struct ir *ir, const struct objects *o, struct stages *s)
{
	struct stage_counts *n = &s->counts;

	for (uint32_t v = 0; v < ir->n_values; v++) {
		uint16_t flags = ir_ops[ir->values[v].op].flags;

		n->values++;
		n->persistent += (flags & IS_ACCESS) != 0;
		n->tracked += (flags & IR_F_UPDATE) && s->object_of[v] != IR_NONE;
	}
	n->flow = o->n;
	for (uint32_t i = 0; i < o->n; i++) {
		n->updateable += o->items[i].updateable;
		n->impacting += o->items[i].updateable && s->objects[i].output != OUTPUT_NONE;
	}
}

int stages_find(const struct ir *ir, const struct objects *o, struct stages *s)
{
	struct control c = {0};
	int err = -ENOMEM;

	memset(s, 0, sizeof(*s));
	s->object_of = malloc((ir->n_values + 1ul) * sizeof(*s->object_of));
	s->objects = calloc(o->n + 1ul, sizeof(*s->objects));
	if (s->object_of && s->objects)
		err = control_find(ir, &c);
	if (!err) {
		index_objects(ir, o, s);
		err = dims_find(ir, o, &c, s);
	}
	if (!err)
		err = impact_find(ir, o, &c, s);
	if (!err) {
		s->readable_bytes = readable_find(ir);
		count(ir, o, s);
	}
	control_fini(&c);
	return err;
}

void stages_fini(struct stages *s)
{
	free(s->object_of);
	free(s->objects);
	memset(s, 0, sizeof(*s));
}
