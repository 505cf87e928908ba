/* check.c: proves a partition certificate for a program. Trusts neither the certificate nor the search that made it: shares with the
 * rest of the project the opcode table and the verifier only.
 *
 * Steps: form; S by itself (verified, loop-free, no tables, no time, never faults) giving its returns; then one dataflow run over the
 * program that shows every reachable access site, each checked where it stands; then what two sites may not do to each other.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/check_region.h"
#include "analysis/fault.h"

#define MAX_RETURNS 256

/* One RET of the steering program. */
struct steer_return {
	struct facts facts;
	struct flow_value value;
};

/* A reachable access site: the keys it may use. */
struct seen_site {
	const struct vfm_insn *insn;
	const struct cert_site *listed; /* NULL: owned */
	uint64_t constant;              /* CERT_CONSTANT: what it stores */
	struct facts facts;
	struct flow_value key;
};

struct checker {
	const struct cert *cert;
	const struct program *program;
	bool listed_only; /* owned sites are not looked at */
	struct term_pool *pool;
	char *why;
	size_t why_bytes;
	uint32_t n_returns;
	struct steer_return *returns; /* [MAX_RETURNS] */
	uint32_t n_seen;
	uint32_t seen_room;
	struct seen_site **seen;
};

static int refuse(struct checker *c, const char *format, ...) __attribute__((format(printf, 2, 3)));

static int refuse(struct checker *c, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(c->why, c->why_bytes, format, args);
	va_end(args);
	return -EINVAL;
}

/* ---- form ---- */

static bool is_access(uint8_t op)
{
	return vfm_ops[op].flags & (VFM_F_READ | VFM_F_UPDATE);
}

static int check_row(struct checker *c, uint32_t i)
{
	const struct cert_row *r = &c->cert->rows[i];

	if (r->bits == 0 || r->first > 63 || r->bits > 64 - r->first)
		return refuse(c, "row %u: bits %u to %u are not inside a 64-bit key", i, r->first, r->first + r->bits);
	if (r->match & ~r->mask)
		return refuse(c, "row %u: match has bits outside mask, no key can have them", i);
	if (c->program->table_index[r->table] < 0)
		return refuse(c, "row %u: the program has no table %u", i, r->table);
	return 0;
}

static int check_listed(struct checker *c, uint32_t i)
{
	const struct cert_site *s = &c->cert->sites[i];
	int64_t at = vfm_proof_index(&c->program->proof, s->pc);
	const struct vfm_insn *insn = at < 0 ? NULL : &c->program->proof.insns[at];

	if (i && s->pc <= c->cert->sites[i - 1].pc)
		return refuse(c, "listed sites are not in ascending order at %u", s->pc);
	if (!insn || !is_access(insn->op) || insn->table != s->table)
		return refuse(c, "listed site %u is no access to table %u", s->pc, s->table);
	if (s->partial && s->merge_class >= CERT_CLASSES)
		return refuse(c, "site %u: there is no merge class %u", s->pc, s->merge_class);
	return 0;
}

static int check_guard(struct checker *c, uint32_t i)
{
	const struct cert_guard *g = &c->cert->guards[i];
	bool size_ok = g->bytes == 1 || g->bytes == 2 || g->bytes == 4 || g->bytes == 8;

	if (!size_ok || g->offset > VFM_MAX_PACKET_BYTES - 8)
		return refuse(c, "guard %u: %u bytes at offset %u cannot be loaded", i, g->bytes, g->offset);
	if (g->bytes < 8 && (g->mask | g->value) >> (8 * g->bytes))
		return refuse(c, "guard %u: mask or value is wider than %u bytes", i, g->bytes);
	if (g->value & ~g->mask)
		return refuse(c, "guard %u: value has bits outside mask", i);
	return 0;
}

