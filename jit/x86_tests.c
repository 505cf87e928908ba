/* x86_tests.c: lists of tests (opt_tests.c) in x86-64: one condition with plain instructions, more with vectors, all items at once.
 *
 * Item i fits if ((window ^ value[i]) & mask[i]) == 0 in each window. AVX-512 takes 8 items at a time, AVX2 4; without them lists have
 * one item. Bit i of rax is then whether item i fits.
 *
 *     rax, rcx, rdx   scratch     vectors   0-3 (16-19) windows   4, 5 (20, 21) scratch   6 zero
 */
#include <string.h>

#include "jit/vex.h"
#include "jit/x86_encode.h"

enum { CC_B = 2, CC_E = 4, CC_NE = 5 };

/* Registers 16 and up: their upper halves slow no other code down. */
enum { WIDE_WINDOWS = 16, WIDE_SUM = 20, WIDE_PART, WINDOWS = 0, SUM = 4, PART, ZERO };

uint32_t jit_x86_items_at_once(void)
{
	enum jit_tier best = jit_best_tier();

	return best >= JIT_AVX512 ? 8 : best >= JIT_AVX2 ? 4 : 1;
}

static uint8_t data_reg(const struct jit_decision *d)
{
	return d->calls ? R12 : RDI;
}

/* ---- one condition ---- */

/* op (6 xor, 4 and, 7 cmp) on r of 4 or 8 bytes; uses rdx. */
static void with_number(struct jit_buf *b, unsigned op, uint8_t r, unsigned bytes, uint64_t n)
{
	bool wide = bytes == 8;
	int64_t as_signed = wide ? (int64_t)n : (int32_t)(uint32_t)n;

	if (as_signed >= -128 && as_signed <= 127) {
		x86_rr(b, wide, 0x83, (uint8_t)op, r);
		x86_byte(b, (uint8_t)n);
	} else if (!wide || as_signed == (int32_t)as_signed) {
		x86_rr(b, wide, 0x81, (uint8_t)op, r);
		x86_word32(b, (uint32_t)n);
	} else {
		x86_set(b, RDX, n);
		x86_rr(b, wide, 8 * op + 1, RDX, r);
	}
}

static void load_number(struct jit_buf *b, uint8_t r, unsigned bytes, uint8_t base, int32_t offset)
{
	x86_rex(b, bytes == 8, r, 0, base);
	if (bytes <= 2)
		x86_byte(b, 0x0f);
	x86_byte(b, bytes == 1 ? 0xb6 : bytes == 2 ? 0xb7 : 0x8b);
	x86_modrm_mem(b, r, base, offset);
}

static void load_place(struct jit_buf *b, uint8_t r, const struct jit_place *p)
{
	if (p->reg == JIT_NO_REG)
		x86_rm(b, true, 0x8b, r, RSP, (int32_t)(8 * p->slot));
	else
		x86_move(b, r, p->reg);
}

/* r = 0, and the zero flag, if window w of an item fits. */
static void misfit(struct jit_buf *b, const struct jit_decision *d, uint8_t r, uint32_t w, uint32_t item)
{
	const struct reg_list *list = &d->plan->list;
	struct jit_part p = jit_part_of(list, w, item);

	if (jit_window_of_value(list->at[w])) {
		load_place(b, r, &d->place[w]);
	} else {
		load_number(b, r, p.bytes, data_reg(d), (int32_t)(list->at[w] + p.at));
	}
	if (p.value || p.mask == jit_low_bytes(p.bytes))
		with_number(b, 6, r, p.bytes, p.value);
	if (p.mask != jit_low_bytes(p.bytes))
		with_number(b, 4, r, p.bytes, p.mask);
}

/* The zero flag: the item fits. */
static void test_one(struct jit_buf *b, const struct jit_decision *d)
{
	misfit(b, d, RAX, 0, 0);
	for (uint32_t w = 1; w < d->plan->list.width; w++) {
		misfit(b, d, RCX, w, 0);
		x86_rr(b, true, 0x09, RCX, RAX);
	}
}

/* ---- a few, one after another: vectors take longer to get at a register's value than to compare it ---- */

#define FEW_ITEMS 3

