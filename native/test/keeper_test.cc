#include "incident/keeper.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <array>
#include <string>
#include <thread>
#include <vector>

#include "incident/report.h"
#include "test/check.h"
#include "test/support.h"

namespace pcap_ring {
namespace {

using testing::FileExists;
using testing::NamesIn;
using testing::TempDir;
using testing::WriteText;

using Names = std::vector<std::string>;

constexpr int64_t kNow = 1'700'000'000 * kNsPerSec;
constexpr uint64_t kCaptureBytes = 1'000;

struct Made {
  TapKind kind = TapKind::kIncident;
  Mode mode = Mode::kCapture;
  FileFormat format = FileFormat::kPcap;
  std::string attack = "null";
};

// A finished incident as a writer leaves it, finished so many seconds ago. Returns the bytes of both files.
uint64_t Make(const TempDir& dir, const std::string& id, int64_t seconds_ago, const Made& made = {}) {
  RecordingSpec spec = testing::MakeRecording(testing::MakeTap(1, made.kind), dir.path(), id);
  spec.path = dir / ("incident_" + id + "." + FormatName(made.format));
  spec.attack = made.attack;
  RingFacts facts;
  facts.format = made.format;
  facts.source.mode = made.mode;
  FileOutcome outcome;
  const bool capture = made.mode == Mode::kCapture;
  outcome.bytes = capture ? kCaptureBytes : 0;
  if (capture) outcome.sha256 = std::string(64, 'a');
  const std::string report =
      ReportJson(ReportHead(spec, facts, kNow), spec, facts.precision, made.mode, kNow, {}, Tally(), {}, outcome) +
      "\n";
  const std::string path = dir / ("incident_" + id + ".json");
  WriteText(path, report);
  if (capture) WriteText(spec.path, std::string(kCaptureBytes, 'x'));
  const timespec time = {kNow / kNsPerSec - seconds_ago, 0};
  const timespec times[2] = {time, time};
  CHECK_EQ(utimensat(AT_FDCWD, path.c_str(), times, 0), 0);
  return report.size() + outcome.bytes;
}

const std::atomic<bool> kGoOn{false};

// Until no more is due at once. How many times there was a failure.
Names Sweep(const TempDir& dir, const KeepLimits& limits, int* failures = nullptr) {
  Names removed;
  Keeper keeper(dir.path(), limits,
                {.removed =
                     [&](const std::string& path) {
                       CHECK(path.starts_with(dir.path() + "/"));
                       CHECK(!FileExists(path));
                       removed.push_back(path.substr(dir.path().size() + 1));
                     },
                 .failed =
                     [&](const Status&) {
                       CHECK(failures != nullptr);
                       if (failures != nullptr) ++*failures;
                     }});
  do {
    keeper.Sweep(kNow, kGoOn);
  } while (keeper.due_ns() <= MonotonicNs());
  return removed;
}

KeepLimits Age(int64_t seconds) { return {.age_ns = seconds * kNsPerSec, .bytes = {}}; }
KeepLimits Bytes(uint64_t bytes) { return {.age_ns = {}, .bytes = bytes}; }

TEST(what_is_older_goes_the_oldest_first) {
  const TempDir dir;
  Make(dir, "a", 20);
  Make(dir, "b", 30, {.format = FileFormat::kPcapng});
  Make(dir, "c", 10);
  Make(dir, "d", 25, {.mode = Mode::kStatistics});
  Make(dir, "e", 40, {.kind = TapKind::kManual});
  CHECK((Sweep(dir, Age(15)) == Names{"incident_e.pcap", "incident_b.pcapng", "incident_d.json", "incident_a.pcap"}));
  CHECK((NamesIn(dir.path()) == Names{"incident_c.json", "incident_c.pcap"}));
  CHECK(Sweep(dir, Age(15)).empty());
}

TEST(what_is_more_goes_the_oldest_first) {
  const TempDir dir;
  const uint64_t each = Make(dir, "a", 20);
  for (const auto& [id, ago] : {std::pair("b", 30), std::pair("c", 10)}) CHECK_EQ(Make(dir, id, ago), each);
  CHECK(Sweep(dir, Bytes(3 * each)).empty());
  CHECK((Sweep(dir, Bytes(3 * each - 1)) == Names{"incident_b.pcap"}));
  CHECK((Sweep(dir, Bytes(1)) == Names{"incident_a.pcap", "incident_c.pcap"}));
  CHECK(NamesIn(dir.path()).empty());
}

TEST(of_both_bounds_the_narrower_holds) {
  const TempDir dir;
  const uint64_t each = Make(dir, "a", 20);
  Make(dir, "b", 30);
  Make(dir, "c", 10);
  CHECK((Sweep(dir, {.age_ns = 25 * kNsPerSec, .bytes = each}) == Names{"incident_b.pcap", "incident_a.pcap"}));
}

TEST(what_no_report_of_ours_names_stays) {
  const TempDir dir;
  Make(dir, "a", 30);
  CHECK_EQ(rename((dir / "incident_a.json").c_str(), (dir / "a.json").c_str()), 0);
  WriteText(dir / "incident_b.pcap", "a capture alone");
  WriteText(dir / "incident_c.json", "{\"version\":1,\"id\":\"c\",\"of\":\"somebody else\"}\n");
  WriteText(dir / "incident_c.pcap", "theirs");
  Make(dir, "d", 30);
  CHECK_EQ(rename((dir / "incident_d.json").c_str(), (dir / "incident_e.json").c_str()), 0);
  Make(dir, "f", 30);
  WriteText(dir / "incident_f.pcap", "of another size");
  Make(dir, "g", 30);
  WriteText(dir / "incident_g.json", testing::ReadText(dir / "incident_g.json").substr(0, 200));  // cut off
  // What the host gave us is not taken for our own words.
  Make(dir, "h", 30,
       {.mode = Mode::kStatistics, .attack = "{\"x\":1,\"file\":\"/incident_b.pcap\",\"bytes\":15,\"sha256\":\"\"}"});
  CHECK_EQ(symlink("incident_b.pcap", (dir / "incident_i.json").c_str()), 0);
  CHECK_EQ(mkfifo((dir / "incident_j.json").c_str(), 0600), 0);
  const size_t before = NamesIn(dir.path()).size();
  CHECK((Sweep(dir, {.age_ns = 0, .bytes = 1}) == Names{"incident_h.json"}));
  CHECK_EQ(NamesIn(dir.path()).size(), before - 1);
}

TEST(what_is_held_open_shared_or_not_archived_stays) {
  const TempDir dir;
  for (const char* id : {"a", "b", "c", "d", "e", "f", "g"}) Make(dir, id, 30);
  const UniqueFd read(::open((dir / "incident_a.pcap").c_str(), O_RDONLY | O_CLOEXEC));
  CHECK_EQ(flock(read.get(), LOCK_SH), 0);
  const UniqueFd report(::open((dir / "incident_b.json").c_str(), O_RDONLY | O_CLOEXEC));
  CHECK_EQ(flock(report.get(), LOCK_EX), 0);
  WriteText(dir / "incident_c.json.part", "");
  WriteText(dir / "incident_d.pcap.part", "");
  CHECK_EQ(link((dir / "incident_e.pcap").c_str(), (dir / "elsewhere").c_str()), 0);
  WriteText(dir / "incident_g.undelivered", "");
  CHECK((Sweep(dir, Age(15)) == Names{"incident_f.pcap"}));
  CHECK_EQ(NamesIn(dir.path()).size(), 16u);
}

TEST(a_report_whose_capture_is_gone_goes_too) {
  const TempDir dir;
  Make(dir, "a", 30);
  unlink((dir / "incident_a.pcap").c_str());
  CHECK((Sweep(dir, Age(15)) == Names{"incident_a.pcap"}));
  CHECK(NamesIn(dir.path()).empty());
}

TEST(a_directory_that_was_moved_is_the_same) {
  const TempDir dir;
  const TempDir other;
  Make(dir, "a", 30);
  for (const char* name : {"incident_a.pcap", "incident_a.json"}) {
    CHECK_EQ(rename((dir / name).c_str(), (other / name).c_str()), 0);
  }
  CHECK((Sweep(other, Age(15)) == Names{"incident_a.pcap"}));
}

TEST(what_changed_since_it_was_looked_at_is_looked_at_again) {
  const TempDir dir;
  Make(dir, "a", 10);
  Names removed;
  Keeper keeper(dir.path(), Age(15), {[&](const std::string& path) { removed.push_back(path); }, {}});
  keeper.Sweep(kNow, kGoOn);
  CHECK(removed.empty());
  Make(dir, "b", 12);
  WriteText(dir / "incident_a.json", "somebody else's");
  keeper.Sweep(kNow + 10 * kNsPerSec, kGoOn);
  CHECK((removed == Names{dir / "incident_b.pcap"}));
}

TEST(of_several_who_sweep_one_removes_and_tells) {
  for (int round = 0; round < 20; ++round) {
    const TempDir dir;
    uint64_t each = 0;
    for (int i = 10; i < 30; ++i) each = Make(dir, std::to_string(i), 60 - i);
    // Half of them are too much.
    const KeepLimits limits = round % 2 == 0 ? Age(40) : Bytes(10 * each);
    std::array<Names, 4> removed;
    std::vector<std::thread> threads;
    for (Names& names : removed) threads.emplace_back([&] { names = Sweep(dir, limits); });
    for (std::thread& thread : threads) thread.join();
    size_t count = 0;
    for (const Names& names : removed) count += names.size();
    CHECK_EQ(count, 10u);
    CHECK_EQ(NamesIn(dir.path()).size(), 20u);
  }
}

TEST(what_cannot_go_is_not_paid_for_by_the_newer) {
  const TempDir dir;
  const uint64_t each = Make(dir, "a", 40);
  for (const auto& [id, ago] : {std::pair("b", 30), std::pair("c", 20), std::pair("d", 10)}) Make(dir, id, ago);
  const UniqueFd held(::open((dir / "incident_a.pcap").c_str(), O_RDONLY | O_CLOEXEC));
  CHECK_EQ(flock(held.get(), LOCK_SH), 0);
  CHECK(Sweep(dir, Bytes(3 * each)).empty());
  CHECK((Sweep(dir, Bytes(2 * each)) == Names{"incident_b.pcap"}));
  // Of one that was moved elsewhere its report alone counts.
  unlink((dir / "incident_d.pcap").c_str());
  CHECK(Sweep(dir, Bytes(2 * each)).empty());
}

TEST(a_time_out_of_all_bounds_is_one_far_off) {
  const TempDir dir;
  Make(dir, "a", -(int64_t{1} << 33));
  Make(dir, "b", int64_t{1} << 33);
  CHECK((Sweep(dir, Age(15)) == Names{"incident_b.pcap"}));
}

TEST(it_ends_early_and_does_not_take_long_at_once) {
  const TempDir dir;
  for (int i = 0; i < 40; ++i) Make(dir, std::to_string(i), 30);
  size_t removed = 0;
  Keeper keeper(dir.path(), Age(15), {[&](const std::string&) { ++removed; }, {}});
  keeper.Sweep(kNow, std::atomic<bool>(true));
  CHECK_EQ(removed, 0u);
  keeper.Sweep(kNow, kGoOn);
  CHECK(removed > 0 && removed < 40);
  CHECK(keeper.due_ns() <= MonotonicNs());
}

TEST(by_bytes_alone_it_looks_again_only_for_what_was_left) {
  const TempDir dir;
  for (int i = 0; i < 20; ++i) Make(dir, std::to_string(i), 30);
  size_t removed = 0;
  Keeper keeper(dir.path(), Bytes(1), {[&](const std::string&) { ++removed; }, {}});
  keeper.Sweep(kNow, kGoOn);
  CHECK(removed < 20 && keeper.due_ns() <= MonotonicNs());
  keeper.Sweep(kNow, kGoOn);
  CHECK_EQ(removed, 20u);
  CHECK_EQ(keeper.due_ns(), kNever);
  // Another process is at it.
  const UniqueFd other(::open(dir.path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  CHECK_EQ(flock(other.get(), LOCK_EX), 0);
  keeper.Sweep(kNow, kGoOn);
  CHECK(keeper.due_ns() > MonotonicNs() && keeper.due_ns() != kNever);
  CHECK_EQ(flock(other.get(), LOCK_UN), 0);
  keeper.Sweep(kNow, kGoOn);
  CHECK_EQ(keeper.due_ns(), kNever);
}

TEST(it_looks_again_as_they_grow_old) {
  const TempDir dir;
  Keeper by_bytes(dir.path(), Bytes(1), {});
  by_bytes.Sweep(kNow, kGoOn);
  CHECK_EQ(by_bytes.due_ns(), kNever);
  for (const auto& [age, after] : {std::pair(int64_t{1}, 100 * kNsPerMs), std::pair(int64_t{100}, 5 * kNsPerSec),
                                   std::pair(int64_t{1'000'000}, 60 * kNsPerSec)}) {
    Keeper keeper(dir.path(), Age(age), {});
    const int64_t before = MonotonicNs();
    keeper.Sweep(kNow, kGoOn);
    CHECK(keeper.due_ns() >= before + after && keeper.due_ns() <= MonotonicNs() + after);
  }
}

}  // namespace
}  // namespace pcap_ring

TEST_MAIN()
