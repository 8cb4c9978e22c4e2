/* <assert.h> for device code: assert is built into NVRTC. By the standard NDEBUG counts at each #include. */
#ifdef NDEBUG
#undef assert
#define assert(condition) ((void)0)
#endif
