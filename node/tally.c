/* tally.c: see tally.h. */
#include "node/tally.h"

#include <assert.h>
#include <stdlib.h>

/* Runs of one value are the rule, so the value before is tried first. */
static void count_value(struct tally *t, uint64_t value)
{
	if (t->n_values && t->values[t->recent].value == value) {
		t->values[t->recent].packets++;
		return;
	}
	for (uint32_t i = 0; i < t->n_values; i++) {
		if (t->values[i].value == value) {
			t->values[i].packets++;
			t->recent = i;
			return;
		}
	}
	if (t->n_values == TALLY_VALUES) {
		t->other_values++;
		return;
	}
	t->recent = t->n_values++;
	t->values[t->recent] = (struct tally_value){.value = value, .packets = 1};
}

void tally_add(struct tally *t, const struct vfm_result *r)
{
	int error = r->error ? verdict_error_index(r->error) : -1;

	assert(!r->error || error >= 0); /* verified programs meet no others */
	t->packets++;
	if (error >= 0) {
		t->errors[error]++;
		return;
	}
	t->drop += r->value == 0;
	t->accept += r->value >= 1;
	t->log += r->value >= 2;
	count_value(t, r->value);
}

uint64_t tally_errors(const struct tally *t)
{
	uint64_t sum = 0;

	for (int i = 0; i < VERDICT_ERROR_KINDS; i++)
		sum += t->errors[i];
	return sum;
}

static int compare_values(const void *a, const void *b)
{
	const struct tally_value *x = a, *y = b;

	return x->value < y->value ? -1 : x->value > y->value;
}

void tally_sort(struct tally *t)
{
	qsort(t->values, t->n_values, sizeof(t->values[0]), compare_values);
	t->recent = 0;
}
