#pragma once

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "incident/session.h"
#include "test/check.h"

// What several tests need: recordings made in memory, a reader of capture files and of JSON that shares no code with
// the core, a directory that goes away, and a session driven by its events.
namespace pcap_ring::testing {

using Bytes = std::vector<uint8_t>;

inline constexpr int64_t kBase = 1'700'000'000 * kNsPerSec;

struct TestPacket {
  int64_t time_ns = 0;
  uint32_t len = 0;
  Bytes data;

  bool operator==(const TestPacket&) const = default;
};
using Packets = std::vector<TestPacket>;

// Bytes that tell packet from packet and place from place, so that a mix-up shows.
inline void Fill(uint8_t* to, uint32_t size, uint64_t number) {
  uint64_t state = (number + 1) * 0x9e3779b97f4a7c15;
  for (uint32_t i = 0; i < size; i += 8) {
    state ^= state >> 29;
    state *= 0xbf58476d1ce4e5b9;
    std::memcpy(to + i, &state, std::min<uint32_t>(8, size - i));
  }
}

inline Packets MakePackets(size_t count, int64_t step_ns, int64_t start_ns = kBase) {
  Packets packets;
  for (size_t i = 0; i < count; ++i) {
    const auto size = static_cast<uint32_t>(60 + i * 37 % 300);
    TestPacket packet = {start_ns + static_cast<int64_t>(i) * step_ns, size + 4, Bytes(size)};
    Fill(packet.data.data(), size, i);
    packets.push_back(std::move(packet));
  }
  return packets;
}

inline Packets Slice(const Packets& packets, size_t begin, size_t end) {
  begin = std::min(begin, packets.size());
  end = std::clamp(end, begin, packets.size());
  return {packets.begin() + static_cast<ptrdiff_t>(begin), packets.begin() + static_cast<ptrdiff_t>(end)};
}

inline Packets operator+(Packets left, const Packets& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

class Encoder32 {
 public:
  void Add(uint32_t value) {
    for (int shift = 0; shift < 32; shift += 8) bytes.push_back(static_cast<uint8_t>(value >> shift));
  }
  void Add(const Bytes& more) { bytes.insert(bytes.end(), more.begin(), more.end()); }

  Bytes bytes;
};

// A .pcap with nanoseconds, or with microseconds (times are cut).
inline Bytes EncodePcap(const Packets& packets, bool nano = true, uint32_t snaplen = 262144, uint32_t linktype = 1) {
  Encoder32 to;
  to.Add(nano ? 0xa1b23c4d : 0xa1b2c3d4);
  to.Add(0x00040002);
  to.Add(0);
  to.Add(0);
  to.Add(snaplen);
  to.Add(linktype);
  for (const TestPacket& packet : packets) {
    to.Add(static_cast<uint32_t>(packet.time_ns / kNsPerSec));
    to.Add(static_cast<uint32_t>(packet.time_ns % kNsPerSec / (nano ? 1 : 1000)));
    to.Add(static_cast<uint32_t>(packet.data.size()));
    to.Add(packet.len);
    to.Add(packet.data);
  }
  return std::move(to.bytes);
}

struct ParsedPcap {
  bool whole = false;  // a header, then nothing but whole records
  bool nano = false;
  uint32_t snaplen = 0;
  uint32_t linktype = 0;
  size_t whole_bytes = 0;
  Packets packets;
};

inline ParsedPcap ParsePcap(const Bytes& bytes) {
  ParsedPcap parsed;
  const auto u32 = [&](size_t at) {
    return bytes[at] | uint32_t{bytes[at + 1]} << 8 | uint32_t{bytes[at + 2]} << 16 | uint32_t{bytes[at + 3]} << 24;
  };
  if (bytes.size() < 24) return parsed;
  if (u32(0) != 0xa1b23c4d && u32(0) != 0xa1b2c3d4) return parsed;
  if (u32(4) != 0x00040002 || u32(8) != 0 || u32(12) != 0) return parsed;
  parsed.nano = u32(0) == 0xa1b23c4d;
  parsed.snaplen = u32(16);
  parsed.linktype = u32(20);
  size_t at = 24;
  while (bytes.size() - at >= 16 && bytes.size() - at - 16 >= u32(at + 8)) {
    TestPacket packet;
    packet.time_ns = int64_t{u32(at)} * kNsPerSec + int64_t{u32(at + 4)} * (parsed.nano ? 1 : 1000);
    packet.len = u32(at + 12);
    const auto data = bytes.begin() + static_cast<ptrdiff_t>(at) + 16;
    packet.data.assign(data, data + u32(at + 8));
    at += 16 + u32(at + 8);
    parsed.packets.push_back(std::move(packet));
  }
  parsed.whole_bytes = at;
  parsed.whole = at == bytes.size();
  return parsed;
}

inline std::string ReadText(const std::string& path) {
  std::string text;
  if (FILE* file = std::fopen(path.c_str(), "re")) {
    char piece[16384];
    for (size_t size; (size = std::fread(piece, 1, sizeof piece, file)) > 0;) text.append(piece, size);
    std::fclose(file);
  }
  return text;
}
inline Bytes ReadBytes(const std::string& path) {
  const std::string text = ReadText(path);
  return {text.begin(), text.end()};
}
inline void WriteBytes(const std::string& path, const void* data, size_t size) {
  FILE* file = std::fopen(path.c_str(), "we");
  CHECK(file != nullptr);
  if (file == nullptr) return;
  CHECK_EQ(std::fwrite(data, 1, size, file), size);
  std::fclose(file);
}
inline void WriteText(const std::string& path, const std::string& text) { WriteBytes(path, text.data(), text.size()); }

inline bool FileExists(const std::string& path) {
  struct stat found;
  return lstat(path.c_str(), &found) == 0;
}
inline int ModeOf(const std::string& path) {
  struct stat found;
  return lstat(path.c_str(), &found) == 0 ? static_cast<int>(found.st_mode & 07777) : -1;
}

inline std::vector<std::string> NamesIn(const std::string& directory) {
  std::vector<std::string> names;
  if (DIR* open = opendir(directory.c_str())) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nobody else reads from this stream.
    while (const dirent* entry = readdir(open)) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") names.push_back(name);
    }
    closedir(open);
  }
  std::sort(names.begin(), names.end());
  return names;
}

