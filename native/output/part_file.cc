#include "output/part_file.h"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>

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
  return unlink(from.c_str());
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

// Whether the part's name still leads to the file that is held open.
bool PartFile::StillNamed() const {
  struct stat held;
  struct stat named;
  return fstat(fd_.get(), &held) == 0 && lstat(part_path_.c_str(), &named) == 0 && held.st_ino == named.st_ino &&
         held.st_dev == named.st_dev;
}

// Whether it is as long as what was written.
bool PartFile::Unchanged() const {
  struct stat held;
  return fstat(fd_.get(), &held) == 0 && static_cast<uint64_t>(held.st_size) == offset_;
}

Status PartFile::Changed() const {
  return Status::Error(Code::kWrite, part_path_ + " was replaced or changed by somebody else");
}

Status PartFile::Create(const std::string& final_path) {
  final_path_ = final_path;
  part_path_ = final_path + kSuffix;
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
        return {Code::kFileExists, part_path_ + " exists: somebody records under this name, or died and left it; then remove it", EEXIST, "open"};
      }
      return Failed("create", "open", errno);
    }
    if (flock(fd_.get(), LOCK_EX) != 0) return GiveUp("lock", "flock", errno);
    if (fchmod(fd_.get(), kFileMode) != 0) return GiveUp("set the mode of", "fchmod", errno);
    if (StillNamed()) return Status::Ok();
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

Status PartFile::Sync() {
  return fdatasync(fd_.get()) == 0 ? Status::Ok() : Failed("sync", "fdatasync", errno);
}

Status PartFile::Publish() {
  if (!StillNamed() || !Unchanged()) return Changed();
  if (RenameNoReplace(part_path_, final_path_) == 0) return Status::Ok();
  return Status::Errno(CodeOfWriteError(errno), "cannot rename " + part_path_ + " to its final name", "rename", errno);
}

void PartFile::Discard() {
  if (!fd_.valid()) return;
  if (StillNamed()) unlink(part_path_.c_str());
  fd_.Reset();
}

Status PartFile::Adopt(const std::string& final_path) {
  final_path_ = final_path;
  part_path_ = final_path + kSuffix;
  fd_.Reset(::open(part_path_.c_str(), O_RDWR | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!fd_.valid()) return Failed("open", "open", errno);
  struct stat held;
  if (fstat(fd_.get(), &held) != 0 || !S_ISREG(held.st_mode)) {
    fd_.Reset();
    return {Code::kWrite, part_path_ + " is not a regular file", 0, nullptr};
  }
  if (flock(fd_.get(), LOCK_EX | LOCK_NB) != 0 || !StillNamed()) {
    fd_.Reset();
    return {Code::kFileExists, part_path_ + " has a living writer", EWOULDBLOCK, "flock"};
  }
  return Status::Ok();
}

Status SyncDirectoryOf(const std::string& path) {
  const std::string directory = DirectoryOf(path);
  const UniqueFd fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (fd.valid() && fsync(fd.get()) == 0) return Status::Ok();
  const int error_number = errno;
  // Some file systems (over a network, in user space) cannot sync a directory; that is no fault of the file.
  if (fd.valid() && (error_number == EINVAL || error_number == ENOTSUP)) return Status::Ok();
  return Status::Errno(CodeOfWriteError(error_number), "cannot sync directory " + directory,
                       fd.valid() ? "fsync" : "open", error_number);
}

Status PrepareDirectory(const std::string& path) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string parent = path.substr(0, slash);
    if (mkdir(parent.c_str(), kDirectoryMode) != 0 && errno != EEXIST) {
      return Status::Errno(CodeOfWriteError(errno), "cannot make directory " + parent, "mkdir", errno);
    }
    if (slash == std::string::npos) break;
  }
  const std::string probe = path + "/.pcap-ring-probe-" + std::to_string(getpid()) + "-" +
                            std::to_string(MonotonicNs());
  const int fd = ::open(probe.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, kFileMode);
  if (fd < 0) {
    // EEXIST also of a path through a file, which mkdir lets pass.
    const int error_number = errno;
    return Status::Errno(error_number == ENOSPC || error_number == EDQUOT ? Code::kNoSpace : Code::kWrite,
                         "cannot make files in directory " + path, "open", error_number);
  }
  close(fd);
  unlink(probe.c_str());
  return Status::Ok();
}

}  // namespace pcap_ring