/* A single window, and it does not matter which item fits? */
static bool is_few(const struct jit_decision *d)
{
	const struct reg_list *list = &d->plan->list;

	for (uint32_t i = 0; i < list->n; i++)
		if ((d->returns ? d->values[i] != d->values[0] : d->labels[i] != d->labels[0]) || !list->mask[0][i])
			return false;
	return list->n <= FEW_ITEMS && list->width == 1 && jit_window_of_value(list->at[0]);
}

/* al, and no zero flag, if any item fits. */
static void test_few(struct jit_buf *b, const struct jit_decision *d)
{
	for (uint32_t i = 0; i < d->plan->list.n; i++) {
		misfit(b, d, RCX, 0, i);
		x86_byte(b, 0x0f); /* setcc */
		x86_byte(b, 0x90u | (d->plan->list.negate >> i & 1 ? CC_NE : CC_E));
		x86_byte(b, i ? 0xc1 : 0xc0); /* cl, al */
		if (i) {
			x86_byte(b, 0x08); /* or al, cl */
			x86_byte(b, 0xc8);
		}
	}
}

/* ---- many at once ---- */

static void spread_window(struct jit_buf *b, const struct jit_decision *d, uint32_t w, bool wide)
{
	uint32_t at = d->plan->list.at[w];
	uint8_t v = (uint8_t)((wide ? WIDE_WINDOWS : WINDOWS) + w);
	int shift;

	if (!jit_window_of_value(at)) {
		(wide ? evex_repeat64_from : vex_repeat64_from)(b, v, data_reg(d), (int32_t)at);
		return;
	}
	shift = jit_window_shift(at);
	load_place(b, RCX, &d->place[w]);
	if (shift) {
		x86_rr(b, true, 0xc1, shift > 0 ? 5 : 4, RCX); /* shr, shl */
		x86_byte(b, (uint8_t)(shift > 0 ? shift : -shift));
	}
	(wide ? evex_repeat64 : vex_repeat64)(b, v, RCX);
}

static bool any(const uint64_t *words, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (words[i])
			return true;
	return false;
}

static struct evex_src words(struct jit_buf *b, const uint64_t *from, uint32_t n)
{
	return (struct evex_src){EVEX_CONST, jit_constant(b, from, 8 * n, 8 * n)};
}

static struct evex_src reg(uint8_t r)
{
	return (struct evex_src){EVEX_REG, r};
}

/* ecx = which of items first .. first + 7 fit. */
static void test_8(struct jit_buf *b, const struct reg_list *list, uint32_t first)
{
	uint8_t sum = 0;

	for (uint32_t w = 0; w < list->width; w++) {
		if (!any(&list->mask[w][first], 8))
			continue;
		evex_op(b, EVEX_PXORD, sum ? WIDE_PART : WIDE_SUM, (uint8_t)(WIDE_WINDOWS + w),
			words(b, &list->value[w][first], 8));
		if (sum) /* sum | (part & mask) */
			evex_ternary(b, WIDE_SUM, WIDE_PART, words(b, &list->mask[w][first], 8), 0xf8);
		else
			evex_op(b, EVEX_PANDD, WIDE_SUM, WIDE_SUM, words(b, &list->mask[w][first], 8));
		sum = WIDE_SUM;
	}
	evex_test_not64(b, 1, WIDE_SUM, reg(WIDE_SUM));
	evex_mask_to(b, RCX, 1);
}

/* The same for 4. */
static void test_4(struct jit_buf *b, const struct reg_list *list, uint32_t first)
{
	uint8_t sum = 0;

	for (uint32_t w = 0; w < list->width; w++) {
		uint8_t part = sum ? PART : SUM;

		if (!any(&list->mask[w][first], 4))
			continue;
		vex_op(b, VEX_PXOR, part, (uint8_t)(WINDOWS + w), words(b, &list->value[w][first], 4));
		vex_op(b, VEX_PAND, part, part, words(b, &list->mask[w][first], 4));
		if (sum)
			vex_op(b, VEX_POR, SUM, SUM, reg(PART));
		sum = SUM;
	}
	vex_op(b, VEX_PCMPEQQ, SUM, SUM, reg(ZERO));
	vex_signs64(b, RCX, SUM);
}