static int check_form(struct checker *c)
{
	const struct cert *cert = c->cert;
	uint8_t sha256[32];
	int err = 0;

	cert_digest_program(c->program, sha256);
	if (memcmp(sha256, cert->program_sha256, sizeof(sha256)))
		return refuse(c, "the certificate is for another program (SHA-256 differs): analyze this one again");
	if (cert->n_guards > CERT_MAX_GUARDS || cert->n_rows > CERT_MAX_ROWS || cert->n_sites > CERT_MAX_SITES ||
	    cert->steer_bytes > CERT_MAX_STEER_BYTES)
		return refuse(c, "the certificate has more rows, sites or guards than are possible");
	for (uint32_t i = 0; i < cert->n_guards && !err; i++)
		err = check_guard(c, i);
	for (uint32_t i = 0; i < cert->n_rows && !err; i++)
		err = check_row(c, i);
	for (uint32_t i = 0; i < cert->n_sites && !err; i++)
		err = check_listed(c, i);
	return err;
}

/* ---- the steering program ---- */

/* Under every alternative the load succeeds. */
static bool load_covered(const struct checker *c, const struct flow_visit *v)
{
	unsigned bytes = 1u << ((v->insn->op >= VFM_OP_LDX8 ? v->insn->op - VFM_OP_LDX8 : v->insn->op - VFM_OP_LD8) & 3);

	if (!v->a)
		return facts_cover(v->facts, c->pool, vec_const(c->pool, v->insn->imm), bytes);
	for (uint32_t i = 0; i < v->a->n; i++) {
		struct facts here = v->a->alt[i].facts;

		if (facts_meet(&here, v->facts) && !facts_cover(&here, c->pool, v->a->alt[i].vec, bytes))
			return false;
	}
	return true;
}

static bool divisor_safe(const struct checker *c, const struct flow_visit *v)
{
	uint64_t d;

	for (uint32_t i = 0; i < v->b->n; i++)
		if (!vec_is_const(c->pool, v->b->alt[i].vec, &d) || d == 0)
			return false;
	return true;
}

static int visit_steer(void *arg, const struct flow_visit *v)
{
	const struct vfm_op_info *info = &vfm_ops[v->insn->op];
	struct checker *c = arg;
	struct steer_return *r;

	if ((info->flags & VFM_F_BOUNDS) && !load_covered(c, v))
		return refuse(c, "the steering program may fault: %s at %u is not proved to lie in the packet", info->mnemonic,
			      v->insn->pc);
	if ((info->flags & VFM_F_DIVIDE) && !divisor_safe(c, v))
		return refuse(c, "the steering program may fault: the divisor of %s at %u is not a constant above 0",
			      info->mnemonic, v->insn->pc);
	if (v->insn->op != VFM_OP_RET)
		return 0;
	if (c->n_returns == MAX_RETURNS)
		return refuse(c, "the steering program has more than %d returns", MAX_RETURNS);
	r = &c->returns[c->n_returns++];
	r->facts = *v->facts;
	memcpy(&r->value, v->a, offsetof(struct flow_value, alt) + v->a->n * sizeof(v->a->alt[0]));
	return 0;
}

static int flow_error(struct checker *c, int err, const char *what)
{
	if (err == -E2BIG)
		return refuse(c, "the %s is " CERT_BOUNDS_WORDS, what);
	return err;
}

static int check_steer(struct checker *c)
{
	struct flow_options options = {.visit = visit_steer, .arg = c};
	struct vfm_reject reject;
	struct vfm_proof proof;
	int err;

	if (vfm_verify_program(c->cert->steer, c->cert->steer_bytes, 0, &proof, &reject))
		return refuse(c, "the steering program does not verify: at %u: %s", reject.pc, reject.reason);
	for (uint32_t i = 0; i < proof.n; i++) {
		uint8_t op = proof.insns[i].op;

		if (is_access(op) || op == VFM_OP_TABLE || op == VFM_OP_NOW) {
			err = refuse(c, "the steering program may not use %s (at %u)", vfm_ops[op].mnemonic, proof.insns[i].pc);
			goto out;
		}
	}
	if (proof.has_loop) {
		err = refuse(c, "the steering program has a backward jump");
		goto out;
	}
	err = flow_error(c, flow_run(&proof, c->pool, &options), "steering program");
out:
	vfm_proof_fini(&proof);
	return err;
}

/* ---- owned sites: pi(table, key) == S(packet) ---- */

