/* fault.h: faults that can be put into the analyzer, so that it is seen that the tests of each property of docs/analysis.md turn red
 * without it.
 *
 * In the programs FAULT(x) is the constant false. Only the second build of analysis/ (-DANALYSIS_FAULTS, Makefile) has the switches:
 * the environment variable ANALYSIS_FAULTS names those that are on, with commas. test/prop/analysis_faults.sh turns them.
 */
#ifndef ANALYSIS_FAULT_H
#define ANALYSIS_FAULT_H

#include <stdbool.h>

/* M(NAME, what is wrong) */
#define FAULTS(M) \
	M(STORE_IS_NO_UPDATE, "stage 2: a store is not counted as an update") \
	M(MASK_REVERSED, "stage 3: a mask lets the wrong bits through") \
	M(LOAD_IS_HARMLESS, "stage 4: what is loaded from a table has no impact") \
	M(PRODUCT_IS_OPAQUE, "search: a product by a power of two is not seen to be a shift") \
	M(ANY_STORES_MERGE, "partials: stores of different values count as stores of one constant") \
	M(WITNESS_ANY_PAIR, "witnesses: any two packets prove something") \
	M(STEER_BESIDE, "steering: the byte beside the field is loaded") \
	M(CHECK_NO_KEYS, "checker: every key projects to what the steering program returns") \
	M(CHECK_NO_CONFIG, "checker: configuration may be updated")

#define FAULT_ENUM(name, doc) FAULT_##name,
enum fault { FAULTS(FAULT_ENUM) FAULT_COUNT };
#undef FAULT_ENUM

#ifdef ANALYSIS_FAULTS
extern bool fault_on[FAULT_COUNT];
#define FAULT(name) (fault_on[FAULT_##name])
#else
#define FAULT(name) false
#endif

#endif
