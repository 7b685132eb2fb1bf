#include "incident/recovery.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/sha256.h"
#include "incident/capture_scan.h"
#include "incident/draft.h"
#include "incident/report.h"
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
using testing::NamesIn;
using testing::Packets;
using testing::ParsedPcap;
using testing::ParsePcap;
using testing::ReadText;
using testing::TempDir;
using testing::WriteText;

Packets SmallPackets(size_t count) {
  Packets packets;
  for (size_t i = 0; i < count; ++i) {
    Bytes data(1 + i * 5 % 23);
    testing::Fill(data.data(), static_cast<uint32_t>(data.size()), i);
    packets.push_back({kBase + static_cast<int64_t>(i) * 1'234'567, static_cast<uint32_t>(data.size() + i), data});
  }
  return packets;
}

std::string Text(const Bytes& bytes) { return {bytes.begin(), bytes.end()}; }

RingFacts Facts(const TempDir& dir) {
  RingFacts facts;
  facts.precision = Precision::kNano;
  facts.directory = dir.path();
  facts.filter = "udp";
  facts.version = "0.0.0";
  facts.node_version = "0.0.0";
  facts.source.replay = true;
  facts.source.linktype_name = "EN10MB";
  facts.source.snaplen = 262144;
  return facts;
}

std::string DraftText(const TempDir& dir, const std::string& id, uint64_t history, TapKind kind = TapKind::kIncident,
                      Mode mode = Mode::kCapture) {
  const TapSpec tap = testing::MakeTap(1, kind);
  RecordingSpec spec = testing::MakeRecording(tap, dir.path(), id);
  spec.reason = "\"because\"";
  spec.labels = "{\"site\":\"ams\"}";
  Draft draft;
  draft.kind = kind;
  draft.mode = mode;
  draft.precision = Precision::kNano;
  draft.frozen_ns = kBase + 5 * kNsPerMs;
  draft.since_ns = kBase + 2'000'000;
  draft.before.Of(Section::kPreBuffer) = history;
  RingFacts facts = Facts(dir);
  facts.source.mode = mode;
  draft.head = ReportHead(spec, facts, draft.frozen_ns);
  return draft.Encode();
}

// How many warnings there were.
size_t Recover(const TempDir& dir, bool delivers = false) {
  size_t warnings = 0;
  RingFacts facts = Facts(dir);
  facts.delivers = delivers;
  RecoverDirectory(facts, std::atomic<bool>(false), [&](const Status& status) {
    CHECK(!status.ok());
    ++warnings;
  });
  return warnings;
}

std::string Sections(const Json& report) {
  std::string text;
  for (const Json& section : report["sections"].items()) {
    text += (text.empty() ? "" : " ") + section["name"].text() + ":" + section["packets"].text();
  }
  return text;
}

// The capture of `id` is whole and starts like `packets`; its report is true.
Json CheckRecovered(const TempDir& dir, const std::string& id, const Packets& packets, size_t count) {
  const std::string stem = dir / ("incident_" + id);
  CHECK(!FileExists(stem + ".pcap.part"));
  CHECK(!FileExists(stem + ".json.part"));
  const Bytes bytes = testing::ReadBytes(stem + ".pcap");
  const ParsedPcap parsed = ParsePcap(bytes);
  CHECK(parsed.whole);
  CHECK_EQ(parsed.packets.size(), count);
  CHECK(parsed.packets == testing::Slice(packets, 0, count));
  const Json report = Json::Parse(ReadText(stem + ".json"));
  CHECK(report.valid());
  CHECK_EQ(testing::ModeOf(stem + ".json"), 0600);
  CHECK_EQ(report["id"].text(), id);
  CHECK_EQ(report["version"].text(), "1");
  CHECK_EQ(report["file"].text(), stem + ".pcap");
  CHECK_EQ(report["recovered"].text(), "true");
  CHECK_EQ(report["bytes"].number(), bytes.size());
  CHECK_EQ(report["packets"].number(), count);
  Sha256 digest;
  digest.Update(bytes.data(), bytes.size());
  CHECK_EQ(report["sha256"].text(), digest.HexDigest());
  CHECK_EQ(report["from"].text(), count == 0 ? "null" : FormatTime(packets[0].time_ns, Precision::kNano));
  std::map<std::string, uint64_t> in_timeline;
  for (const Json& slot : report["traffic"]["timeline"].items()) {
    in_timeline[slot["section"].text()] += slot["packets"].number();
  }
  for (const Json& section : report["sections"].items()) {
    CHECK_EQ(in_timeline[section["name"].text()], section["packets"].number());
  }
  uint64_t in_sizes = 0;
  for (const Json& size : report["traffic"]["sizes"].items()) in_sizes += size["packets"].number();
  CHECK_EQ(in_sizes, count);
  CHECK_EQ(report["to"].text(), count == 0 ? "null" : FormatTime(packets[count - 1].time_ns, Precision::kNano));
  return report;
}

