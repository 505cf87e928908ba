/* The records a cluster is made of: frames, configurations, merge classes, deltas and snapshots. */
#include "state/config.h"
#include "state/merge.h"
#include "state/mix.h"
#include "state/snapshot.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <msgpack.h>

static uint64_t random_at(uint64_t *s)
{
	*s += 0x9e3779b97f4a7c15ull;
	return mix64(*s);
}

/* ---- frames ---- */

static uint8_t column[8 * 4096];

/* Fills every field of a message with something legal. */
static void fill(struct wire_message *m, enum wire_kind kind, uint64_t *seed)
{
	const struct wire_shape *w = &wire_shapes[kind];
	*m = (struct wire_message){.kind = kind, .plan = random_at(seed), .from = random_at(seed)};
	for (unsigned i = 0; i < w->n_fields; i++) {
		const struct wire_field *f = &w->fields[i];
		uint8_t *at = (uint8_t *)&m->config + f->offset;
		if (f->type == WIRE_U64) {
			uint64_t v = random_at(seed) >> (random_at(seed) % 64);
			if (f->limit)
				v %= f->limit + 1;
			memcpy(at, &v, sizeof v);
		} else {
			uint64_t most = f->limit < 200 ? f->limit : 200;
			*(struct wire_column *)at =
				wire_column(column + random_at(seed) % 64, (uint32_t)(random_at(seed) % (most + 1)));
		}
	}
}

static unsigned bytes_of(enum wire_type t)
{
	return t == WIRE_C64 ? 8 : t == WIRE_C32 ? 4 : 1;
}

static void every_message_decodes_to_what_was_encoded(void **state)
{
	static uint8_t frame[65536];
	uint64_t seed = 1;
	(void)state;
	for (size_t i = 0; i < sizeof column; i++)
		column[i] = (uint8_t)random_at(&seed);
	for (int round = 0; round < 50; round++)
		for (int kind = WIRE_NONE + 1; kind < WIRE_KINDS; kind++) {
			struct wire_message a, b;
			fill(&a, (enum wire_kind)kind, &seed);
			int64_t n = wire_encode(&a, frame, sizeof frame);
			assert_true(n > 0 && (size_t)n <= wire_bound(&a));
			assert_int_equal(wire_decode(frame, (size_t)n, &b), 0);
			assert_true(b.kind == a.kind && b.plan == a.plan && b.from == a.from);
			const struct wire_shape *w = &wire_shapes[kind];
			for (unsigned k = 0; k < w->n_fields; k++) {
				const uint8_t *x = (uint8_t *)&a.config + w->fields[k].offset,
					      *y = (uint8_t *)&b.config + w->fields[k].offset;
				const struct wire_column *c = (const void *)x, *d = (const void *)y;
				if (w->fields[k].type == WIRE_U64) {
					assert_memory_equal(x, y, 8);
					continue;
				}
				assert_int_equal(c->n, d->n);
				assert_true(!c->n || !memcmp(c->p, d->p, (size_t)c->n * bytes_of(w->fields[k].type)));
			}
		}
}

static void msgpack_c_reads_every_frame_as_one_flat_array(void **state)
{
	static uint8_t frame[65536];
	uint64_t seed = 2;
	(void)state;
	for (int kind = WIRE_NONE + 1; kind < WIRE_KINDS; kind++) {
		struct wire_message a;
		fill(&a, (enum wire_kind)kind, &seed);
		int64_t n = wire_encode(&a, frame, sizeof frame);
		msgpack_unpacked u;
		size_t used = 0;
		msgpack_unpacked_init(&u);
		assert_int_equal(msgpack_unpack_next(&u, (const char *)frame, (size_t)n, &used), MSGPACK_UNPACK_SUCCESS);
		assert_int_equal(used, n);
		assert_int_equal(u.data.type, MSGPACK_OBJECT_ARRAY);
		assert_int_equal(u.data.via.array.size, 4 + wire_shapes[kind].n_fields);
		assert_int_equal(u.data.via.array.ptr[1].via.u64, kind);
		msgpack_unpacked_destroy(&u);
	}
}

