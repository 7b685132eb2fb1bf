// Writes what the fuzzers begin with to DIRECTORY/files (captures, for those that take a file) and DIRECTORY/bytes.

#include <sys/stat.h>

#include <cstdio>
#include <string>

#include "incident/draft.h"
#include "output/pcapng_format.h"
#include "test/support.h"

namespace pcap_ring {
namespace {

using testing::Bytes;

// An IPv4 UDP, a tagged IPv6 TCP and an ARP frame.
testing::Packets Frames() {
  Bytes udp = {2, 0,  0, 0, 0, 1,  2, 0, 0, 0, 0,  2,    8, 0, 0x45, 0, 0, 36, 0, 1, 0, 0, 64, 17, 0,
               0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 53, 0x80, 0, 0, 16,   0, 0, 1,  2, 3, 4, 5, 6,  7,  8};
  Bytes tcp = {2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x81, 0, 0, 7, 0x86, 0xdd, 0x60, 0, 0, 0, 0, 20, 6, 64};
  tcp.resize(58, 0xfd);
  for (const int byte : {0x80, 0, 0, 80, 1, 2, 3, 4, 5, 6, 7, 8, 0x50, 2, 0x40, 0, 0, 0, 0, 0}) {
    tcp.push_back(static_cast<uint8_t>(byte));
  }
  Bytes arp = {255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 2, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1};
  arp.resize(60);
  testing::Packets packets;
  for (const Bytes& frame : {udp, tcp, arp}) {
    const auto number = static_cast<int64_t>(packets.size());
    packets.push_back({testing::kBase + number * 1'234'567, static_cast<uint32_t>(frame.size()), frame});
  }
  return packets;
}

Bytes EncodePcapng(const testing::Packets& packets, Precision precision) {
  FileHead head = {.precision = precision, .snaplen = 2048, .counts_loss = true, .application = "seed"};
  head.filter = "udp";
  const PcapngFormat format(head);
  Bytes bytes;
  format.AppendHead(&bytes);
  for (const testing::TestPacket& packet : packets) {
    const RecordHeader header = {packet.time_ns / kNsPerSec, packet.time_ns % kNsPerSec,
                                 static_cast<uint32_t>(packet.data.size()), packet.len};
    format.AppendBefore(header, "attack", &bytes);
    bytes.insert(bytes.end(), packet.data.begin(), packet.data.end());
    format.AppendBehind(header, "attack", &bytes);
  }
  format.AppendEnd({testing::kBase, testing::kBase + kNsPerSec, 3, 4}, &bytes);
  return bytes;
}

void Swap32(Bytes* bytes, size_t at) {
  std::reverse(bytes->begin() + static_cast<ptrdiff_t>(at), bytes->begin() + static_cast<ptrdiff_t>(at) + 4);
}

// The other byte order: two 16-bit fields, then words.
Bytes Swapped(Bytes pcap) {
  for (size_t at = 0; at < 24; at += 4) Swap32(&pcap, at);
  std::swap(pcap[4], pcap[6]);
  std::swap(pcap[5], pcap[7]);
  for (size_t at = 24; at + 16 <= pcap.size();) {
    const size_t size = pcap[at + 8] + size_t{256} * pcap[at + 9];
    for (size_t field = 0; field < 16; field += 4) Swap32(&pcap, at + field);
    at += 16 + size;
  }
  return pcap;
}

}  // namespace
}  // namespace pcap_ring

int main(int argc, char** argv) {
  using namespace pcap_ring;
  if (argc != 2) return 2;
  const std::string directory = argv[1];
  const auto write = [&](const std::string& name, const Bytes& bytes) {
    testing::WriteBytes(directory + "/" + name, bytes.data(), bytes.size());
  };
  for (const char* name : {"", "/files", "/bytes"}) mkdir((directory + name).c_str(), 0755);
  const testing::Packets packets = Frames();
  write("files/nano.pcap", testing::EncodePcap(packets));
  write("files/micro.pcap", testing::EncodePcap(packets, false));
  write("files/swapped.pcap", Swapped(testing::EncodePcap(packets, false)));
  write("files/raw.pcap", testing::EncodePcap(packets, true, 96, 101));
  write("files/nano.pcapng", EncodePcapng(packets, Precision::kNano));
  write("files/micro.pcapng", EncodePcapng(packets, Precision::kMicro));
  Draft draft;
  draft.frozen_ns = testing::kBase;
  draft.head = "\"id\":\"a\"";
  const std::string body = draft.Encode().substr(65);  // without its seal
  write("files/draft", {body.begin(), body.end()});
  for (size_t i = 0; i < packets.size(); ++i) write("bytes/frame-" + std::to_string(i), packets[i].data);
  const std::string expression = "vlan and ip6 and tcp[13] & 2 != 0 or udp portrange 50-60";
  write("bytes/expression", {expression.begin(), expression.end()});
  return testing::Failures() == 0 ? 0 : 1;
}
