/* <complex.h> for device code: <complex>, as in C++. */
#ifndef JITLOAD_STANDARD_COMPLEX_H
#define JITLOAD_STANDARD_COMPLEX_H

#include "complex"

#endif