void RemoveAll(const TempDir& dir) {
  for (const std::string& name : NamesIn(dir.path())) unlink((dir / name).c_str());
}

TEST(a_capture_cut_at_every_byte) {
  constexpr size_t kHistory = 4;
  const TempDir dir;
  const Packets packets = SmallPackets(9);
  const std::string whole = Text(EncodePcap(packets));
  const std::string draft = DraftText(dir, "a", kHistory);
  for (size_t size = 0; size <= whole.size(); ++size) {
    WriteText(dir / "incident_a.pcap.part", whole.substr(0, size));
    WriteText(dir / "incident_a.json.part", draft);
    chmod((dir / "incident_a.json.part").c_str(), 0600);
    CHECK_EQ(Recover(dir), 0u);
    if (size < 24) {
      CHECK(NamesIn(dir.path()).empty());
      continue;
    }
    const size_t count = ParsePcap({whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size)}).packets.size();
    const Json report = CheckRecovered(dir, "a", packets, count);
    std::string sections;
    if (count > 0) sections = "pre-buffer:" + std::to_string(std::min(count, kHistory));
    if (count > kHistory) sections += " attack:" + std::to_string(count - kHistory);
    CHECK_EQ(Sections(report), sections);
    CHECK_EQ(report["reason"].text(), "because");
    CHECK_EQ(report["labels"]["site"].text(), "ams");
    CHECK_EQ(report["frozenAt"].text(), FormatTime(kBase + 5 * kNsPerMs, Precision::kNano));
    CHECK_EQ(report["filter"].text(), "udp");
    CHECK_EQ(report["coverage"]["onsetSource"].text(), "since");
    CHECK_EQ(report["coverage"]["preOnsetPackets"].number(), std::min<uint64_t>(count, 2));
    CHECK_EQ(report["statistics"]["packets"].number(), count > kHistory ? count - kHistory : 0u);
    // Once more changes nothing.
    CHECK_EQ(Recover(dir), 0u);
    CHECK_EQ(NamesIn(dir.path()).size(), 2u);
    RemoveAll(dir);
  }
}

TEST(a_draft_cut_anywhere_costs_what_only_it_knew) {
  const TempDir dir;
  const Packets packets = SmallPackets(9);
  const std::string whole = Text(EncodePcap(packets));
  const std::string draft = DraftText(dir, "a", 4, TapKind::kManual);
  std::vector<size_t> sizes = {draft.size() - 1, draft.size()};
  for (size_t size = 0; size < draft.size(); size += 17) sizes.push_back(size);
  for (const size_t size : sizes) {
    WriteText(dir / "incident_a.pcap.part", whole);
    WriteText(dir / "incident_a.json.part", draft.substr(0, size));
    chmod((dir / "incident_a.json.part").c_str(), 0600);
    CHECK_EQ(Recover(dir), 0u);
    const Json report = CheckRecovered(dir, "a", packets, 9);
    CHECK_EQ(Sections(report), size == draft.size() ? "pre-buffer:4 capture:5" : "attack:9");
    CHECK_EQ(report["kind"].text(), size == draft.size() ? "manual" : "incident");
    RemoveAll(dir);
  }
}

