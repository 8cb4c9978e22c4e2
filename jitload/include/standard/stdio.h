/* <stdio.h> for device code: printf is built into NVRTC. */
#ifndef JITLOAD_STANDARD_STDIO_H
#define JITLOAD_STANDARD_STDIO_H

#ifndef NULL
#define NULL 0
#endif
#ifndef EOF
#define EOF (-1)
#endif

#endif