static void cut_and_damaged_frames_are_refused_or_stay_inside_their_bytes(void **state)
{
	static uint8_t frame[65536];
	uint64_t seed = 3;
	(void)state;
	for (int round = 0; round < 400; round++) {
		struct wire_message a, b;
		fill(&a, (enum wire_kind)(1 + random_at(&seed) % (WIRE_KINDS - 1)), &seed);
		int64_t n = wire_encode(&a, frame, sizeof frame);
		uint8_t *exact = malloc((size_t)n); /* so that a sanitizer sees a read beyond the frame */
		for (int k = 0; k < 40; k++) {
			size_t cut = random_at(&seed) % (size_t)n;
			memcpy(exact, frame, (size_t)n);
			assert_int_not_equal(wire_decode(exact, cut, &b), 0);
			exact[random_at(&seed) % (size_t)n] ^= (uint8_t)(1u << random_at(&seed) % 8);
			if (wire_decode(exact, (size_t)n, &b))
				continue;
			const struct wire_shape *w = &wire_shapes[b.kind];
			for (unsigned i = 0; i < w->n_fields; i++) {
				const struct wire_column *c = (const void *)((uint8_t *)&b.config + w->fields[i].offset);
				if (w->fields[i].type != WIRE_U64)
					assert_true(c->p >= exact &&
						    c->p + (size_t)c->n * bytes_of(w->fields[i].type) <= exact + n);
			}
		}
		free(exact);
	}
}

static void limits_hold_in_both_directions(void **state)
{
	static uint8_t frame[65536];
	struct wire_message m = {.kind = WIRE_CONFIG, .config = {.sealed = 2}}, back;
	(void)state;
	assert_int_equal(wire_encode(&m, frame, sizeof frame), -EINVAL);
	m.config.sealed = 1;
	m.config.in_sync = wire_column(column, WIRE_MAX_MEMBERS + 1);
	assert_int_equal(wire_encode(&m, frame, sizeof frame), -EINVAL);
	m.config.in_sync = wire_column(column, WIRE_MAX_MEMBERS);
	int64_t n = wire_encode(&m, frame, sizeof frame);
	assert_true(n > 0);
	assert_int_equal(wire_encode(&m, frame, (size_t)n - 1), -ENOSPC);
	frame[1] = WIRE_VERSION + 1; /* the version is the first small field, packed in one byte */
	assert_int_equal(wire_decode(frame, (size_t)n, &back), -EPROTONOSUPPORT);
}

/* ---- configurations ---- */

static void only_single_steps_are_legal(void **state)
{
	struct config a = config_birth(3, 7, 100), b, c;
	(void)state;
	b = config_add(&a, 101);
	assert_int_equal(config_step_of(&a, &b), CONFIG_ADD);
	c = config_add(&b, 102);
	assert_int_equal(config_step_of(&b, &c), CONFIG_ADD);
	assert_int_equal(config_step_of(&a, &c), CONFIG_ILLEGAL); /* two epochs at once */
	struct config p = config_promote(&c, 101, true), q = config_promote(&c, 101, false);
	assert_int_equal(config_step_of(&c, &p), CONFIG_PROMOTE);
	assert_int_equal(config_step_of(&c, &q), CONFIG_PROMOTE);
	assert_true(p.owner == 101 && config_in_sync(&p, 100) && config_in_sync(&p, 102) && !config_in_sync(&q, 100));
	struct config bad = q; /* promoted and replaced at once */
	bad.in_sync[0] = 555;
	assert_int_equal(config_step_of(&c, &bad), CONFIG_ILLEGAL);
	bad = config_promote(&c, 555, true); /* a stranger */
	assert_int_equal(config_step_of(&c, &bad), CONFIG_ILLEGAL);
	bad = config_add(&c, 100); /* the owner itself */
	assert_int_equal(config_step_of(&c, &bad), CONFIG_ILLEGAL);
	struct config l = config_lose(&c, 900), u = config_unseal(&l), r = config_renew(&c), d = config_remove(&c, 102);
	assert_int_equal(config_step_of(&c, &l), CONFIG_LOSE);
	assert_int_equal(config_step_of(&l, &u), CONFIG_UNSEAL);
	assert_int_equal(config_step_of(&c, &r), CONFIG_RENEW);
	assert_int_equal(config_step_of(&c, &d), CONFIG_REMOVE);
	bad = config_add(&l, 901); /* nobody joins a sealed shard */
	assert_int_equal(config_step_of(&l, &bad), CONFIG_ILLEGAL);
	bad = r;
	bad.plan++;
	assert_int_equal(config_step_of(&c, &bad), CONFIG_ILLEGAL);
}

