// A recording as a source, whatever its bytes are: it ends, damage is told of and stays told of, packets are in bounds, the
// source and the reader agree, and what was read can be written to a .pcap and read again.

#include <algorithm>
#include <vector>

#include "fuzz/fuzz.h"
#include "output/pcap_format.h"
#include "source/recording_reader.h"
#include "source/replay_source.h"

namespace pcap_ring {
namespace {

using Bytes = std::vector<uint8_t>;
using Next = RecordingReader::Next;

struct Read {
  Bytes copy;  // as a .pcap
  size_t packets = 0;
  uint64_t bytes = 0;
};

Read ReadAll(RecordingReader* reader) {
  Read read;
  const PcapFormat format(
      {.precision = Precision::kNano, .linktype = reader->linktype(), .snaplen = reader->file_snaplen()});
  format.AppendHead(&read.copy);
  Packet packet;
  Next next;
  while ((next = reader->Read(&packet)) == Next::kPacket) {
    MUST(packet.caplen <= RecordingReader::kMaxCaplen);
    MUST(packet.nsec >= 0);
    ++read.packets;
    read.bytes += packet.caplen;
    format.AppendBefore({packet.sec, packet.nsec, packet.caplen, packet.len}, "", &read.copy);
    read.copy.insert(read.copy.end(), packet.data, packet.data + packet.caplen);
  }
  MUST(reader->error().ok() == (next == Next::kEnd));
  MUST(reader->error().ok() || !reader->error().message.empty());
  MUST(reader->Read(&packet) == next);
  return read;
}

void ReadAsSource(const Bytes& bytes, const Read& read, const char* filter, Direction direction) {
  constexpr uint32_t kSnaplen = 60;
  ReplaySource source;
  const Status opened =
      source.Open({.path = "", .bytes = bytes, .filter = filter, .direction = direction, .snaplen = kSnaplen});
  if (!opened.ok()) {
    MUST(opened.code == Code::kBadFilter && *filter != '\0');
    return;
  }
  ReplaySource::Item item;
  size_t packets = 0;
  while (source.Read(&item)) {
    ++packets;
    MUST(item.packet.caplen <= kSnaplen);
    MUST(item.previous_ns.has_value() == (packets > 1));
    MUST(item.next_ns.has_value() == (packets < read.packets));
  }
  MUST(packets == read.packets);
}

}  // namespace
}  // namespace pcap_ring

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pcap_ring;
  const Bytes bytes(data, data + size);
  RecordingReader reader;
  if (const Status opened = reader.OpenBytes(bytes); !opened.ok()) {
    MUST(opened.code == Code::kBadFile && !opened.message.empty());
    return 0;
  }
  const Read read = ReadAll(&reader);
  MUST(read.bytes <= size);
  ReadAsSource(bytes, read, "", Direction::kBoth);
  ReadAsSource(bytes, read, "ip and udp port 53 or vlan", Direction::kIn);

  RecordingReader again;
  MUST(again.OpenBytes(read.copy).ok());
  const Read copied = ReadAll(&again);
  MUST(again.error().ok());
  MUST(copied.packets == read.packets && copied.copy == read.copy);
  return 0;
}
