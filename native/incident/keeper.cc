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

namespace pcap_ring {
namespace {

// Of an age: how late it may be seen.
constexpr int64_t kLateness = 20;
constexpr int64_t kLongestNs = 60 * kNsPerSec;
constexpr int64_t kShortestNs = 100 * kNsPerMs;

UniqueFd OpenFile(const std::string& path) {
  return UniqueFd(::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
}

// Whether the name still leads to the file that is held open.
bool StillNamed(const std::string& path, int fd) {
  struct stat held;
  struct stat named;
  return fstat(fd, &held) == 0 && lstat(path.c_str(), &named) == 0 && held.st_dev == named.st_dev &&
         held.st_ino == named.st_ino;
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
  if (path.size() < 2 || !path.starts_with('"') || !path.ends_with('"') || slash == std::string::npos) return std::nullopt;
  const size_t number = bytes + std::string_view(",\"bytes\":").size();
  return Told{std::string(path.substr(slash + 1, path.size() - slash - 2)),
              std::strtoull(text.c_str() + number, nullptr, 10)};
}

}  // namespace

Keeper::Keeper(std::string directory, KeepLimits limits, Removed removed)
    : directory_(std::move(directory)), limits_(limits), removed_(std::move(removed)) {}

// A regular file of this user's own, under one name.
std::optional<Keeper::Seen> Keeper::Look(int fd) {
  struct stat found;
  if (fd < 0 || fstat(fd, &found) != 0) return std::nullopt;
  if (!S_ISREG(found.st_mode) || found.st_uid != geteuid() || found.st_nlink != 1) return std::nullopt;
  return Seen{found.st_dev, found.st_ino, found.st_mtim.tv_sec * kNsPerSec + found.st_mtim.tv_nsec,
              static_cast<uint64_t>(found.st_size)};
}

Keeper::Incident Keeper::Read(const std::string& id, const std::string& path) const {
  constexpr uint64_t kLargestReport = 16 * 1024 * 1024;
  Incident incident;
  const UniqueFd report = OpenFile(path);
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

void Keeper::LookAround() {
  std::map<std::string, Incident> found;
  DIR* const open = opendir(directory_.c_str());
  if (open == nullptr) return;
  while (const dirent* entry = readdir(open)) {
    const std::string id = IncidentIdOf(entry->d_name, ".json");
    if (id.empty()) continue;
    const std::string path = directory_ + "/" + entry->d_name;
    const auto known = incidents_.find(id);
    struct stat now;
    const bool same = known != incidents_.end() && lstat(path.c_str(), &now) == 0 &&
                      known->second.report == Seen{now.st_dev, now.st_ino, now.st_mtim.tv_sec * kNsPerSec + now.st_mtim.tv_nsec,
                                                   static_cast<uint64_t>(now.st_size)};
    found.emplace(id, same ? known->second : Read(id, path));
  }
  closedir(open);
  incidents_ = std::move(found);
}

uint64_t Keeper::BytesOf(const Incident& incident) const { return incident.report.size + incident.capture_bytes; }

void Keeper::Sweep(int64_t now_ns) {
  if (limits_.age_ns) due_ns_ = MonotonicNs() + std::clamp(*limits_.age_ns / kLateness, kShortestNs, kLongestNs);
  LookAround();
  uint64_t bytes = 0;
  std::vector<std::pair<int64_t, std::string>> oldest_first;
  for (const auto& [id, incident] : incidents_) {
    if (!incident.ours) continue;
    bytes += BytesOf(incident);
    oldest_first.emplace_back(incident.report.modified_ns, id);
  }
  std::sort(oldest_first.begin(), oldest_first.end());
  for (const auto& [finished_ns, id] : oldest_first) {
    const bool too_old = limits_.age_ns && now_ns - finished_ns > *limits_.age_ns;
    const bool too_much = limits_.bytes && bytes > *limits_.bytes;
    if (!too_old && !too_much) break;
    const Incident incident = incidents_[id];
    if (!Remove(id, incident)) continue;
    bytes -= BytesOf(incident);
    incidents_.erase(id);
    removed_(incident.capture.empty() ? directory_ + "/" + IncidentName(id) + ".json" : incident.capture);
  }
}

// Killed in between, it leaves a report whose capture is gone, which goes the next time.
bool Keeper::Remove(const std::string& id, const Incident& incident) const {
  const std::string stem = directory_ + "/" + IncidentName(id);
  for (const char* part : {".pcap.part", ".pcapng.part", ".json.part", ".json.new"}) {
    if (access((stem + part).c_str(), F_OK) == 0) return false;
  }
  const std::string report_path = stem + ".json";
  const UniqueFd report = OpenFile(report_path);
  if (Look(report.get()) != incident.report || flock(report.get(), LOCK_EX | LOCK_NB) != 0) return false;
  if (!incident.capture.empty()) {
    const UniqueFd capture = OpenFile(incident.capture);
    if (capture.valid()) {
      const auto seen = Look(capture.get());
      // Of another size, it is not the one that the report tells of.
      if (!seen || seen->size != incident.capture_bytes || flock(capture.get(), LOCK_EX | LOCK_NB) != 0) return false;
      if (!StillNamed(incident.capture, capture.get()) || unlink(incident.capture.c_str()) != 0) return false;
    } else if (errno != ENOENT) {
      return false;
    }
  }
  return StillNamed(report_path, report.get()) && unlink(report_path.c_str()) == 0;
}

}  // namespace pcap_ring