static void a_configuration_survives_the_wire(void **state)
{
	uint8_t frame[512];
	struct config a = config_birth(3, 7, 100), b;
	struct wire_message m = {.kind = WIRE_CONFIG}, back;
	(void)state;
	a = config_add(&a, 101);
	config_to_wire(&a, &m.config);
	int64_t n = wire_encode(&m, frame, sizeof frame);
	assert_int_equal(wire_decode(frame, (size_t)n, &back), 0);
	assert_int_equal(config_from_wire(&back.config, &b), 0);
	assert_true(config_equal(&a, &b));
	a.in_sync[0] = a.owner;
	config_to_wire(&a, &m.config);
	assert_int_equal(config_from_wire(&m.config, &b), -EPROTO);
}

/* ---- merge classes ---- */

static void every_merge_class_keeps_its_laws(void **state)
{
	uint64_t seed = 4;
	(void)state;
	for (int c = 0; c < MERGE_COUNT; c++) {
		enum merge_class k = (enum merge_class)c, back;
		assert_int_equal(merge_from_name(merge_name(k), &back), 0);
		assert_int_equal(back, k);
		for (int i = 0; i < 2000; i++) {
			uint64_t v[3];
			for (int j = 0; j < 3; j++)
				v[j] = merge_domain(k, random_at(&seed) % 3 ? random_at(&seed) >> (random_at(&seed) % 64) : 0);
			assert_true(merge_values(k, v[0], v[1]) == merge_values(k, v[1], v[0]));
			assert_true(merge_values(k, merge_values(k, v[0], v[1]), v[2]) ==
				    merge_values(k, v[0], merge_values(k, v[1], v[2])));
			assert_true(merge_values(k, v[0], 0) == v[0]);
			assert_true(k == MERGE_SUM || merge_values(k, v[0], v[0]) == v[0]);
		}
	}
	enum merge_class none;
	assert_int_equal(merge_from_name("average", &none), -EINVAL);
}

static void partial_tables_merge_to_the_single_one(void **state)
{
	struct table_config config = {.capacity = 64};
	uint64_t seed = 5, cursor = 0;
	(void)state;
	for (int c = 0; c < MERGE_COUNT; c++) {
		struct table *parts[3], *whole = table_new(&config), *merged = table_new(&config);
		struct table_entry e;
		for (int i = 0; i < 3; i++)
			parts[i] = table_new(&config);
		for (int i = 0; i < 300; i++) {
			uint64_t key = random_at(&seed) % 40, v = merge_domain((enum merge_class)c, random_at(&seed) % 1000 + 1);
			struct table *part = parts[random_at(&seed) % 3];
			table_store(part, key, merge_values((enum merge_class)c, table_load(part, key, 1), v), 1);
			table_store(whole, key, merge_values((enum merge_class)c, table_load(whole, key, 1), v), 1);
		}
		for (int i = 0; i < 3; i++)
			assert_int_equal(merge_table((enum merge_class)c, merged, parts[i], 1), 0);
		assert_int_equal(table_held(merged), table_held(whole));
		for (cursor = 0; table_next(whole, &cursor, &e);)
			assert_true(table_load(merged, e.key, 1) == e.value);
		for (int i = 0; i < 3; i++)
			table_free(parts[i]);
		table_free(whole);
		table_free(merged);
	}
}

/* ---- deltas and snapshots ---- */

static struct sigma *fresh(uint64_t layout)
{
	struct table_config config = {.capacity = 60, .idle_s = 5, .tracked = true, .preload = 2, .layout_seed = layout};
	struct shard *s = shard_new(2, 0);
	s->tables[0] = table_new(&config);
	config.capacity = 8;
	s->tables[1] = table_new(&config);
	table_preload(s->tables[0], 3, 33);
	return sigma_new(s, 1);
}

/* One burst of random updates. */
static void work(struct sigma *s, uint64_t *seed)
{
	shard_set_time(s->shard, s->shard->clock_us + random_at(seed) % 2000000);
	for (int i = 0; i < 12; i++) {
		uint32_t t = random_at(seed) % 2;
		uint64_t key = random_at(seed) % 90;
		if (random_at(seed) % 5 == 0)
			shard_delete(s->shard, t, key);
		else
			shard_add(s->shard, t, key, random_at(seed) % 9);
	}
	sigma_push(s, sigma_stream(s, 1), (struct verdict){.value = random_at(seed)});
}

