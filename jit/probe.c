/* probe.c: the table instructions of compiled code. What they do is state/shard.h's; these come sooner to a key in its home bucket.
 *
 * A program that loads an entry and stores to it looks it up once: the load keeps the slot, and the store writes to it if the key is
 * still in it. No key is in two slots, so that is the entry, whatever was stored, evicted or expired in between. If it is not there, or
 * has expired, the store begins anew.
 */
#include "jit/parts.h"
#include "state/table_layout.h"

/* NULL: not initialised, or naive. */
static inline struct table *table_of(const struct jit_env *env, uint64_t index)
{
	return env->shard->tables[index];
}

/* Where the key is at home, which a hint may know. */
static inline struct table_bucket *home_of(const struct jit_env *env, const struct table *t, uint64_t index, uint64_t key)
{
	if (index == env->hint_table) {
		const struct jit_hinted *h = env->hinted - 1;

		if (h->key == key && h->home)
			return h->home;
	}
	return table_home_bucket(t, key);
}

static inline bool is_live(const struct table *t, struct table_slot s, uint32_t now_s)
{
	return s.bucket->stamp_s[s.i] >= table_oldest_live_s(t, now_s);
}

/* As table_probe(), a hit at home first. */
static inline struct table_slot probe(const struct jit_env *env, const struct table *t, uint64_t index, uint64_t key)
{
	struct table_bucket *home = home_of(env, t, index, key);
	unsigned m = table_bucket_match(home, key);

	if (__builtin_expect(m != 0, 1))
		return (struct table_slot){home, (unsigned)__builtin_ctz(m), m};
	if (home->meta < TABLE_PASS_ONE)
		return (struct table_slot){NULL, 0, 0};
	return table_probe(t, key);
}

uint64_t jit_table_load(struct jit_env *env, uint64_t index, uint64_t key)
{
	const struct table *t = table_of(env, index);
	struct table_slot s;

	if (__builtin_expect(!t, 0))
		return shard_load(env->shard, (uint32_t)index, key);
	s = probe(env, t, index, key);
	return s.bucket && is_live(t, s, env->shard->now_s) ? s.bucket->value[s.i] : 0;
}

uint64_t jit_table_load_keep(struct jit_env *env, uint64_t index, uint64_t key)
{
	const struct table *t = table_of(env, index);
	struct table_slot s;

	env->kept_table = NULL;
	if (__builtin_expect(!t, 0))
		return shard_load(env->shard, (uint32_t)index, key);
	s = probe(env, t, index, key);
	if (!s.bucket)
		return 0;
	env->kept_table = t;
	env->kept_bucket = s.bucket;
	return is_live(t, s, env->shard->now_s) ? s.bucket->value[s.i] : 0;
}

void jit_table_store(struct jit_env *env, uint64_t index, uint64_t key, uint64_t value)
{
	struct table *t = table_of(env, index);

	if (__builtin_expect(!t, 0))
		shard_store(env->shard, (uint32_t)index, key, value);
	else
		table_store_home(t, home_of(env, t, index, key), key, value, env->shard->now_s);
}

/* The slot kept, if it has key's live entry and a store to it is nothing but table_write(). */
static inline struct table_slot kept(const struct jit_env *env, const struct table *t, uint64_t key)
{
	struct table_slot none = {NULL, 0, 0};

	if (!t || env->kept_table != t)
		return none;
	return table_writable(t, env->kept_bucket, key, env->shard->now_s);
}

void jit_table_store_kept(struct jit_env *env, uint64_t index, uint64_t key, uint64_t value)
{
	struct table_slot s = kept(env, table_of(env, index), key);

	if (s.bucket)
		table_write(s, value, env->shard->now_s);
	else
		jit_table_store(env, index, key, value);
}

uint64_t jit_table_add(struct jit_env *env, uint64_t index, uint64_t key, uint64_t delta)
{
	struct table *t = table_of(env, index);

	if (__builtin_expect(!t, 0))
		return shard_add(env->shard, (uint32_t)index, key, delta);
	return table_add_home(t, home_of(env, t, index, key), key, delta, env->shard->now_s);
}

uint64_t jit_table_add_kept(struct jit_env *env, uint64_t index, uint64_t key, uint64_t delta)
{
	struct table_slot s = kept(env, table_of(env, index), key);

	if (!s.bucket)
		return jit_table_add(env, index, key, delta);
	delta += s.bucket->value[s.i];
	table_write(s, delta, env->shard->now_s);
	return delta;
}

void jit_table_delete(struct jit_env *env, uint64_t index, uint64_t key)
{
	shard_delete(env->shard, (uint32_t)index, key);
}
