/* interp.c: runs register code. One dispatch loop; everything clever happened at load (lift.c, fuse.c).
 *
 * Three variants of the code at most: `fast` for packets so long that no LD can fail, `exact` for the others, and `counted` for a
 * program without loops whose longest path exceeds the limit it is run with. Programs with loops count in the first two.
 */
#include <endian.h>
#include <stdlib.h>
#include <string.h>

#include "state/table_layout.h"
#include "vm/regcode.h"
#include "vm/vfm.h"

#define WINDOW_BYTES 8u

struct interp {
	const struct program *program;
	uint32_t fast_bytes;   /* packets from this length on run `fast` */
	uint32_t longest_path; /* instructions, programs without loops; else UINT32_MAX */
	struct reg_code fast, exact, counted;
	const struct reg_list *whole; /* the list that `fast` consists of, if it is nothing but one; else NULL */
};

/* ---- the pieces that handlers are made of ---- */

static inline uint64_t load_window(const uint8_t *data, uint32_t at)
{
	uint64_t w;

	memcpy(&w, data + at, sizeof(w));
	return w;
}

static inline uint64_t read_field(const uint8_t *data, const struct reg_insn *i)
{
	return be64toh(load_window(data, i->at)) >> i->shift & i->imm;
}

static inline uint64_t misfit(const uint8_t *data, const struct reg_list *list, uint32_t w)
{
	return (load_window(data, list->at[w]) ^ list->value[w][0]) & list->mask[w][0];
}

/* The only item of a list fits. Windows that it does not have are at 0 and have mask 0: reading two at once is safe. */
static inline bool match_one(const uint8_t *data, const struct reg_list *list)
{
	uint64_t m = misfit(data, list, 0) | misfit(data, list, 1);

	if (__builtin_expect(list->width > 2, false))
		m |= misfit(data, list, 2) | misfit(data, list, 3);
	return m == 0;
}

/* The first item that holds; n: none. */
static inline uint32_t match_list(const struct reg_code *code, const uint8_t *data, const struct reg_list *list)
{
	return (uint32_t)__builtin_ctzll((code->match(list, data) ^ list->negate) | 1ULL << list->n);
}

static inline bool load_indexed(const struct vfm_packet *p, const uint8_t *data, uint64_t off, uint32_t bytes, uint64_t *v)
{
	uint64_t w = 0;

	if (off > p->len || p->len - off < bytes)
		return false;
	switch (bytes) {
	case 1:
		*v = data[off];
		return true;
	case 2:
		memcpy(&w, data + off, 2);
		break;
	case 4:
		memcpy(&w, data + off, 4);
		break;
	default:
		memcpy(&w, data + off, 8);
		break;
	}
	*v = be64toh(w) >> (64 - 8 * bytes);
	return true;
}

static inline uint64_t flow_load(const struct shard *s, uint32_t index, uint64_t key)
{
	if (s->tables[index])
		return table_load_inline(s->tables[index], key, s->now_s);
	return shard_load(s, index, key);
}

static inline uint64_t flow_add(struct shard *s, uint32_t index, uint64_t key, uint64_t delta)
{
	if (s->tables[index])
		return table_add(s->tables[index], key, delta, s->now_s);
	return shard_add(s, index, key, delta);
}

/* ---- the dispatch loop ---- */

#define LABEL(name, reads, writes, removable) [REG_##name] = &&op_##name,
#define DISPATCH() \
	do { \
		i = pc++; \
		goto * i->handler; \
	} while (0)
#define BINARY(name, expression_rr, expression_ri) \
	op_##name##_RR: \
	{ \
		uint64_t a = r[i->a], b = r[i->b]; \
		r[i->dst] = expression_rr; \
		DISPATCH(); \
	} \
	op_##name##_RI: \
	{ \
		uint64_t a = r[i->a], b = i->imm; \
		r[i->dst] = expression_ri; \
		DISPATCH(); \
	}
#define OPERATION(name, operator) BINARY(name, a operator b, a operator b)
#define BRANCH(condition) \
	do { \
		if (condition) \
			pc = insns + i->target; \
		DISPATCH(); \
	} while (0)
#define COMPARE(name, operator) \
	op_##name##_RR : BRANCH(r[i->a] operator r[i->b]); \
	op_##name##_RI : BRANCH(r[i->a] operator i->imm)
#define INDEXED(bits) \
	op_LDX##bits : if (!load_indexed(p, data, r[i->a], bits / 8, &r[i->dst])) return VFM_ERROR_BOUNDS; \
	DISPATCH()
#define RETURN(v) \
	do { \
		*value = (v); \
		return VFM_SUCCESS; \
	} while (0)
#define UPDATE() \
	do { \
		if (++updates > VFM_MAX_UPDATES) \
			return VFM_ERROR_LIMIT; \
	} while (0)

/* Runs code; data are p's bytes, or a copy with WINDOW_BYTES readable if there are fewer. With labels it only gives the
 * addresses of the handlers in *labels. Returns VFM_SUCCESS and *value, or an error. */
