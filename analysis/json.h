/* json.h: the one place where this folder imports jansson: certificates and plans are kept as JSON. */
#ifndef ANALYSIS_JSON_H
#define ANALYSIS_JSON_H

#include <jansson.h>

#endif
