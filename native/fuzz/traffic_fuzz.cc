// Packets of any bytes and any claimed length on any link type: each counts once, its ends lie within it, and the summary of a
// file of them is JSON that adds up.

#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <numeric>

#include "fuzz/fuzz.h"
#include "incident/file_traffic.h"
#include "incident/report.h"
#include "test/support.h"
#include "traffic/counters.h"

namespace pcap_ring {
namespace {

constexpr int kLinkTypes[] = {0, 1, 8, 9, 12, 14, 101, 104, 105, 108, 113, 127, 147, 228, 229, 276};

void CheckEnds(const Endpoints& ends, const Packet& packet) {
  MUST(ends.address_size == 0 || ends.address_size == 4 || ends.address_size == 16);
  if (ends.address_size == 0) return;
  for (const uint8_t* address : {ends.source, ends.destination}) {
    MUST(address >= packet.data && address + ends.address_size <= packet.data + packet.caplen);
  }
}

bool AddsUp(const TrafficCounters& total, uint64_t packets) {
  return total.packets == packets && total.tcp + total.udp + total.icmp + total.other == packets &&
         std::max({total.syn, total.synack, total.ack, total.rst, total.fin}) <= total.tcp &&
         total.fragments <= packets && total.inbound_packets <= packets;
}

}  // namespace
}  // namespace pcap_ring

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace pcap_ring;
  FuzzedDataProvider input(data, size);
  const int dlt = input.ConsumeBool() ? input.PickValueInArray(kLinkTypes) : input.ConsumeIntegral<int>();
  const bool manual = input.ConsumeBool();
  TrafficCounter counter(dlt);
  FileTraffic traffic(static_cast<uint32_t>(dlt), Precision::kNano, testing::kBase);
  uint64_t packets = 0;
  uint64_t bytes = 0;
  while (input.remaining_bytes() > 0) {
    const auto wanted = input.ConsumeIntegralInRange<size_t>(0, 300);
    const std::vector<uint8_t> taken = input.ConsumeBytes<uint8_t>(wanted);
    // Of exactly its size, so that the sanitizer sees a byte too much.
    const auto exact = std::make_unique<uint8_t[]>(taken.size());
    std::copy(taken.begin(), taken.end(), exact.get());
    Packet packet = {testing::kBase / kNsPerSec, 0, static_cast<uint32_t>(taken.size()), 0, exact.get(),
                     input.ConsumeBool()};
    packet.len = input.ConsumeBool() ? packet.caplen : input.ConsumeIntegral<uint32_t>();
    packet.sec += input.ConsumeIntegral<int32_t>() / 2;
    Endpoints ends;
    counter.Count(packet, &ends);
    CheckEnds(ends, packet);
    traffic.Add(packets % 2 == 0 ? Section::kPreBuffer : Section::kAttack, packet);
    ++packets;
    bytes += packet.len;
    MUST(counter.total().bytes == bytes && AddsUp(counter.total(), packets));
  }
  const auto& sizes = traffic.sizes();
  MUST(traffic.totals().bytes == bytes && AddsUp(traffic.totals(), packets));
  MUST(std::accumulate(sizes.begin(), sizes.end(), uint64_t{0}) == packets);
  JsonWriter json;
  json.BeginObject().Key("traffic");
  WriteTraffic(&json, traffic, manual, Precision::kNano);
  json.EndObject();
  MUST(testing::Json::Parse(json.text()).valid());
  return 0;
}