#if defined(__GNUC__) && !defined(__clang__)
__attribute__((optimize("no-gcse", "no-crossjumping")))
#endif
static int
run(const struct reg_code *code, struct shard *s, const struct vfm_packet *p, const uint8_t *data, uint32_t insn_limit,
    uint64_t *value, const void *const **labels)
{
	/* cppcheck-suppress assignBoolToPointer ; it takes && for the operator */
	static const void *const handlers[REG_OP_COUNT] = {REG_OPS(LABEL)};
	uint64_t r[REG_HOMES + REG_TEMPS];
	const struct reg_insn *insns, *pc, *i;
	uint64_t count = 0;
	uint32_t updates = 0;

	if (labels) {
		*labels = handlers;
		return VFM_SUCCESS;
	}
	pc = insns = code->insns;
	DISPATCH();

op_MOVI:
	r[i->dst] = i->imm;
	DISPATCH();
op_MOV:
	r[i->dst] = r[i->a];
	DISPATCH();
op_FIELD:
	r[i->dst] = read_field(data, i);
	DISPATCH();

	OPERATION(ADD, +)
	OPERATION(SUB, -)
	OPERATION(MUL, *)
	OPERATION(AND, &)
	OPERATION(OR, |)
	OPERATION(XOR, ^)
	BINARY(SHL, a << (b & 63), a << (b & 63))
	BINARY(SHR, a >> (b & 63), a >> (b & 63))
	BINARY(MIX, vfm_mix(a, b, s->seed), vfm_mix(a, b, s->seed))
op_DIV_RR:
	if (r[i->b] == 0)
		return VFM_ERROR_DIVISION_BY_ZERO;
	r[i->dst] = r[i->a] / r[i->b];
	DISPATCH();
op_DIV_RI:
	r[i->dst] = r[i->a] / i->imm;
	DISPATCH();
op_MOD_RR:
	if (r[i->b] == 0)
		return VFM_ERROR_DIVISION_BY_ZERO;
	r[i->dst] = r[i->a] % r[i->b];
	DISPATCH();
op_MOD_RI:
	r[i->dst] = r[i->a] % i->imm;
	DISPATCH();
op_NOT:
	r[i->dst] = ~r[i->a];
	DISPATCH();
op_NEG:
	r[i->dst] = -r[i->a];
	DISPATCH();

	INDEXED(8);
	INDEXED(16);
	INDEXED(32);
	INDEXED(64);
op_HASH5:
	r[i->dst] = vfm_hash5(p->data, p->len, s->seed);
	DISPATCH();
op_HASH5S:
	r[i->dst] = vfm_hash5s(p->data, p->len, s->seed);
	DISPATCH();
op_HDR:
	r[i->dst] = vfm_hdr(p->data, p->len, (uint8_t)i->imm);
	DISPATCH();
op_PKTLEN:
	r[i->dst] = p->len;
	DISPATCH();
op_NOW:
	r[i->dst] = s->clock_us;
	DISPATCH();
op_INPUT:
	r[i->dst] = p->input;
	DISPATCH();

op_FLOW_LOAD:
	r[i->dst] = flow_load(s, i->at, r[i->a]);
	DISPATCH();
op_FLOW_STORE:
	UPDATE();
	shard_store(s, i->at, r[i->a], r[i->b]);
	DISPATCH();
op_FLOW_ADD:
	UPDATE();
	r[i->dst] = flow_add(s, i->at, r[i->a], r[i->b]);
	DISPATCH();
op_FLOW_ADDI:
	UPDATE();
	r[i->dst] = flow_add(s, i->at, r[i->a], i->imm);
	DISPATCH();
op_FLOW_DEL:
	UPDATE();
	shard_delete(s, i->at, r[i->a]);
	DISPATCH();

op_CHECK:
	if (p->len < i->at)
		return VFM_ERROR_BOUNDS;
	DISPATCH();
op_DIVIDE_FAULT:
	return VFM_ERROR_DIVISION_BY_ZERO;
op_COUNT:
	count += i->imm;
	DISPATCH();
op_LIMIT:
	if (count > insn_limit)
		return VFM_ERROR_LIMIT;
	DISPATCH();
op_SHIFT:
	memmove(&r[i->dst], &r[i->a], i->b * sizeof(r[0]));
	DISPATCH();

op_JMP:
	pc = insns + i->target;
	DISPATCH();
	COMPARE(JEQ, ==);
	COMPARE(JNE, !=);
	COMPARE(JGT, >);
	COMPARE(JLE, <=);
op_JGT_FIELD:
	BRANCH(read_field(data, i) > i->imm2);
op_JLE_FIELD:
	BRANCH(read_field(data, i) <= i->imm2);
op_JMATCH:
	BRANCH(((load_window(data, i->at) ^ i->imm2) & i->imm) == 0);
op_JMISS:
	BRANCH(((load_window(data, i->at) ^ i->imm2) & i->imm) != 0);
op_JMATCH_LIST:
	BRANCH(match_one(data, &code->lists[i->at]));
op_JMISS_LIST:
	BRANCH(!match_one(data, &code->lists[i->at]));

op_RET_I:
	RETURN(i->imm);
op_RET_R:
	RETURN(r[i->a]);
op_RET_FIELD:
	RETURN(read_field(data, i));
op_MATCH_RET : {
	const struct reg_list *list = &code->lists[i->at];

	RETURN(list->result[!match_one(data, list)]);
}
op_LIST_RET : {
	const struct reg_list *list = &code->lists[i->at];

	RETURN(list->result[match_list(code, data, list)]);
}
op_LIST_NEXT : {
	const struct reg_list *list = &code->lists[i->at];
	uint32_t item = match_list(code, data, list);

	if (item < list->n)
		RETURN(list->result[item]);
	DISPATCH();
}
op_LIST_JMP : {
	const struct reg_list *list = &code->lists[i->at];

	pc = insns + list->target[match_list(code, data, list)];
	DISPATCH();
}
}

