// Files in both formats, of any heads, packets and comments: each takes as many bytes as is said, and two readers that share no code
// with each other find what was written; of a .pcapng the scan of a recovery, too.

#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <string>
#include <vector>

#include "fuzz/fuzz.h"
#include "output/pcap_format.h"
#include "output/pcapng_format.h"
#include "source/recording_reader.h"
#include "test/pcapng_support.h"

namespace pcap_ring {
namespace {

using testing::Bytes;
using testing::Packets;

struct Written {
  FileHead head;
  Packets packets;  // at the times that are in the file
  std::vector<std::string> comments;
  Bytes bytes;
};

Written Write(FuzzedDataProvider* input, FileFormat name) {
  Written written;
  FileHead& head = written.head;
  head.precision = input->ConsumeBool() ? Precision::kNano : Precision::kMicro;
  head.linktype = input->ConsumeIntegral<uint16_t>();
  head.snaplen = input->ConsumeIntegralInRange<uint32_t>(1, RecordingReader::kMaxCaplen);
  head.counts_loss = input->ConsumeBool();
  for (std::string* text : {&head.application, &head.os, &head.interface_name, &head.filter, &head.comment}) {
    *text = input->ConsumeRandomLengthString(300);
  }
  const auto format = MakeRecordFormat(name, head);
  format->AppendHead(&written.bytes);
  const int count = input->ConsumeIntegralInRange(0, 8);
  for (int i = 0; i < count; ++i) {
    const std::string comment = input->ConsumeRandomLengthString(40);
    RecordHeader header;
    header.sec = input->ConsumeIntegralInRange<int64_t>(0, UINT32_MAX - 5'000);
    header.nsec = input->ConsumeIntegralInRange<int64_t>(0, 4'294'967'295'000);
    const Bytes data =
        input->ConsumeBytes<uint8_t>(input->ConsumeIntegralInRange<size_t>(0, std::min(200U, head.snaplen)));
    header.caplen = static_cast<uint32_t>(data.size());
    header.len = input->ConsumeIntegral<uint32_t>();
    const size_t before = written.bytes.size();
    format->AppendBefore(header, comment, &written.bytes);
    written.bytes.insert(written.bytes.end(), data.begin(), data.end());
    format->AppendBehind(header, comment, &written.bytes);
    MUST((written.bytes.size() - before) % format->alignment() == 0);
    const int64_t time_ns = header.sec * kNsPerSec + header.nsec;
    const int64_t cut_ns = head.precision == Precision::kNano ? time_ns : time_ns / 1000 * 1000;
    written.packets.push_back({cut_ns, header.len, data});
    written.comments.push_back(comment);
  }
  const auto from_ns = input->ConsumeIntegralInRange<int64_t>(0, INT64_MAX);
  format->AppendEnd({from_ns, input->ConsumeIntegralInRange<int64_t>(from_ns, INT64_MAX),
                     input->ConsumeIntegral<uint32_t>(), input->ConsumeIntegral<uint32_t>()},
                    &written.bytes);
  return written;
}

void CheckOurReader(const Written& written) {
  RecordingReader reader;
  MUST(reader.OpenBytes(written.bytes).ok());
  MUST(reader.linktype() == written.head.linktype && reader.snaplen() == written.head.snaplen);
  Packet packet;
  for (const testing::TestPacket& one : written.packets) {
    MUST(reader.Read(&packet) == RecordingReader::Next::kPacket);
    MUST(packet.time_ns() == one.time_ns && packet.len == one.len);
    MUST(Bytes(packet.data, packet.data + packet.caplen) == one.data);
  }
  MUST(reader.Read(&packet) == RecordingReader::Next::kEnd);
}

void CheckPcapng(const Written& written) {
  const testing::ParsedPcapng parsed = testing::ParsePcapng(written.bytes);
  MUST(parsed.whole && parsed.packets == written.packets);
  MUST(parsed.linktype == written.head.linktype && parsed.snaplen == written.head.snaplen);
  for (size_t i = 0; i < written.comments.size(); ++i) {
    const std::string& comment = written.comments[i];
    MUST(parsed.packet_blocks[i].Option(1) == (comment.empty() ? "none" : comment));
  }
}

void CheckPcap(const Written& written) {
  const testing::ParsedPcap parsed = testing::ParsePcap(written.bytes);
  MUST(parsed.whole && parsed.packets == written.packets);
  MUST(parsed.linktype == written.head.linktype && parsed.snaplen == written.head.snaplen);
}

}  // namespace
}  // namespace pcap_ring

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pcap_ring;
  FuzzedDataProvider input(data, size);
  const FileFormat format = input.ConsumeBool() ? FileFormat::kPcapng : FileFormat::kPcap;
  const Written written = Write(&input, format);
  CheckOurReader(written);
  if (format == FileFormat::kPcapng) {
    CheckPcapng(written);
  } else {
    CheckPcap(written);
  }
  return 0;
}
