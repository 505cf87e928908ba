/* guard.c: writes a certificate's guard in front of the program. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "analysis/analyze.h"

/* One conjunct: PKTLEN PUSH JLT LDn PUSH AND PUSH JEQ PUSH RET. */
#define CONJUNCT_BYTES (1 + 9 + 3 + 3 + 9 + 1 + 9 + 3 + 9 + 1)

struct code {
	uint8_t *bytes;
	uint32_t len;
};

static void put(struct code *c, uint8_t op)
{
	c->bytes[c->len++] = op;
}

static void put_push(struct code *c, uint64_t v)
{
	put(c, VFM_OP_PUSH);
	for (int i = 0; i < 8; i++)
		put(c, (uint8_t)(v >> 8 * i));
}

static void put_u16(struct code *c, uint8_t op, uint32_t v)
{
	put(c, op);
	put(c, (uint8_t)v);
	put(c, (uint8_t)(v >> 8));
}

static uint8_t load_op(unsigned bytes)
{
	return (uint8_t)(VFM_OP_LD8 + (bytes == 8 ? 3 : bytes / 2));
}

/* Goes on behind itself if the conjunct holds or its bytes are not there; else the packet is dropped. */
static void put_conjunct(struct code *c, const struct cert_guard *g)
{
	uint32_t end = c->len + CONJUNCT_BYTES;

	put(c, VFM_OP_PKTLEN);
	put_push(c, g->offset + g->bytes);
	put_u16(c, VFM_OP_JLT, end - (c->len + 3));
	put_u16(c, load_op(g->bytes), g->offset);
	put_push(c, g->mask);
	put(c, VFM_OP_AND);
	put_push(c, g->value);
	put_u16(c, g->equal ? VFM_OP_JEQ : VFM_OP_JNE, end - (c->len + 3));
	put_push(c, 0);
	put(c, VFM_OP_RET);
}

int guard_program(const struct program *p, const struct cert *cert, uint8_t **code, uint32_t *len)
{
	uint32_t total = p->len + cert->n_guards * CONJUNCT_BYTES;
	struct code c = {0};

	if (total > VFM_MAX_PROGRAM_BYTES)
		return -EFBIG;
	c.bytes = malloc(total);
	if (!c.bytes)
		return -ENOMEM;
	memcpy(c.bytes, p->code, p->start);
	c.len = p->start;
	for (uint32_t i = 0; i < cert->n_guards; i++)
		put_conjunct(&c, &cert->guards[i]);
	memcpy(c.bytes + c.len, p->code + p->start, p->len - p->start);
	*code = c.bytes;
	*len = total;
	return 0;
}
