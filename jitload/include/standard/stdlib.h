/* <stdlib.h> for device code: malloc, free, abs, labs and llabs are built into NVRTC. */
#ifndef JITLOAD_STANDARD_STDLIB_H
#define JITLOAD_STANDARD_STDLIB_H

#ifndef NULL
#define NULL 0
#endif
#define EXIT_SUCCESS 0
#define EXIT_FAILURE 1

#endif
