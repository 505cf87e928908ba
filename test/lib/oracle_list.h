/* oracle_list.h: the list of filters written for libpcap and for the machine (test/golden/oracle/filters.list). */
#ifndef TEST_ORACLE_LIST_H
#define TEST_ORACLE_LIST_H

#include <stdint.h>

#define ORACLE_MAX_FILTERS 256

/* One stanza. Texts are owned by the list; NULL: the stanza has no such line. In assembly " / " has become a line feed. */
struct oracle_filter {
	char *name;
	char *pcap;
	char *assembly;
	char *vflisp;
};

struct oracle_list {
	uint32_t n;
	struct oracle_filter filters[ORACLE_MAX_FILTERS];
};

/* 0, or -EINVAL / -errno with a line on standard error. */
int oracle_list_read(struct oracle_list *list, const char *path);
void oracle_list_fini(struct oracle_list *list);

#endif
