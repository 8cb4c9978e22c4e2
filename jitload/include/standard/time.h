/* <time.h> for device code: clock and clock_t are built into NVRTC. */
#ifndef JITLOAD_STANDARD_TIME_H
#define JITLOAD_STANDARD_TIME_H



#endif
