/* <stdalign.h> for device code: alignas and alignof are words of the language. */
#ifndef JITLOAD_STANDARD_STDALIGN_H
#define JITLOAD_STANDARD_STDALIGN_H

#ifndef __alignas_is_defined
#define __alignas_is_defined 1
#endif
#ifndef __alignof_is_defined
#define __alignof_is_defined 1
#endif

#endif
