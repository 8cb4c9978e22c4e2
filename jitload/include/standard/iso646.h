/* <iso646.h> for device code: and, or, not, ... are words of the language. */
#ifndef JITLOAD_STANDARD_ISO646_H
#define JITLOAD_STANDARD_ISO646_H



#endif