/* The guard's conjuncts whose bytes are surely there. False: no packet that satisfies the guard comes here. */
static bool add_guard(const struct checker *c, struct facts *f)
{
	for (uint32_t i = 0; i < c->cert->n_guards; i++) {
		const struct cert_guard *g = &c->cert->guards[i];
		uint32_t vec;

		if (g->offset + g->bytes > f->length_lo)
			continue;
		vec = vec_load(c->pool, vec_const(c->pool, g->offset), g->bytes);
		if (g->equal ? !facts_bits_equal(f, c->pool, vec, g->mask, g->value)
			     : !facts_bits_differ(f, c->pool, vec, g->mask, g->value))
			return false;
	}
	return true;
}

/* Under f: bits [first, first + bits) of the key are S's value. */
static bool projection_equal(const struct checker *c, const struct facts *f, const struct cert_row *row, uint32_t key,
			     uint32_t steer)
{
	const uint32_t *k = vec_origins(c->pool, key);
	const uint32_t *s = vec_origins(c->pool, steer);

	for (unsigned i = 0; i < VEC_BITS; i++) {
		uint32_t left = i < row->bits ? facts_resolve(f, k[row->first + i]) : ORIGIN_0;

		if (!FAULT(CHECK_NO_KEYS) && (left == ORIGIN_UNKNOWN || left != facts_resolve(f, s[i])))
			return false;
	}
	return true;
}

/* Under f: whichever row applies to the key gives S's value, and one surely applies. */
static bool rows_agree(const struct checker *c, struct facts f, uint8_t table, uint32_t key, uint32_t steer)
{
	for (uint32_t i = 0; i < c->cert->n_rows; i++) {
		const struct cert_row *row = &c->cert->rows[i];
		struct facts applies = f;

		if (row->table != table)
			continue;
		if (facts_bits_equal(&applies, c->pool, key, row->mask, row->match) &&
		    !projection_equal(c, &applies, row, key, steer))
			return false;
		if (!facts_bits_differ(&f, c->pool, key, row->mask, row->match))
			return true; /* the row applies for sure */
	}
	return false;
}

/* One alternative of the key against every return of S that a packet there may take. */
static bool key_agrees(const struct checker *c, const struct facts *here, uint8_t table, uint32_t key)
{
	for (uint32_t r = 0; r < c->n_returns; r++)
		for (uint32_t i = 0; i < c->returns[r].value.n; i++) {
			struct facts both = *here;

			if (!facts_meet(&both, &c->returns[r].facts) || !facts_meet(&both, &c->returns[r].value.alt[i].facts))
				continue;
			if (!rows_agree(c, both, table, key, c->returns[r].value.alt[i].vec))
				return false;
		}
	return true;
}

static int check_owned(struct checker *c, const struct flow_visit *v)
{
	for (uint32_t i = 0; i < v->a->n; i++) {
		struct facts here = *v->facts;

		if (!facts_meet(&here, &v->a->alt[i].facts) || !add_guard(c, &here))
			continue;
		if (!key_agrees(c, &here, v->insn->table, v->a->alt[i].vec))
			return refuse(c, "at %u: the key of %s is not proved to project to what the steering program returns",
				      v->insn->pc, vfm_ops[v->insn->op].mnemonic);
	}
	return 0;
}

/* ---- listed sites ---- */

static const struct cert_site *listed_at(const struct checker *c, uint32_t pc)
{
	for (uint32_t lo = 0, hi = c->cert->n_sites; lo < hi;) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (c->cert->sites[mid].pc == pc)
			return &c->cert->sites[mid];
		if (c->cert->sites[mid].pc < pc)
			lo = mid + 1;
		else
			hi = mid;
	}
	return NULL;
}

static bool is_op(uint8_t op, uint8_t short_form, uint8_t table_form)
{
	return op == short_form || op == table_form;
}

/* The one constant that every alternative is. */
static bool one_constant(const struct checker *c, const struct flow_value *v, uint64_t *constant)
{
	uint64_t d;

	for (uint32_t i = 0; i < v->n; i++)
		if (!vec_is_const(c->pool, v->alt[i].vec, &d) || (i && d != *constant))
			return false;
		else
			*constant = d;
	return v->n > 0;
}

/* Is what the site stores its own entry's value, combined with others by the class's operation? */
static bool stores_combined(const struct checker *c, const struct flow_visit *v, const struct cert_site *s)
{
	const struct flow_part *p = &v->b->part;

	if (v->region)
		return v->region->stores >> s->merge_class & 1;
	return v->b->tainted && (p->forms >> s->merge_class & 1) && p->table == s->table && p->key == value_known(c->pool, v->a);
}

