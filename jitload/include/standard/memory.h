/* <memory.h> for device code: what <string.h> has. */
#ifndef JITLOAD_STANDARD_MEMORY_H
#define JITLOAD_STANDARD_MEMORY_H

#include "string.h"

#endif
