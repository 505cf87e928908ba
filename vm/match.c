/* match.c: all items of a list at once: 8 at a time with AVX-512, 4 with AVX2, else one after another. */
#include <string.h>

#include "vm/regcode.h"

static inline uint64_t load_window(const uint8_t *data, uint32_t at)
{
	uint64_t w;

	memcpy(&w, data + at, sizeof(w));
	return w;
}

static uint64_t match_scalar(const struct reg_list *list, const uint8_t *data)
{
	uint64_t hits = 0;

	for (uint32_t i = 0; i < list->n; i++) {
		uint64_t misfit = 0;

		for (uint32_t w = 0; w < list->width; w++)
			misfit |= (load_window(data, list->at[w]) ^ list->value[w][i]) & list->mask[w][i];
		hits |= (uint64_t)(misfit == 0) << i;
	}
	return hits;
}

#if defined(__x86_64__)
#include <immintrin.h>

/* Items are read in whole vectors. */
_Static_assert(LIST_ITEM_ROOM % 8 == 0, "whole vectors");

/* `width` is a constant where this is inlined. */
__attribute__((target("avx512f"), always_inline)) static inline uint64_t match_wide(const struct reg_list *list,
										    const uint8_t *data, uint32_t width)
{
	__m512i x[LIST_MAX_WINDOWS];
	uint64_t hits = 0;

	for (uint32_t w = 0; w < width; w++)
		x[w] = _mm512_set1_epi64((int64_t)load_window(data, list->at[w]));
	for (uint32_t i = 0; i < list->n; i += 8) {
		__m512i misfit = _mm512_and_si512(_mm512_xor_si512(x[0], _mm512_load_si512(&list->value[0][i])),
						  _mm512_load_si512(&list->mask[0][i]));

		for (uint32_t w = 1; w < width; w++)
			misfit = _mm512_or_si512(misfit,
						 _mm512_and_si512(_mm512_xor_si512(x[w], _mm512_load_si512(&list->value[w][i])),
								  _mm512_load_si512(&list->mask[w][i])));
		hits |= (uint64_t)_mm512_testn_epi64_mask(misfit, misfit) << i;
	}
	return hits;
}

__attribute__((target("avx512f"))) static uint64_t match_avx512(const struct reg_list *list, const uint8_t *data)
{
	switch (list->width) {
	case 1:
		return match_wide(list, data, 1);
	case 2:
		return match_wide(list, data, 2);
	case 3:
		return match_wide(list, data, 3);
	default:
		return match_wide(list, data, 4);
	}
}

__attribute__((target("avx2"))) static uint64_t match_avx2(const struct reg_list *list, const uint8_t *data)
{
	uint64_t hits = 0;

	for (uint32_t i = 0; i < list->n; i += 4) {
		__m256i misfit = _mm256_setzero_si256(), fit;

		for (uint32_t w = 0; w < list->width; w++) {
			__m256i x = _mm256_set1_epi64x((int64_t)load_window(data, list->at[w]));

			x = _mm256_xor_si256(x, _mm256_load_si256((const __m256i *)&list->value[w][i]));
			x = _mm256_and_si256(x, _mm256_load_si256((const __m256i *)&list->mask[w][i]));
			misfit = _mm256_or_si256(misfit, x);
		}
		fit = _mm256_cmpeq_epi64(misfit, _mm256_setzero_si256());
		hits |= (uint64_t)(uint32_t)_mm256_movemask_pd(_mm256_castsi256_pd(fit)) << i;
	}
	return hits;
}
#endif

uint32_t match_all(match_function ways[MATCH_WAYS])
{
	uint32_t n = 0;

	ways[n++] = match_scalar;
#if defined(__x86_64__)
	if (__builtin_cpu_supports("avx2"))
		ways[n++] = match_avx2;
	if (__builtin_cpu_supports("avx512f"))
		ways[n++] = match_avx512;
#endif
	return n;
}

match_function match_choose(void)
{
	match_function ways[MATCH_WAYS] = {NULL};

	return ways[match_all(ways) - 1];
}
