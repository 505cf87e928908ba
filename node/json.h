/* json.h: the one place where this folder imports jansson: what a node says to vfmctl is JSON. */
#ifndef NODE_JSON_H
#define NODE_JSON_H

#include <jansson.h>

#endif
