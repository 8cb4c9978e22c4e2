/* <stdbool.h> for device code: bool, true and false are words of the language. */
#ifndef JITLOAD_STANDARD_STDBOOL_H
#define JITLOAD_STANDARD_STDBOOL_H

#ifndef __bool_true_false_are_defined
#define __bool_true_false_are_defined 1
#endif

#endif
