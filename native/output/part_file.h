#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/status.h"

namespace pcap_ring {

// A file that has its final name only once it is whole. Until then it is `<final>.part` (or another suffix): mode 0600
// whatever the umask, locked by its writer (flock, so a lock dies with the process), never through a symbolic link. An
// existing file is never overwritten. The writer's thread.
class PartFile {
 public:
  static constexpr const char* kSuffix = ".part";

  PartFile() = default;
  PartFile(PartFile&&) = default;
  PartFile& operator=(PartFile&&) = default;

  // kFileExists if either name is taken, kNoSpace, kWrite.
  Status Create(const std::string& final_path, const char* suffix = kSuffix);
  bool open() const { return fd_.valid(); }
  const std::string& final_path() const { return final_path_; }

  // All of it, or an error; offset() then tells how much arrived. kWrite if somebody else changed its length.
  Status Write(const void* data, size_t size);
  uint64_t offset() const { return offset_; }
  // Makes it shorter, never longer.
  Status Truncate(uint64_t size);
  Status Sync();
  // Syncs nothing itself: gives the file its final name. kFileExists if that was taken meanwhile, kWrite if the
  // part was replaced or changed by somebody else; what there is stays.
  Status Publish();
  // Takes it back: removes the final name, unless that is another file's by now.
  void Retract();
  // Gives it up and removes the part, unless the name is another file's by now.
  void Discard();
  void Close() { fd_.Reset(); }

  // Takes over a part whose writer is dead. kFileExists: somebody holds it; kWrite: it is not there (ENOENT), cannot be
  // opened, or is not as a writer of ours leaves it: this user's own, under one name, for nobody else to write.
  Status Adopt(const std::string& final_path, const char* suffix = kSuffix);
  int fd() const { return fd_.get(); }

 private:
  Status Failed(const char* what, const char* syscall, int error_number) const;
  Status GiveUp(const char* what, const char* syscall, int error_number);
  Status Changed() const;
  bool Unchanged() const;

  std::string final_path_;
  std::string part_path_;
  UniqueFd fd_;
  uint64_t offset_ = 0;
};

// kNoSpace for a full disk or quota, kFileExists for EEXIST, else kWrite.
Code CodeOfWriteError(int error_number);

// Whether a name leads to the file that is held open.
bool LeadsTo(const std::string& path, int fd);
// A regular file as a writer of ours leaves it: this user's own, under one name, for nobody else to write.
bool IsOurs(int fd);

// The directory that a file is in, held open, so that it can be synced when no more files can be opened.
class Directory {
 public:
  Status OpenOf(const std::string& path);
  // So that the names in it last.
  Status Sync() const;
  // kNoSpace if its file system has less than `least` bytes free for this user; by default 256 MiB or 5 % of it, the smaller.
  Status CheckFree(std::optional<uint64_t> least) const;

 private:
  std::string path_;
  UniqueFd fd_;
};

// Where no file can be renamed without the danger to replace another, it is given its final name and then loses the other.
// Of one whose writer died in between this takes the part's name away.
void FinishRename(const std::string& final_path, const char* suffix = PartFile::kSuffix);
// Makes `path` and what is missing above it, mode 0700, and proves that a file can be made in it.
Status PrepareDirectory(const std::string& path);

}  // namespace pcap_ring
