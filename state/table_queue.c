/* table_queue.c: the queues NEW and KEPT, eviction, and the expiry wheel. Touched by insertions and removals, never by a hit. */
#include <assert.h>
#include <string.h>

#include "state/table_layout.h"

#define EVICTION_LOOKS 8  /* the last head looked at goes in any case */
#define INSERT_STEPS   64 /* how far from the tail table_queue_insert() looks for an entry's place */

static struct table_link *link_of(struct table *t, struct table_slot s)
{
	return &t->links[table_slot_number(t, s)];
}

static uint64_t key_of(struct table_slot s)
{
	return s.bucket->key[s.i];
}

void table_queue_reset(struct table *t)
{
	for (int q = 0; q < 2; q++)
		t->queues[q] = (struct table_list){TABLE_NO_SLOT, TABLE_NO_SLOT, 0};
	if (t->wheel)
		memset(t->wheel, 0xff, (t->n_wheel + 1) * sizeof *t->wheel);
	t->examined_s = 0;
	t->next_position = 1;
	t->ordered = true;
}

/* Puts number n behind slot `prev` of its queue (TABLE_NO_SLOT: at the head). */
static void link_behind(struct table *t, uint32_t n, uint32_t prev)
{
	struct table_link *l = &t->links[n];
	struct table_list *q = &t->queues[l->kept];
	uint32_t next = prev == TABLE_NO_SLOT ? q->head : t->links[prev].next;

	l->prev = prev;
	l->next = next;
	*(prev == TABLE_NO_SLOT ? &q->head : &t->links[prev].next) = n;
	*(next == TABLE_NO_SLOT ? &q->tail : &t->links[next].prev) = n;
}

void table_queue_append(struct table *t, struct table_slot s, enum table_queue queue)
{
	struct table_link *l = link_of(t, s);

	l->kept = queue == TABLE_KEPT;
	l->position = t->next_position++;
	link_behind(t, table_slot_number(t, s), t->queues[queue].tail);
	t->queues[queue].count++;
	if (t->tracked)
		t->sum += table_place_hash(key_of(s), queue, l->position);
}

void table_queue_unlink(struct table *t, struct table_slot s)
{
	struct table_link *l = link_of(t, s);
	struct table_list *q = &t->queues[l->kept];

	q->count--;
	if (t->tracked)
		t->sum -= table_place_hash(key_of(s), (enum table_queue)l->kept, l->position);
	if (!t->ordered)
		return;
	*(l->prev == TABLE_NO_SLOT ? &q->head : &t->links[l->prev].next) = l->next;
	*(l->next == TABLE_NO_SLOT ? &q->tail : &t->links[l->next].prev) = l->prev;
}

void table_queue_insert(struct table *t, struct table_slot s)
{
	struct table_link *l = link_of(t, s);
	struct table_list *q = &t->queues[l->kept];
	uint32_t prev = q->tail;

	q->count++;
	if (t->tracked)
		t->sum += table_place_hash(key_of(s), (enum table_queue)l->kept, l->position);
	for (int step = 0; t->ordered && prev != TABLE_NO_SLOT && t->links[prev].position > l->position; step++) {
		prev = t->links[prev].prev;
		t->ordered = step < INSERT_STEPS;
	}
	if (t->ordered)
		link_behind(t, table_slot_number(t, s), prev);
}

/* Merges two chains (by `next`), each ascending in position. */
static uint32_t merge(struct table *t, uint32_t a, uint32_t b)
{
	uint32_t head = TABLE_NO_SLOT, *end = &head;

	while (a != TABLE_NO_SLOT && b != TABLE_NO_SLOT) {
		uint32_t *least = t->links[a].position < t->links[b].position ? &a : &b;

		*end = *least;
		end = &t->links[*least].next;
		*least = *end;
	}
	*end = a != TABLE_NO_SLOT ? a : b;
	return head;
}

/* Bottom-up merge sort: bin k holds a sorted chain of 2^k slots or none. */
static uint32_t sort_chain(struct table *t, uint32_t chain)
{
	uint32_t bins[33], sorted = TABLE_NO_SLOT;

	memset(bins, 0xff, sizeof bins);
	while (chain != TABLE_NO_SLOT) {
		uint32_t run = chain;
		int k = 0;

		chain = t->links[chain].next;
		t->links[run].next = TABLE_NO_SLOT;
		for (; bins[k] != TABLE_NO_SLOT; k++) {
			run = merge(t, bins[k], run);
			bins[k] = TABLE_NO_SLOT;
		}
		bins[k] = run;
	}
	for (int k = 0; k < 33; k++)
		sorted = merge(t, bins[k], sorted);
	return sorted;
}

static void link_chain(struct table *t, struct table_list *q)
{
	uint32_t prev = TABLE_NO_SLOT;

	for (uint32_t n = q->head; n != TABLE_NO_SLOT; n = t->links[n].next) {
		t->links[n].prev = prev;
		prev = n;
	}
	q->tail = prev;
}