static int check_partial(struct checker *c, const struct flow_visit *v, const struct cert_site *s, uint64_t *constant)
{
	const struct program_table *t = &c->program->tables[c->program->table_index[s->table]];
	const char *class = cert_class_name(s->merge_class);

	if (t->idle_s)
		return refuse(c, "at %u: table %u has an idle time-out, so it cannot be partial", s->pc, s->table);
	if (is_op(v->insn->op, VFM_OP_FLOW_LOAD, VFM_OP_FLOW_LOAD_T))
		return 0; /* check_taint looks after what becomes of it */
	if (is_op(v->insn->op, VFM_OP_FLOW_ADD, VFM_OP_FLOW_ADD_T) && s->merge_class == CERT_SUM)
		return 0;
	if (!is_op(v->insn->op, VFM_OP_FLOW_STORE, VFM_OP_FLOW_STORE_T))
		return refuse(c, "at %u: a site of class %s cannot be %s", s->pc, class, vfm_ops[v->insn->op].mnemonic);
	if (s->merge_class == CERT_CONSTANT)
		return !v->region && !v->b->tainted && (one_constant(c, v->b, constant) || FAULT(ANY_STORES_MERGE))
			       ? 0
			       : refuse(c, "at %u: a site of class constant must store one constant, whatever is there", s->pc);
	if (!stores_combined(c, v, s))
		return refuse(c, "at %u: what is stored is not proved to be the class %s of the entry and another value", s->pc,
			      class);
	return 0;
}

static int remember(struct checker *c, const struct flow_visit *v, const struct cert_site *listed, uint64_t constant)
{
	struct seen_site *s = malloc(sizeof(*s));

	if (c->n_seen == c->seen_room) {
		uint32_t room = c->seen_room ? c->seen_room * 2 : 64;
		struct seen_site **grown = realloc(c->seen, room * sizeof(struct seen_site *));

		if (!grown) {
			free(s);
			return -ENOMEM;
		}
		c->seen = grown;
		c->seen_room = room;
	}
	if (!s)
		return -ENOMEM;
	s->insn = v->insn;
	s->listed = listed;
	s->constant = constant;
	s->facts = *v->facts;
	memcpy(&s->key, v->a, offsetof(struct flow_value, alt) + v->a->n * sizeof(v->a->alt[0]));
	c->seen[c->n_seen++] = s;
	return 0;
}

static bool is_partial_site(const void *arg, const struct vfm_insn *insn)
{
	const struct cert_site *s = listed_at(arg, insn->pc);

	return s && s->partial;
}

/* A value loaded from a partial object decides nothing: it may be dropped, be stored back as its class allows, and be compared where
 * nothing but its own entry can tell. */
static int check_taint(struct checker *c, const struct flow_visit *v)
{
	uint16_t flags = vfm_ops[v->insn->op].flags;
	bool a = v->a && v->a->tainted, b = v->b && v->b->tainted;

	if (v->region)
		return 0;
	if (flags & VFM_F_DIVIDE)
		a = false; /* only the divisor decides */
	if (is_op(v->insn->op, VFM_OP_FLOW_STORE, VFM_OP_FLOW_STORE_T) && is_partial_site(c, v->insn))
		b = false; /* check_partial looks at it */
	if (a || b)
		return refuse(c, "at %u: %s uses a value loaded from a partial object", v->insn->pc, vfm_ops[v->insn->op].mnemonic);
	return 0;
}

static int visit_program(void *arg, const struct flow_visit *v)
{
	const struct cert_site *listed;
	struct checker *c = arg;
	uint64_t constant = 0;
	int err = check_taint(c, v);

	if (err || !is_access(v->insn->op))
		return err;
	listed = listed_at(c, v->insn->pc);
	if (v->region && !(listed && listed->partial))
		return refuse(c, "at %u: %s is done or not as a partial object decides", v->insn->pc,
			      vfm_ops[v->insn->op].mnemonic);
	if (!listed)
		err = c->listed_only ? 0 : check_owned(c, v);
	else if (listed->partial)
		err = check_partial(c, v, listed, &constant);
	else if ((vfm_ops[v->insn->op].flags & VFM_F_UPDATE) && !FAULT(CHECK_NO_CONFIG))
		err = refuse(c, "at %u: %s updates what the certificate lists as configuration", v->insn->pc,
			     vfm_ops[v->insn->op].mnemonic);
	return err ? err : remember(c, v, listed, constant);
}

