/* eal_dpdk.c: see eal_dpdk.h. */
#include "node/eal_dpdk.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <rte_cycles.h>
#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_log.h>

#define MAX_WORDS      64
#define MAX_LINE_BYTES 4096
#define SAID_BYTES     256

/* DPDK keeps pointers into its arguments, so they stay. */
static char line[MAX_LINE_BYTES];
static char program_name[64];
static bool started;
static char said[SAID_BYTES];   /* by DPDK while it started */
static cpu_set_t before, bound; /* where the thread that started it might run, and may since */

/* Cuts text in place; the number of words, -EINVAL for an open quote, -E2BIG for too many. */
static int split(char *text, char **words, int room)
{
	int n = 0;
	char *to = text;

	for (;;) {
		char quote = 0;

		while (*text == ' ' || *text == '\t' || *text == '\n')
			text++;
		if (!*text)
			return n;
		if (n == room)
			return -E2BIG;
		words[n++] = to;
		/* Invariant: to <= text, since a word takes at most its own bytes and the NUL stands where a space or quote was read. */
		for (; *text && (quote || !strchr(" \t\n", *text)); text++) {
			if (*text == quote)
				quote = 0;
			else if (!quote && (*text == '\'' || *text == '"'))
				quote = *text;
			else
				*to++ = *text;
		}
		if (quote)
			return -EINVAL;
		text += *text != 0;
		*to++ = 0;
	}
}

static bool has_word(char *const *words, int n, const char *word)
{
	for (int i = 0; i < n; i++)
		if (!strcmp(words[i], word))
			return true;
	return false;
}

/* Pages that can be had of any size; -1: this kernel does not say. */
static long huge_pages(void)
{
	FILE *f = fopen("/proc/meminfo", "r");
	char text[128];
	long n = -1;

	while (f && n < 0 && fgets(text, sizeof(text), f))
		if (!strncmp(text, "HugePages_Total:", 16))
			n = strtol(text + 16, NULL, 10);
	if (f)
		fclose(f);
	return n;
}

/* The last line of what DPDK logged that sounds like a failure, else the last line. */
static void last_words(FILE *log, char out[SAID_BYTES])
{
	static const char *const signs[] = {"ail", "rror", "annot", "ouldn't", "nvalid", "o such", "nknown", "ot permitted"};
	char text[SAID_BYTES];
	bool sure = false;

	rewind(log);
	while (fgets(text, sizeof(text), log)) {
		bool sign = false;

		text[strcspn(text, "\n")] = 0;
		for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++)
			sign |= strstr(text, signs[i]) != NULL;
		if (*text && (sign || !sure))
			snprintf(out, SAID_BYTES, "%s", text);
		sure |= sign;
	}
	if (!sure && started)
		*out = 0;
}

static int start(int argc, char **argv, char error[EAL_ERROR_BYTES])
{
	FILE *log = tmpfile();
	int rc;

	if (log)
		rte_openlog_stream(log);
	(void)sched_getaffinity(0, sizeof(before), &before);
	rc = rte_eal_init(argc, argv);
	started = rc >= 0;
	(void)sched_getaffinity(0, sizeof(bound), &bound);
	if (log)
		last_words(log, said);
	if (rc < 0) {
		snprintf(error, EAL_ERROR_BYTES, "DPDK does not start (%s), --dpdk: %s", *said ? said : "no reason given",
			 rte_errno == EACCES || rte_errno == EPERM
				 ? "run as root, or with --no-huge --no-pci on virtual devices"
				 : "mend the arguments; dpdk-testpmd with the same ones says more");
	}
	rte_openlog_stream(NULL);
	if (log)
		fclose(log);
	return rc < 0 ? -EIO : 0;
}

int eal_start(const char *program, const char *args, char error[EAL_ERROR_BYTES])
{
	char *words[MAX_WORDS + 2] = {program_name};
	int n, rc;

	snprintf(program_name, sizeof(program_name), "%s", program);
	if ((size_t)snprintf(line, sizeof(line), "%s", args) >= sizeof(line)) {
		snprintf(error, EAL_ERROR_BYTES, "more than %d bytes, --dpdk: give fewer arguments", MAX_LINE_BYTES - 1);
		return -EINVAL;
	}
	n = split(line, words + 1, MAX_WORDS);
	if (n < 0) {
		snprintf(error, EAL_ERROR_BYTES, "%s, --dpdk: quote the whole line once, words with spaces inside it again",
			 n == -E2BIG ? "more than 64 words" : "a quote is not closed");
		return -EINVAL;
	}
	if (!has_word(words + 1, n, "--no-huge") && !has_word(words + 1, n, "-h") && huge_pages() == 0) {
		snprintf(error, EAL_ERROR_BYTES,
			 "no huge pages, --dpdk: reserve some (dpdk-hugepages.py --setup 1G), or add --no-huge, slower and for "
			 "virtual devices only");
		return -EIO;
	}
	rc = start(n + 1, words, error);
	if (rc)
		return rc;
	if (rte_lcore_count() > EAL_MAX_CORES) {
		snprintf(error, EAL_ERROR_BYTES, "%u cores, --dpdk: at most %d; name them with -l", rte_lcore_count(),
			 EAL_MAX_CORES);
		eal_stop();
		return -EINVAL;
	}
	return 0;
}

void eal_stop(void)
{
	if (started)
		rte_eal_cleanup();
	started = false;
}

const char *eal_said(void)
{
	return said;
}

void eal_roam(bool roams)
{
	if (started)
		(void)sched_setaffinity(0, sizeof(before), roams ? &before : &bound);
}

uint32_t eal_cores(void)
{
	return started ? rte_lcore_count() : 1;
}

struct launch {
	void (*fn)(void *arg, uint32_t core);
	void *arg;
};

static int launched(void *arg)
{
	const struct launch *l = arg;

	l->fn(l->arg, (uint32_t)rte_lcore_index((int)rte_lcore_id()));
	return 0;
}

/* rte_lcore_index() counts lcores in ascending order of id, so the main one need not be 0: cores are told apart, not ranked. */
void eal_run(void (*fn)(void *arg, uint32_t core), void *arg)
{
	struct launch l = {fn, arg};

	if (!started) {
		fn(arg, 0);
		return;
	}
	rte_eal_mp_remote_launch(launched, &l, CALL_MAIN);
	rte_eal_mp_wait_lcore();
}

uint64_t eal_cycles(void)
{
	struct timespec t;

	if (started)
		return rte_rdtsc();
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t eal_hz(void)
{
	return started ? rte_get_tsc_hz() : 1000000000u;
}
