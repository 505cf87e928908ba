/* json.h: the one place where the controller's folder imports jansson: what vfmctl and the processes say to each other is JSON. */
#ifndef CONTROLLER_JSON_H
#define CONTROLLER_JSON_H

#include <jansson.h>

#endif