/* rax = which items fit. Items that fill up the last group have masks of 0: their bits are set. */
static void test_all(struct jit_buf *b, const struct jit_decision *d)
{
	const struct reg_list *list = &d->plan->list;
	uint32_t at_once = d->items_at_once;

	for (uint32_t w = 0; w < list->width; w++)
		spread_window(b, d, w, at_once == 8);
	if (at_once == 4)
		vex_op(b, VEX_PXOR, ZERO, ZERO, reg(ZERO));
	for (uint32_t i = 0; i < list->n; i += at_once) {
		(at_once == 8 ? test_8 : test_4)(b, list, i);
		if (i) {
			x86_rr(b, true, 0xc1, 4, RCX);
			x86_byte(b, i);
			x86_rr(b, true, 0x09, RCX, RAX);
		} else {
			x86_move(b, RAX, RCX);
		}
	}
	if (at_once == 4)
		vex_zero_upper(b);
	if (list->negate) {
		x86_set(b, RCX, list->negate);
		x86_rr(b, true, 0x31, RCX, RAX);
	}
}

/* ---- what comes of it ---- */

/* Exits as numbers: results, or labels. */
static uint64_t exit_of(const struct jit_decision *d, uint32_t i)
{
	return d->returns ? d->values[i] : d->labels[i];
}

/* A number without touching the flags. */
static void set_quietly(struct jit_buf *b, uint8_t r, uint64_t n)
{
	if (n) {
		x86_set(b, r, n);
	} else {
		x86_byte(b, 0xb8u | r);
		x86_word32(b, 0);
	}
}

/* rax = yes where the condition holds, else no. */
static void select_value(struct jit_buf *b, unsigned condition, uint64_t yes, uint64_t no)
{
	if (yes == no) {
		x86_set(b, RAX, yes);
	} else if (yes + no == 1 && yes < 2) {
		x86_byte(b, 0x0f); /* setcc al; movzx eax, al */
		x86_byte(b, 0x90u | (condition ^ (unsigned)no));
		x86_byte(b, 0xc0);
		x86_byte(b, 0x0f);
		x86_byte(b, 0xb6);
		x86_byte(b, 0xc0);
	} else {
		set_quietly(b, RCX, yes);
		set_quietly(b, RAX, no);
		x86_byte(b, 0x48); /* cmovcc rax, rcx */
		x86_byte(b, 0x0f);
		x86_byte(b, 0x40u | condition);
		x86_byte(b, 0xc1);
	}
}

static void jump_to(struct jit_buf *b, uint32_t label, uint32_t next)
{
	if (label == next)
		return;
	x86_byte(b, 0xe9);
	jit_fixup(b, b->n, label);
	x86_word32(b, 0);
}

static void choose(struct jit_buf *b, const struct jit_decision *d, unsigned condition, uint64_t yes, uint64_t no)
{
	if (d->returns) {
		select_value(b, condition, yes, no);
		return;
	}
	if (yes == d->next) {
		x86_jump_if(b, condition ^ 1, (uint32_t)no);
		return;
	}
	if (yes != no)
		x86_jump_if(b, condition, (uint32_t)yes);
	jump_to(b, (uint32_t)no, d->next);
}

/* rax = number of the first item that fits, n if none does. */
static void first_that_fits(struct jit_buf *b, const struct jit_decision *d)
{
	if (d->plan->list.n % d->items_at_once == 0) {
		x86_byte(b, 0x48); /* bts rax, n */
		x86_byte(b, 0x0f);
		x86_byte(b, 0xba);
		x86_byte(b, 0xe8);
		x86_byte(b, d->plan->list.n);
	}
	x86_byte(b, 0x48); /* bsf rax, rax */
	x86_byte(b, 0x0f);
	x86_byte(b, 0xbc);
	x86_byte(b, 0xc0);
}

/* lea rcx, [rip + label] */
static void address_of(struct jit_buf *b, uint32_t label)
{
	x86_byte(b, 0x48);
	x86_byte(b, 0x8d);
	x86_byte(b, 0x0d);
	jit_fixup(b, b->n, label);
	x86_word32(b, 0);
}

