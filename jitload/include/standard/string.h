/* <string.h> for device code: memcpy and memset are built into NVRTC; what else of it needs no state is here. */
#ifndef JITLOAD_STANDARD_STRING_H
#define JITLOAD_STANDARD_STRING_H

/* Templates, so that a program may have functions of these names by itself: those are then preferred. */
#ifndef NULL
#define NULL 0
#endif

template <int = 0>
__device__ inline void* memmove(void* to, const void* from, size_t count) {
  unsigned char* target = static_cast<unsigned char*>(to);
  const unsigned char* source = static_cast<const unsigned char*>(from);
  if (target < source) {
    for (size_t i = 0; i < count; ++i) target[i] = source[i];
  } else {
    for (size_t i = count; i > 0; --i) target[i - 1] = source[i - 1];
  }
  return to;
}

template <int = 0>
__device__ inline int memcmp(const void* left, const void* right, size_t count) {
  const unsigned char* a = static_cast<const unsigned char*>(left);
  const unsigned char* b = static_cast<const unsigned char*>(right);
  for (size_t i = 0; i < count; ++i) {
    if (a[i] != b[i]) return a[i] < b[i] ? -1 : 1;
  }
  return 0;
}

template <int = 0>
__device__ inline size_t strlen(const char* text) {
  size_t length = 0;
  while (text[length] != '\0') ++length;
  return length;
}

template <int = 0>
__device__ inline int strncmp(const char* left, const char* right, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    unsigned char a = static_cast<unsigned char>(left[i]), b = static_cast<unsigned char>(right[i]);
    if (a != b) return a < b ? -1 : 1;
    if (a == 0) break;
  }
  return 0;
}

template <int = 0>
__device__ inline int strcmp(const char* left, const char* right) {
  return strncmp<0>(left, right, ~static_cast<size_t>(0));
}

template <int = 0>
__device__ inline char* strcpy(char* to, const char* from) {
  size_t i = 0;
  do to[i] = from[i];
  while (from[i++] != '\0');
  return to;
}

template <int = 0>
__device__ inline char* strncpy(char* to, const char* from, size_t count) {
  size_t i = 0;
  for (; i < count && from[i] != '\0'; ++i) to[i] = from[i];
  for (; i < count; ++i) to[i] = '\0';
  return to;
}

template <int = 0>
__device__ inline const char* strchr(const char* text, int wanted) {
  for (;; ++text) {
    if (*text == static_cast<char>(wanted)) return text;
    if (*text == '\0') return nullptr;
  }
}

template <int = 0>
__device__ inline char* strchr(char* text, int wanted) {
  return const_cast<char*>(strchr<0>(static_cast<const char*>(text), wanted));
}

#endif