class TempDir {
 public:
  TempDir() {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing sets variables.
    const char* parent = std::getenv("TMPDIR");
    path_ = std::string(parent != nullptr && *parent != '\0' ? parent : "/tmp") + "/pcap-ring-test-XXXXXX";
    if (mkdtemp(path_.data()) == nullptr) std::abort();
  }
  ~TempDir() { Remove(path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + "/" + name; }

 private:
  static void Remove(const std::string& path) {
    struct stat found;
    if (lstat(path.c_str(), &found) == 0 && S_ISDIR(found.st_mode)) {
      // NOLINTNEXTLINE(performance-inefficient-string-concatenation): a test has time.
      for (const std::string& name : NamesIn(path)) Remove(path + "/" + name);
      rmdir(path.c_str());
    } else {
      unlink(path.c_str());
    }
  }

  std::string path_;
};

// A JSON text, parsed strictly enough that a text that is not JSON is found out (`valid` of the whole).
class Json {
 public:
  static Json Parse(const std::string& text) {
    Json json;
    size_t at = 0;
    json.valid_ = json.ParseValue(text, &at);
    while (at < text.size() && std::isspace(static_cast<unsigned char>(text[at]))) ++at;
    json.valid_ = json.valid_ && at == text.size();
    return json;
  }

  bool valid() const { return valid_; }
  // A member by name; a number, a bool or null as the text that it is, a string without its quotes.
  const Json& operator[](const std::string& key) const {
    static const Json none;
    const auto it = members_.find(key);
    return it == members_.end() ? none : it->second;
  }
  const std::vector<Json>& items() const { return items_; }
  std::string text() const { return text_; }  // by value: of a temporary, too
  uint64_t number() const { return std::strtoull(text_.c_str(), nullptr, 10); }

 private:
  bool ParseValue(const std::string& text, size_t* at) {
    const auto peek = [&] {
      while (*at < text.size() && std::isspace(static_cast<unsigned char>(text[*at]))) ++*at;
      return *at < text.size() ? text[*at] : '\0';
    };
    const char first = peek();
    if (first == '{' || first == '[') {
      const char last = first == '{' ? '}' : ']';
      ++*at;
      if (peek() == last) return ++*at, true;
      while (true) {
        Json key;
        if (first == '{') {
          if (peek() != '"' || !key.ParseValue(text, at) || peek() != ':' || members_.contains(key.text_)) return false;
          ++*at;
        }
        Json value;
        if (!value.ParseValue(text, at)) return false;
        if (first == '{') {
          members_.emplace(key.text_, std::move(value));
        } else {
          items_.push_back(std::move(value));
        }
        const char next = peek();
        ++*at;
        if (next == last) return true;
        if (next != ',') return false;
      }
    }
    if (first == '"') {
      for (++*at; *at < text.size() && text[*at] != '"'; ++*at) {
        if (static_cast<unsigned char>(text[*at]) < 0x20) return false;
        if (text[*at] == '\\') ++*at;  // good enough here: the escaped character itself
        if (*at < text.size()) text_ += text[*at];
      }
      return (*at)++ < text.size();
    }
    while (*at < text.size() && std::strchr("+-.0123456789eEtrufalsn", text[*at]) != nullptr) text_ += text[(*at)++];
    if (text_ == "true" || text_ == "false" || text_ == "null") return true;
    char* end = nullptr;
    std::strtod(text_.c_str(), &end);
    return !text_.empty() && *end == '\0';
  }