/* The delta as a peer gets it: through a frame. */
static uint8_t *made(struct sigma *s, struct delta_columns *c, uint64_t epoch, enum delta_op op, uint32_t n, int64_t *bytes)
{
	struct wire_message m = {.kind = WIRE_CHANGES};
	assert_int_equal(delta_make(s, epoch, op, sigma_stream(s, 1), n, c, &m.changes), 0);
	uint8_t *frame = malloc(wire_bound(&m));
	*bytes = wire_encode(&m, frame, wire_bound(&m));
	assert_true(*bytes > 0);
	return frame;
}

static void apply_frame(struct sigma *s, uint64_t epoch, const uint8_t *frame, int64_t bytes)
{
	struct wire_message m;
	assert_int_equal(wire_decode(frame, (size_t)bytes, &m), 0);
	assert_int_equal(delta_apply(s, epoch, &m.changes), 0);
}

static void a_replica_fed_with_deltas_stays_equal_to_its_owner(void **state)
{
	struct delta_columns c = {0};
	uint64_t seed = 6;
	(void)state;
	struct sigma *owner = fresh(1), *replica = fresh(2);
	assert_int_equal(sigma_admit(owner, 1, 1, false, 0), 0);
	for (int i = 0; i < 600; i++) {
		int64_t bytes;
		if (i % 7 == 0)
			sigma_ack(owner, sigma_stream(owner, 1), sigma_stream(owner, 1)->position);
		if (i)
			work(owner, &seed);
		uint8_t *frame = made(owner, &c, 1 + (uint64_t)i / 50, i ? DELTA_PACKETS : DELTA_ADMIT, i ? 1 : 0, &bytes);
		apply_frame(replica, 1 + (uint64_t)i / 50, frame, bytes);
		free(frame);
		assert_true(sigma_digest(owner) == sigma_digest(replica));
		assert_true(sigma_digest(replica) == sigma_digest_full(replica));
		assert_true(replica->number == owner->number && replica->made_in == owner->made_in);
		if (i % 100 ==
		    99) { /* promotion: what was the replica goes on, and evicts, expires and numbers as the owner would have */
			struct sigma *old = owner;
			owner = replica;
			replica = old;
		}
	}
	assert_true(owner->counters[SIGMA_EVICTIONS] > 20 && owner->counters[SIGMA_EXPIRED] > 20);
	sigma_free(owner);
	sigma_free(replica);
	delta_columns_fini(&c);
}

static void a_snapshot_taken_while_the_shard_goes_on_is_the_shard(void **state)
{
	static struct snapshot_columns columns;
	struct delta_columns c = {0};
	uint64_t seed = 7;
	(void)state;
	for (int round = 0; round < 40; round++) {
		struct sigma *owner = fresh(1), *copy = fresh(3);
		struct snapshot walk;
		uint64_t cursor = 0, to;
		int64_t bytes;
		sigma_admit(owner, 1, 1, false, 0);
		free(made(owner, &c, 1, DELTA_ADMIT, 0, &bytes));
		for (int i = 0; i < 30; i++) {
			work(owner, &seed);
			free(made(owner, &c, 1, DELTA_PACKETS, 1, &bytes));
		}
		struct wire_message m = {.kind = WIRE_SIGMA};
		snapshot_describe(owner, &columns, &m.sigma);
		sigma_clear_tables(copy);
		assert_int_equal(snapshot_restore(copy, &m.sigma), 0);
		assert_int_equal(snapshot_begin(&walk, owner), 0);
		do {
			struct wire_changes part;
			assert_int_equal(snapshot_chunk(&walk, owner, cursor, 1 + random_at(&seed) % 9, &c, &part, &to), 0);
			assert_int_equal(delta_put_entries(copy, &part), 0);
			cursor = to + 1;
			if (random_at(&seed) % 3 == 0) { /* another walk goes on from the cursor */
				snapshot_end(&walk);
				assert_int_equal(snapshot_begin(&walk, owner), 0);
			}
			for (uint64_t n = random_at(&seed) % 3; n; n--) {
				work(owner, &seed);
				uint8_t *frame = made(owner, &c, 2, DELTA_PACKETS, 1, &bytes);
				apply_frame(copy, 2, frame, bytes);
				free(frame);
			}
		} while (to != UINT64_MAX);
		assert_true(sigma_digest(copy) == sigma_digest(owner));
		snapshot_end(&walk);
		sigma_free(owner);
		sigma_free(copy);
	}
	delta_columns_fini(&c);
}

