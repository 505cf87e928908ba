#include "vm/nearest.h"

#include <ctype.h>
#include <stddef.h>
#include <string.h>

void nearest_init(struct nearest *n, const char *wanted, uint32_t wanted_bytes, bool ignore_case)
{
	uint32_t worth = (wanted_bytes + 1) / 3;

	memset(n, 0, sizeof(*n));
	n->wanted = wanted;
	n->wanted_bytes = wanted_bytes;
	n->ignore_case = ignore_case;
	n->distance = (worth < 1 ? 1 : worth > 3 ? 3 : worth) + 1;
}

static uint32_t min3(uint32_t a, uint32_t b, uint32_t c)
{
	uint32_t ab = a < b ? a : b;

	return ab < c ? ab : c;
}

static bool same(const struct nearest *n, char a, char b)
{
	return n->ignore_case ? toupper((unsigned char)a) == toupper((unsigned char)b) : a == b;
}

/* Optimal string alignment distance of the wanted name and b; stops as soon as it cannot be below n->distance. */
static uint32_t distance(const struct nearest *n, const char *b, uint32_t b_bytes)
{
	uint32_t rows[3][NEAREST_MAX_NAME_BYTES + 1];
	uint32_t *before = rows[0], *last = rows[1], *row = rows[2];
	const char *a = n->wanted;

	for (uint32_t j = 0; j <= b_bytes; j++)
		last[j] = j;
	for (uint32_t i = 1; i <= n->wanted_bytes; i++) {
		uint32_t *spare = before, least = row[0] = i;

		for (uint32_t j = 1; j <= b_bytes; j++) {
			row[j] = min3(last[j] + 1, row[j - 1] + 1, last[j - 1] + !same(n, a[i - 1], b[j - 1]));
			if (i > 1 && j > 1 && same(n, a[i - 1], b[j - 2]) && same(n, a[i - 2], b[j - 1]))
				row[j] = min3(row[j], row[j], before[j - 2] + 1);
			least = least < row[j] ? least : row[j];
		}
		/* A later row can be smaller than this one only through a swap, which starts from `last` at the earliest. */
		if (least > n->distance)
			return least;
		before = last;
		last = row;
		row = spare;
	}
	return last[b_bytes];
}

void nearest_offer(struct nearest *n, const char *name, uint32_t name_bytes)
{
	uint32_t apart = n->wanted_bytes > name_bytes ? n->wanted_bytes - name_bytes : name_bytes - n->wanted_bytes;
	uint32_t found;

	if (n->wanted_bytes > NEAREST_MAX_NAME_BYTES || name_bytes > NEAREST_MAX_NAME_BYTES || apart >= n->distance)
		return;
	found = distance(n, name, name_bytes);
	if (found < n->distance) {
		n->distance = found;
		n->best = name;
		n->best_bytes = name_bytes;
	}
}