/* ---- pairs of sites ---- */

/* May a key of one site, for some packet, equal a key of the other, for some other packet? Only constant bits can tell. */
static bool keys_may_meet(const struct checker *c, const struct seen_site *x, const struct seen_site *y)
{
	for (uint32_t i = 0; i < x->key.n; i++)
		for (uint32_t j = 0; j < y->key.n; j++) {
			const uint32_t *a = vec_origins(c->pool, x->key.alt[i].vec);
			const uint32_t *b = vec_origins(c->pool, y->key.alt[j].vec);
			bool apart = false;

			for (unsigned bit = 0; bit < VEC_BITS && !apart; bit++) {
				uint32_t p = facts_resolve(&x->key.alt[i].facts, facts_resolve(&x->facts, a[bit]));
				uint32_t q = facts_resolve(&y->key.alt[j].facts, facts_resolve(&y->facts, b[bit]));

				apart = p <= ORIGIN_1 && q <= ORIGIN_1 && p != q;
			}
			if (!apart)
				return true;
		}
	return false;
}

static bool stores(const struct seen_site *s)
{
	return is_op(s->insn->op, VFM_OP_FLOW_STORE, VFM_OP_FLOW_STORE_T);
}

static int check_pair(struct checker *c, const struct seen_site *listed, const struct seen_site *other)
{
	if (listed->insn->table != other->insn->table)
		return 0;
	if (listed->listed->partial) {
		if (!other->listed || !other->listed->partial || other->listed->merge_class != listed->listed->merge_class)
			return refuse(c, "table %u: partial site %u shares its table with site %u of another kind",
				      listed->insn->table, listed->insn->pc, other->insn->pc);
		if (stores(listed) && stores(other) && listed->constant != other->constant)
			return refuse(c, "table %u: sites %u and %u store different constants", listed->insn->table,
				      listed->insn->pc, other->insn->pc);
		return 0;
	}
	if (!other->listed && keys_may_meet(c, listed, other))
		return refuse(c, "table %u: configuration read at %u may meet the access at %u", listed->insn->table,
			      listed->insn->pc, other->insn->pc);
	return 0;
}

static int check_pairs(struct checker *c)
{
	int err = 0;

	for (uint32_t i = 0; i < c->n_seen && !err; i++)
		for (uint32_t j = 0; c->seen[i]->listed && j < c->n_seen && !err; j++)
			err = check_pair(c, c->seen[i], c->seen[j]);
	return err;
}

static int check_all(struct checker *c)
{
	struct flow_options options = {.visit = visit_program, .taints = is_partial_site, .arg = c};
	int err = check_form(c);

	if (err)
		return err;
	c->pool = term_pool_new();
	c->returns = calloc(MAX_RETURNS, sizeof(*c->returns));
	if (!c->pool || !c->returns)
		return -ENOMEM;
	err = c->listed_only ? 0 : check_steer(c);
	if (!err)
		err = flow_error(c, flow_run(&c->program->proof, c->pool, &options), "program");
	if (!err)
		err = check_pairs(c);
	/* Conclusions drawn from a failed pool mean nothing. */
	if (!err && term_pool_failed(c->pool))
		err = refuse(c, "the program is " CERT_BOUNDS_WORDS);
	return err;
}

static int run_checker(struct checker *c)
{
	int err = check_all(c);

	for (uint32_t i = 0; i < c->n_seen; i++)
		free(c->seen[i]);
	free(c->seen);
	free(c->returns);
	term_pool_free(c->pool);
	return err;
}

int cert_check(const struct cert *cert, const struct program *p, char *why, size_t why_bytes)
{
	struct checker c = {.cert = cert, .program = p, .why = why, .why_bytes = why_bytes};

	return run_checker(&c);
}

int cert_check_listed(const struct cert *cert, const struct program *p, char *why, size_t why_bytes)
{
	struct checker c = {.cert = cert, .program = p, .listed_only = true, .why = why, .why_bytes = why_bytes};

	return run_checker(&c);
}