static void a_delta_of_an_epoch_before_the_last_one_is_refused(void **state)
{
	struct delta_columns c = {0};
	uint64_t seed = 8;
	(void)state;
	struct sigma *owner = fresh(1), *replica = fresh(2);
	struct wire_changes w;
	sigma_admit(owner, 1, 1, false, 0);
	sigma_admit(replica, 1, 1, false, 0);
	for (uint64_t epoch = 3; epoch <= 4; epoch++) {
		work(owner, &seed);
		assert_int_equal(delta_make(owner, epoch, DELTA_PACKETS, sigma_stream(owner, 1), 1, &c, &w), 0);
		if (epoch == 4) {
			uint64_t before = sigma_digest(replica);
			assert_int_equal(delta_apply(replica, 2, &w), -EPROTO);
			assert_true(sigma_digest(replica) == before && replica->number == 1 && replica->made_in == 3);
		}
		assert_int_equal(delta_apply(replica, epoch, &w), 0);
	}
	assert_true(sigma_digest(replica) == sigma_digest(owner));
	sigma_free(owner);
	sigma_free(replica);
	delta_columns_fini(&c);
}

static void changes_that_do_not_fit_are_refused(void **state)
{
	struct delta_columns c = {0};
	uint64_t seed = 8;
	(void)state;
	struct sigma *owner = fresh(1), *replica = fresh(2);
	struct wire_changes w;
	uint8_t wrong_table[1] = {2};
	sigma_admit(owner, 1, 1, false, 0);
	work(owner, &seed);
	assert_int_equal(delta_make(owner, 1, DELTA_PACKETS, sigma_stream(owner, 1), 1, &c, &w), 0);
	uint64_t before = sigma_digest(replica);
	struct wire_changes bad = w;
	bad.key.n--;
	assert_int_equal(delta_apply(replica, 1, &bad), -EPROTO);
	bad = w;
	bad.gone_table = wire_column(wrong_table, 1);
	bad.gone_key = wire_column(column, 1);
	assert_int_equal(delta_apply(replica, 1, &bad), -EPROTO);
	bad = w;
	bad.counters.n--;
	assert_int_equal(delta_apply(replica, 1, &bad), -EPROTO);
	assert_true(sigma_digest(replica) == before);
	assert_int_equal(delta_apply(replica, 1, &w), -EILSEQ); /* a stream that the replica has not admitted */
	sigma_free(owner);
	sigma_free(replica);
	delta_columns_fini(&c);
}

static void a_number_that_would_wrap_around_is_refused(void **state)
{
	struct sigma *s = fresh(1);
	(void)state;
	assert_int_equal(sigma_admit(s, 9, 1, false, SIGMA_MAX_NUMBER + 1), -ERANGE);
	assert_null(sigma_stream(s, 9));
	assert_int_equal(sigma_admit(s, 9, 1, false, SIGMA_MAX_NUMBER), 0);
	assert_int_equal(sigma_push(s, sigma_stream(s, 9), (struct verdict){0}), -ERANGE);
	sigma_free(s);
}

static void a_retired_stream_never_comes_back(void **state)
{
	struct sigma *s = fresh(1);
	(void)state;
	assert_int_equal(sigma_admit(s, 9, 1, false, 4), 0);
	assert_int_equal(sigma_stream(s, 9)->position, 4);
	assert_int_equal(sigma_admit(s, 9, 3, false, 0), 0); /* a capture's numbers go on */
	assert_int_equal(sigma_stream(s, 9)->position, 4);
	assert_int_equal(sigma_admit(s, 9, 2, false, 0), -EACCES); /* an older session */
	assert_int_equal(sigma_admit(s, 9, 4, true, 0), 0);        /* a port's start anew */
	assert_int_equal(sigma_stream(s, 9)->position, 0);
	sigma_retire(s, sigma_stream(s, 9));
	assert_int_equal(sigma_admit(s, 9, 5, false, 0), -EACCES);
	sigma_free(s);
}

