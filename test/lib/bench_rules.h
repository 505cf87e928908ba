/* bench_rules.h: the rules of the filters that engines are compared on, each list once: written out as pcap filters and assembly by
 * bench_filters.c, and compiled as constants into the filters in C (test/bench/vm/twins.c). */
#ifndef TEST_LIB_BENCH_RULES_H
#define TEST_LIB_BENCH_RULES_H

#include <stdint.h>

#include "test/lib/packets.h"

/* The mask of a network of 0 .. 32 bits. */
#define BENCH_MASK(bits) ((uint32_t)(0xffffffff00000000ULL >> (bits)))

/* What each rule of the policy demands: a source network, a destination network (0 bits: any), a protocol, a destination port. */
#define BENCH_POLICY(X) \
	X(PACKET_IP(10, 9, 0, 0), 16, 0, 0, 6, 22) \
	X(PACKET_IP(172, 16, 0, 0), 12, PACKET_IP(192, 168, 0, 0), 24, 6, 3306) \
	X(PACKET_IP(10, 1, 16, 0), 20, PACKET_IP(192, 168, 0, 0), 24, 6, 443) \
	X(PACKET_IP(10, 1, 32, 0), 20, PACKET_IP(192, 168, 0, 0), 24, 6, 80) \
	X(PACKET_IP(192, 168, 7, 0), 24, 0, 0, 17, 161) \
	X(PACKET_IP(10, 1, 64, 0), 18, PACKET_IP(192, 168, 0, 16), 28, 6, 25) \
	X(PACKET_IP(10, 2, 0, 0), 16, PACKET_IP(192, 168, 0, 0), 16, 6, 8443) \
	X(PACKET_IP(10, 1, 0, 0), 16, PACKET_IP(192, 168, 0, 53), 32, 17, 53) \
	X(PACKET_IP(100, 64, 0, 0), 16, 0, 0, 17, 123) \
	X(PACKET_IP(10, 3, 0, 0), 16, 0, 0, 6, 5432) \
	X(PACKET_IP(10, 1, 128, 0), 18, PACKET_IP(192, 168, 0, 32), 27, 6, 8080) \
	X(PACKET_IP(10, 4, 0, 0), 16, 0, 0, 6, 6379) \
	X(PACKET_IP(203, 0, 113, 0), 24, PACKET_IP(192, 168, 0, 80), 32, 6, 80) \
	X(PACKET_IP(10, 5, 0, 0), 16, 0, 0, 17, 514) \
	X(PACKET_IP(10, 1, 192, 0), 18, PACKET_IP(192, 168, 0, 64), 26, 6, 443) \
	X(PACKET_IP(10, 6, 0, 0), 16, PACKET_IP(192, 168, 3, 0), 24, 6, 9200) \
	X(PACKET_IP(198, 51, 100, 0), 24, PACKET_IP(192, 168, 0, 0), 24, 6, 22) \
	X(PACKET_IP(10, 7, 0, 0), 16, 0, 0, 17, 1812) \
	X(PACKET_IP(10, 8, 0, 0), 16, 0, 0, 6, 1883) \
	X(PACKET_IP(10, 1, 0, 0), 17, PACKET_IP(192, 168, 0, 0), 16, 6, 993)

/* Destination ports; clang-format would indent each X further. */
/* clang-format off */
#define BENCH_PORTS20(X) \
	X(443) X(22) X(25) X(110) X(143) X(993) X(995) X(587) X(465) X(3306) \
	X(5432) X(6379) X(8080) X(8443) X(9200) X(21) X(23) X(389) X(636) X(80)
#define BENCH_PORTS64(X) \
	BENCH_PORTS20(X) \
	X(22740) X(22877) X(23014) X(23151) X(23288) X(23425) X(23562) X(23699) X(23836) X(23973) X(24110) \
	X(24247) X(24384) X(24521) X(24658) X(24795) X(24932) X(25069) X(25206) X(25343) X(25480) X(25617) \
	X(25754) X(25891) X(26028) X(26165) X(26302) X(26439) X(26576) X(26713) X(26850) X(26987) X(27124) \
	X(27261) X(27398) X(27535) X(27672) X(27809) X(27946) X(28083) X(28220) X(28357) X(28494) X(28631)

/* Source networks of different lengths. */
#define BENCH_NETWORKS(X) \
	X(PACKET_IP(20, 0, 0, 0), 12) X(PACKET_IP(27, 16, 0, 0), 13) X(PACKET_IP(10, 0, 0, 0), 14) X(PACKET_IP(41, 48, 0, 0), 15) \
	X(PACKET_IP(48, 64, 0, 0), 16) X(PACKET_IP(10, 1, 0, 0), 17) X(PACKET_IP(62, 96, 0, 0), 18) X(PACKET_IP(69, 112, 32, 0), 19) \
	X(PACKET_IP(10, 1, 64, 0), 20) X(PACKET_IP(83, 144, 40, 0), 21) X(PACKET_IP(90, 160, 48, 0), 22) X(PACKET_IP(10, 1, 88, 0), 23) \
	X(PACKET_IP(104, 192, 60, 0), 24) X(PACKET_IP(111, 208, 0, 0), 12) X(PACKET_IP(10, 0, 0, 0), 13) X(PACKET_IP(125, 240, 0, 0), 14) \
	X(PACKET_IP(133, 0, 0, 0), 15) X(PACKET_IP(10, 1, 0, 0), 16) X(PACKET_IP(147, 32, 0, 0), 17) X(PACKET_IP(153, 48, 64, 0), 18) \
	X(PACKET_IP(10, 1, 160, 0), 19) X(PACKET_IP(167, 80, 96, 0), 20) X(PACKET_IP(175, 96, 104, 0), 21) X(PACKET_IP(10, 1, 184, 0), 22)
/* clang-format on */

#endif