  bool valid_ = false;
  std::string text_;
  std::map<std::string, Json> members_;
  std::vector<Json> items_;
};

// A session over a recording, driven by its events on the test's thread.
class Replay {
 public:
  explicit Replay(Session::Config config)
      : session_(std::move(config), [this](HostEvent event) {
          const std::lock_guard<std::mutex> lock(mutex_);
          events_.push_back(std::move(event));
          changed_.notify_one();
        }) {}
  ~Replay() { Close(); }

  static Session::Config Config(const std::string& directory, Bytes recording) {
    Session::Config config;
    config.engine.replay = true;
    config.engine.recording.bytes = std::move(recording);
    config.facts.precision = Precision::kNano;
    config.facts.directory = directory;
    config.facts.version = "0.0.0";
    config.facts.node_version = "0.0.0";
    return config;
  }

  Session& session() { return session_; }
  const std::vector<HostEvent>& seen() const { return seen_; }
  bool closed() const { return closed_; }

  // The next event. A test that waits for what never comes ends here, loudly, rather than never.
  HostEvent Next() {
    std::unique_lock<std::mutex> lock(mutex_);
    if (!changed_.wait_for(lock, std::chrono::seconds(60), [this] { return !events_.empty(); })) {
      std::printf("Bail out! no event for a minute; the last was %s\n", seen_.empty() ? "none" : seen_.back().name);
      for (const HostEvent& event : seen_) std::printf("# %s %s\n", event.name, event.json.c_str());
      std::fflush(stdout);
      std::_Exit(1);
    }
    HostEvent event = std::move(events_.front());
    events_.pop_front();
    CHECK(!closed_);  // after `closed` there are none
    if (event.json.size() > 0) CHECK(Json::Parse(event.json).valid());
    if (event.name == std::string("closed")) closed_ = true;
    seen_.push_back(event);
    return event;
  }

  // Reads on until `name` comes (or the end, `closed`), answering each boundary after `at_boundary(its number)`.
  HostEvent Until(const std::string& name, const std::function<void(uint64_t)>& at_boundary = {}) {
    while (!closed_) {
      HostEvent event = Next();
      if (event.boundary != 0) {
        if (at_boundary) at_boundary(event.boundary);
        session_.Continue(event.boundary);
      }
      if (event.name == name || closed_) return event;
    }
    return {};
  }

  void Start() {
    session_.Start();
    CHECK_EQ(std::string(Until("started").name), "started");
  }
  // Everything up to the end of the recording.
  void Play(const std::function<void(uint64_t)>& at_boundary = {}) {
    session_.Begin();
    CHECK_EQ(std::string(Until("end", at_boundary).name), "end");
  }
  void Close() {
    if (joined_) return;
    session_.Close();
    Until("closed");
    session_.Join();
    joined_ = true;
    const std::lock_guard<std::mutex> lock(mutex_);
    CHECK(events_.empty());
  }

  // Of the events seen: how many there were of a name (and a handle), and the text of the last one.
  size_t Count(const std::string& name, uint32_t handle = 0) const {
    size_t count = 0;
    for (const HostEvent& event : seen_) count += event.name == name && (handle == 0 || event.handle == handle) ? 1 : 0;
    return count;
  }
  Json Last(const std::string& name, uint32_t handle = 0) const {
    for (size_t i = seen_.size(); i-- > 0;) {
      if (seen_[i].name == name && (handle == 0 || seen_[i].handle == handle)) return Json::Parse(seen_[i].json);
    }
    return {};
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<HostEvent> events_;
  std::vector<HostEvent> seen_;
  bool closed_ = false;
  bool joined_ = false;
  Session session_;
};

inline TapSpec MakeTap(uint32_t handle, TapKind kind = TapKind::kIncident) {
  TapSpec tap;
  tap.handle = handle;
  tap.kind = kind;
  tap.interval_ns = 250 * kNsPerMs;
  tap.cost.file = 24;
  tap.cost.record = 16;
  tap.progress = std::make_shared<std::atomic<uint64_t>>(0);
  return tap;
}

inline RecordingSpec MakeRecording(const TapSpec& tap, const std::string& directory, const std::string& id) {
  RecordingSpec recording;
  recording.handle = tap.handle;
  recording.kind = tap.kind;
  recording.id = id;
  recording.path = directory + "/incident_" + id + ".pcap";
  if (tap.kind != TapKind::kDump) recording.report_path = directory + "/incident_" + id + ".json";
  return recording;
}

}  // namespace pcap_ring::testing