void table_queue_sort(struct table *t)
{
	t->queues[TABLE_NEW].head = TABLE_NO_SLOT;
	t->queues[TABLE_KEPT].head = TABLE_NO_SLOT;
	if (t->wheel)
		memset(t->wheel, 0xff, (t->n_wheel + 1) * sizeof *t->wheel);
	for (uint32_t n = 0; n < t->n_buckets * TABLE_BUCKET_SLOTS; n++) {
		struct table_slot s = table_slot_at(t, n);
		struct table_list *q = &t->queues[t->links[n].kept];

		t->links[n].due_s = 0;
		if (!table_slot_queued(s))
			continue;
		t->links[n].next = q->head;
		q->head = n;
		table_wheel_list(t, s);
	}
	for (int i = 0; i < 2; i++) {
		t->queues[i].head = sort_chain(t, t->queues[i].head);
		link_chain(t, &t->queues[i]);
	}
	t->ordered = true;
}

/* The queue whose head eviction looks at. */
static enum table_queue next_victims(const struct table *t)
{
	bool new_is_long = (uint64_t)t->queues[TABLE_NEW].count * 8 > t->config.capacity;

	return new_is_long || !t->queues[TABLE_KEPT].count ? TABLE_NEW : TABLE_KEPT;
}

/* What the next eviction will look at first: without this, each waits for memory several times in a row. (always_inline: see
 * table_prefetch_inline.) */
static inline __attribute__((always_inline)) void prefetch_victim(const struct table *t)
{
	uint32_t n = t->queues[next_victims(t)].head;

	if (n == TABLE_NO_SLOT)
		return;
	__builtin_prefetch(&t->buckets[n / TABLE_BUCKET_SLOTS], 1);
	if (t->links[n].next != TABLE_NO_SLOT)
		__builtin_prefetch(&t->links[t->links[n].next], 1);
}

void table_evict(struct table *t)
{
	for (int look = 1; look <= EVICTION_LOOKS; look++) {
		struct table_slot s = table_slot_at(t, t->queues[next_victims(t)].head);

		if (look == EVICTION_LOOKS || !table_slot_is(s, TABLE_MARK)) {
			table_remove(t, s);
			break;
		}
		table_touch(t, s);
		s.bucket->meta &= ~(TABLE_MARK * s.bit);
		table_queue_unlink(t, s);
		table_queue_append(t, s, TABLE_KEPT);
	}
	t->counters.evictions++;
	prefetch_victim(t);
}

/* A due second that is examined already goes to the list of overdue slots. A slot that is listed stays where it is: its second is
 * not later than its new entry's, as stamps do not go back; if table_put() made them go back, the wheel is built anew. */
void table_wheel_list(struct table *t, struct table_slot s)
{
	struct table_link *l = link_of(t, s);
	uint64_t due = (uint64_t)s.bucket->stamp_s[s.i] + t->idle_s + 1;
	uint32_t *head;

	if (!t->wheel)
		return;
	if (due > UINT32_MAX)
		due = UINT32_MAX;
	if (l->due_s) {
		t->ordered &= l->due_s <= due;
		return;
	}
	l->due_s = (uint32_t)due;
	head = &t->wheel[due <= t->examined_s ? t->n_wheel : due & (t->n_wheel - 1)];
	l->wheel_next = *head;
	*head = table_slot_number(t, s);
}

/* Takes one list of the wheel: free slots leave it, expired entries are removed (unless `keep`), others are listed again. */
static void examine(struct table *t, uint32_t at, uint32_t oldest_live_s, bool keep)
{
	uint32_t n = t->wheel[at], next;

	t->wheel[at] = TABLE_NO_SLOT;
	for (; n != TABLE_NO_SLOT; n = next) {
		struct table_slot s = table_slot_at(t, n);

		next = t->links[n].wheel_next;
		t->links[n].due_s = 0;
		if (!table_slot_queued(s))
			continue;
		if (keep || s.bucket->stamp_s[s.i] >= oldest_live_s) {
			table_wheel_list(t, s);
		} else {
			table_remove(t, s);
			t->counters.expired++;
		}
	}
}

void table_expire(struct table *t, uint32_t now_s, bool keep)
{
	uint32_t oldest_live_s = table_oldest_live_s(t, now_s), seconds;

	if (!t->wheel)
		return;
	seconds = now_s > t->examined_s ? now_s - t->examined_s : 0;
	if (seconds > t->n_wheel)
		seconds = t->n_wheel;
	t->examined_s += now_s > t->examined_s ? now_s - t->examined_s : 0;
	if (!keep && t->wheel[t->n_wheel] != TABLE_NO_SLOT)
		examine(t, t->n_wheel, oldest_live_s, false);
	for (uint32_t k = 0; k < seconds; k++)
		examine(t, (now_s - k) & (t->n_wheel - 1), oldest_live_s, keep);
}
