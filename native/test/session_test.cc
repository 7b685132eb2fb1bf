#include "incident/session.h"

#include <sys/stat.h>

#include <string>

#include "base/sha256.h"
#include "test/check.h"
#include "test/pcapng_support.h"
#include "test/support.h"

namespace pcap_ring {
namespace {

using testing::Bytes;
using testing::EncodePcap;
using testing::FileExists;
using testing::Json;
using testing::kBase;
using testing::MakePackets;
using testing::MakeRecording;
using testing::MakeTap;
using testing::Packets;
using testing::ParsedPcap;
using testing::ParsePcap;
using testing::ReadBytes;
using testing::Replay;
using testing::Slice;
using testing::TempDir;
using testing::TestPacket;

constexpr int64_t kInterval = 250 * kNsPerMs;

std::string Digest(const Bytes& bytes) {
  Sha256 digest;
  digest.Update(bytes.data(), bytes.size());
  return digest.HexDigest();
}

TapSpec IncidentTap(uint32_t handle, uint64_t cap = 10'000, uint64_t resolution = 100) {
  TapSpec tap = MakeTap(handle);
  tap.cap_packets = cap;
  tap.resolution_packets = resolution;
  tap.resolution_ns = kNsPerSec;
  return tap;
}

void Open(Replay* replay, const TapSpec& tap, const std::string& directory, const std::string& id) {
  replay->session().Open(MakeRecording(tap, directory, id), tap);
}

// The file and the report agree, and the file is exactly `expected`.
Json CheckIncident(const Replay& replay, uint32_t handle, const std::string& directory, const std::string& id,
                   const Packets& expected) {
  const std::string path = directory + "/incident_" + id + ".pcap";
  const Bytes bytes = ReadBytes(path);
  const ParsedPcap parsed = ParsePcap(bytes);
  CHECK(parsed.whole);
  CHECK_EQ(parsed.linktype, 1u);
  CHECK_EQ(parsed.packets.size(), expected.size());
  CHECK(parsed.packets == expected);
  CHECK_EQ(testing::ModeOf(path), 0600);
  CHECK(!FileExists(path + ".part"));
  CHECK(!FileExists(directory + "/incident_" + id + ".json.part"));

  const Json report = Json::Parse(testing::ReadText(directory + "/incident_" + id + ".json"));
  CHECK(report.valid());
  CHECK_EQ(replay.Count("finished", handle), 1u);
  CHECK_EQ(replay.Count("failed", handle), 0u);
  CHECK_EQ(replay.Last("finished", handle)["sha256"].text(), report["sha256"].text());
  CHECK_EQ(report["bytes"].number(), bytes.size());
  CHECK_EQ(report["packets"].number(), expected.size());
  CHECK_EQ(report["sha256"].text(), Digest(bytes));
  CHECK_EQ(report["file"].text(), path);
  uint64_t frame = 1;
  for (const Json& section : report["sections"].items()) {
    CHECK(section["packets"].number() > 0);
    CHECK_EQ(section["firstFrame"].number(), frame);
    frame += section["packets"].number();
    CHECK_EQ(section["lastFrame"].number(), frame - 1);
  }
  CHECK_EQ(frame, expected.size() + 1);
  return report;
}

std::string SectionNames(const Json& report) {
  std::string names;
  for (const Json& section : report["sections"].items()) {
    names += (names.empty() ? "" : " ") + section["name"].text() + ":" + section["packets"].text();
  }
  return names;
}

// 100 packets an interval, the first at its start: at boundary n, 100 n packets were before it.
Packets Flow(size_t count) { return MakePackets(count, kInterval / 100); }

// Of the lengths modulo four, all. Up to the byte at which the next packet fits.
TEST(a_pcapng_is_capped_to_the_byte) {
  const TempDir dir;
  Packets packets = Flow(1000);
  for (TestPacket& packet : packets) packet.data.resize(packet.data.size() - packet.time_ns / 1'000'000 % 4);
  Session::Config config = Replay::Config(dir.path(), EncodePcap(packets));
  config.facts.format = FileFormat::kPcapng;
  config.engine.ring_packets = 20;
  Replay replay(std::move(config));
  replay.Start();
  constexpr uint32_t kIncidents = 300;
  const auto cap = [](uint32_t handle) { return 148 + uint64_t{handle - 1} * 29; };
  replay.Play([&](uint64_t boundary) {
    for (uint32_t handle = 1; boundary == 2 && handle <= kIncidents; ++handle) {
      TapSpec tap = IncidentTap(handle);
      tap.cap_bytes = cap(handle);
      Open(&replay, tap, dir.path(), std::to_string(handle));
    }
    for (uint32_t handle = 1; boundary == 4 && handle <= kIncidents; ++handle) replay.session().Resolve(handle);
  });
  replay.Close();
  for (uint32_t handle = 1; handle <= kIncidents; ++handle) {
    const Bytes bytes = ReadBytes(dir / ("incident_" + std::to_string(handle) + ".pcap"));
    const testing::ParsedPcapng parsed = testing::ParsePcapng(bytes);
    CHECK(parsed.whole);
    CHECK_EQ(parsed.blocks.back().type, 5u);
    CHECK(bytes.size() <= cap(handle));
    const Json report = Json::Parse(testing::ReadText(dir / ("incident_" + std::to_string(handle) + ".json")));
    CHECK_EQ(report["bytes"].number(), bytes.size());
    CHECK_EQ(report["sha256"].text(), Digest(bytes));
    CHECK_EQ(report["capped"].text(), "bytes");
    // Frozen behind packet 200: the newest before it, and what follows.
    const size_t kept = parsed.packets.size();
    const uint64_t before = report["sections"].items().empty() ? 0 : report["sections"].items()[0]["packets"].number();
    CHECK(parsed.packets == Slice(packets, 200 - before, 200 - before + kept));
    for (size_t i = 0; i < kept; ++i) {
      const char* comment = i == 0 && before > 0 ? "pre-buffer" : i == before ? "attack" : "none";
      CHECK_EQ(parsed.packet_blocks[i].Option(1), comment);
    }
    // One more would not have fitted: of a history cut short the one before, else the one behind.
    const bool cut = before < 20;
    const TestPacket& next = packets[cut ? 199 - before : 200 - before + kept];
    const size_t comment = cut ? (before == 0 ? 20 : 0) : (kept == before ? 16 : 0);
    CHECK(bytes.size() + 32 + (next.data.size() + 3) / 4 * 4 + comment > cap(handle));
  }
}

TEST(a_freeze_at_a_boundary_splits_exactly_there) {
  const TempDir dir;
  const Packets packets = Flow(5000);
  Replay replay(Replay::Config(dir.path(), EncodePcap(packets)));
  replay.Start();
  replay.Play([&](uint64_t boundary) {
    if (boundary == 12) Open(&replay, IncidentTap(1, 1500), dir.path(), "a");
    if (boundary == 40) replay.session().Resolve(1);
  });
  replay.Close();
  const Json report = CheckIncident(replay, 1, dir.path(), "a", Slice(packets, 700, 2200));
  CHECK_EQ(SectionNames(report), "pre-buffer:500 attack:1000");
  CHECK_EQ(report["capped"].text(), "packets");
  CHECK_EQ(report["frozenAt"].text(), FormatTime(kBase + 12 * kInterval, Precision::kNano));
  CHECK_EQ(report["resolvedAt"].text(), FormatTime(kBase + 40 * kInterval, Precision::kNano));
  CHECK_EQ(report["statistics"]["packets"].number(), 2800u);
  CHECK_EQ(report["coverage"]["complete"].text(), "true");
  CHECK_EQ(replay.Count("flush", 1), 1u);
  CHECK_EQ(replay.Count("cap", 1), 1u);
  CHECK_EQ(replay.Count("freeze", 1), 1u);
  CHECK_EQ(replay.Count("warning"), 0u);
}

TEST(every_run_gives_the_same_file) {
  const Packets packets = Flow(3000);
  Bytes first;
  for (int run = 0; run < 5; ++run) {
    const TempDir dir;
    Replay replay(Replay::Config(dir.path(), EncodePcap(packets)));
    replay.Start();
    replay.Play([&](uint64_t boundary) {
      if (boundary == 3) Open(&replay, MakeTap(9, TapKind::kDump), dir.path(), "dump");
      if (boundary == 7) Open(&replay, IncidentTap(1), dir.path(), "a");
      if (boundary == 13) replay.session().Resolve(1);
    });
    replay.Close();
    CheckIncident(replay, 1, dir.path(), "a", Slice(packets, 200, 1400));
    const Bytes bytes = ReadBytes(dir / "incident_a.pcap");
    if (run == 0) first = bytes;
    CHECK(bytes == first);
  }
}

TEST(several_incidents_at_once) {
  const TempDir dir;
  const Packets packets = Flow(4000);
  Replay replay(Replay::Config(dir.path(), EncodePcap(packets)));
  replay.Start();
  replay.Play([&](uint64_t boundary) {
    if (boundary == 2) Open(&replay, IncidentTap(1), dir.path(), "early");
    if (boundary == 6) Open(&replay, IncidentTap(2, 300), dir.path(), "small");
    if (boundary == 6) Open(&replay, IncidentTap(3), dir.path(), "twin");
    if (boundary == 8) replay.session().Resolve(1);
    if (boundary == 20) replay.session().Resolve(3);
    if (boundary == 10) {
      TapSpec manual = MakeTap(4, TapKind::kManual);
      manual.cap_packets = 123;
      Open(&replay, manual, dir.path(), "manual");
    }
    if (boundary == 9) Open(&replay, MakeTap(5, TapKind::kDump), dir.path(), "dump");
  });
  // Resolved after the end.
  CHECK_EQ(replay.Count("finished", 2), 0u);
  replay.session().Resolve(2);
  while (replay.Count("finished", 2) == 0) replay.Next();
  replay.Close();
  CHECK_EQ(SectionNames(CheckIncident(replay, 1, dir.path(), "early", Slice(packets, 0, 900))),
           "pre-buffer:200 attack:600 resolution:100");
  CHECK_EQ(SectionNames(CheckIncident(replay, 2, dir.path(), "small", Slice(packets, 300, 600))), "pre-buffer:300");
  CHECK_EQ(SectionNames(CheckIncident(replay, 3, dir.path(), "twin", Slice(packets, 100, 2100))),
           "pre-buffer:500 attack:1400 resolution:100");
  CHECK_EQ(SectionNames(CheckIncident(replay, 4, dir.path(), "manual", Slice(packets, 1000, 1123))), "capture:123");
  CHECK(ParsePcap(ReadBytes(dir / "incident_dump.pcap")).packets == Slice(packets, 400, 900));
  CHECK(!FileExists(dir / "incident_dump.json"));
  CHECK_EQ(replay.Last("finished", 5)["packets"].number(), 500u);
  CHECK_EQ(replay.Count("flush", 5) + replay.Count("freeze", 5), 0u);
}

TEST(asked_before_begin_it_takes_effect_at_the_first_packet) {
  const TempDir dir;
  const Packets packets = Flow(1000);
  Replay replay(Replay::Config(dir.path(), EncodePcap(packets)));
  replay.Start();
  Open(&replay, IncidentTap(1), dir.path(), "first");
  Open(&replay, IncidentTap(2), dir.path(), "both");
  replay.session().Resolve(2);
  replay.Play();
  replay.Close();
  const Json report = CheckIncident(replay, 1, dir.path(), "first", packets);
  CHECK_EQ(SectionNames(report), "attack:1000");
  CHECK_EQ(report["frozenAt"].text(), FormatTime(kBase, Precision::kNano));
  CHECK_EQ(SectionNames(CheckIncident(replay, 2, dir.path(), "both", Slice(packets, 0, 100))), "resolution:100");
}

TEST(resolved_in_the_same_wait_it_goes_straight_to_the_resolution) {
  const TempDir dir;
  const Packets packets = Flow(2000);
  Replay replay(Replay::Config(dir.path(), EncodePcap(packets)));
  replay.Start();
  replay.Play([&](uint64_t boundary) {
    if (boundary != 10) return;
    Open(&replay, IncidentTap(1), dir.path(), "a");
    replay.session().Resolve(1);
    Open(&replay, IncidentTap(2, 10'000, 0), dir.path(), "b");
    replay.session().Resolve(2);
    // `await incident.flushed`, and even the end of the second, come while the listener keeps the replay waiting.
    replay.Until("finished");
  });
  replay.Close();
  CHECK_EQ(SectionNames(CheckIncident(replay, 1, dir.path(), "a", Slice(packets, 500, 1100))),
           "pre-buffer:500 resolution:100");
  CHECK_EQ(SectionNames(CheckIncident(replay, 2, dir.path(), "b", Slice(packets, 500, 1000))), "pre-buffer:500");
}

TEST(after_the_end_what_there_is_can_be_frozen_and_dumped) {
  const TempDir dir;
  const Packets packets = Flow(950);
  Replay replay(Replay::Config(dir.path(), EncodePcap(packets)));
  replay.Start();
  replay.Play();
  Open(&replay, IncidentTap(1), dir.path(), "late");
  Open(&replay, MakeTap(2, TapKind::kManual), dir.path(), "manual");
  Open(&replay, MakeTap(3, TapKind::kDump), dir.path(), "dump");
  replay.session().Resolve(1);
  while (replay.Count("finished") < 3) replay.Next();
  replay.Close();
  CHECK_EQ(SectionNames(CheckIncident(replay, 1, dir.path(), "late", Slice(packets, 450, 950))), "pre-buffer:500");
  CheckIncident(replay, 2, dir.path(), "manual", {});
  CHECK(ParsePcap(ReadBytes(dir / "incident_dump.pcap")).packets == Slice(packets, 450, 950));
  // Ten whole intervals end with a packet behind them; the rest of the last one is told of before the end.
  CHECK_EQ(replay.Count("stats"), 10u);
  CHECK_EQ(replay.Last("stats")["total"]["packets"].number(), 950u);
}

TEST(closed_midway_every_incident_is_completed) {
  for (const uint64_t at : {1u, 5u, 9u}) {
    const TempDir dir;
    const Packets packets = Flow(10'000);
    Replay replay(Replay::Config(dir.path(), EncodePcap(packets)));
    replay.Start();
    replay.session().Begin();
    while (true) {
      const HostEvent event = replay.Next();
      if (event.boundary == 1) Open(&replay, IncidentTap(1), dir.path(), "a");
      if (event.boundary == at) Open(&replay, IncidentTap(2), dir.path(), "b");
      if (event.boundary == at) break;
      if (event.boundary != 0) replay.session().Continue(event.boundary);
    }
    replay.Close();  // without an answer to the boundary
    CheckIncident(replay, 1, dir.path(), "a", Slice(packets, 0, at * 100));
    CheckIncident(replay, 2, dir.path(), "b", Slice(packets, at > 5 ? at * 100 - 500 : 0, at * 100));
  }
}

TEST(closed_in_the_middle_of_a_long_stretch_without_boundaries) {
  const TempDir dir;
  Replay replay(Replay::Config(dir.path(), EncodePcap(MakePackets(200'000, 1))));
  replay.Start();
  replay.session().Begin();
  replay.Close();
  CHECK(replay.closed());
}

TEST(closed_at_once) {
  for (int begun = 0; begun < 3; ++begun) {
    const TempDir dir;
    Replay replay(Replay::Config(dir.path(), EncodePcap(Flow(100))));
    if (begun == 2) {
      replay.Start();
      Open(&replay, IncidentTap(1), dir.path(), "a");
    } else {
      replay.session().Start();
    }
    if (begun == 1) replay.session().Begin();
    replay.Close();
    CHECK(replay.closed());
    CHECK_EQ(replay.Count("finished") + replay.Count("failed"), begun == 2 ? 1u : 0u);
    for (const std::string& name : testing::NamesIn(dir.path())) CHECK(!name.ends_with(".part"));
  }
}

TEST(what_is_asked_after_the_close_fails) {
  const TempDir dir;
  Replay replay(Replay::Config(dir.path(), EncodePcap(Flow(1000))));
  replay.Start();
  replay.session().Begin();
  replay.Until("stats", [&](uint64_t) {
    Open(&replay, IncidentTap(1), dir.path(), "a");
    replay.session().Close();
    Open(&replay, IncidentTap(2), dir.path(), "b");
    Open(&replay, MakeTap(3, TapKind::kDump), dir.path(), "c");
  });
  replay.Close();
  CHECK_EQ(replay.Count("finished", 1), 1u);
  CHECK_EQ(replay.Last("failed", 2)["code"].text(), "ERR_PCAP_CLOSED");
  CHECK_EQ(replay.Last("failed", 3)["code"].text(), "ERR_PCAP_CLOSED");
}

TEST(an_empty_recording) {
  const TempDir dir;
  Replay replay(Replay::Config(dir.path(), EncodePcap({})));
  replay.Start();
  Open(&replay, IncidentTap(1), dir.path(), "a");
  replay.Play();
  Open(&replay, MakeTap(2, TapKind::kDump), dir.path(), "dump");
  replay.Close();
  CheckIncident(replay, 1, dir.path(), "a", {});
  CHECK_EQ(replay.Count("stats"), 0u);
  CHECK_EQ(replay.Last("finished", 2)["packets"].number(), 0u);
  CHECK_EQ(replay.Last("finished", 2)["from"].text(), "null");
}

TEST(a_damaged_recording_ends_with_a_warning) {
  const TempDir dir;
  const Packets packets = Flow(1000);
  Bytes bytes = EncodePcap(packets);
  bytes.pop_back();
  Replay replay(Replay::Config(dir.path(), bytes));
  replay.Start();
  Open(&replay, IncidentTap(1), dir.path(), "a");
  replay.Play();
  replay.Close();
  CheckIncident(replay, 1, dir.path(), "a", Slice(packets, 0, 999));
  CHECK_EQ(replay.Count("warning"), 1u);
  CHECK_EQ(replay.Last("warning")["code"].text(), "ERR_PCAP_BAD_FILE");
  size_t warning = 0;
  size_t end = 0;
  for (size_t i = 0; i < replay.seen().size(); ++i) {
    if (replay.seen()[i].name == std::string("warning")) warning = i;
    if (replay.seen()[i].name == std::string("end")) end = i;
  }
  CHECK(warning < end);
}

TEST(a_head_that_is_none_fails_to_start) {
  const TempDir dir;
  Session::Config config = Replay::Config(dir.path(), Bytes{1, 2, 3});
  Replay replay(std::move(config));
  replay.session().Start();
  CHECK_EQ(std::string(replay.Until("startFailed").name), "startFailed");
  CHECK_EQ(replay.Last("startFailed")["code"].text(), "ERR_PCAP_BAD_FILE");
  replay.Until("closed");  // without a close
  CHECK(replay.closed());
}

TEST(a_recording_or_a_directory_that_cannot_be_fails_to_start) {
  const TempDir dir;
  testing::WriteText(dir / "file", "");
  for (const bool directory : {true, false}) {
    Session::Config config = Replay::Config(directory ? dir / "file/captures" : dir.path(), {});
    config.engine.recording.path = dir / "missing.pcap";
    Replay replay(std::move(config));
    replay.session().Start();
    CHECK_EQ(std::string(replay.Until("startFailed").name), "startFailed");
    CHECK_EQ(replay.Last("startFailed")["code"].text(), directory ? "ERR_PCAP_WRITE" : "ERR_PCAP_BAD_FILE");
    replay.Until("closed");
    replay.Close();
    CHECK_EQ(replay.Count("startFailed"), 1u);
  }
}

TEST(an_existing_file_is_left_alone) {
  for (const char* name : {"incident_a.pcap", "incident_a.json", "incident_a.pcap.part", "incident_a.json.part"}) {
    const TempDir dir;
    const Packets packets = Flow(2000);
    Replay replay(Replay::Config(dir.path(), EncodePcap(packets)));
    replay.Start();
    testing::WriteText(dir / name, "mine");
    replay.Play([&](uint64_t boundary) {
      if (boundary == 5) Open(&replay, IncidentTap(1), dir.path(), "a");
      if (boundary == 6) Open(&replay, IncidentTap(2), dir.path(), "b");
    });
    replay.Close();
    CHECK_EQ(replay.Count("flushFailed", 1), 1u);
    CHECK_EQ(replay.Count("flush", 1), 0u);
    CHECK_EQ(replay.Count("warning", 1), 1u);
    CHECK_EQ(replay.Count("failed", 1), 1u);
    CHECK_EQ(replay.Last("failed", 1)["code"].text(), "ERR_PCAP_FILE_EXISTS");
    CHECK_EQ(replay.Last("warning", 1)["code"].text(), "ERR_PCAP_FILE_EXISTS");
    CHECK_EQ(testing::ReadText(dir / name), "mine");
    CheckIncident(replay, 2, dir.path(), "b", Slice(packets, 100, 2000));  // the others go on
    CHECK_EQ(testing::NamesIn(dir.path()).size(), 3u);
  }
}

TEST(a_jump_in_time_is_one_interval) {
  const TempDir dir;
  Packets packets = MakePackets(10, kNsPerMs);
  const Packets later = MakePackets(10, kNsPerMs, kBase + 3600 * kNsPerSec + 100 * kNsPerMs);
  packets.insert(packets.end(), later.begin(), later.end());
  Replay replay(Replay::Config(dir.path(), EncodePcap(packets)));
  replay.Start();
  TapSpec tap = IncidentTap(1);
  tap.cap_duration_ns = 60 * kNsPerSec;
  Open(&replay, tap, dir.path(), "a");
  replay.Play();
  replay.Close();
  CHECK_EQ(replay.Count("stats"), 2u);
  Json first;
  for (const HostEvent& event : replay.seen()) {
    if (event.boundary == 1) first = Json::Parse(event.json);
  }
  CHECK_EQ(first["time"].text(), FormatTime(kBase + 3600 * kNsPerSec, Precision::kNano));
  CHECK_EQ(first["interval"].text(), "3600000");
  CHECK_EQ(first["packets"].number(), 10u);
  CHECK_EQ(replay.Count("cap", 1), 1u);  // a timer that fell into the jump fires once
  CHECK_EQ(CheckIncident(replay, 1, dir.path(), "a", Slice(packets, 0, 10))["capped"].text(), "duration");
}

TEST(an_outlier_does_not_move_the_clock) {
  constexpr int64_t kFar = 40 * 86'400 * kNsPerSec;
  for (const size_t at : {0u, 500u, 999u}) {
    const TempDir dir;
    Packets packets = Flow(1000);
    packets[at].time_ns += kFar;
    Replay replay(Replay::Config(dir.path(), EncodePcap(packets)));
    replay.Start();
    replay.Play([&](uint64_t boundary) {
      if (boundary == 7) Open(&replay, IncidentTap(1), dir.path(), "a");
    });
    replay.Close();
    // The clock begins at the second packet where the first is damage; then each boundary is one packet later.
    const size_t behind = at == 0 ? 701 : 700;
    const Json report = CheckIncident(replay, 1, dir.path(), "a", Slice(packets, behind - 500, 1000));
    CHECK_EQ(report["sections"].items()[0]["packets"].number(), 500u);
    CHECK_EQ(replay.Count("stats"), 10u);
  }
}

TEST(steps_back_do_not_turn_time_back) {
  const TempDir dir;
  Packets packets = Flow(1000);
  for (size_t i = 300; i < 350; ++i) packets[i].time_ns -= 5 * kNsPerSec;
  Replay replay(Replay::Config(dir.path(), EncodePcap(packets)));
  replay.Start();
  replay.Play([&](uint64_t boundary) {
    if (boundary == 2) Open(&replay, IncidentTap(1), dir.path(), "a");
  });
  replay.Close();
  const Json report = CheckIncident(replay, 1, dir.path(), "a", packets);
  CHECK_EQ(SectionNames(report), "pre-buffer:200 attack:800");
  CHECK_EQ(report["coverage"]["clock"]["backSteps"].number(), 1u);
  CHECK_EQ(replay.Count("stats"), 10u);
}

TEST(paced_it_ends_like_in_lock_step) {
  const TempDir dir;
  const Packets packets = MakePackets(300, kNsPerMs);
  Session::Config config = Replay::Config(dir.path(), EncodePcap(packets));
  config.engine.paced = true;
  config.engine.stats_interval_ns = 50 * kNsPerMs;
  Replay replay(std::move(config));
  replay.Start();
  Open(&replay, IncidentTap(1), dir.path(), "a");
  replay.Play();
  for (const HostEvent& event : replay.seen()) CHECK_EQ(event.boundary, 0u);
  CHECK(replay.Count("stats") >= 5);
  replay.Close();
  CheckIncident(replay, 1, dir.path(), "a", packets);
}

TEST(paced_a_close_ends_the_longest_silence) {
  const TempDir dir;
  Packets packets = MakePackets(10, 0);
  packets.push_back({kBase + 3600 * kNsPerSec, 10, Bytes(10)});
  Session::Config config = Replay::Config(dir.path(), EncodePcap(packets));
  config.engine.paced = true;
  config.engine.stats_interval_ns = 50 * kNsPerMs;
  Replay replay(std::move(config));
  replay.Start();
  Open(&replay, IncidentTap(1), dir.path(), "a");
  replay.session().Begin();
  replay.Until("stats");
  replay.session().Resolve(1);  // its resolution section ends by time alone
  replay.Until("finished");
  replay.Close();
  CheckIncident(replay, 1, dir.path(), "a", Slice(packets, 0, 10));
}

TEST(more_than_the_queue_holds_is_recorded_whole) {
  const TempDir dir;
  Packets packets = MakePackets(30'000, kNsPerMs);
  for (TestPacket& packet : packets) {
    packet.data.resize(1500);
    packet.len = 1500;
  }
  Replay replay(Replay::Config(dir.path(), EncodePcap(packets)));
  replay.Start();
  Open(&replay, IncidentTap(1, kUnlimited), dir.path(), "a");
  replay.Play();
  replay.Close();
  const Json report = CheckIncident(replay, 1, dir.path(), "a", packets);
  CHECK_EQ(report["loss"]["writer"].number(), 0u);
}

}  // namespace
}  // namespace pcap_ring

TEST_MAIN()