static void a_full_list_of_streams_forgets_the_one_retired_longest_ago(void **state)
{
	struct sigma *s = fresh(1);
	(void)state;
	for (uint64_t i = 1; i <= WIRE_MAX_STREAMS; i++)
		assert_int_equal(sigma_admit(s, i, 1, true, 0), 0);
	assert_int_equal(sigma_admit(s, 99, 1, true, 0), -ENOSPC);
	for (uint64_t id = 7; id >= 5; id -= 2) { /* 7, then 5 */
		sigma_retire(s, sigma_stream(s, id));
		sigma_advance(s, 1);
	}
	assert_int_equal(sigma_admit(s, 99, 1, true, 3), 0);
	assert_null(sigma_stream(s, 7));
	assert_true(sigma_stream(s, 5)->retired);
	assert_int_equal(sigma_stream(s, 99)->position, 3);
	assert_false(sigma_stream(s, 99)->retired);
	assert_true(sigma_digest(s) == sigma_digest_full(s));
	sigma_free(s);
}

/* Packets of two streams, as a replica has them from deltas and another one from a snapshot's record. */
static void history_indexes_are_the_same_in_every_copy(void **state)
{
	static const uint64_t order[] = {1, 1, 2, 1, 2, 2, 2, 1};
	static struct snapshot_columns columns;
	struct sigma *owner = fresh(1), *replica = fresh(2), *other = fresh(3);
	struct delta_columns c = {0};
	struct wire_changes w;
	struct wire_sigma record;
	(void)state;
	for (uint64_t id = 1; id <= 2; id++) {
		assert_int_equal(sigma_admit(owner, id, 1, true, 0), 0);
		assert_int_equal(sigma_admit(replica, id, 1, true, 0), 0);
	}
	for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
		struct sigma_stream *st = sigma_stream(owner, order[i]);
		assert_int_equal(sigma_push(owner, st, (struct verdict){.value = i}), 0);
		assert_int_equal(delta_make(owner, 1, DELTA_PACKETS, st, 1, &c, &w), 0);
		assert_int_equal(delta_apply(replica, 1, &w), 0);
	}
	snapshot_describe(replica, &columns, &record);
	assert_int_equal(snapshot_restore(other, &record), 0);
	assert_true(sigma_digest(replica) == sigma_digest(owner) && sigma_digest(other) == sigma_digest(owner));
	uint64_t next[3] = {0, 1, 1};
	for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
		assert_int_equal(sigma_verdict(sigma_stream(owner, order[i]), next[order[i]]).index, i + 1);
		assert_int_equal(sigma_verdict(sigma_stream(other, order[i]), next[order[i]]++).index, i + 1);
	}
	assert_int_equal(other->counters[SIGMA_PACKETS], sizeof order / sizeof *order);
	sigma_free(owner);
	sigma_free(replica);
	sigma_free(other);
	delta_columns_fini(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_message_decodes_to_what_was_encoded),
		cmocka_unit_test(msgpack_c_reads_every_frame_as_one_flat_array),
		cmocka_unit_test(cut_and_damaged_frames_are_refused_or_stay_inside_their_bytes),
		cmocka_unit_test(limits_hold_in_both_directions),
		cmocka_unit_test(only_single_steps_are_legal),
		cmocka_unit_test(a_configuration_survives_the_wire),
		cmocka_unit_test(every_merge_class_keeps_its_laws),
		cmocka_unit_test(partial_tables_merge_to_the_single_one),
		cmocka_unit_test(a_replica_fed_with_deltas_stays_equal_to_its_owner),
		cmocka_unit_test(a_snapshot_taken_while_the_shard_goes_on_is_the_shard),
		cmocka_unit_test(a_delta_of_an_epoch_before_the_last_one_is_refused),
		cmocka_unit_test(changes_that_do_not_fit_are_refused),
		cmocka_unit_test(a_number_that_would_wrap_around_is_refused),
		cmocka_unit_test(a_retired_stream_never_comes_back),
		cmocka_unit_test(a_full_list_of_streams_forgets_the_one_retired_longest_ago),
		cmocka_unit_test(history_indexes_are_the_same_in_every_copy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
