// A disk that fails or is slow: preloaded into a host, it comes between the library and the calls that touch the files of an
// incident. What it does is told by a file of three 32-bit numbers, $PCAP_RING_FAULTY_DISK, that the test writes to: which call
// (1 write, 2 fdatasync, 3 renameat2, 4 link), the errno that it fails with (0: none), and how many microseconds it takes. With
// a fault of link() it is a file system that knows of no renameat2() that overwrites nothing, so that there is a link() at all.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

enum { kWrite = 1, kFdatasync, kRename, kLink };

static const _Atomic int32_t* told;

__attribute__((constructor)) static void begin(void) {
  const char* path = getenv("PCAP_RING_FAULTY_DISK");
  const int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
  if (fd < 0) return;
  void* mapped = mmap(NULL, 12, PROT_READ, MAP_SHARED, fd, 0);
  if (mapped != MAP_FAILED) told = mapped;
  close(fd);
}

static int is_path_of_an_incident(const char* path) { return strstr(path, "/incident_") != NULL; }

static int is_of_an_incident(int fd) {
  char link[32], path[4096];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t size = readlink(link, path, sizeof path - 1);
  if (size < 0) return 0;
  path[size] = '\0';
  return is_path_of_an_incident(path);
}

// Whether the call is to fail; errno is set.
static int fails(int call) {
  if (told == NULL || atomic_load(&told[0]) != call) return 0;
  usleep((useconds_t)atomic_load(&told[2]));
  errno = atomic_load(&told[1]);
  return errno != 0;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

ssize_t write(int fd, const void* data, size_t size) {
  if (told != NULL && atomic_load(&told[0]) == kWrite && is_of_an_incident(fd) && fails(kWrite)) return -1;
  return REAL(write)(fd, data, size);
}

int fdatasync(int fd) { return is_of_an_incident(fd) && fails(kFdatasync) ? -1 : REAL(fdatasync)(fd); }

// renameat2() comes as a number, as older C libraries have no function for it.
long syscall(long number, ...) {
  va_list more;
  va_start(more, number);
  long of[6];
  for (int i = 0; i < 6; ++i) of[i] = va_arg(more, long);
  va_end(more);
  if (number == SYS_renameat2 && is_path_of_an_incident((const char*)of[1])) {
    if (fails(kRename)) return -1;
    if (told != NULL && atomic_load(&told[0]) == kLink) {
      errno = EINVAL;
      return -1;
    }
  }
  return REAL(syscall)(number, of[0], of[1], of[2], of[3], of[4], of[5]);
}

int link(const char* from, const char* to) {
  return is_path_of_an_incident(to) && fails(kLink) ? -1 : REAL(link)(from, to);
}
