#include "output/part_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <string>
#include <thread>

#include "base/sha256.h"
#include "incident/recovery.h"
#include "test/check.h"
#include "test/support.h"

namespace pcap_ring {
namespace {

using testing::Bytes;
using testing::FileExists;
using testing::Json;
using testing::ModeOf;
using testing::Packets;
using testing::ReadText;
using testing::Replay;
using testing::TempDir;
using testing::WriteText;

bool Locked(const std::string& path) {
  const UniqueFd fd(::open(path.c_str(), O_RDWR | O_CLOEXEC));
  return fd.valid() && flock(fd.get(), LOCK_EX | LOCK_NB) != 0;
}

TEST(its_life) {
  const TempDir dir;
  const std::string path = dir / "a.pcap";
  PartFile file;
  CHECK(!file.open());
  CHECK(file.Create(path).ok());
  CHECK(file.open());
  CHECK(!FileExists(path));
  CHECK(Locked(path + ".part"));
  CHECK(file.Write("whole", 5).ok());
  CHECK(file.Write("torn", 4).ok());
  CHECK_EQ(file.offset(), 9u);
  CHECK(file.Truncate(5).ok());
  CHECK_EQ(file.offset(), 5u);
  CHECK(file.Write("!", 1).ok());
  CHECK(file.Sync().ok());
  CHECK(file.Publish().ok());
  Directory directory;
  CHECK(directory.OpenOf(path).ok());
  CHECK(directory.Sync().ok());
  CHECK(!FileExists(path + ".part"));
  CHECK_EQ(ReadText(path), "whole!");
  CHECK(Locked(path));
  file.Close();
  CHECK(!Locked(path));
}

TEST(is_for_its_owner_alone_whatever_the_umask) {
  for (const mode_t mask : {0u, 022u, 0777u}) {
    const TempDir dir;
    const mode_t before = umask(mask);
    PartFile file;
    CHECK(file.Create(dir / "a.pcap").ok());
    umask(before);
    CHECK_EQ(ModeOf(dir / "a.pcap.part"), 0600);
    CHECK(file.Publish().ok());
    CHECK_EQ(ModeOf(dir / "a.pcap"), 0600);
  }
}

TEST(discarded_it_is_gone) {
  const TempDir dir;
  PartFile file;
  file.Discard();  // nothing yet
  CHECK(file.Create(dir / "a.pcap").ok());
  file.Discard();
  CHECK(!file.open());
  CHECK(testing::NamesIn(dir.path()).empty());
  WriteText(dir / "a.pcap.part", "of somebody else");
  file.Discard();
  CHECK(FileExists(dir / "a.pcap.part"));
}

TEST(taken_names_are_refused_and_untouched) {
  for (const char* suffix : {"", ".part"}) {
    const TempDir dir;
    WriteText(dir / ("a.pcap" + std::string(suffix)), "mine");
    PartFile file;
    const Status status = file.Create(dir / "a.pcap");
    CHECK(status.code == Code::kFileExists);
    CHECK_EQ(status.error_number, EEXIST);
    CHECK(!file.open());
    file.Discard();
    CHECK_EQ(ReadText(dir / ("a.pcap" + std::string(suffix))), "mine");
    CHECK_EQ(testing::NamesIn(dir.path()).size(), 1u);
  }
}

TEST(symbolic_links_are_refused_and_their_targets_untouched) {
  for (const char* suffix : {"", ".part"}) {
    for (const char* target : {"target", "dangling"}) {
      const TempDir dir;
      WriteText(dir / "target", "precious");
      CHECK_EQ(symlink((dir / target).c_str(), (dir / ("a.pcap" + std::string(suffix))).c_str()), 0);
      PartFile file;
      CHECK(file.Create(dir / "a.pcap").code == Code::kFileExists);
      CHECK(!file.open());
      CHECK(!file.Adopt(dir / "a.pcap").ok());
      CHECK(!file.open());
      CHECK_EQ(ReadText(dir / "target"), "precious");
      CHECK(!FileExists(dir / "dangling"));
    }
  }
}

TEST(a_name_taken_meanwhile_is_not_overwritten) {
  const TempDir dir;
  PartFile file;
  CHECK(file.Create(dir / "a.pcap").ok());
  CHECK(file.Write("new", 3).ok());
  WriteText(dir / "a.pcap", "old");
  const Status status = file.Publish();
  CHECK(status.code == Code::kFileExists);
  CHECK_EQ(ReadText(dir / "a.pcap"), "old");
  CHECK_EQ(ReadText(dir / "a.pcap.part"), "new");
}

TEST(of_many_who_want_a_name_one_gets_it) {
  const TempDir dir;
  for (int round = 0; round < 50; ++round) {
    const std::string path = dir / ("a" + std::to_string(round));
    std::array<Status, 4> statuses;
    std::array<PartFile, 4> files;
    std::array<std::thread, 4> threads;
    for (size_t i = 0; i < threads.size(); ++i) {
      threads[i] = std::thread([&, i] { statuses[i] = files[i].Create(path); });
    }
    for (std::thread& thread : threads) thread.join();
    CHECK_EQ(std::count_if(statuses.begin(), statuses.end(), [](const Status& s) { return s.ok(); }), 1);
    for (const Status& status : statuses) CHECK(status.ok() || status.code == Code::kFileExists);
  }
}

TEST(published_it_can_be_taken_back) {
  const TempDir dir;
  PartFile file;
  CHECK(file.Create(dir / "a.json", ".new").ok());
  CHECK(FileExists(dir / "a.json.new"));
  CHECK(file.Publish().ok());
  file.Retract();
  CHECK(testing::NamesIn(dir.path()).empty());
  WriteText(dir / "a.json", "of somebody else");
  file.Retract();
  CHECK(FileExists(dir / "a.json"));
}

TEST(a_living_part_cannot_be_adopted) {
  const TempDir dir;
  PartFile file;
  CHECK(file.Create(dir / "a.pcap").ok());
  PartFile other;
  CHECK(other.Adopt(dir / "a.pcap").code == Code::kFileExists);
  CHECK(!other.open());
  file.Close();
  CHECK(other.Adopt(dir / "a.pcap").ok());
  PartFile third;
  CHECK(!third.Adopt(dir / "a.pcap").ok());
  CHECK(third.Adopt(dir / "none.pcap").error_number == ENOENT);
}

// Somebody else's recovery runs again and again while parts are made: it must never take one that lives.
TEST(making_a_part_and_a_recovery_at_once) {
  const TempDir dir;
  RingFacts facts;
  facts.directory = dir.path();
  std::atomic<bool> done{false};
  std::thread recovery([&] {
    while (!done.load(std::memory_order_relaxed)) RecoverDirectory(facts, done, [](const Status&) {});
  });
  const Bytes bytes = testing::EncodePcap(testing::MakePackets(3, 1000));
  for (int i = 0; i < 200; ++i) {
    const std::string path = dir / ("incident_" + std::to_string(i) + ".pcap");
    PartFile file;
    CHECK(file.Create(path).ok());
    CHECK(file.Write(bytes.data(), bytes.size() / 2).ok());
    CHECK(file.Write(bytes.data() + bytes.size() / 2, bytes.size() - bytes.size() / 2).ok());
    CHECK(file.Publish().ok());
    file.Close();
    CHECK(testing::ReadBytes(path) == bytes);
    unlink(path.c_str());
  }
  done.store(true, std::memory_order_relaxed);
  recovery.join();
  CHECK(testing::NamesIn(dir.path()).empty());
}

TEST(directories_are_made_and_probed) {
  const TempDir dir;
  const mode_t before = umask(0);
  CHECK(PrepareDirectory(dir / "a/b//c").ok());
  CHECK(PrepareDirectory(dir / "a/b/c/").ok());
  umask(before);
  CHECK_EQ(ModeOf(dir / "a"), 0700);
  CHECK_EQ(ModeOf(dir / "a/b/c"), 0700);
  CHECK(testing::NamesIn(dir / "a/b/c").empty());
  CHECK_EQ(chmod((dir / "a").c_str(), 0755), 0);
  CHECK(PrepareDirectory(dir / "a").ok());
  CHECK_EQ(ModeOf(dir / "a"), 0755);
  WriteText(dir / "file", "");
  CHECK(PrepareDirectory(dir / "file").code == Code::kWrite);
  CHECK(PrepareDirectory(dir / "file/below").code == Code::kWrite);
  PartFile file;
  CHECK(file.Create(dir / "missing/a.pcap").code == Code::kWrite);
}

TEST(codes_of_write_errors) {
  CHECK(CodeOfWriteError(ENOSPC) == Code::kNoSpace);
  CHECK(CodeOfWriteError(EDQUOT) == Code::kNoSpace);
  CHECK(CodeOfWriteError(EEXIST) == Code::kFileExists);
  CHECK(CodeOfWriteError(EIO) == Code::kWrite);
}

// No file may grow beyond `bytes` while this lives: the nearest thing to a full disk that any user can have.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    std::signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit = {bytes, before_.rlim_max};
    setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() { setrlimit(RLIMIT_FSIZE, &before_); }

