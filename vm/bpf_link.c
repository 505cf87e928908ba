/* bpf_link.c: labels to offsets. A conditional jump reaches 255 instructions; a longer one goes through a JA right behind it. */
#include <linux/filter.h>
#include <stdlib.h>

#include "vm/bpf_parts.h"
#include "vm/vfm.h"

#define REACH 255

struct linker {
	struct bpf_draft *d;
	uint8_t *kept;          /* [item] */
	uint8_t *far_t, *far_f; /* [item] goes through a JA */
	uint32_t *at;           /* [item] its place */
};

static bool is_ja(const struct bpf_item *i)
{
	return i->code == (BPF_JMP | BPF_JA);
}

static bool is_conditional(const struct bpf_item *i)
{
	return BPF_CLASS(i->code) == BPF_JMP && !is_ja(i);
}

/* Where a jump to label ends up: unconditional jumps are followed. All jumps go forward, so this ends. */
static uint32_t target(const struct bpf_draft *d, uint32_t label)
{
	uint32_t i = d->labels[label];

	while (is_ja(&d->items[i]))
		i = d->labels[d->items[i].t];
	return i;
}

static void find_kept(struct linker *l)
{
	struct bpf_draft *d = l->d;

	l->kept[0] = 1;
	for (uint32_t i = 0; i < d->n_items; i++) {
		const struct bpf_item *item = &d->items[i];

		if (!l->kept[i])
			continue;
		if (is_conditional(item)) {
			l->kept[target(d, item->t)] = 1;
			l->kept[target(d, item->f)] = 1;
		} else if (is_ja(item)) {
			l->kept[target(d, item->t)] = 1;
		} else if (BPF_CLASS(item->code) != BPF_RET) {
			l->kept[i + 1] = 1;
		}
	}
	/* A jump to what comes next anyway. */
	for (uint32_t i = 0; i < d->n_items; i++) {
		uint32_t next = i + 1;

		if (!l->kept[i] || !is_ja(&d->items[i]))
			continue;
		while (!l->kept[next])
			next++;
		if (target(d, d->items[i].t) == next)
			l->kept[i] = 0;
	}
}

static uint32_t lay_out(struct linker *l)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < l->d->n_items; i++) {
		l->at[i] = at;
		at += l->kept[i] ? 1u + l->far_t[i] + l->far_f[i] : 0;
	}
	return at;
}

/* Marks jumps that do not reach. Places only move apart, so what is far stays far. */
static bool find_far(struct linker *l)
{
	bool changed = false;

	for (uint32_t i = 0; i < l->d->n_items; i++) {
		const struct bpf_item *item = &l->d->items[i];

		if (!l->kept[i] || !is_conditional(item))
			continue;
		if (!l->far_t[i] && l->at[target(l->d, item->t)] - l->at[i] - 1 > REACH)
			l->far_t[i] = changed = true;
		if (!l->far_f[i] && l->at[target(l->d, item->f)] - l->at[i] - 1 > REACH)
			l->far_f[i] = changed = true;
	}
	return changed;
}

static void encode(const struct linker *l, uint32_t i, bpf_insn_t *out)
{
	const struct bpf_item *item = &l->d->items[i];
	uint32_t at = l->at[i], n = at + 1, t, f;

	out[at] = (bpf_insn_t){.code = item->code, .k = item->k};
	if (is_ja(item))
		out[at].k = l->at[target(l->d, item->t)] - at - 1;
	if (!is_conditional(item))
		return;
	t = l->at[target(l->d, item->t)];
	f = l->at[target(l->d, item->f)];
	if (l->far_t[i]) {
		out[n] = (bpf_insn_t){.code = BPF_JMP | BPF_JA, .k = t - n - 1};
		t = n++;
	}
	if (l->far_f[i]) {
		out[n] = (bpf_insn_t){.code = BPF_JMP | BPF_JA, .k = f - n - 1};
		f = n;
	}
	out[at].jt = (uint8_t)(t - at - 1);
	out[at].jf = (uint8_t)(f - at - 1);
}

static uint32_t link_items(struct linker *l, bpf_insn_t *out, uint32_t room)
{
	uint32_t n;

	find_kept(l);
	n = lay_out(l);
	while (n <= VFM_BPF_MAX_INSNS && find_far(l))
		n = lay_out(l);
	if (n > VFM_BPF_MAX_INSNS) {
		bpf_refuse(l->d, VFM_ERROR_INVALID_PROGRAM,
			   "it needs more than %d BPF instructions, which the kernel does not take", VFM_BPF_MAX_INSNS);
		return 0;
	}
	for (uint32_t i = 0; i < l->d->n_items && n <= room; i++)
		if (l->kept[i])
			encode(l, i, out);
	return n;
}

uint32_t bpf_link(struct bpf_draft *d, bpf_insn_t *out, uint32_t room)
{
	struct linker l = {.d = d};
	uint32_t n = 0;

	l.kept = calloc(d->n_items + 1ul, 1);
	l.far_t = calloc(d->n_items + 1ul, 1);
	l.far_f = calloc(d->n_items + 1ul, 1);
	l.at = calloc(d->n_items + 1ul, sizeof(*l.at));
	if (l.kept && l.far_t && l.far_f && l.at)
		n = link_items(&l, out, room);
	else
		bpf_refuse(d, VFM_ERROR_NO_MEMORY, "out of memory");
	free(l.kept);
	free(l.far_t);
	free(l.far_f);
	free(l.at);
	return n;
}
