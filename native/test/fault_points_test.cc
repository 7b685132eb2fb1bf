// A disk that fails, and a process that dies, at every call that touches a file in turn.

#include <dirent.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <functional>
#include <string>
#include <vector>

#include "base/sha256.h"
#include "incident/keeper.h"
#include "incident/recording.h"
#include "incident/recovery.h"
#include "output/part_file.h"
#include "test/check.h"
#include "test/faults.h"
#include "test/pcapng_support.h"
#include "test/support.h"

namespace pcap_ring {
namespace {

using testing::Bytes;
using testing::Fault;
using testing::FileExists;
using testing::Json;
using testing::NamesIn;
using testing::Packets;
using testing::ReadText;
using testing::Replay;
using testing::TempDir;

// 375 before the freeze.
constexpr size_t kBefore = 375;

const Packets& AllPackets() {
  static const Packets packets = testing::MakePackets(1'500, 2 * kNsPerMs);
  return packets;
}

std::string CaptureOf(const std::string& directory, const std::string& id, FileFormat format) {
  return directory + "/incident_" + id + "." + FormatName(format);
}

// An incident from its freeze to the recording's end. The report or the error that it ended with.
HostEvent Record(const std::string& directory, const std::string& id, const std::function<void()>& started = {},
                 FileFormat format = FileFormat::kPcap) {
  Session::Config config = Replay::Config(directory, testing::EncodePcap(AllPackets()));
  config.facts.format = format;
  Replay replay(std::move(config));
  replay.session().Start();
  HostEvent event = replay.Until("started");
  if (event.name != std::string("started")) return replay.seen()[replay.seen().size() - 2];  // why not
  if (started) started();
  replay.Play([&](uint64_t boundary) {
    if (boundary != 3) return;
    const TapSpec tap = testing::MakeTap(1);
    RecordingSpec recording = testing::MakeRecording(tap, directory, id);
    recording.path = CaptureOf(directory, id, format);
    recording.reason = "\"because\"";
    replay.session().Open(std::move(recording), tap);
  });
  replay.Close();
  for (const HostEvent& seen : replay.seen()) {
    if (seen.name == std::string("finished") || seen.name == std::string("failed")) event = seen;
  }
  return event;
}

size_t Recover(const std::string& directory, bool delivers = false) {
  RingFacts facts;
  facts.delivers = delivers;
  facts.precision = Precision::kNano;
  facts.directory = directory;
  size_t warnings = 0;
  RecoverDirectory(facts, std::atomic<bool>(false), [&](const Status&) { ++warnings; });
  return warnings;
}

// In a process of its own, which is killed at call `at`. False: it came to its end.
bool KilledAt(const std::string& directory, int at, const std::function<void()>& fn) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    testing::Failures() = 0;
    testing::SetFault({.directory = directory, .at = at});
    fn();
    _exit(testing::Failures() == 0 ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  if (WIFSIGNALED(status)) CHECK_EQ(WTERMSIG(status), SIGKILL);
  if (WIFEXITED(status)) CHECK_EQ(WEXITSTATUS(status), 0);
  return WIFSIGNALED(status);
}

// The packets of a whole file.
Packets PacketsOf(const Bytes& bytes, FileFormat format) {
  if (format == FileFormat::kPcapng) {
    testing::ParsedPcapng parsed = testing::ParsePcapng(bytes);
    CHECK(parsed.whole);
    return std::move(parsed.packets);
  }
  testing::ParsedPcap parsed = testing::ParsePcap(bytes);
  CHECK(parsed.whole);
  return std::move(parsed.packets);
}

// All that is there of an incident is whole, and the report tells of just that. How many packets; -1: there is nothing.
int CheckWhole(const std::string& directory, const std::string& id, FileFormat format = FileFormat::kPcap) {
  const std::string capture = CaptureOf(directory, id, format);
  const std::string written = directory + "/incident_" + id + ".json";
  CHECK_EQ(FileExists(capture), FileExists(written));
  if (!FileExists(capture)) return -1;
  const Bytes bytes = testing::ReadBytes(capture);
  const Packets packets = PacketsOf(bytes, format);
  CHECK(packets == testing::Slice(AllPackets(), 0, packets.size()));
  const Json report = Json::Parse(ReadText(written));
  CHECK(report.valid());
  CHECK_EQ(report["id"].text(), id);
  CHECK_EQ(report["file"].text(), capture);
  CHECK_EQ(report["reason"].text(), "because");
  CHECK_EQ(report["bytes"].number(), bytes.size());
  CHECK_EQ(report["packets"].number(), packets.size());
  Sha256 digest;
  digest.Update(bytes.data(), bytes.size());
  CHECK_EQ(report["sha256"].text(), digest.HexDigest());
  const size_t before = std::min(packets.size(), kBefore);
  if (before > 0) CHECK_EQ(report["sections"].items()[0]["packets"].number(), before);
  return static_cast<int>(packets.size());
}

std::string MarkerIn(const std::string& directory) { return directory + "/incident_x.undelivered"; }

// And nothing else. `marked`: but the mark of what is to be delivered.
int CheckAll(const std::string& directory, FileFormat format = FileFormat::kPcap, bool marked = false) {
  const int packets = CheckWhole(directory, "x", format);
  CHECK_EQ(FileExists(MarkerIn(directory)), marked && packets >= 0);
  CHECK_EQ(NamesIn(directory).size(), packets < 0 ? 0u : marked ? 3u : 2u);
  return packets;
}

// Of the calls of a recording that are combined with each of a recovery: a fork takes ten times as long under ASan.
#ifdef __SANITIZE_ADDRESS__
constexpr int kStride = 4;
#else
constexpr int kStride = 1;
#endif

constexpr FileFormat kFormats[] = {FileFormat::kPcap, FileFormat::kPcapng};

TEST(killed_at_every_call_what_was_written_is_recovered) {
  for (const FileFormat format : kFormats) {
    int most = -1;
    int recovered = 0;
    int at = 1;
    for (bool killed = true; killed; ++at) {
      const TempDir dir;
      killed = KilledAt(dir.path(), at, [&] { Record(dir.path(), "x", {}, format); });
      CHECK_EQ(Recover(dir.path()), 0u);
      const int packets = CheckAll(dir.path(), format);
      // What was synced at the freeze is there from then on; what follows comes in pieces that are never the same.
      CHECK(packets >= std::min(most, static_cast<int>(kBefore)));
      most = std::max(most, packets);
      if (packets >= 0 && ReadText(dir / "incident_x.json").find("\"recovered\":true") != std::string::npos)
        ++recovered;
      if (!killed) CHECK_EQ(packets, static_cast<int>(AllPackets().size()));
      // Once more changes nothing.
      CHECK_EQ(Recover(dir.path()), 0u);
      CHECK_EQ(CheckAll(dir.path(), format), packets);
    }
    std::printf("# %s: %d calls, %d times recovered\n", FormatName(format), at - 2, recovered);
    CHECK(recovered >= 10);
  }
}

TEST(a_recovery_that_is_killed_at_every_call_is_done_by_the_next) {
  for (const FileFormat format : kFormats) {
    int recoveries = 0;
    int marked = 0;
    bool recorded = false;
    for (int at = 1; !recorded; at += kStride) {
      bool recovered = false;
      for (int killed_at = 1; !recovered; ++killed_at) {
        const TempDir dir;
        recorded = !KilledAt(dir.path(), at, [&] { Record(dir.path(), "x", {}, format); });
        const std::string capture = CaptureOf(dir.path(), "x", format);
        const bool left = FileExists(capture + PartFile::kSuffix);
        recovered = !KilledAt(dir.path(), killed_at, [&] { Recover(dir.path(), true); });
        // Wherever it died, no capture that it named is without its mark.
        if (left && FileExists(capture)) CHECK(FileExists(MarkerIn(dir.path())));
        CHECK_EQ(Recover(dir.path(), true), 0u);
        const int packets = CheckAll(dir.path(), format, left);
        // Delivered, it is never marked again.
        if (unlink(MarkerIn(dir.path()).c_str()) == 0) ++marked;
        CHECK_EQ(Recover(dir.path(), true), 0u);
        CHECK_EQ(CheckAll(dir.path(), format), packets);
        ++recoveries;
      }
    }
    std::printf("# %s: %d recoveries, %d times marked\n", FormatName(format), recoveries, marked);
    CHECK(recoveries >= 100 / kStride);
    CHECK(marked >= 50 / kStride);
  }
}

TEST(a_keeper_that_is_killed_at_every_call_leaves_no_capture_without_its_report) {
  int at = 1;
  for (bool killed = true; killed; ++at) {
    const TempDir dir;
    for (const char* id : {"x", "y"}) Record(dir.path(), id);
    const auto sweep = [&] {
      Keeper keeper(dir.path(), {.age_ns = 0, .bytes = {}},
                    {.removed = [](const std::string&) {}, .failed = [](const Status&) { CHECK(false); }});
      const std::atomic<bool> stop{false};
      // In a year, all of it is too old.
      do keeper.Sweep(RealtimeNs() + 365 * 24 * 3600 * kNsPerSec, stop);
      while (keeper.due_ns() <= MonotonicNs());
    };
    killed = KilledAt(dir.path(), at, sweep);
    for (const char* id : {"x", "y"}) {
      if (FileExists(CaptureOf(dir.path(), id, FileFormat::kPcap))) CHECK(CheckWhole(dir.path(), id) > 0);
    }
    if (killed) sweep();
    CHECK(NamesIn(dir.path()).empty());
  }
  std::printf("# %d calls\n", at - 2);
  CHECK(at > 8);
}

// An incident in statistics-only mode, as the writer knows it. What failed, if anything.
Status RecordFigures(const std::string& directory, const std::string& id) {
  RingFacts facts;
  facts.directory = directory;
  facts.source.mode = Mode::kStatistics;
  RecordingSpec spec = testing::MakeRecording(testing::MakeTap(1), directory, id);
  spec.reason = "\"because\"";
  Recording recording(std::move(spec), facts);
  recording.Begin(testing::kBase, {});
  recording.Sync();
  TapSummary summary;
  summary.resolved_ns = testing::kBase + kNsPerSec;
  summary.traffic.packets = 7;
  std::string report;
  const Status status = recording.Finish(summary, &report);
  return status.ok() ? recording.failure() : status;
}

enum class Figures { kNone, kRecovered, kWhole };

// All that is there of it is a report, which is whole.
Figures CheckFigures(const std::string& directory, const std::string& id) {
  const std::string path = directory + "/incident_" + id + ".json";
  CHECK(!FileExists(path + ".part"));
  CHECK(!FileExists(CaptureOf(directory, id, FileFormat::kPcap)));
  if (!FileExists(path)) return Figures::kNone;
  const Json report = Json::Parse(ReadText(path));
  CHECK(report.valid());
  CHECK_EQ(report["id"].text(), id);
  CHECK_EQ(report["mode"].text(), "statistics");
  CHECK_EQ(report["file"].text(), "null");
  CHECK_EQ(report["reason"].text(), "because");
  const bool recovered = report["recovered"].text() == "true";
  // They went with the process.
  CHECK_EQ(report["statistics"]["packets"].number(), recovered ? 0u : 7u);
  return recovered ? Figures::kRecovered : Figures::kWhole;
}

TEST(an_incident_of_statistics_only_that_is_killed_at_every_call_is_told_of) {
  std::string seen;
  bool killed = true;
  for (int at = 1; killed; ++at) {
    const TempDir dir;
    killed = KilledAt(dir.path(), at, [&] { RecordFigures(dir.path(), "x"); });
    for (int times = 0; times < 2; ++times) CHECK_EQ(Recover(dir.path()), 0u);
    const Figures figures = CheckFigures(dir.path(), "x");
    CHECK(NamesIn(dir.path()).size() <= 1);
    seen += figures == Figures::kNone ? '-' : figures == Figures::kRecovered ? 'r' : 'w';
  }
  std::printf("# %s\n", seen.c_str());
  // From the draft's one write on it is known, and from the report's name on all of it.
  const size_t known = seen.find('r');
  const size_t whole = seen.find('w');
  CHECK(known != std::string::npos && known >= 2 && whole != std::string::npos && whole > known + 2);
  CHECK(seen.find_first_not_of('-') == known);
  CHECK(seen.find_first_not_of('r', known) == whole);
  CHECK(seen.find_first_not_of('w', whole) == std::string::npos);
}

TEST(a_recovery_of_statistics_only_that_is_killed_at_every_call_is_done_by_the_next) {
  int recoveries = 0;
  bool recorded = false;
  for (int at = 1; !recorded; at += kStride) {
    bool recovered = false;
    for (int killed_at = 1; !recovered; ++killed_at) {
      const TempDir dir;
      recorded = !KilledAt(dir.path(), at, [&] { RecordFigures(dir.path(), "x"); });
      recovered = !KilledAt(dir.path(), killed_at, [&] { Recover(dir.path()); });
      CHECK_EQ(Recover(dir.path()), 0u);
      CheckFigures(dir.path(), "x");
      CHECK(NamesIn(dir.path()).size() <= 1);
      ++recoveries;
    }
  }
  std::printf("# %d recoveries\n", recoveries);
  CHECK(recoveries >= 30);
}

size_t OpenFiles() { return NamesIn("/proc/self/fd").size(); }

TEST(an_error_at_every_call_costs_what_it_must) {
  struct Error {
    int number;
    const char* code;
  };
  for (const Error& error :
       {Error{EIO, "ERR_PCAP_WRITE"}, Error{ENOSPC, "ERR_PCAP_NO_SPACE"}, Error{EDQUOT, "ERR_PCAP_NO_SPACE"}}) {
    for (const bool lasting : {false, true}) {
      bool reached = true;
      int at = 1;
      for (; reached; ++at) {
        const TempDir dir;
        const size_t files = OpenFiles();
        const HostEvent event = Record(dir.path(), "x", [&] {
          testing::SetFault(
              {.directory = dir.path(), .at = at, .until = lasting ? INT32_MAX : at, .error = error.number});
        });
        const int calls = testing::EndFault();
        reached = calls >= at;
        CHECK_EQ(OpenFiles(), files);
        const Json told = Json::Parse(event.json);
        const bool finished = event.name == std::string("finished");
        CHECK(finished || event.name == std::string("failed"));
        const std::string code = told[finished ? "error" : "code"].text();
        const bool all = finished && told["packets"].number() == AllPackets().size();
        // What changes nothing need not be told.
        CHECK(code == error.code || (all && code == "null"));
        if (!reached) CHECK(all && code == "null");
        const std::string stem = dir / "incident_x";
        if (finished) CHECK(FileExists(stem + ".pcap"));
        // The next start puts right what can be, and the next incident is like any other.
        CHECK_EQ(Recover(dir.path()), 0u);
        const int packets = CheckWhole(dir.path(), "x");
        if (finished) CHECK_EQ(static_cast<uint64_t>(packets), told["packets"].number());
        CHECK_EQ(NamesIn(dir.path()).size(), packets < 0 ? 0u : 2u);
        const HostEvent next = Record(dir.path(), "y");
        CHECK_EQ(std::string(next.name), "finished");
        CHECK_EQ(Json::Parse(next.json)["error"].text(), "null");
        CHECK_EQ(CheckWhole(dir.path(), "y"), static_cast<int>(AllPackets().size()));
      }
      std::printf("# %s%s: %d calls\n", error.code, lasting ? ", lasting" : "", at - 2);
    }
  }
}

TEST(an_error_at_every_call_of_statistics_only_costs_what_it_must) {
  for (const auto& [error, code] :
       {std::pair(EIO, Code::kWrite), std::pair(ENOSPC, Code::kNoSpace), std::pair(EMFILE, Code::kWrite)}) {
    for (const bool lasting : {false, true}) {
      bool reached = true;
      int at = 1;
      for (; reached; ++at) {
        const TempDir dir;
        const size_t files = OpenFiles();
        testing::SetFault({.directory = dir.path(), .at = at, .until = lasting ? INT32_MAX : at, .error = error});
        const Status status = RecordFigures(dir.path(), "x");
        reached = testing::EndFault() >= at;
        CHECK_EQ(OpenFiles(), files);
        CHECK(status.ok() || status.code == code);
        CHECK_EQ(Recover(dir.path()), 0u);
        const Figures figures = CheckFigures(dir.path(), "x");
        // Nothing is lost without a word.
        if (status.ok()) CHECK(figures == Figures::kWhole);
        if (!reached) CHECK(status.ok());
        CHECK(RecordFigures(dir.path(), "y").ok());
        CHECK(CheckFigures(dir.path(), "y") == Figures::kWhole);
        CHECK_EQ(NamesIn(dir.path()).size(), figures == Figures::kNone ? 1u : 2u);
      }
      std::printf("# %s%s: %d calls\n", CodeName(code), lasting ? ", lasting" : "", at - 2);
      CHECK(at > 10);
    }
  }
}

TEST(a_recovery_that_meets_an_error_leaves_what_is_there) {
  for (const auto& [error, named] : {std::pair(EIO, false), std::pair(ENOSPC, false), std::pair(EMFILE, false),
                                     std::pair(EIO, true), std::pair(EMFILE, true)}) {
    bool reached = true;
    for (int at = 1; reached; ++at) {
      const TempDir dir;
      CHECK(KilledAt(dir.path(), 25, [&] { Record(dir.path(), "x"); }));
      const std::string part = dir / "incident_x.pcap.part";
      const std::string left = ReadText(part);
      CHECK(!left.empty());
      if (named) {
        // As if its report had found no room.
        CHECK_EQ(truncate(part.c_str(), static_cast<off_t>(testing::ParsePcap(testing::ReadBytes(part)).whole_bytes)),
                 0);
        CHECK_EQ(rename(part.c_str(), (dir / "incident_x.pcap").c_str()), 0);
      }
      testing::SetFault({.directory = dir.path(), .at = at, .until = INT32_MAX, .error = error});
      const size_t warnings = Recover(dir.path(), true);
      reached = testing::EndFault() >= at;
      CHECK(warnings == 1 || CheckWhole(dir.path(), "x") > 0);
      CHECK_EQ(Recover(dir.path(), true), 0u);
      // One that has its name already may be delivered already.
      const int packets = CheckAll(dir.path(), FileFormat::kPcap, !named);
      CHECK(testing::ReadText(dir / "incident_x.pcap").size() + 400 > left.size());
      CHECK(packets > 0);
    }
  }
}

}  // namespace
}  // namespace pcap_ring

TEST_MAIN()
