/* symmetric.c: is a key the same for both directions of a flow? The key's expression gets two names: one as it stands, one with source
 * and destination exchanged where it loads them from IPv4 headers without options. Operands of commuting operations are named in
 * either order. Equal names: equal values.
 */
#include "analysis/stages.h"
#include "state/mix.h"

#define SYMMETRIC_BUDGET 4096

/* Exchanged places. */
static bool exchange(uint32_t offset, unsigned bytes, uint64_t *other)
{
	static const struct {
		uint8_t a, b, bytes;
	} pairs[] = {{26, 30, 4}, {34, 36, 2}, {6, 0, 6}};

	for (unsigned i = 0; i < 3; i++) {
		if (offset >= pairs[i].a && offset + bytes <= pairs[i].a + pairs[i].bytes) {
			*other = offset - pairs[i].a + pairs[i].b;
			return true;
		}
		if (offset >= pairs[i].b && offset + bytes <= pairs[i].b + pairs[i].bytes) {
			*other = offset - pairs[i].b + pairs[i].a;
			return true;
		}
		/* Part of a pair, or all of it and more: no load of this size stands for the exchanged bytes. */
		if (offset < pairs[i].a + pairs[i].bytes && offset + bytes > pairs[i].a)
			return false;
		if (offset < pairs[i].b + pairs[i].bytes && offset + bytes > pairs[i].b)
			return false;
	}
	/* Lengths, checksums and what lies behind the ports differ between the directions; the protocol does not. */
	*other = offset;
	return (offset == 12 && bytes == 2) || (offset == 23 && bytes == 1);
}

static bool commutes(uint8_t op)
{
	return op == IR_ADD || op == IR_MUL || op == IR_AND || op == IR_OR || op == IR_XOR;
}

struct namer {
	const struct ir *ir;
	bool exchanged;
	uint32_t budget;
	bool failed;
};

static uint64_t join_names(uint64_t a, uint64_t b)
{
	return mix64(mix64(a) + 3 * b);
}

static uint64_t name_of(struct namer *n, uint32_t value)
{
	const struct ir_value *v = &n->ir->values[value];
	uint64_t a = 0, b = 0, imm = v->imm;

	if (n->failed || n->budget == 0 || v->op == IR_PARAM || v->op == IR_HASH5 ||
	    (ir_ops[v->op].flags & (IR_F_READ | IR_F_UPDATE | IR_F_TIME)) ||
	    ((ir_ops[v->op].flags & IR_F_PACKET) && ir_ops[v->op].bytes == 0 && v->op != IR_HASH5S)) {
		n->failed = true;
		return 0;
	}
	n->budget--;
	if (v->op >= IR_LDX8 && v->op <= IR_LDX64)
		n->failed = true;
	if (v->op >= IR_LD8 && v->op <= IR_LD64 && !exchange((uint32_t)v->imm, ir_ops[v->op].bytes, &imm))
		n->failed = true;
	if (!n->exchanged)
		imm = v->imm;
	if (v->a != IR_NONE)
		a = name_of(n, v->a);
	if (v->b != IR_NONE)
		b = name_of(n, v->b);
	if (commutes(v->op) && a > b) {
		uint64_t t = a;

		a = b;
		b = t;
	}
	return join_names(join_names(join_names(v->op + 1u, imm), a), b);
}

bool symmetric_value(const struct ir *ir, uint32_t value)
{
	struct namer plain = {.ir = ir, .budget = SYMMETRIC_BUDGET};
	struct namer exchanged = {.ir = ir, .exchanged = true, .budget = SYMMETRIC_BUDGET};

	return name_of(&plain, value) == name_of(&exchanged, value) && !plain.failed && !exchanged.failed;
}
