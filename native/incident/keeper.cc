#include "incident/keeper.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string_view>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "incident/names.h"
#include "output/part_file.h"

namespace pcap_ring {
namespace {

// Of an age: how late it may be seen.
constexpr int64_t kLateness = 20;
constexpr int64_t kLongestNs = 60 * kNsPerSec;
constexpr int64_t kShortestNs = 100 * kNsPerMs;
// At once, as other incidents are recorded meanwhile.
constexpr int kMostAtOnce = 16;

UniqueFd OpenFile(const std::string& path, int access) {
  return UniqueFd(::open(path.c_str(), access | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
}

std::string ReadText(int fd, uint64_t size) {
  std::string text(size, '\0');
  const ssize_t got = pread(fd, text.data(), text.size(), 0);
  text.resize(got > 0 ? static_cast<size_t>(got) : 0);
  return text;
}

// What a report says of its capture's name and size. By the text, as ReportJson writes it: behind the head, which is the host's
// own in part, these members stand in this order and once.
struct Told {
  std::string name;  // "": there is no capture
  uint64_t bytes = 0;
};
std::optional<Told> ReadReport(const std::string& text, const std::string& id) {
  if (!text.starts_with("{\"version\":1,\"id\":\"" + id + "\",") || !text.ends_with("}\n")) return std::nullopt;
  const size_t digest = text.rfind(",\"sha256\":");
  const size_t bytes = text.rfind(",\"bytes\":", digest);
  const size_t file = text.rfind(",\"file\":", bytes);
  if (digest == std::string::npos || bytes == std::string::npos || file == std::string::npos) return std::nullopt;
  const size_t begin = file + std::string_view(",\"file\":").size();
  const std::string_view path = std::string_view(text).substr(begin, bytes - begin);
  if (path == "null") return Told();
  const size_t slash = path.rfind('/');
  if (path.size() < 2 || !path.starts_with('"') || !path.ends_with('"') || slash == std::string::npos)
    return std::nullopt;
  const size_t number = bytes + std::string_view(",\"bytes\":").size();
  return Told{std::string(path.substr(slash + 1, path.size() - slash - 2)),
              std::strtoull(text.c_str() + number, nullptr, 10)};
}

}  // namespace

Keeper::Keeper(std::string directory, KeepLimits limits, Hooks hooks)
    : directory_(std::move(directory)), limits_(limits), hooks_(std::move(hooks)) {}

Keeper::Seen Keeper::SeenAs(const struct stat& found) {
  // A time that nanoseconds cannot count is one far off.
  constexpr int64_t kFarthest = INT64_MAX / kNsPerSec / 4;
  const int64_t seconds = std::clamp<int64_t>(found.st_mtim.tv_sec, -kFarthest, kFarthest);
  return {found.st_dev, found.st_ino, seconds * kNsPerSec + found.st_mtim.tv_nsec,
          static_cast<uint64_t>(found.st_size)};
}

// A regular file of this user's own, under one name.
std::optional<Keeper::Seen> Keeper::Look(int fd) {
  struct stat found;
  if (fd < 0 || fstat(fd, &found) != 0) return std::nullopt;
  if (!S_ISREG(found.st_mode) || found.st_uid != geteuid() || found.st_nlink != 1) return std::nullopt;
  return SeenAs(found);
}

Keeper::Incident Keeper::Read(const std::string& id, const std::string& path) const {
  constexpr uint64_t kLargestReport = 16 * 1024 * 1024;
  Incident incident;
  const UniqueFd report = OpenFile(path, O_RDONLY);
  const auto seen = Look(report.get());
  if (!seen || seen->size > kLargestReport) return incident;
  incident.report = *seen;
  const auto told = ReadReport(ReadText(report.get(), seen->size), id);
  if (!told) return incident;
  incident.ours = true;
  if (told->name.empty()) return incident;
  // It is beside its report, whatever directory was its own when it was written.
  incident.ours = told->name == IncidentName(id) + ".pcap" || told->name == IncidentName(id) + ".pcapng";
  incident.capture = directory_ + "/" + told->name;
  incident.capture_bytes = told->bytes;
  return incident;
}

void Keeper::LookAround(const std::atomic<bool>& stop) {
  std::map<std::string, Incident> found;
  DIR* const open = opendir(directory_.c_str());
  if (open == nullptr) return;
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody else reads from this stream.
  for (const dirent* entry = readdir(open); entry != nullptr; entry = readdir(open)) {
    if (stop.load(std::memory_order_relaxed)) break;
    const std::string id = IncidentIdOf(entry->d_name, ".json");
    if (id.empty()) continue;
    const std::string path = directory_ + "/" + entry->d_name;
    const auto known = incidents_.find(id);
    struct stat now;
    const bool same = known != incidents_.end() && lstat(path.c_str(), &now) == 0 &&
                      known->second.report == SeenAs(now);
    found.emplace(id, same ? known->second : Read(id, path));
  }
  closedir(open);
  incidents_ = std::move(found);
}

// On the disk: a capture may have been moved elsewhere.
uint64_t Keeper::BytesOf(const Incident& incident) const {
  struct stat capture;
  const bool there = !incident.capture.empty() && lstat(incident.capture.c_str(), &capture) == 0;
  return incident.report.size + (there ? static_cast<uint64_t>(capture.st_size) : 0);
}

void Keeper::Sweep(int64_t now_ns, const std::atomic<bool>& stop) {
  due_ns_ = limits_.age_ns ? MonotonicNs() + std::clamp(*limits_.age_ns / kLateness, kShortestNs, kLongestNs) : kNever;
  // One process at a time, as two that see the same excess would remove twice as much. Where directories cannot be locked
  // (file systems over a network), each for itself.
  const UniqueFd directory(::open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.valid() && flock(directory.get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK) {
    due_ns_ = MonotonicNs() + kShortestNs;
    return;
  }
  LookAround(stop);
  uint64_t bytes = 0;
  std::vector<std::pair<int64_t, std::string>> oldest_first;
  // Not as [id, incident]: clang-tidy 16 breaks down over it.
  for (const auto& entry : incidents_) {
    const Incident& incident = entry.second;
    if (!incident.ours) continue;
    bytes += BytesOf(incident);
    oldest_first.emplace_back(incident.report.modified_ns, entry.first);
  }
  std::sort(oldest_first.begin(), oldest_first.end());
  int removed = 0;
  for (const auto& [finished_ns, id] : oldest_first) {
    const bool too_old = limits_.age_ns && now_ns - finished_ns > *limits_.age_ns;
    const bool too_much = limits_.bytes && bytes > *limits_.bytes;
    if ((!too_old && !too_much) || stop.load(std::memory_order_relaxed)) break;
    if (removed == kMostAtOnce) {
      due_ns_ = MonotonicNs();
      break;
    }
    Incident& incident = incidents_[id];
    const std::string path = incident.capture.empty() ? directory_ + "/" + IncidentName(id) + ".json"
                                                      : incident.capture;
    // What cannot go is not paid for by others.
    bytes -= BytesOf(incident);
    const Outcome outcome = Remove(id, incident);
    if (outcome == Outcome::kRemoved) {
      ++removed;
      hooks_.removed(path);
    } else if (outcome == Outcome::kFailed && !std::exchange(incident.told, true)) {
      hooks_.failed(Status::Errno(Code::kWrite, "cannot remove " + path + ", which is beyond keep", "unlink", errno));
    }
  }
}

// Killed in between, it leaves a report whose capture is gone, which goes the next time. kFailed: errno says why.
Keeper::Outcome Keeper::Remove(const std::string& id, const Incident& incident) const {
  const std::string stem = directory_ + "/" + IncidentName(id);
  const auto is_there = [&](const char* end) { return access((stem + end).c_str(), F_OK) == 0; };
  if (std::any_of(std::begin(kUnfinished), std::end(kUnfinished), is_there) || is_there(kUndelivered)) {
    return Outcome::kHeld;
  }
  // For writing, as file systems over a network lock no other; none is written to.
  const auto open = [](const std::string& path, UniqueFd* fd) {
    *fd = OpenFile(path, O_RDWR);
    return fd->valid() || errno == ENOENT || errno == ELOOP;
  };
  const auto lock = [](int fd) { return flock(fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK; };
  UniqueFd report;
  if (!open(stem + ".json", &report)) return Outcome::kFailed;
  if (Look(report.get()) != incident.report || !lock(report.get())) return Outcome::kHeld;
  bool removed = false;
  if (!incident.capture.empty()) {
    UniqueFd capture;
    if (!open(incident.capture, &capture)) return Outcome::kFailed;
    if (capture.valid()) {
      // Of another size, it is not the one that the report tells of.
      const auto seen = Look(capture.get());
      if (!seen || seen->size != incident.capture_bytes || !lock(capture.get())) return Outcome::kHeld;
      if (!LeadsTo(incident.capture, capture.get())) return Outcome::kHeld;
      if (unlink(incident.capture.c_str()) != 0) return Outcome::kFailed;
      removed = true;
    }
  }
  if (!LeadsTo(stem + ".json", report.get())) return removed ? Outcome::kRemoved : Outcome::kHeld;
  if (unlink((stem + ".json").c_str()) != 0 && !removed) return Outcome::kFailed;
  return Outcome::kRemoved;
}

}  // namespace pcap_ring
