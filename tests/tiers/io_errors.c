/* Makes calls of the C library fail, below one directory: for LD_PRELOAD.
 *
 *   io_errors_begin(directory, k, error, sticky)   from now on call number k fails with `error`, and with `sticky` every
 *                                                  later one too; k = 0 counts only
 *   io_errors_end()                                none fails any more; how many calls there were
 *
 * A call counts when its path, or the file behind its descriptor, is the directory or below it. */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define FILES 4096
static char directory[4096];
static size_t length;
static long wanted, calls;
static int number, stays, on;
static char ours[FILES]; /* by descriptor: whether the file is below the directory */

void io_errors_begin(const char *path, long k, int error, int sticky)
{
    length = strlen(path);
    memcpy(directory, path, length + 1);
    wanted = k, number = error, stays = sticky, calls = 0, on = 1;
}

long io_errors_end(void)
{
    on = 0;
    return calls;
}

static int open_below(int file) { return on && file >= 0 && file < FILES && ours[file]; }

static int below(int root, const char *path)
{
    if (!on || path == NULL) return 0;
    if (path[0] != '/') return root != AT_FDCWD && open_below(root);
    return strncmp(path, directory, length) == 0 && (path[length] == 0 || path[length] == '/');
}

static int fails(int counts)
{
    if (!counts) return 0;
    calls++;
    if (wanted == 0 || (calls != wanted && !(stays && calls > wanted))) return 0;
    errno = number;
    return 1;
}

static int noted(int file, int is_below)
{
    if (file >= 0 && file < FILES) ours[file] = (char)is_below;
    return file;
}

#define REAL(type, name, ...) \
    static type (*real)(__VA_ARGS__); \
    if (real == NULL) *(void **)&real = dlsym(RTLD_NEXT, name)

#define OPEN(name) \
    int name(const char *path, int flags, ...) \
    { \
        REAL(int, #name, const char *, int, ...); \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
        int counts = below(AT_FDCWD, path); \
        return fails(counts) ? -1 : noted(real(path, flags, mode), counts); \
    }
#define OPENAT(name) \
    int name(int root, const char *path, int flags, ...) \
    { \
        REAL(int, #name, int, const char *, int, ...); \
        va_list rest; va_start(rest, flags); mode_t mode = va_arg(rest, mode_t); va_end(rest); \
        int counts = below(root, path); \
        return fails(counts) ? -1 : noted(real(root, path, flags, mode), counts); \
    }
OPEN(open) OPEN(open64) OPENAT(openat) OPENAT(openat64)

int close(int file)
{
    REAL(int, "close", int);
    int counts = open_below(file);
    if (file >= 0 && file < FILES) ours[file] = 0;
    int result = real(file); /* closed all the same, as the kernel does */
    return fails(counts) ? -1 : result;
}

/* (result, name, when it counts, declared arguments, passed arguments, types) */
#define CALL(type, name, counts, declared, passed, ...) \
    type name declared \
    { \
        REAL(type, #name, __VA_ARGS__); \
        return fails(counts) ? (type)-1 : real passed; \
    }
#define PATH(name, ...) CALL(int, name, below(AT_FDCWD, path), __VA_ARGS__)
#define AT(name, ...) CALL(int, name, below(root, path), __VA_ARGS__)
#define FILE_CALL(type, name, ...) CALL(type, name, open_below(file), __VA_ARGS__)

PATH(stat, (const char *path, struct stat *s), (path, s), const char *, struct stat *)
PATH(stat64, (const char *path, struct stat64 *s), (path, s), const char *, struct stat64 *)
PATH(lstat, (const char *path, struct stat *s), (path, s), const char *, struct stat *)
PATH(lstat64, (const char *path, struct stat64 *s), (path, s), const char *, struct stat64 *)
PATH(access, (const char *path, int mode), (path, mode), const char *, int)
PATH(mkdir, (const char *path, mode_t mode), (path, mode), const char *, mode_t)
PATH(rmdir, (const char *path), (path), const char *)
PATH(unlink, (const char *path), (path), const char *)
PATH(chmod, (const char *path, mode_t mode), (path, mode), const char *, mode_t)
PATH(rename, (const char *path, const char *to), (path, to), const char *, const char *)
AT(fstatat, (int root, const char *path, struct stat *s, int flags), (root, path, s, flags), int, const char *, struct stat *, int)
AT(fstatat64, (int root, const char *path, struct stat64 *s, int flags), (root, path, s, flags), int, const char *, struct stat64 *, int)
AT(mkdirat, (int root, const char *path, mode_t mode), (root, path, mode), int, const char *, mode_t)
AT(unlinkat, (int root, const char *path, int flags), (root, path, flags), int, const char *, int)
AT(utimensat, (int root, const char *path, const struct timespec t[2], int flags), (root, path, t, flags), int, const char *, const struct timespec *, int)
AT(renameat, (int root, const char *path, int other, const char *to), (root, path, other, to), int, const char *, int, const char *)
FILE_CALL(int, fstat, (int file, struct stat *s), (file, s), int, struct stat *)
FILE_CALL(int, fstat64, (int file, struct stat64 *s), (file, s), int, struct stat64 *)
FILE_CALL(int, fsync, (int file), (file), int)
FILE_CALL(int, fdatasync, (int file), (file), int)
FILE_CALL(int, flock, (int file, int what), (file, what), int, int)
FILE_CALL(int, fchmod, (int file, mode_t mode), (file, mode), int, mode_t)
FILE_CALL(int, ftruncate, (int file, off_t n), (file, n), int, off_t)
FILE_CALL(int, ftruncate64, (int file, off64_t n), (file, n), int, off64_t)
FILE_CALL(ssize_t, read, (int file, void *to, size_t n), (file, to, n), int, void *, size_t)
FILE_CALL(ssize_t, write, (int file, const void *from, size_t n), (file, from, n), int, const void *, size_t)
FILE_CALL(ssize_t, pread, (int file, void *to, size_t n, off_t at), (file, to, n, at), int, void *, size_t, off_t)
FILE_CALL(ssize_t, pread64, (int file, void *to, size_t n, off64_t at), (file, to, n, at), int, void *, size_t, off64_t)
FILE_CALL(ssize_t, pwrite, (int file, const void *from, size_t n, off_t at), (file, from, n, at), int, const void *, size_t, off_t)
FILE_CALL(ssize_t, pwrite64, (int file, const void *from, size_t n, off64_t at), (file, from, n, at), int, const void *, size_t, off64_t)

#define FCNTL(name) \
    int name(int file, int what, ...) \
    { \
        REAL(int, #name, int, int, ...); \
        va_list rest; va_start(rest, what); void *more = va_arg(rest, void *); va_end(rest); \
        return fails(open_below(file)) ? -1 : real(file, what, more); \
    }
FCNTL(fcntl) FCNTL(fcntl64)

DIR *fdopendir(int file)
{
    REAL(DIR *, "fdopendir", int);
    return fails(open_below(file)) ? NULL : real(file);
}

DIR *opendir(const char *path)
{
    REAL(DIR *, "opendir", const char *);
    return fails(below(AT_FDCWD, path)) ? NULL : real(path);
}

struct dirent *readdir(DIR *of)
{
    REAL(struct dirent *, "readdir", DIR *);
    return fails(open_below(dirfd(of))) ? NULL : real(of);
}

struct dirent64 *readdir64(DIR *of)
{
    REAL(struct dirent64 *, "readdir64", DIR *);
    return fails(open_below(dirfd(of))) ? NULL : real(of);
}