/* rax is the number of the exit. */
static void pick_exit(struct jit_buf *b, const struct jit_decision *d)
{
	uint32_t n = d->plan->list.n + 1, table;

	if (d->returns) {
		address_of(b, jit_constant(b, d->values, 8 * n, 8));
		x86_byte(b, 0x48); /* mov rax, [rcx + 8 * rax] */
		x86_byte(b, 0x8b);
		x86_byte(b, 0x04);
		x86_byte(b, 0xc1);
		return;
	}
	/* Jumps of 5 bytes in a row stand behind this one. */
	table = jit_label(b);
	address_of(b, table);
	x86_byte(b, 0x48); /* lea rax, [rax + 4 * rax] */
	x86_byte(b, 0x8d);
	x86_byte(b, 0x04);
	x86_byte(b, 0x80);
	x86_rr(b, true, 0x01, RCX, RAX);
	x86_byte(b, 0xff); /* jmp rax */
	x86_byte(b, 0xe0);
	jit_place_label(b, table);
	for (uint32_t i = 0; i < n; i++)
		jump_to(b, d->labels[i], JIT_NO_LABEL);
}

/* Two exits that differ: bit i of *which is set where exit i is the first item's. False: there are more. */
static bool two_exits(const struct jit_decision *d, uint64_t *which, uint64_t *other)
{
	uint32_t n = d->plan->list.n;
	uint64_t first = exit_of(d, 0);

	*which = 0;
	*other = first;
	for (uint32_t i = 0; i <= n; i++) {
		uint64_t e = exit_of(d, i);

		if (e == first)
			*which |= 1ull << i;
		else if (*other == first)
			*other = e;
		else if (e != *other)
			return false;
	}
	return true;
}

/* Do all items lead to one place, whether they fit or not being told by the zero flag? */
static bool any_fits(struct jit_buf *b, const struct jit_decision *d, uint64_t which)
{
	uint32_t n = d->plan->list.n;

	if (which != (1ull << n) - 1)
		return false;
	if (n % d->items_at_once == 0) {
		x86_rr(b, true, 0x85, RAX, RAX);
	} else {
		x86_rr(b, true, 0xc1, 4, RAX); /* shl rax, 64 - n: only the n items' bits are left */
		x86_byte(b, 64 - n);
	}
	return true;
}

/* rax = the result of the first that fits, else what it was. */
static void decide_chained(struct jit_buf *b, const struct jit_decision *d)
{
	x86_move(b, RDX, RAX);
	test_all(b, d);
	first_that_fits(b, d);
	with_number(b, 7, RAX, 4, d->plan->list.n); /* cmp; what follows leaves the flags */
	pick_exit(b, d);
	x86_byte(b, 0x48); /* cmove rax, rdx */
	x86_byte(b, 0x0f);
	x86_byte(b, 0x44);
	x86_byte(b, 0xc2);
}

static void decide_many(struct jit_buf *b, const struct jit_decision *d)
{
	uint64_t which, other;

	if (is_few(d)) {
		test_few(b, d);
		choose(b, d, CC_NE, exit_of(d, 0), exit_of(d, d->plan->list.n));
		return;
	}
	test_all(b, d);
	if (!two_exits(d, &which, &other)) {
		first_that_fits(b, d);
		pick_exit(b, d);
	} else if (any_fits(b, d, which)) {
		choose(b, d, CC_NE, exit_of(d, 0), other);
	} else {
		first_that_fits(b, d);
		x86_set(b, RCX, which);
		x86_byte(b, 0x48); /* bt rcx, rax */
		x86_byte(b, 0x0f);
		x86_byte(b, 0xa3);
		x86_byte(b, 0xc1);
		choose(b, d, CC_B, exit_of(d, 0), other);
	}
}

void jit_x86_decide(struct jit_buf *b, const struct jit_decision *d)
{
	bool negate = d->plan->list.negate & 1;

	if (d->plan->list.n > 1) {
		(d->chained ? decide_chained : decide_many)(b, d);
		return;
	}
	test_one(b, d);
	choose(b, d, negate ? CC_NE : CC_E, exit_of(d, 0), exit_of(d, 1));
}
