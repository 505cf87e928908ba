#include "vm/asm_label.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int asm_label_append(struct asm_label_list *list, const struct asm_token *name, uint32_t line, uint32_t pc, bool is_rel16)
{
	struct asm_label *item;

	if (list->n == list->room) {
		uint32_t room = list->room ? 2 * list->room : 64;
		struct asm_label *items = realloc(list->items, room * sizeof(*items));

		if (!items)
			return -ENOMEM;
		list->items = items;
		list->room = room;
	}
	item = &list->items[list->n++];
	*item = (struct asm_label){.name = name->text, .name_bytes = name->bytes, .line = line, .column = name->column};
	item->pc = pc;
	item->is_rel16 = is_rel16;
	return 0;
}

void asm_label_fini(struct asm_label_list *list)
{
	free(list->items);
	memset(list, 0, sizeof(*list));
}

static int compare_names(const struct asm_label *a, const struct asm_label *b)
{
	uint32_t shorter = a->name_bytes < b->name_bytes ? a->name_bytes : b->name_bytes;
	int order = memcmp(a->name, b->name, shorter);

	return order ? order : (a->name_bytes > b->name_bytes) - (a->name_bytes < b->name_bytes);
}

/* By name, then in the order of the source. */
static int compare(const void *pa, const void *pb)
{
	const struct asm_label *a = pa, *b = pb;
	int order = compare_names(a, b);

	return order ? order : (a->name > b->name) - (a->name < b->name);
}

void asm_label_sort(struct asm_label_list *definitions, struct diag_list *d)
{
	const struct asm_label *first = definitions->items;

	if (!definitions->n)
		return;
	qsort(definitions->items, definitions->n, sizeof(*definitions->items), compare);
	for (uint32_t i = 1; i < definitions->n; i++) {
		struct asm_label *l = &definitions->items[i];

		if (compare_names(first, l)) {
			first = l;
			continue;
		}
		diag_add(d, DIAG_ERROR, l->line, l->column, "label '%.*s' is already defined on line %u; rename one of them",
			 (int)l->name_bytes, l->name, first->line);
	}
}

const struct asm_label *asm_label_find(const struct asm_label_list *definitions, const struct asm_label *use)
{
	uint32_t lo = 0, hi = definitions->n;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (compare_names(&definitions->items[mid], use) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == definitions->n || compare_names(&definitions->items[lo], use))
		return NULL;
	return &definitions->items[lo];
}

static void report_unknown(const struct asm_label_list *definitions, const struct asm_label *use, struct diag_list *d)
{
	struct nearest near;

	nearest_init(&near, use->name, use->name_bytes, false);
	if (d->count < DIAG_MAX)
		for (uint32_t i = 0; i < definitions->n; i++)
			nearest_offer(&near, definitions->items[i].name, definitions->items[i].name_bytes);
	if (near.best)
		diag_add(d, DIAG_ERROR, use->line, use->column, "unknown label '%.*s'; did you mean '%.*s'?", (int)use->name_bytes,
			 use->name, (int)near.best_bytes, near.best);
	else
		diag_add(d, DIAG_ERROR, use->line, use->column,
			 "unknown label '%.*s'; define it by writing '%.*s:' before an instruction", (int)use->name_bytes,
			 use->name, (int)use->name_bytes, use->name);
}

static void resolve_jump(const struct asm_label *use, const struct asm_label *label, uint8_t *code, struct diag_list *d)
{
	int64_t distance = (int64_t)label->pc - (use->pc + 2);

	if (distance < INT16_MIN || distance > INT16_MAX) {
		diag_add(d, DIAG_ERROR, use->line, use->column,
			 "'%.*s' is %lld bytes away; a jump reaches -32768 to 32767: jump to a JMP placed on the way",
			 (int)use->name_bytes, use->name, (long long)distance);
		return;
	}
	code[use->pc] = (uint8_t)distance;
	code[use->pc + 1] = (uint8_t)((uint16_t)distance >> 8);
}

void asm_label_resolve(const struct asm_label_list *definitions, const struct asm_label_list *uses, uint8_t *code,
		       struct diag_list *d)
{
	for (uint32_t i = 0; i < uses->n; i++) {
		const struct asm_label *use = &uses->items[i];
		const struct asm_label *label = asm_label_find(definitions, use);

		if (!label)
			report_unknown(definitions, use, d);
		else if (code && use->is_rel16)
			resolve_jump(use, label, code, d);
		else if (code)
			for (int byte = 0; byte < 8; byte++)
				code[use->pc + byte] = byte < 4 ? (uint8_t)(label->pc >> 8 * byte) : 0;
	}
}
