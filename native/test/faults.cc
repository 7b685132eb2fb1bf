#include "test/faults.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdarg>
#include <cstdlib>
#include <string_view>

namespace pcap_ring::testing {
namespace {

// Set before the threads that make the calls begin, or while they have nothing to do.
Fault current;
std::atomic<int> calls{0};
std::atomic<bool> armed{false};

enum class Fate { kGo, kFail, kDie };

Fate Next(std::string_view path) {
  if (!armed.load() || !path.starts_with(current.directory)) return Fate::kGo;
  const int call = calls.fetch_add(1) + 1;
  if (current.error == 0) return call == current.at ? Fate::kDie : Fate::kGo;
  if (call < current.at || call > current.until) return Fate::kGo;
  errno = current.error;
  return Fate::kFail;
}

Fate Next(int fd) {
  if (!armed.load()) return Fate::kGo;
  char path[PATH_MAX];
  const ssize_t size = readlink(("/proc/self/fd/" + std::to_string(fd)).c_str(), path, sizeof path);
  return size < 0 ? Fate::kGo : Next(std::string_view(path, static_cast<size_t>(size)));
}

[[noreturn]] void Die() {
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

// Calls `real` unless there is to be a fault here.
template <typename On, typename Real>
auto Through(On on, Real real) {
  const Fate fate = Next(on);
  if (fate == Fate::kDie) Die();
  return fate == Fate::kFail ? static_cast<decltype(real())>(-1) : real();
}

}  // namespace

void SetFault(const Fault& fault) {
  armed.store(false);
  current = fault;
  calls.store(0);
  armed.store(true);
}

int EndFault() {
  armed.store(false);
  return calls.load();
}

}  // namespace pcap_ring::testing

using pcap_ring::testing::Through;

extern "C" {

// NOLINTBEGIN(bugprone-reserved-identifier): the names are those of the linker's --wrap.
int __real_open(const char* path, int flags, ...);
ssize_t __real_write(int fd, const void* data, size_t size);
ssize_t __real_pread(int fd, void* data, size_t size, off_t offset);
int __real_ftruncate(int fd, off_t size);
int __real_fdatasync(int fd);
int __real_fsync(int fd);
int __real_flock(int fd, int operation);
int __real_fchmod(int fd, mode_t mode);
int __real_link(const char* from, const char* to);
int __real_unlink(const char* path);
long __real_syscall(long number, ...);

int __wrap_open(const char* path, int flags, ...) {
  va_list more;
  va_start(more, flags);
  const bool makes = (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE;
  const mode_t mode = makes ? static_cast<mode_t>(va_arg(more, int)) : 0;
  va_end(more);
  return Through(path, [&] { return __real_open(path, flags, mode); });
}

ssize_t __wrap_write(int fd, const void* data, size_t size) {
  const auto fate = pcap_ring::testing::Next(fd);
  if (fate == pcap_ring::testing::Fate::kFail) return -1;
  if (fate == pcap_ring::testing::Fate::kDie) {
    (void)!__real_write(fd, data, size / 2);
    pcap_ring::testing::Die();
  }
  return __real_write(fd, data, size);
}

ssize_t __wrap_pread(int fd, void* data, size_t size, off_t offset) {
  return Through(fd, [&] { return __real_pread(fd, data, size, offset); });
}
int __wrap_ftruncate(int fd, off_t size) {
  return Through(fd, [&] { return __real_ftruncate(fd, size); });
}
int __wrap_fdatasync(int fd) {
  return Through(fd, [&] { return __real_fdatasync(fd); });
}
int __wrap_fsync(int fd) {
  return Through(fd, [&] { return __real_fsync(fd); });
}
int __wrap_flock(int fd, int operation) {
  return Through(fd, [&] { return __real_flock(fd, operation); });
}
int __wrap_fchmod(int fd, mode_t mode) {
  return Through(fd, [&] { return __real_fchmod(fd, mode); });
}
int __wrap_link(const char* from, const char* to) {
  return Through(from, [&] { return __real_link(from, to); });
}
int __wrap_unlink(const char* path) {
  return Through(path, [&] { return __real_unlink(path); });
}

// The core calls it for renameat2, which the C library need not have.
long __wrap_syscall(long number, ...) {
  long given[5];
  va_list more;
  va_start(more, number);
  for (long& one : given) one = va_arg(more, long);
  va_end(more);
  const auto real = [&] { return __real_syscall(number, given[0], given[1], given[2], given[3], given[4]); };
  return number == SYS_renameat2 ? Through(reinterpret_cast<const char*>(given[1]), real) : real();
}
// NOLINTEND(bugprone-reserved-identifier)
}