TEST(without_a_draft_or_with_a_report_half_written) {
  for (const char* text : {"", "{\"version\":1,\"id\":\"a\",", "none"}) {
    const TempDir dir;
    const Packets packets = SmallPackets(5);
    testing::WriteText(dir / "incident_a.pcap.part", Text(EncodePcap(packets)));
    if (text != std::string("none")) {
      WriteText(dir / "incident_a.json.part", text);
      chmod((dir / "incident_a.json.part").c_str(), 0600);
    }
    CHECK_EQ(Recover(dir), 0u);
    const Json report = CheckRecovered(dir, "a", packets, 5);
    CHECK_EQ(Sections(report), "attack:5");
    CHECK_EQ(report["linkType"].text(), "EN10MB");
    CHECK_EQ(report["snaplen"].number(), 262144u);
    CHECK_EQ(report["filter"].text(), "null");
  }
}

TEST(microseconds_are_recovered_too) {
  const TempDir dir;
  Packets packets = SmallPackets(5);
  for (testing::TestPacket& packet : packets) packet.time_ns -= packet.time_ns % 1000;
  WriteText(dir / "incident_a.pcap.part", Text(EncodePcap(packets, false)));
  CHECK_EQ(Recover(dir), 0u);
  const Json report = Json::Parse(ReadText(dir / "incident_a.json"));
  CHECK_EQ(report["from"].text(), FormatTime(packets[0].time_ns, Precision::kMicro));
  CHECK(ParsePcap(testing::ReadBytes(dir / "incident_a.pcap")).packets == packets);
}

