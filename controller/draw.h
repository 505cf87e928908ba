/* draw.h: a rehearsal as a picture: packets released a second and how long packets waited, over time, with what was done to the
 * cluster marked. */
#ifndef CONTROLLER_DRAW_H
#define CONTROLLER_DRAW_H

#include "controller/watch.h"

/* Writes one SVG file that needs nothing else; title is any text. Time starts at the first packet released. 0, -errno. */
int draw_rehearsal(const struct watch_record *r, const char *title, const char *file);

#endif