 private:
  rlimit before_;
};

TEST(a_write_that_fails_tells_how_much_arrived) {
  const TempDir dir;
  PartFile file;
  CHECK(file.Create(dir / "a.pcap").ok());
  const FileSizeLimit limit(1000);
  const std::string text(1500, 'x');
  const Status status = file.Write(text.data(), text.size());
  CHECK(status.code == Code::kWrite);
  CHECK_EQ(status.error_number, EFBIG);
  CHECK_EQ(std::string(status.syscall), "write");
  CHECK_EQ(file.offset(), 1000u);
  CHECK(file.Truncate(100).ok());
  CHECK(file.Publish().ok());
  CHECK_EQ(ReadText(dir / "a.pcap").size(), 100u);
}

// Wherever the disk is full: what is under a final name is whole, and the report tells of just that.
TEST(a_full_disk_leaves_whole_records_and_true_reports) {
  const Packets packets = testing::MakePackets(3000, 2 * kNsPerMs);
  const Bytes recording = testing::EncodePcap(packets);
  int finished = 0;
  int reported_later = 0;
  for (const rlim_t bytes :
       {1, 24, 500, 1000, 1500, 2500, 4000, 20'000, 65'536, 66'000, 70'000, 131'073, 200'000, 300'001, 500'000}) {
    const TempDir dir;
    Replay replay(Replay::Config(dir.path(), recording));
    replay.Start();
    {
      const FileSizeLimit limit(bytes);
      replay.Play([&](uint64_t boundary) {
        if (boundary == 3) {
          for (const uint32_t handle : {1u, 2u}) {
            const TapSpec tap = testing::MakeTap(handle, handle == 1 ? TapKind::kIncident : TapKind::kDump);
            replay.session().Open(testing::MakeRecording(tap, dir.path(), "t" + std::to_string(handle)), tap);
          }
        }
      });
      replay.Close();
    }
    CHECK_EQ(replay.Count("finished", 1) + replay.Count("failed", 1), 1u);
    CHECK_EQ(replay.Count("finished", 2) + replay.Count("failed", 2), 1u);
    CHECK_EQ(replay.Count("flush", 1) + replay.Count("flushFailed", 1), 1u);
    CHECK_EQ(replay.Count("warning", 1), 1u);
    // What is known of a capture whose report found no room waits for the next start, which makes it.
    const std::string draft = dir / "incident_t1.json.part";
    CHECK_EQ(FileExists(draft), FileExists(dir / "incident_t1.pcap") && !FileExists(dir / "incident_t1.json"));
    if (FileExists(draft)) {
      RingFacts facts;
      facts.directory = dir.path();
      RecoverDirectory(facts, std::atomic<bool>(false), [](const Status&) { CHECK(false); });
      const Json report = Json::Parse(ReadText(dir / "incident_t1.json"));
      CHECK_EQ(report["recovered"].text(), "true");
      CHECK_EQ(report["bytes"].number(), testing::ReadBytes(dir / "incident_t1.pcap").size());
      unlink((dir / "incident_t1.json").c_str());
      ++reported_later;
    }
    for (const std::string& name : testing::NamesIn(dir.path())) {
      CHECK(!name.ends_with(".part") && !name.ends_with(".new"));
    }
    // A dump is there as a whole or not at all.
    CHECK_EQ(FileExists(dir / "incident_t2.pcap"), replay.Count("finished", 2) == 1);
    if (replay.Count("finished", 2) == 1) CHECK_EQ(replay.Last("finished", 2)["packets"].number(), 375u);
    CHECK_EQ(FileExists(dir / "incident_t1.pcap"), replay.Count("finished", 1) == 1);
    if (replay.Count("finished", 1) == 0) {
      CHECK(!FileExists(dir / "incident_t1.json"));
      continue;
    }
    ++finished;
    const Bytes file = testing::ReadBytes(dir / "incident_t1.pcap");
    const testing::ParsedPcap parsed = testing::ParsePcap(file);
    CHECK(parsed.whole);
    CHECK(parsed.packets == testing::Slice(packets, 0, parsed.packets.size()));
    const Json report = replay.Last("finished", 1);
    CHECK_EQ(report["error"].text(), "ERR_PCAP_WRITE");
    CHECK_EQ(report["bytes"].number(), file.size());
    CHECK_EQ(report["packets"].number(), parsed.packets.size());
    uint64_t in_sections = 0;
    for (const Json& section : report["sections"].items()) in_sections += section["packets"].number();
    CHECK_EQ(in_sections, parsed.packets.size());
    Sha256 digest;
    digest.Update(file.data(), file.size());
    CHECK_EQ(report["sha256"].text(), digest.HexDigest());
  }
  CHECK(finished >= 5);
  CHECK(reported_later >= 1);
}

}  // namespace
}  // namespace pcap_ring

TEST_MAIN()