/* ---- loading ---- */

/* Programs without backward jumps only: every edge leads to a higher address. */
static uint32_t find_longest_path(const struct lift *l)
{
	uint32_t *longest = calloc(l->n_blocks, sizeof(*longest)), all = UINT32_MAX;

	if (!longest)
		return UINT32_MAX;
	for (uint32_t b = l->n_blocks; b-- > 0;) {
		const struct block *block = &l->blocks[b];

		if (block->taken != UINT32_MAX)
			longest[b] = longest[block->taken];
		if (block->next != UINT32_MAX && longest[block->next] > longest[b])
			longest[b] = longest[block->next];
		longest[b] += block->count;
	}
	all = longest[0];
	free(longest);
	return all;
}

static int fuse_variants(struct interp *c, struct lift *l)
{
	bool loops = c->program->proof.has_loop;
	struct fuse_options fast = {.present_bytes = c->fast_bytes, .counted = loops};
	struct fuse_options exact = {.counted = loops}, counted = {.counted = true};
	const struct vfm_packet none = {0};
	const void *const *handlers;
	int err;

	run(&c->fast, NULL, &none, NULL, 0, NULL, &handlers);
	err = fuse_code(l, &fast, handlers, &c->fast);
	if (!err)
		err = fuse_code(l, &exact, handlers, &c->exact);
	if (!err && !loops)
		err = fuse_code(l, &counted, handlers, &c->counted);
	return err;
}

struct interp *interp_new(const struct program *p)
{
	struct interp *c = calloc(1, sizeof(*c));
	struct lift l;
	int err;

	if (!c)
		return NULL;
	c->program = p;
	c->fast_bytes = p->need_bytes > WINDOW_BYTES ? p->need_bytes : WINDOW_BYTES;
	err = lift_init(&l, p);
	if (!err) {
		c->longest_path = p->proof.has_loop ? UINT32_MAX : find_longest_path(&l);
		err = fuse_variants(c, &l);
		lift_fini(&l);
	}
	if (err) {
		interp_free(c);
		return NULL;
	}
	if (c->fast.insns[0].op == REG_MATCH_RET || c->fast.insns[0].op == REG_LIST_RET)
		c->whole = &c->fast.lists[c->fast.insns[0].at];
	return c;
}

void interp_free(struct interp *c)
{
	if (!c)
		return;
	fuse_code_fini(&c->fast);
	fuse_code_fini(&c->exact);
	fuse_code_fini(&c->counted);
	free(c);
}

/* ---- running ---- */

/* Short packets, and limits that may be reached without a loop. */
static int run_unusual(const struct interp *c, struct shard *s, const struct vfm_packet *packet, uint32_t insn_limit,
		       uint64_t *value)
{
	bool may_exceed = !c->program->proof.has_loop && insn_limit < c->longest_path;
	uint8_t few[WINDOW_BYTES] = {0};
	const uint8_t *data = packet->data;

	if (packet->len < WINDOW_BYTES) {
		if (packet->len)
			memcpy(few, packet->data, packet->len);
		data = few;
	}
	return run(may_exceed ? &c->counted : &c->exact, s, packet, data, insn_limit, value, NULL);
}

void interp_run(const struct interp *c, struct shard *s, const struct vfm_packet *packet, uint32_t insn_limit,
		struct vfm_result *result)
{
	bool usual = packet->len >= c->fast_bytes && (insn_limit >= c->longest_path || c->program->proof.has_loop);

	shard_set_time(s, packet->time_us);
	if (__builtin_expect(usual && c->whole, true)) {
		const struct reg_list *list = c->whole;

		result->error = VFM_SUCCESS;
		if (list->n == 1)
			result->value = list->result[!match_one(packet->data, list)];
		else
			result->value = list->result[match_list(&c->fast, packet->data, list)];
		return;
	}
	result->value = 0;
	if (usual)
		result->error = run(&c->fast, s, packet, packet->data, insn_limit, &result->value, NULL);
	else
		result->error = run_unusual(c, s, packet, insn_limit, &result->value);
}
