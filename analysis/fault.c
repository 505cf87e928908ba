/* fault.c: see fault.h. Empty in the programs. */
#include "analysis/fault.h"

#ifdef ANALYSIS_FAULTS
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool fault_on[FAULT_COUNT];

#define FAULT_NAME(name, doc) #name,
static const char *const names[] = {FAULTS(FAULT_NAME)};

static bool turn_on(const char *name)
{
	for (int i = 0; i < FAULT_COUNT; i++)
		if (!strcmp(names[i], name)) {
			fault_on[i] = true;
			return true;
		}
	return false;
}

__attribute__((constructor)) static void read_environment(void)
{
	const char *list = getenv("ANALYSIS_FAULTS");
	char *copy = list ? strdup(list) : NULL, *rest = copy;

	for (char *name; rest && (name = strsep(&rest, ","));)
		if (*name && !turn_on(name)) {
			fprintf(stderr, "ANALYSIS_FAULTS: there is no fault %s: see analysis/fault.h\n", name);
			exit(2);
		}
	free(copy);
}
#endif
