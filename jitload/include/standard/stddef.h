/* <stddef.h> for device code: size_t and ptrdiff_t are built into NVRTC. */
#ifndef JITLOAD_STANDARD_STDDEF_H
#define JITLOAD_STANDARD_STDDEF_H

#ifndef NULL
#define NULL 0
#endif
#ifndef offsetof
#define offsetof(type, member) __INTADDR__(&((type*)0)->member)
#endif

typedef decltype(nullptr) nullptr_t;

/* With the alignment of the widest type that device code has. */
typedef struct alignas(16) {
  long long integer;
  double real;
} max_align_t;

#endif
