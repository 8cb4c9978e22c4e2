/* <limits.h> for device code: from libcu++ where that is installed, so that both say the same; else the same limits by themselves. */
#ifndef JITLOAD_STANDARD_LIMITS_H
#define JITLOAD_STANDARD_LIMITS_H

#if __has_include(<cuda/std/climits>)
#include <cuda/std/climits>
#else

#define CHAR_BIT 8
#define SCHAR_MAX 0x7f
#define SCHAR_MIN (-SCHAR_MAX - 1)
#define UCHAR_MAX 0xff
#define CHAR_MAX ('\xff' > 0 ? UCHAR_MAX : SCHAR_MAX)
#define CHAR_MIN ('\xff' > 0 ? 0 : SCHAR_MIN)
#define SHRT_MAX 0x7fff
#define SHRT_MIN (-SHRT_MAX - 1)
#define USHRT_MAX 0xffff
#define INT_MAX 0x7fffffff
#define INT_MIN (-INT_MAX - 1)
#define UINT_MAX 0xffffffffU
#define LONG_MAX ((long)(~0UL >> 1))
#define LONG_MIN (-LONG_MAX - 1)
#define ULONG_MAX (~0UL)
#define LLONG_MAX 0x7fffffffffffffffLL
#define LLONG_MIN (-LLONG_MAX - 1)
#define ULLONG_MAX 0xffffffffffffffffULL

#endif
#ifndef MB_LEN_MAX
#define MB_LEN_MAX 1
#endif

#endif
