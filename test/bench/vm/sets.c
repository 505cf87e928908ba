/* sets.c: see sets.h. */
#include "test/bench/vm/sets.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test/lib/gen_program.h"
#include "test/lib/packets.h"
#include "test/lib/traffic.h"

#define LINE_BYTES     64u
#define HUGE_BYTES     ((size_t)2 << 20)
#define ORDER_SEED     1
#define CACHE_FALLBACK ((size_t)32 << 20)

size_t bench_cache_bytes(void)
{
	long bytes = sysconf(_SC_LEVEL3_CACHE_SIZE);

	return bytes > 0 ? (size_t)bytes : CACHE_FALLBACK;
}

void *bench_memory_new(size_t bytes)
{
	uint8_t *p;

	bytes = (bytes + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1);
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	(void)madvise(p, bytes, MADV_HUGEPAGE);
	return p;
}

void bench_memory_free(void *memory, size_t bytes)
{
	if (memory)
		munmap(memory, (bytes + HUGE_BYTES - 1) & ~(HUGE_BYTES - 1));
}

void bench_slot_write(uint8_t *p, const uint8_t *data, uint32_t len)
{
	memcpy(p - BENCH_LEN_BYTES, &len, BENCH_LEN_BYTES);
	memcpy(p, data, len);
}

int bench_slots_make(struct bench_slots *s, uint32_t n, uint64_t seed)
{
	struct traffic_config config;
	struct traffic *t;
	uint8_t buf[PACKET_BYTES];
	uint64_t time_us;
	uint32_t len;

	traffic_config_init(&config);
	config.seed = seed;
	config.connections = 1024;
	config.share[TRAFFIC_MALFORMED] = 0;
	t = traffic_new(&config);
	s->memory = bench_memory_new((size_t)n * BENCH_SLOT_BYTES);
	s->packets = calloc(n, sizeof(*s->packets));
	if (!t || !s->memory || !s->packets) {
		traffic_free(t);
		bench_slots_free(s);
		return -ENOMEM;
	}
	for (s->n = 0; s->n < n && traffic_next(t, buf, &len, &time_us); s->n++) {
		uint8_t *p = s->memory + (size_t)s->n * BENCH_SLOT_BYTES + BENCH_LEAD_BYTES;

		len = len < BENCH_SLOT_BYTES - BENCH_LEAD_BYTES ? len : BENCH_SLOT_BYTES - BENCH_LEAD_BYTES;
		bench_slot_write(p, buf, len);
		s->packets[s->n] = (struct vfm_packet){p, len, 0, time_us};
	}
	traffic_free(t);
	return 0;
}

void bench_slots_free(struct bench_slots *s)
{
	bench_memory_free(s->memory, (size_t)s->n * BENCH_SLOT_BYTES);
	free(s->packets);
	memset(s, 0, sizeof(*s));
}

/* What is prefetched behind the last packet is the first ones again. */
static void close_ring(struct vfm_packet *packets, uint32_t n)
{
	memcpy(packets + n, packets, BENCH_BURST * sizeof(*packets));
}

void bench_hot_make(struct bench_hot *hot, const struct bench_slots *templates, struct bench_pass *pass)
{
	struct gen_rng rng = {ORDER_SEED};

	for (uint32_t i = 0; i < BENCH_HOT_VISITS; i++) {
		hot->slots[i] = (uint32_t)gen_below(&rng, templates->n);
		hot->packets[i] = templates->packets[hot->slots[i]];
	}
	close_ring(hot->packets, BENCH_HOT_VISITS);
	pass->n = BENCH_HOT_VISITS;
	pass->n_slots = templates->n;
	pass->packets = hot->packets;
	pass->slots = hot->slots;
}

static uint8_t *buffer(const struct bench_cold *cold, uint32_t i)
{
	return cold->memory + (size_t)i * BENCH_STRIDE + BENCH_LEAD_BYTES;
}

int bench_cold_make(struct bench_cold *cold, const struct bench_slots *templates)
{
	struct gen_rng rng = {ORDER_SEED};

	cold->templates = templates;
	cold->n = (uint32_t)(bench_cache_bytes() / BENCH_STRIDE / 5 * 6);
	if (cold->n < 4 * BENCH_COLD_VISITS)
		cold->n = 4 * BENCH_COLD_VISITS;
	cold->memory = bench_memory_new((size_t)cold->n * BENCH_STRIDE);
	cold->order = calloc(cold->n, sizeof(*cold->order));
	if (!cold->memory || !cold->order) {
		bench_cold_free(cold);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < cold->n; i++) {
		const struct vfm_packet *p = &templates->packets[i % templates->n];
		uint32_t other = (uint32_t)gen_below(&rng, i + 1);

		bench_slot_write(buffer(cold, i), p->data, p->len);
		cold->order[i] = cold->order[other];
		cold->order[other] = i;
	}
	for (uint32_t i = 0; i < BENCH_COLD_VISITS; i++)
		cold->slots[i] = i;
	return 0;
}

void bench_cold_free(struct bench_cold *cold)
{
	bench_memory_free(cold->memory, (size_t)cold->n * BENCH_STRIDE);
	free(cold->order);
	memset(cold, 0, sizeof(*cold));
}

void bench_cold_next(struct bench_cold *cold, struct bench_pass *pass)
{
	if (cold->next + BENCH_COLD_VISITS > cold->n)
		cold->next = 0;
	for (uint32_t i = 0; i < BENCH_COLD_VISITS; i++) {
		uint32_t b = cold->order[cold->next + i];

		cold->buffers[i] = b;
		cold->packets[i] = cold->templates->packets[b % cold->templates->n];
		cold->packets[i].data = buffer(cold, b);
	}
	cold->next += BENCH_COLD_VISITS;
	close_ring(cold->packets, BENCH_COLD_VISITS);
	pass->n = pass->n_slots = BENCH_COLD_VISITS;
	pass->packets = cold->packets;
	pass->slots = cold->slots;
}

void bench_cold_flush(const struct bench_cold *cold)
{
#if defined(__x86_64__)
	for (uint32_t i = 0; i < BENCH_COLD_VISITS; i++)
		for (uint32_t at = 0; at < BENCH_SLOT_BYTES; at += LINE_BYTES)
			__builtin_ia32_clflush(cold->packets[i].data - BENCH_LEAD_BYTES + at);
	__builtin_ia32_mfence();
#else
	(void)cold; /* the buffers are more than the cache holds */
#endif
}
