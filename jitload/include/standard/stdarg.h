/* <stdarg.h> for device code: va_list and its macros are built into NVRTC. */
#ifndef JITLOAD_STANDARD_STDARG_H
#define JITLOAD_STANDARD_STDARG_H



#endif