TEST(a_tail_of_zeros_or_of_garbage_is_cut_off) {
  const Packets packets = SmallPackets(5);
  for (const char fill : {'\0', '\xff'}) {
    const TempDir dir;
    WriteText(dir / "incident_a.pcap.part", Text(EncodePcap(packets)) + std::string(10'000, fill));
    CHECK_EQ(Recover(dir), 0u);
    CheckRecovered(dir, "a", packets, 5);
  }
}

Bytes EncodePcapng(const Packets& packets) {
  FileHead head;
  head.precision = Precision::kNano;
  head.snaplen = 262144;
  head.comment = "incident a: because";
  const auto format = MakeRecordFormat(FileFormat::kPcapng, head);
  Bytes bytes;
  format->AppendHead(&bytes);
  for (size_t i = 0; i < packets.size(); ++i) {
    const testing::TestPacket& packet = packets[i];
    const RecordHeader header = {packet.time_ns / kNsPerSec, packet.time_ns % kNsPerSec,
                                 static_cast<uint32_t>(packet.data.size()), packet.len};
    const char* const comment = i == 0 ? "pre-buffer" : i == 4 ? "attack" : "";
    format->AppendBefore(header, comment, &bytes);
    bytes.insert(bytes.end(), packet.data.begin(), packet.data.end());
    format->AppendBehind(header, comment, &bytes);
  }
  format->AppendEnd({kBase, kBase, 0, 0}, &bytes);
  return bytes;
}

// Whatever the ring records itself.
TEST(a_pcapng_cut_at_every_byte) {
  const TempDir dir;
  const Packets packets = SmallPackets(9);
  const std::string whole = Text(EncodePcapng(packets));
  const std::string draft = DraftText(dir, "a", 4);
  for (size_t size = 0; size <= whole.size(); ++size) {
    const bool drafted = size % 2 == 0;
    const std::string cut = whole.substr(0, size);
    WriteText(dir / "incident_a.pcapng.part", cut);
    if (drafted) {
      WriteText(dir / "incident_a.json.part", draft);
      chmod((dir / "incident_a.json.part").c_str(), 0600);
    }
    CHECK_EQ(Recover(dir), 0u);
    const testing::ParsedPcapng wanted = testing::ParsePcapng({cut.begin(), cut.end()});
    if (wanted.blocks.size() < 2) {
      CHECK(NamesIn(dir.path()).empty());
      continue;
    }
    CHECK((NamesIn(dir.path()) == std::vector<std::string>{"incident_a.json", "incident_a.pcapng"}));
    const std::string left = ReadText(dir / "incident_a.pcapng");
    CHECK_EQ(left, whole.substr(0, wanted.whole_bytes));
    const Json report = Json::Parse(ReadText(dir / "incident_a.json"));
    CHECK(report.valid());
    CHECK_EQ(report["recovered"].text(), "true");
    CHECK_EQ(report["bytes"].number(), left.size());
    CHECK_EQ(report["packets"].number(), wanted.packets.size());
    Sha256 digest;
    digest.Update(left.data(), left.size());
    CHECK_EQ(report["sha256"].text(), digest.HexDigest());
    if (drafted) {
      CHECK_EQ(report["reason"].text(), "because");
    } else {
      CHECK_EQ(report["format"].text(), "pcapng");
      CHECK_EQ(report["file"].text(), dir / "incident_a.pcapng");
      CHECK_EQ(report["linkType"].text(), "EN10MB");
    }
    RemoveAll(dir);
  }
}

TEST(a_report_waits_for_its_pcapng) {
  const TempDir dir;
  WriteText(dir / "incident_a.pcapng.part", Text(EncodePcapng(SmallPackets(5))));
  WriteText(dir / "incident_a.json.part", DraftText(dir, "a", 2));
  WriteText(dir / "incident_b.pcapng.part", std::string(100, 'x'));
  WriteText(dir / "incident_b.json.part", DraftText(dir, "b", 2));
  const UniqueFd lock(::open((dir / "incident_a.pcapng.part").c_str(), O_RDWR | O_CLOEXEC));
  CHECK_EQ(flock(lock.get(), LOCK_EX), 0);
  CHECK_EQ(Recover(dir), 1u);
  CHECK_EQ(NamesIn(dir.path()).size(), 4u);
}

TEST(what_has_a_living_writer_is_not_touched) {
  const TempDir dir;
  const std::string torn = Text(EncodePcap(SmallPackets(5))) + "torn";
  for (const char* name : {"incident_a.pcap.part", "incident_a.json.part", "incident_b.json.part"}) {
    WriteText(dir / name, torn);
  }
  std::vector<UniqueFd> locks;
  for (const char* name : {"incident_a.pcap.part", "incident_b.json.part"}) {
    locks.emplace_back(::open((dir / name).c_str(), O_RDWR | O_CLOEXEC));
    CHECK_EQ(flock(locks.back().get(), LOCK_EX), 0);
  }
  CHECK_EQ(Recover(dir), 0u);
  CHECK_EQ(NamesIn(dir.path()).size(), 3u);
  for (const std::string& name : NamesIn(dir.path())) CHECK_EQ(ReadText(dir / name), torn);
}

TEST(what_is_not_ours_is_left_alone) {
  const TempDir dir;
  const std::string capture = Text(EncodePcap(SmallPackets(2)));
  const std::vector<std::string> names = {"incident_.pcap.part", "other.pcap.part",       "incident_a.pcap.part.bak",
                                          "incident_a.part",     "incident_a.pcapng.tmp", "notes.json.part"};
  for (const std::string& name : names) WriteText(dir / name, capture);
  CHECK_EQ(Recover(dir), 0u);
  for (const std::string& name : names) CHECK_EQ(ReadText(dir / name), capture);
  CHECK_EQ(NamesIn(dir.path()).size(), names.size());
}

TEST(a_head_that_no_reader_takes_is_none_of_ours) {
  const Bytes whole = EncodePcap(SmallPackets(2));
  for (const size_t at :
       {size_t{4}, size_t{6}, size_t{8}, size_t{12}, size_t{22}}) {  // versions, zone, figures, reserved bits
    const TempDir dir;
    Bytes other = whole;
    other[at] = 0x30;
    WriteText(dir / "incident_a.pcap.part", Text(other));
    CHECK_EQ(Recover(dir), 1u);
    CHECK(NamesIn(dir.path()) == std::vector<std::string>{"incident_a.pcap.part"});
  }
}

TEST(garbage_under_our_name_is_kept_and_told_of) {
  const TempDir dir;
  const std::string garbage(100, 'x');
  WriteText(dir / "incident_a.pcap.part", garbage);
  WriteText(dir / "incident_short.pcap.part", "mine");
  WriteText(dir / "incident_zero.pcap.part", std::string(100, '\0'));
  WriteText(dir / "target", garbage);
  CHECK_EQ(symlink((dir / "target").c_str(), (dir / "incident_link.pcap.part").c_str()), 0);
  CHECK_EQ(mkfifo((dir / "incident_fifo.pcap.part").c_str(), 0600), 0);
  const Packets packets = SmallPackets(2);
  WriteText(dir / "incident_z.pcap.part", Text(EncodePcap(packets)));
  CHECK_EQ(Recover(dir), 5u);
  CHECK_EQ(ReadText(dir / "incident_a.pcap.part"), garbage);
  CHECK_EQ(ReadText(dir / "incident_short.pcap.part"), "mine");
  CHECK_EQ(ReadText(dir / "target"), garbage);
  CHECK(FileExists(dir / "incident_fifo.pcap.part"));
  CheckRecovered(dir, "z", packets, 2);  // the others are recovered all the same
  CHECK_EQ(NamesIn(dir.path()).size(), 8u);
}

std::string Sha256Of(const std::string& text) {
  Sha256 digest;
  digest.Update(text.data(), text.size());
  return digest.HexDigest();
}

TEST(after_a_crash_between_the_two_renames) {
  const std::string capture = Text(EncodePcap(SmallPackets(5)));
  const std::string report = "{\"as\":\"written\",\"sha256\":\"" + Sha256Of(capture) + "\"}";
  for (const bool draft : {false, true}) {
    const TempDir dir;
    WriteText(dir / "incident_a.pcap.part", capture);
    WriteText(dir / "incident_a.json", report);
    if (draft) WriteText(dir / "incident_a.json.part", DraftText(dir, "a", 2));
    CHECK_EQ(Recover(dir), 0u);
    CHECK_EQ(ReadText(dir / "incident_a.pcap"), capture);
    CHECK_EQ(ReadText(dir / "incident_a.json"), report);
    CHECK_EQ(NamesIn(dir.path()).size(), 2u);
  }
}

TEST(a_report_about_another_capture_is_not_given_to_this_one) {
  const TempDir dir;
  const std::string capture = Text(EncodePcap(SmallPackets(5)));
  const std::string report = "{\"reason\":\"\\\"sha256\\\":\\\"" + Sha256Of(capture) + "\\\"\"}";
  WriteText(dir / "incident_a.pcap.part", capture);
  WriteText(dir / "incident_a.json", report);
  CHECK_EQ(Recover(dir), 1u);
  CHECK_EQ(ReadText(dir / "incident_a.pcap.part"), capture);
  CHECK_EQ(ReadText(dir / "incident_a.json"), report);
}

TEST(killed_while_the_report_was_written_it_is_written_again) {
  const Packets packets = SmallPackets(9);
  for (const char* begun : {"", "{\"version\":1,\"id\":\"a\",\"ki"}) {
    const TempDir dir;
    WriteText(dir / "incident_a.pcap.part", Text(EncodePcap(packets)));
    WriteText(dir / "incident_a.json.part", DraftText(dir, "a", 4));
    WriteText(dir / "incident_a.json.new", begun);
    for (const char* name : {"incident_a.json.part", "incident_a.json.new"}) chmod((dir / name).c_str(), 0600);
    CHECK_EQ(Recover(dir), 0u);
    const Json report = CheckRecovered(dir, "a", packets, 9);
    CHECK_EQ(Sections(report), "pre-buffer:4 attack:5");
    CHECK_EQ(NamesIn(dir.path()).size(), 2u);
  }
}

TEST(killed_behind_the_last_rename_nothing_is_left_to_do) {
  const TempDir dir;
  const std::string capture = Text(EncodePcap(SmallPackets(5)));
  const std::string report = "{\"sha256\":\"" + Sha256Of(capture) + "\"}";
  WriteText(dir / "incident_a.pcap", capture);
  WriteText(dir / "incident_a.json", report);
  WriteText(dir / "incident_a.json.part", DraftText(dir, "a", 2));
  CHECK_EQ(Recover(dir), 0u);
  CHECK_EQ(ReadText(dir / "incident_a.pcap"), capture);
  CHECK_EQ(ReadText(dir / "incident_a.json"), report);
  CHECK_EQ(NamesIn(dir.path()).size(), 2u);
}

// Where no file can be renamed without the danger to replace another.
TEST(a_file_with_both_names_loses_the_first) {
  const TempDir dir;
  const std::string capture = Text(EncodePcap(SmallPackets(5)));
  WriteText(dir / "incident_a.pcap", capture);
  WriteText(dir / "incident_a.json", "{\"sha256\":\"" + Sha256Of(capture) + "\"}");
  WriteText(dir / "incident_a.json.part", DraftText(dir, "a", 2));
  for (const auto& [final_name, part] :
       {std::pair("incident_a.pcap", "incident_a.pcap.part"), std::pair("incident_a.json", "incident_a.json.new")}) {
    CHECK_EQ(link((dir / final_name).c_str(), (dir / part).c_str()), 0);
  }
  CHECK_EQ(Recover(dir), 0u);
  CHECK((NamesIn(dir.path()) == std::vector<std::string>{"incident_a.json", "incident_a.pcap"}));
  CHECK_EQ(ReadText(dir / "incident_a.pcap"), capture);
}

TEST(a_capture_whose_report_could_not_be_written_gets_it) {
  const TempDir dir;
  const Packets packets = SmallPackets(9);
  WriteText(dir / "incident_a.pcap", Text(EncodePcap(packets)));
  WriteText(dir / "incident_a.json.part", DraftText(dir, "a", 4));
  CHECK_EQ(Recover(dir), 0u);
  CHECK_EQ(Sections(CheckRecovered(dir, "a", packets, 9)), "pre-buffer:4 attack:5");
  CHECK_EQ(NamesIn(dir.path()).size(), 2u);

  WriteText(dir / "incident_b.pcap", Text(EncodePcap(packets)) + "changed");
  WriteText(dir / "incident_b.json.part", DraftText(dir, "b", 4));
  CHECK_EQ(Recover(dir), 1u);
  CHECK(!FileExists(dir / "incident_b.json"));
  CHECK_EQ(ReadText(dir / "incident_b.json.part"), DraftText(dir, "b", 4));
}

TEST(a_final_capture_that_others_had_a_hand_in_gets_no_report) {
  const TempDir dir;
  const std::string capture = Text(EncodePcap(SmallPackets(5)));
  WriteText(dir / "incident_a.pcap", capture);
  WriteText(dir / "incident_a.json.part", DraftText(dir, "a", 2));
  CHECK_EQ(chmod((dir / "incident_a.pcap").c_str(), 0666), 0);
  CHECK_EQ(Recover(dir), 1u);
  CHECK_EQ(chmod((dir / "incident_a.pcap").c_str(), 0600), 0);
  WriteText(dir / "incident_a.json", "{\"sha256\":\"" + Sha256Of(capture) + "\"}");
  CHECK_EQ(chmod((dir / "incident_a.json").c_str(), 0622), 0);
  CHECK_EQ(Recover(dir), 1u);
  CHECK_EQ(NamesIn(dir.path()).size(), 3u);
}

TEST(an_incident_of_statistics_only_whose_name_is_taken_waits) {
  const TempDir dir;
  WriteText(dir / "incident_a.json.part", DraftText(dir, "a", 0, TapKind::kIncident, Mode::kStatistics));
  WriteText(dir / "incident_a.json", "mine");
  WriteText(dir / "incident_a.pcap", "mine, too");
  CHECK_EQ(Recover(dir), 1u);
  CHECK_EQ(ReadText(dir / "incident_a.json"), "mine");
  unlink((dir / "incident_a.json").c_str());
  CHECK_EQ(Recover(dir), 0u);
  CHECK((NamesIn(dir.path()) == std::vector<std::string>{"incident_a.json", "incident_a.pcap"}));
  // Its writer died between the rename and the end of its draft.
  WriteText(dir / "incident_a.json.part", DraftText(dir, "a", 0, TapKind::kIncident, Mode::kStatistics));
  CHECK_EQ(Recover(dir), 0u);
  CHECK_EQ(NamesIn(dir.path()).size(), 2u);
}

TEST(an_incident_of_statistics_only_is_told_of) {
  const TempDir dir;
  WriteText(dir / "incident_a.json.part", DraftText(dir, "a", 0, TapKind::kIncident, Mode::kStatistics));
  CHECK_EQ(Recover(dir), 0u);
  CHECK((NamesIn(dir.path()) == std::vector<std::string>{"incident_a.json"}));
  const Json report = Json::Parse(ReadText(dir / "incident_a.json"));
  CHECK(report.valid());
  CHECK_EQ(report["id"].text(), "a");
  CHECK_EQ(report["mode"].text(), "statistics");
  CHECK_EQ(report["file"].text(), "null");
  CHECK_EQ(report["recovered"].text(), "true");
  CHECK_EQ(report["reason"].text(), "because");
  CHECK_EQ(report["resolvedAt"].text(), report["frozenAt"].text());
}

TEST(a_part_that_others_had_a_hand_in_is_left_alone) {
  const TempDir dir;
  const std::string capture = Text(EncodePcap(SmallPackets(5)));
  for (const char* id : {"a", "b", "c"}) WriteText(dir / ("incident_" + std::string(id) + ".pcap.part"), capture);
  CHECK_EQ(chmod((dir / "incident_a.pcap.part").c_str(), 0620), 0);
  CHECK_EQ(chmod((dir / "incident_b.pcap.part").c_str(), 0602), 0);
  CHECK_EQ(link((dir / "incident_c.pcap.part").c_str(), (dir / "elsewhere").c_str()), 0);
  CHECK_EQ(Recover(dir), 3u);
  CHECK_EQ(NamesIn(dir.path()).size(), 4u);
  for (const std::string& name : NamesIn(dir.path())) CHECK_EQ(ReadText(dir / name), capture);
}

TEST(a_draft_that_others_can_write_to_is_not_believed) {
  const TempDir dir;
  const Packets packets = SmallPackets(5);
  WriteText(dir / "incident_a.pcap.part", Text(EncodePcap(packets)));
  WriteText(dir / "incident_a.json.part", DraftText(dir, "a", 2));
  CHECK_EQ(chmod((dir / "incident_a.json.part").c_str(), 0666), 0);
  CHECK_EQ(Recover(dir), 1u);
  CHECK_EQ(Sections(Json::Parse(ReadText(dir / "incident_a.json"))), "attack:5");
  CHECK_EQ(ReadText(dir / "incident_a.json.part"), DraftText(dir, "a", 2));
}

// So that nothing behind it is cut off.
TEST(a_capture_that_cannot_be_read_to_its_end_says_so) {
  const TempDir dir;
  WriteText(dir / "a", Text(EncodePcap(SmallPackets(5))));
  const UniqueFd fd(::open((dir / "a").c_str(), O_WRONLY | O_CLOEXEC));
  const CaptureScan scan = ScanCapture(fd.get(), FileFormat::kPcap, {}, std::atomic<bool>(false));
  CHECK_EQ(scan.error.error_number, EBADF);
}

TEST(a_directory_that_cannot_be_listed_is_told_of) {
  const TempDir dir;
  RingFacts facts = Facts(dir);
  facts.directory = dir / "none";
  size_t warnings = 0;
  RecoverDirectory(facts, std::atomic<bool>(false), [&](const Status& status) {
    CHECK_EQ(status.error_number, ENOENT);
    ++warnings;
  });
  CHECK_EQ(warnings, 1u);
}

TEST(a_final_name_that_is_taken_is_not_overwritten) {
  const TempDir dir;
  const std::string capture = Text(EncodePcap(SmallPackets(5)));
  WriteText(dir / "incident_a.pcap.part", capture + "torn");
  WriteText(dir / "incident_a.pcap", "mine");
  CHECK_EQ(Recover(dir), 1u);
  CHECK_EQ(ReadText(dir / "incident_a.pcap"), "mine");
  CHECK_EQ(ReadText(dir / "incident_a.pcap.part"), capture + "torn");
  CHECK(!FileExists(dir / "incident_a.json"));
}

TEST(where_the_host_delivers_what_is_recovered_is_marked) {
  const TempDir dir;
  const std::string capture = Text(EncodePcap(SmallPackets(5)));
  for (const char* id : {"a", "b", "taken", "empty"}) {
    WriteText(dir / ("incident_" + std::string(id) + ".pcap.part"), id == std::string("empty") ? "" : capture);
  }
  WriteText(dir / "incident_b.undelivered", "a process");
  WriteText(dir / "incident_taken.pcap", "mine");
  WriteText(dir / "incident_numbers.json.part", DraftText(dir, "numbers", 0, TapKind::kIncident, Mode::kStatistics));
  WriteText(dir / "incident_named.json.part", DraftText(dir, "named", 0));
  WriteText(dir / "incident_named.pcap", capture);
  CHECK_EQ(Recover(dir, true), 1u);  // of the name that is taken
  CHECK(FileExists(dir / "incident_a.pcap") && FileExists(dir / "incident_b.pcap") &&
        FileExists(dir / "incident_named.json"));
  CHECK_EQ(ReadText(dir / "incident_a.undelivered"), "");
  CHECK_EQ(testing::ModeOf(dir / "incident_a.undelivered"), 0600);
  CHECK_EQ(ReadText(dir / "incident_b.undelivered"), "a process");
  // No capture, not recovered, or had its name before and may be delivered.
  for (const char* id : {"taken", "empty", "numbers", "named"}) {
    CHECK(!FileExists(dir / ("incident_" + std::string(id) + ".undelivered")));
  }
  unlink((dir / "incident_a.undelivered").c_str());
  CHECK_EQ(Recover(dir, true), 1u);
  CHECK(!FileExists(dir / "incident_a.undelivered"));
  WriteText(dir / "incident_c.pcap.part", capture);
  CHECK_EQ(Recover(dir, false), 1u);
  CHECK(FileExists(dir / "incident_c.pcap"));
  CHECK(!FileExists(dir / "incident_c.undelivered"));
}

// Its writer died before there was anything to report.
TEST(a_draft_alone_is_dropped_whole_or_not) {
  const TempDir dir;
  const std::string draft = DraftText(dir, "a", 0);
  for (const size_t size : {size_t{0}, size_t{10}, size_t{64}, size_t{65}, draft.size() - 1, draft.size()}) {
    WriteText(dir / "incident_a.json.part", draft.substr(0, size));
    CHECK_EQ(Recover(dir), 0u);
    CHECK(NamesIn(dir.path()).empty());
  }
  for (const char* text : {"mine", "{}", "0123 456"}) {
    WriteText(dir / "incident_a.json.part", text);
    CHECK_EQ(Recover(dir), 0u);
    CHECK_EQ(ReadText(dir / "incident_a.json.part"), text);
  }
}

TEST(drafts_are_sealed) {
  Draft draft;
  draft.head = "\"id\":\"x\",\n\"y\":1";
  draft.kind = TapKind::kManual;
  draft.mode = Mode::kStatistics;
  draft.precision = Precision::kNano;
  draft.frozen_ns = 5;
  draft.since_ns = kNever;
  draft.before = {.onset_ns = 7, .packets = {1, UINT64_MAX, 3}, .sampling = {{{4, 5}, {6, UINT64_MAX}, {0, 0}}}};
  const std::string text = draft.Encode();
  const auto decoded = Draft::Decode(text);
  CHECK(decoded.has_value());
  if (!decoded) return;
  CHECK_EQ(decoded->head, draft.head);
  CHECK(decoded->kind == draft.kind && decoded->mode == draft.mode && decoded->precision == draft.precision);
  CHECK(decoded->frozen_ns == 5 && decoded->since_ns == kNever);
  CHECK(decoded->before.onset_ns == 7 && decoded->before.packets == draft.before.packets);
  for (size_t i = 0; i < kSectionsBefore; ++i) {
    CHECK_EQ(decoded->before.sampling[i].min, draft.before.sampling[i].min);
    CHECK_EQ(decoded->before.sampling[i].max, draft.before.sampling[i].max);
  }
  for (size_t i = 0; i < text.size(); ++i) {
    std::string damaged = text;
    damaged[i] = static_cast<char>(damaged[i] ^ 1);
    CHECK(!Draft::Decode(damaged).has_value());
    CHECK(!Draft::Decode(text.substr(0, i)).has_value());
  }
}

TEST(a_draft_that_says_what_cannot_be_is_none) {
  std::vector<Draft> drafts(5);
  drafts[0].frozen_ns = -1;
  drafts[1].kind = TapKind::kDump;
  drafts[2].kind = static_cast<TapKind>(7);
  drafts[3].mode = static_cast<Mode>(2);
  drafts[4].precision = static_cast<Precision>(-1);
  for (const Draft& draft : drafts) CHECK(!Draft::Decode(draft.Encode()).has_value());
}

}  // namespace
}  // namespace pcap_ring

TEST_MAIN()
