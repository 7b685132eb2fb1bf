#include "output/part_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>

#include <algorithm>
#include <cstdio>

#include "base/time.h"

namespace pcap_ring {
namespace {

constexpr mode_t kFileMode = 0600;
constexpr mode_t kDirectoryMode = 0700;

std::string DirectoryOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Never onto an existing file. A file system without RENAME_NOREPLACE takes a second name and drops the first.
int RenameNoReplace(const std::string& from, const std::string& to) {
  if (syscall(SYS_renameat2, AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return 0;
  if (errno != EINVAL && errno != ENOSYS) return -1;
  if (link(from.c_str(), to.c_str()) != 0) return -1;
  unlink(from.c_str());  // it has its name, whatever becomes of the other: FinishRename
  return 0;
}

bool IsSame(const struct stat& left, const struct stat& right) {
  return left.st_ino == right.st_ino && left.st_dev == right.st_dev;
}

}  // namespace

Code CodeOfWriteError(int error_number) {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      return Code::kNoSpace;
    case EEXIST:
      return Code::kFileExists;
    default:
      return Code::kWrite;
  }
}

Status PartFile::Failed(const char* what, const char* syscall, int error_number) const {
  return Status::Errno(CodeOfWriteError(error_number), std::string("cannot ") + what + " " + part_path_, syscall,
                       error_number);
}

Status PartFile::GiveUp(const char* what, const char* syscall, int error_number) {
  Discard();
  return Failed(what, syscall, error_number);
}

// Whether it is as long as what was written.
bool PartFile::Unchanged() const {
  struct stat held;
  return fstat(fd_.get(), &held) == 0 && static_cast<uint64_t>(held.st_size) == offset_;
}

Status PartFile::Changed() const {
  return Status::Error(Code::kWrite, part_path_ + " was replaced or changed by somebody else");
}

Status PartFile::Create(const std::string& final_path, const char* suffix) {
  final_path_ = final_path;
  part_path_ = final_path + suffix;
  offset_ = 0;
  struct stat found;
  if (lstat(final_path.c_str(), &found) == 0) {
    return {Code::kFileExists, final_path + " exists and is not overwritten", EEXIST, "lstat"};
  }
  // Between open and lock somebody's recovery may take the empty part for a dead writer's and remove it: then once more.
  for (int attempt = 0; attempt < 100; ++attempt) {
    fd_.Reset(::open(part_path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kFileMode));
    if (!fd_.valid()) {
      if (errno == EEXIST) {
        return {Code::kFileExists,
                part_path_ + " exists: somebody records under this name, or died and left it; then remove it", EEXIST,
                "open"};
      }
      return Failed("create", "open", errno);
    }
    if (flock(fd_.get(), LOCK_EX) != 0) return GiveUp("lock", "flock", errno);
    if (fchmod(fd_.get(), kFileMode) != 0) return GiveUp("set the mode of", "fchmod", errno);
    if (LeadsTo(part_path_, fd_.get())) return Status::Ok();
  }
  return {Code::kFileExists, part_path_ + " is taken again and again by somebody else", EEXIST, "open"};
}

Status PartFile::Write(const void* data, size_t size) {
  // Behind what somebody else cut off there would be a hole, and the length would tell nothing.
  if (!Unchanged()) return Changed();
  const auto* at = static_cast<const uint8_t*>(data);
  while (size > 0) {
    const ssize_t written = ::write(fd_.get(), at, size);
    if (written < 0) {
      if (errno == EINTR) continue;
      return Failed("write", "write", errno);
    }
    at += written;
    size -= static_cast<size_t>(written);
    offset_ += static_cast<uint64_t>(written);
  }
  return Status::Ok();
}

Status PartFile::Truncate(uint64_t size) {
  struct stat held;
  if (fstat(fd_.get(), &held) == 0 && static_cast<uint64_t>(held.st_size) < size) return Changed();
  if (ftruncate(fd_.get(), static_cast<off_t>(size)) != 0 || lseek(fd_.get(), static_cast<off_t>(size), SEEK_SET) < 0) {
    return Failed("cut", "ftruncate", errno);
  }
  offset_ = size;
  return Status::Ok();
}

Status PartFile::Sync() { return fdatasync(fd_.get()) == 0 ? Status::Ok() : Failed("sync", "fdatasync", errno); }

Status PartFile::Publish() {
  if (!LeadsTo(part_path_, fd_.get()) || !Unchanged()) return Changed();
  if (RenameNoReplace(part_path_, final_path_) == 0) return Status::Ok();
  return Status::Errno(CodeOfWriteError(errno), "cannot rename " + part_path_ + " to its final name", "rename", errno);
}

void PartFile::Retract() {
  if (LeadsTo(final_path_, fd_.get())) unlink(final_path_.c_str());
}

void PartFile::Discard() {
  if (!fd_.valid()) return;
  if (LeadsTo(part_path_, fd_.get())) unlink(part_path_.c_str());
  fd_.Reset();
}

Status PartFile::Adopt(const std::string& final_path, const char* suffix) {
  final_path_ = final_path;
  part_path_ = final_path + suffix;
  fd_.Reset(::open(part_path_.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!fd_.valid()) return Failed("open", "open", errno);
  struct stat held;
  if (fstat(fd_.get(), &held) != 0 || !S_ISREG(held.st_mode)) {
    fd_.Reset();
    return {Code::kWrite, part_path_ + " is not a regular file", 0, nullptr};
  }
  const bool locked = flock(fd_.get(), LOCK_EX | LOCK_NB) == 0;
  if (!locked && errno != EWOULDBLOCK) {
    Status failed = Failed("lock", "flock", errno);
    fd_.Reset();
    return failed;
  }
  if (!locked || !LeadsTo(part_path_, fd_.get())) {
    fd_.Reset();
    return {Code::kFileExists, part_path_ + " has a living writer", EWOULDBLOCK, "flock"};
  }
  offset_ = static_cast<uint64_t>(held.st_size);
  // Once it is locked: a writer that is about to make it has set neither.
  if (!IsOurs(fd_.get())) {
    fd_.Reset();
    return {Code::kWrite,
            part_path_ +
                " is left alone: it is another user's, has a second name, or others may write to it; remove it, or "
                "make it this user's own (mode 0600)",
            0, nullptr};
  }
  return Status::Ok();
}

bool LeadsTo(const std::string& path, int fd) {
  struct stat held;
  struct stat named;
  return fstat(fd, &held) == 0 && lstat(path.c_str(), &named) == 0 && IsSame(held, named);
}

bool IsOurs(int fd) {
  struct stat held;
  return fstat(fd, &held) == 0 && S_ISREG(held.st_mode) && held.st_uid == geteuid() && held.st_nlink == 1 &&
         (held.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

Status Directory::OpenOf(const std::string& path) {
  path_ = DirectoryOf(path);
  fd_.Reset(::open(path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd_.valid()) return Status::Ok();
  return Status::Errno(CodeOfWriteError(errno), "cannot open directory " + path_, "open", errno);
}

Status Directory::Sync() const {
  if (fsync(fd_.get()) == 0) return Status::Ok();
  // Some file systems (over a network, in user space) cannot sync a directory; that is no fault of the file.
  if (errno == EINVAL || errno == ENOTSUP) return Status::Ok();
  return Status::Errno(CodeOfWriteError(errno), "cannot sync directory " + path_, "fsync", errno);
}

Status Directory::CheckFree(std::optional<uint64_t> least) const {
  constexpr uint64_t kMiB = 1024 * 1024;
  struct statvfs system;
  // One that counts no blocks has no room that could be asked for.
  if (least == 0 || fstatvfs(fd_.get(), &system) != 0 || system.f_blocks == 0) return Status::Ok();
  const uint64_t wanted = least.value_or(std::min(256 * kMiB, uint64_t{system.f_blocks} * system.f_frsize / 20));
  const uint64_t free = uint64_t{system.f_bavail} * system.f_frsize;
  if (free >= wanted) return Status::Ok();
  return {Code::kNoSpace,
          "the file system of " + path_ + " has " + std::to_string(free / kMiB) + " MiB free, less than the " +
              std::to_string(wanted / kMiB) + " MiB that are to stay (minFree); make room",
          ENOSPC, nullptr};
}

void FinishRename(const std::string& final_path, const char* suffix) {
  const std::string part_path = final_path + suffix;
  struct stat final_one;
  struct stat part;
  const bool both = lstat(final_path.c_str(), &final_one) == 0 && lstat(part_path.c_str(), &part) == 0;
  if (both && IsSame(final_one, part)) unlink(part_path.c_str());
}

Status PrepareDirectory(const std::string& path) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string parent = path.substr(0, slash);
    const bool made = mkdir(parent.c_str(), kDirectoryMode) == 0;
    if (!made && errno != EEXIST) {
      return Status::Errno(CodeOfWriteError(errno), "cannot make directory " + parent, "mkdir", errno);
    } else if (made) {
      // As well as it goes: who may make a directory need not be allowed to read the one above.
      Directory above;
      if (above.OpenOf(parent).ok()) (void)above.Sync();
    }
    if (slash == std::string::npos) break;
  }
  // One without a name, so that it is gone whatever happens; where there are no such files, one with.
  UniqueFd probe(::open(path.c_str(), O_TMPFILE | O_WRONLY | O_CLOEXEC, kFileMode));
  if (!probe.valid() && (errno == EOPNOTSUPP || errno == EISDIR)) {
    const std::string named = path + "/.pcap-ring-probe-" + std::to_string(getpid()) + "-" +
                              std::to_string(MonotonicNs());
    probe.Reset(::open(named.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kFileMode));
    if (probe.valid()) unlink(named.c_str());
  }
  if (!probe.valid()) {
    // EEXIST also of a path through a file, which mkdir lets pass.
    const int error_number = errno;
    return Status::Errno(error_number == ENOSPC || error_number == EDQUOT ? Code::kNoSpace : Code::kWrite,
                         "cannot make files in directory " + path, "open", error_number);
  }
  return Status::Ok();
}

}  // namespace pcap_ring
