/* <tgmath.h> for device code: <complex> and <cmath>, as in C++. */
#ifndef JITLOAD_STANDARD_TGMATH_H
#define JITLOAD_STANDARD_TGMATH_H

#include "cmath"
#include "complex"

#endif
