/* port.h -- TCP ports of 127.0.0.1 that nobody listens on. */
#ifndef CTL_PORT_H
#define CTL_PORT_H

#include <stdbool.h>
#include <stdint.h>

enum { PORT_HOLDS_MAX = 160 };

/* Ports that are kept from being given out twice. */
struct port_holds {
    int handles[PORT_HOLDS_MAX];
    uint32_t count;
};

/* Takes this port (0: any free one) and returns it; 0: it is in use.  It stays
 * taken until port_holds_release, which has to come before the program that is
 * to listen there starts. */
uint16_t port_hold(struct port_holds *holds, uint16_t port);
void port_holds_release(struct port_holds *holds);

#endif
