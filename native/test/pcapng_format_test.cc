#include "output/pcapng_format.h"

#include <fcntl.h>
#include <sys/utsname.h>

#include <algorithm>
#include <string>
#include <vector>

#include "incident/capture_scan.h"
#include "incident/file_format.h"
#include "incident/recording.h"
#include "test/check.h"
#include "test/pcapng_support.h"

namespace pcap_ring {
namespace {

using testing::Bytes;
using testing::kBase;
using testing::Packets;
using testing::ParsedBlock;
using testing::ParsedPcapng;
using testing::ParsePcapng;
using testing::TempDir;

// Of every length modulo four, none among them.
Packets SmallPackets(size_t count) {
  Packets packets;
  for (size_t i = 0; i < count; ++i) {
    Bytes data(i * 5 % 23);
    testing::Fill(data.data(), static_cast<uint32_t>(data.size()), i);
    packets.push_back({kBase + static_cast<int64_t>(i) * 1'234'567, static_cast<uint32_t>(data.size() + i), data});
  }
  return packets;
}

void AppendPacket(const RecordFormat& format, const testing::TestPacket& packet, std::string_view comment, Bytes* to) {
  const RecordHeader header = {packet.time_ns / kNsPerSec, packet.time_ns % kNsPerSec,
                               static_cast<uint32_t>(packet.data.size()), packet.len};
  format.AppendBefore(header, comment, to);
  to->insert(to->end(), packet.data.begin(), packet.data.end());
  format.AppendBehind(header, comment, to);
}

FileHead Head() {
  FileHead head;
  head.precision = Precision::kNano;
  head.linktype = 113;
  head.snaplen = 1234;
  head.counts_loss = true;
  head.application = "us 1.0";
  head.os = "Linux 6";
  head.interface_name = "eth0";
  head.filter = "udp port 9";
  head.comment = "incident x: because\nof \xc3\xa4";
  return head;
}

const FileEnd kEnd = {kBase + 5, kBase + 7 * kNsPerSec, 0x1'0000'0001, 3};

Bytes Encode(const RecordFormat& format, const Packets& packets, size_t commented) {
  Bytes bytes;
  format.AppendHead(&bytes);
  for (size_t i = 0; i < packets.size(); ++i) {
    AppendPacket(format, packets[i], i == commented ? "pre-buffer" : "", &bytes);
  }
  format.AppendEnd(kEnd, &bytes);
  return bytes;
}

uint64_t TimeIn(const std::string& option) {
  const Bytes bytes(option.begin(), option.end());
  return bytes.size() == 8 ? uint64_t{testing::Little(bytes, 0, 4)} << 32 | testing::Little(bytes, 4, 4) : 0;
}

TEST(every_block_says_what_it_was_given) {
  const Packets packets = SmallPackets(12);
  const ParsedPcapng parsed = ParsePcapng(Encode(PcapngFormat(Head()), packets, 3));
  CHECK(parsed.whole);
  CHECK_EQ(parsed.blocks.size(), 15u);
  CHECK(parsed.packets == packets);
  CHECK_EQ(parsed.linktype, 113u);
  CHECK_EQ(parsed.snaplen, 1234u);
  const ParsedBlock& section = parsed.blocks[0];
  CHECK(section.U32(8) == UINT32_MAX && section.U32(12) == UINT32_MAX);
  CHECK_EQ(section.Option(1), "incident x: because\nof \xc3\xa4");
  CHECK_EQ(section.Option(3), "Linux 6");
  CHECK_EQ(section.Option(4), "us 1.0");
  const ParsedBlock& interface = parsed.blocks[1];
  CHECK_EQ(interface.Option(2), "eth0");
  CHECK_EQ(interface.Option(9), "\x09");
  CHECK_EQ(interface.Option(11), std::string("\0udp port 9", 11));
  CHECK_EQ(interface.Option(13), "none");
  for (size_t i = 0; i < packets.size(); ++i) {
    CHECK_EQ(parsed.packet_blocks[i].Option(1), i == 3 ? "pre-buffer" : "none");
  }
  const ParsedBlock& statistics = parsed.blocks.back();
  CHECK_EQ(statistics.type, 5u);
  CHECK_EQ(TimeIn(statistics.Option(2)), uint64_t(kEnd.from_ns));
  CHECK_EQ(TimeIn(statistics.Option(3)), uint64_t(kEnd.to_ns));
  CHECK_EQ(statistics.Option(5), std::string("\3\0\0\0\0\0\0\0", 8));
  CHECK_EQ(statistics.Option(7), std::string("\1\0\0\0\1\0\0\0", 8));
}

TEST(what_is_not_known_is_left_out) {
  FileHead head;
  head.snaplen = 64;
  const ParsedPcapng parsed = ParsePcapng(Encode(PcapngFormat(head), {}, 0));
  CHECK(parsed.whole);
  CHECK(parsed.blocks[0].options.empty());
  CHECK(parsed.blocks[1].options == (testing::ParsedOptions{{9, "\x06"}}));
  CHECK_EQ(parsed.blocks[2].options.size(), 2u);  // no loss that nobody counted
  head.filter = std::string(65'535, 'x');  // with its 0 too long for an option
  head.comment = std::string(65'535, 'x');
  const ParsedPcapng large = ParsePcapng(Encode(PcapngFormat(head), SmallPackets(2), 0));
  CHECK(large.whole);
  CHECK_EQ(large.blocks[1].Option(11), "none");
  CHECK_EQ(large.blocks[0].Option(1).size(), 65'535u);
}

TEST(a_frame_check_sequence_is_told_of_in_bytes) {
  FileHead head;
  head.linktype = 0x24000001;
  const ParsedPcapng parsed = ParsePcapng(Encode(PcapngFormat(head), {}, 0));
  CHECK_EQ(parsed.linktype, 1u);
  CHECK_EQ(parsed.blocks[1].Option(13), "\x04");
}

TEST(times_are_cut_kept_and_never_below_0) {
  struct Case {
    int64_t sec;
    int64_t nsec;
    Precision precision;
    int64_t ns;
  };
  const Case cases[] = {
      {5, 999'999'999, Precision::kMicro, 5'999'999'000},
      {5, 999'999'999, Precision::kNano, 5'999'999'999},
      {UINT32_MAX, 4'294'967'295'000, Precision::kMicro, (int64_t{UINT32_MAX} + 4294) * kNsPerSec + 967'295'000},
      {UINT32_MAX, 4'294'967'295'000, Precision::kNano, (int64_t{UINT32_MAX} + 4294) * kNsPerSec + 967'295'000},
      {-1, 5, Precision::kNano, 0},
      {-1, 5, Precision::kMicro, 0},
  };
  for (const Case& c : cases) {
    FileHead head;
    head.precision = c.precision;
    const PcapngFormat format(head);
    Bytes bytes;
    format.AppendHead(&bytes);
    format.AppendBefore({c.sec, c.nsec, 0, 0}, "", &bytes);
    format.AppendBehind({c.sec, c.nsec, 0, 0}, "", &bytes);
    const ParsedPcapng parsed = ParsePcapng(bytes);
    CHECK(parsed.whole);
    CHECK_EQ(parsed.packets.at(0).time_ns, c.ns);
  }
}

RingFacts Facts(FileFormat format) {
  RingFacts facts;
  facts.format = format;
  facts.version = "1.2.3";
  facts.filter = "tcp";
  facts.source.device = "a-device-of-15c";
  facts.source.linktype = 0x24000001;
  facts.source.file_snaplen = 2048;
  return facts;
}

TEST(the_cost_is_what_is_written) {
  for (const FileFormat name : {FileFormat::kPcap, FileFormat::kPcapng}) {
    for (const TapKind kind : {TapKind::kIncident, TapKind::kManual, TapKind::kDump}) {
      RecordingSpec spec;
      spec.kind = kind;
      spec.comment = "why";
      const auto format = FormatOf(spec, Facts(name), kUnlimited);
      const FileCost cost = CostOf(*format, kind);
      Bytes around;
      format->AppendHead(&around);
      format->AppendEnd(kEnd, &around);
      CHECK_EQ(cost.file, around.size());
      for (const testing::TestPacket& packet : SmallPackets(23)) {
        const auto caplen = static_cast<uint32_t>(packet.data.size());
        Bytes bytes;
        AppendPacket(*format, packet, "", &bytes);
        CHECK_EQ(cost.Of(caplen), bytes.size());
        for (size_t i = 0; i < kSections; ++i) {
          const auto section = static_cast<Section>(i);
          bytes.clear();
          AppendPacket(*format, packet, CommentOf(section, kind), &bytes);
          CHECK_EQ(cost.Of(caplen) + cost.Beginning(section), bytes.size());
        }
      }
      const bool commented = name == FileFormat::kPcapng && kind != TapKind::kDump;
      CHECK_EQ(cost.Beginning(Section::kPreBuffer), commented ? 20u : 0u);
    }
  }
}

TEST(a_small_cap_takes_what_can_be_left_out) {
  RecordingSpec spec;
  spec.comment = std::string(1200, 'x');
  const RingFacts facts = Facts(FileFormat::kPcapng);
  const uint64_t full = CostOf(*FormatOf(spec, facts, kUnlimited), spec.kind).file;
  CHECK(full > 1200);
  CHECK_EQ(CostOf(*FormatOf(spec, facts, full), spec.kind).file, full);
  // The least that the option `cap.bytes` may be.
  CHECK_EQ(CostOf(*FormatOf(spec, facts, full - 1), spec.kind).file, 148u);
}

// Through the file: what the capture thread says of loss, and for which time.
TEST(the_end_of_a_file_tells_of_its_loss) {
  for (const bool replay : {false, true}) {
    const TempDir dir;
    RingFacts facts = Facts(FileFormat::kPcapng);
    facts.source.replay = replay;
    const TapSpec tap = testing::MakeTap(1);
    RecordingSpec spec = testing::MakeRecording(tap, dir.path(), "a");
    spec.format = FormatOf(spec, facts, kUnlimited);
    Recording recording(spec, facts);
    CHECK(recording.Begin(kBase, {}).ok());
    TapSummary summary;
    summary.resolved_ns = kBase + kNsPerSec;
    summary.kernel_loss = 7;
    summary.interface_loss = 5;
    std::string report;
    CHECK(recording.Finish(summary, &report).ok());
    const ParsedPcapng parsed = ParsePcapng(testing::ReadBytes(spec.path));
    CHECK(parsed.whole);
    const ParsedBlock& statistics = parsed.blocks.back();
    CHECK_EQ(statistics.type, 5u);
    CHECK_EQ(TimeIn(statistics.Option(2)), uint64_t(kBase / 1000));
    CHECK_EQ(TimeIn(statistics.Option(3)), uint64_t(kBase / 1000 + 1'000'000));
    CHECK_EQ(statistics.Option(7), replay ? "none" : std::string("\7\0\0\0\0\0\0\0", 8));
    CHECK_EQ(statistics.Option(5), replay ? "none" : std::string("\5\0\0\0\0\0\0\0", 8));
  }
}

CaptureScan Scan(const std::string& path, const Bytes& bytes) {
  testing::WriteText(path, {bytes.begin(), bytes.end()});
  const UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return ScanCapture(fd.get(), FileFormat::kPcapng, {.before = {.packets = {0, 2, 0}}}, std::atomic<bool>(false));
}

Bytes Slice(const Bytes& bytes, size_t size) { return {bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size)}; }

TEST(a_file_cut_at_every_byte_is_whole_up_to_its_last_block) {
  const TempDir dir;
  const Packets packets = SmallPackets(9);
  const Bytes whole = Encode(PcapngFormat(Head()), packets, 2);
  const ParsedPcapng all = ParsePcapng(whole);
  for (size_t size = 0; size <= whole.size(); ++size) {
    const Bytes cut = Slice(whole, size);
    const CaptureScan scan = Scan(dir / "x", cut);
    const ParsedPcapng parsed = ParsePcapng(cut);
    if (parsed.blocks.size() < 2) {
      CHECK(scan.bytes == 0 && scan.begun);
      continue;
    }
    CHECK_EQ(scan.bytes, parsed.whole_bytes);
    CHECK_EQ(scan.tally.packets(), parsed.packets.size());
    CHECK_EQ(scan.after_freeze.packets, parsed.packets.size() < 2 ? 0 : parsed.packets.size() - 2);
    CHECK(scan.linktype == 113 && scan.snaplen == 1234 && scan.precision == Precision::kNano);
    if (scan.tally.packets() > 0) CHECK_EQ(scan.tally.to_ns(), parsed.packets.back().time_ns);
    Sha256 digest;
    digest.Update(whole.data(), scan.bytes);
    CHECK_EQ(scan.sha256, digest.HexDigest());
  }
  CHECK_EQ(Scan(dir / "x", whole).bytes, whole.size());
}

// Whatever a byte was changed to: what is taken for whole begins the file and is well-formed.
TEST(no_damage_makes_a_scan_go_wrong) {
  const TempDir dir;
  const Bytes whole = Encode(PcapngFormat(Head()), SmallPackets(6), 2);
  for (size_t at = 0; at < whole.size(); ++at) {
    for (const int change : {0x01, 0x04, 0x80, 0xff}) {
      Bytes damaged = whole;
      damaged[at] = static_cast<uint8_t>((damaged[at] ^ change) & 0xff);
      const CaptureScan scan = Scan(dir / "x", damaged);
      CHECK(scan.bytes <= damaged.size());
      const std::vector<ParsedBlock>& blocks = ParsePcapng(whole).blocks;
      CHECK(scan.bytes == 0 || std::any_of(blocks.begin(), blocks.end(),
                                           [&](const ParsedBlock& block) { return block.end == scan.bytes; }));
    }
  }
}

TEST(a_tail_of_zeros_of_garbage_or_of_more_is_no_part_of_it) {
  const TempDir dir;
  const Bytes whole = Encode(PcapngFormat(Head()), SmallPackets(6), 2);
  const size_t packets_end = ParsePcapng(whole).packet_blocks.back().end;
  for (const uint8_t fill : {uint8_t{0x00}, uint8_t{0xff}, uint8_t{0x06}, uint8_t{0x0a}}) {
    for (const size_t size : {packets_end, whole.size()}) {
      Bytes longer = Slice(whole, size);
      longer.resize(size + 10'000, fill);
      CHECK_EQ(Scan(dir / "x", longer).bytes, size);
    }
  }
  Bytes twice = whole;
  twice.insert(twice.end(), whole.begin(), whole.end());
  CHECK_EQ(Scan(dir / "x", twice).bytes, whole.size());
}

TEST(a_packet_that_no_reader_takes_is_no_part_of_it) {
  const TempDir dir;
  const Bytes whole = Encode(PcapngFormat(Head()), SmallPackets(6), 2);
  const size_t third = ParsePcapng(whole).packet_blocks[2].begin;
  Bytes late = whole;
  late[third + 15] = 0x57;  // in the year 2169
  CHECK_EQ(Scan(dir / "x", late).bytes, third);
}

TEST(what_is_none_of_ours_is_told_from_a_beginning) {
  const TempDir dir;
  const Bytes whole = Encode(PcapngFormat(Head()), SmallPackets(2), 2);
  const auto foreign = [&](const Bytes& bytes) {
    const CaptureScan scan = Scan(dir / "x", bytes);
    return scan.bytes == 0 && !scan.begun;
  };
  CHECK(foreign(Bytes(100, 'x')));
  CHECK(foreign(Bytes(100, 0)));
  CHECK(foreign(testing::EncodePcap(SmallPackets(2))));
  const auto with = [&](size_t at, uint8_t value) {
    Bytes bytes = whole;
    bytes[at] = value;
    return bytes;
  };
  CHECK(foreign(with(8, 0)));  // the byte order magic
  CHECK(foreign(with(15, 0xf8)));  // the version
  CHECK(foreign(with(16, 40)));  // how long the section is
  const size_t interface = ParsePcapng(whole).blocks[1].begin;
  CHECK(foreign(with(interface, 6)));
  CHECK(foreign(with(interface + 4, 0xf1)));
}

}  // namespace
}  // namespace pcap_ring

TEST_MAIN()
