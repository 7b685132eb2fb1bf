#include "incident/file_traffic.h"

#include <malloc.h>

#include <array>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
// Of the sanitizers' runtimes; their header is not everywhere.
extern "C" size_t __sanitizer_get_current_allocated_bytes();
#endif

#include "test/check.h"

namespace pcap_ring {
namespace {

constexpr int64_t kT = 1'700'000'000 * kNsPerSec;
constexpr uint32_t kSeed = 20261122;

// What is allocated now, as the allocator itself says.
size_t Allocated() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return __sanitizer_get_current_allocated_bytes();
#else
  const auto info = mallinfo2();
  return info.uordblks + info.hblkhd;
#endif
}

using Frame = std::array<uint8_t, 62>;

// UDP or TCP in IPv6 over Ethernet, with room for the ends to be made up.
Frame Ipv6Frame(uint8_t transport) {
  Frame frame = {};
  frame[12] = 0x86;
  frame[13] = 0xdd;
  frame[14] = 0x60;
  frame[19] = 8;
  frame[20] = transport;
  return frame;
}

Packet PacketOf(const Frame& frame, int64_t time_ns = kT, uint32_t len = 62) {
  return {time_ns / kNsPerSec, time_ns % kNsPerSec, static_cast<uint32_t>(frame.size()), len, frame.data(), false};
}

// Everything about each packet made up: addresses, ports, protocol, time, length.
void Flood(FileTraffic* traffic, uint32_t packets, uint32_t seed) {
  std::mt19937 random(seed);
  Frame frame = Ipv6Frame(17);
  for (uint32_t i = 0; i < packets; ++i) {
    for (size_t at = 22; at < 58; at += 4) {
      const auto word = static_cast<uint32_t>(random());
      std::memcpy(frame.data() + at, &word, 4);
    }
    frame[20] = random() % 2 == 0 ? 6 : 17;
    traffic->Add(Section::kAttack,
                 PacketOf(frame, static_cast<int64_t>(random()) * kNsPerSec, static_cast<uint32_t>(random() % 2000)));
  }
}

TEST(memory_is_bounded_and_then_stands_still) {
  const size_t before = Allocated();
  const auto traffic = std::make_unique<FileTraffic>(1, Precision::kMicro, kT);
  const size_t empty = Allocated() - before;
  Flood(traffic.get(), 100'000, kSeed);
  const size_t flooded = Allocated() - before;
  Flood(traffic.get(), 200'000, kSeed + 1);
  CHECK_EQ(Allocated() - before, flooded);
  std::printf("# %zu KiB empty, %zu KiB after 100,000 packets that share nothing\n", empty / 1024, flooded / 1024);
  CHECK(flooded <= 1024 * 1024);
  CHECK_EQ(traffic->totals().packets, 300'000u);
  CHECK(traffic->sources().estimated() && traffic->destinations().estimated());
}

TEST(an_ordinary_flood_takes_a_part_of_it) {
  const size_t before = Allocated();
  const auto traffic = std::make_unique<FileTraffic>(1, Precision::kMicro, kT);
  std::mt19937 random(kSeed);
  Frame frame = Ipv6Frame(17);
  for (uint32_t i = 0; i < 100'000; ++i) {
    const auto word = static_cast<uint32_t>(random());
    std::memcpy(frame.data() + 22, &word, 4);  // the source
    std::memcpy(frame.data() + 54, &word, 2);  // its port
    traffic->Add(Section::kAttack, PacketOf(frame, kT + int64_t{i} * 10'000));
  }
  std::printf("# %zu KiB for one protocol from made-up sources\n", (Allocated() - before) / 1024);
  CHECK(Allocated() - before <= 768 * 1024);
  CHECK(!traffic->destinations().estimated());
}

TEST(sizes_by_original_length) {
  FileTraffic traffic(1, Precision::kMicro, kT);
  const Frame frame = Ipv6Frame(17);
  std::map<size_t, uint64_t> expected;
  const std::pair<uint32_t, size_t> lengths[] = {{0, 0},    {64, 0},   {65, 1},   {127, 1},       {128, 2},  {255, 2},
                                                 {256, 3},  {511, 3},  {512, 4},  {1023, 4},      {1024, 5}, {1518, 5},
                                                 {1519, 6}, {9018, 6}, {9019, 7}, {UINT32_MAX, 7}};
  for (const auto& [len, bucket] : lengths) {
    traffic.Add(Section::kAttack, PacketOf(frame, kT, len));
    ++expected[bucket];
  }
  for (size_t i = 0; i < traffic.sizes().size(); ++i) CHECK_EQ(traffic.sizes()[i], expected[i]);
}

TEST(what_has_no_address_is_counted_all_the_same) {
  FileTraffic traffic(1, Precision::kMicro, kT);
  Frame arp = {};
  arp[12] = 8;
  arp[13] = 6;
  traffic.Add(Section::kAttack, PacketOf(arp));
  Packet nothing;
  traffic.Add(Section::kAttack, nothing);
  FileTraffic unknown(147, Precision::kMicro, kT);
  unknown.Add(Section::kAttack, PacketOf(Ipv6Frame(17)));
  CHECK_EQ(traffic.totals().other, 2u);
  CHECK_EQ(traffic.sizes()[0], 2u);
  CHECK_EQ(traffic.sources().packets() + unknown.sources().packets() + unknown.destinations().packets(), 0u);
  CHECK_EQ(traffic.sources().Different(), 0u);
  CHECK(traffic.sources().MostPackets(10).empty());
}

// Slots by their definition: the shortest length, 1 ms doubled, that leaves no more than there may be.
struct Expected {
  std::map<std::pair<Section, int64_t>, std::pair<uint64_t, uint64_t>> slots;
  int64_t length = kNsPerMs;
};
struct Timed {
  Section section;
  int64_t time_ns;
  uint32_t len;
};

int64_t Floor(int64_t value, int64_t by) { return value >= 0 ? value / by : -((-value + by - 1) / by); }

Expected SlotsOf(const std::vector<Timed>& packets, int64_t origin) {
  for (int64_t length = kNsPerMs;; length *= 2) {
    Expected expected;
    expected.length = length;
    for (const Timed& packet : packets) {
      auto& sum = expected.slots[{packet.section, Floor(packet.time_ns - origin, length)}];
      ++sum.first;
      sum.second += packet.len;
    }
    if (expected.slots.size() <= SectionTimeline::kMaxSlots) return expected;
  }
}

void CheckTimeline(const std::string& name, const std::vector<Timed>& packets, int64_t origin = kT) {
  SectionTimeline timeline(origin);
  for (const Timed& packet : packets) timeline.Add(packet.section, packet.time_ns, packet.len);
  if (origin == kNever) origin = packets.at(0).time_ns;
  const Expected expected = SlotsOf(packets, origin);
  CHECK_EQ(name + std::to_string(timeline.slots().size()), name + std::to_string(expected.slots.size()));
  auto want = expected.slots.begin();
  for (const auto& slot : timeline.slots()) {
    if (want == expected.slots.end()) break;
    CHECK(slot.section == want->first.first);
    CHECK_EQ(timeline.StartNs(slot), origin + want->first.second * expected.length);
    CHECK_EQ(slot.packets, want->second.first);
    CHECK_EQ(slot.bytes, want->second.second);
    ++want;
  }
}

TEST(timeline_slots) {
  CheckTimeline("one ", {{Section::kAttack, kT + 5, 60}});
  CheckTimeline("none ", {});
  CheckTimeline("around the freeze ", {{Section::kPreBuffer, kT - 1, 1},
                                       {Section::kPreBuffer, kT - kNsPerMs, 2},
                                       {Section::kPreBuffer, kT - kNsPerMs - 1, 4},
                                       {Section::kAttack, kT, 8},
                                       {Section::kAttack, kT + kNsPerMs - 1, 16},
                                       {Section::kAttack, kT - 1, 32},
                                       {Section::kResolution, kT + kNsPerMs - 1, 64}});
  std::mt19937 random(kSeed);
  for (const int64_t spread : {kNsPerMs, kNsPerSec, 60 * kNsPerSec, 100'000 * kNsPerSec, 2'000'000'000 * kNsPerSec}) {
    for (const int sections : {1, 3}) {
      std::vector<Timed> packets;
      for (int i = 0; i < 6'000; ++i) {
        const auto section = static_cast<Section>(i * sections / 6'000);
        const double unit = static_cast<double>(random()) / 4294967296.0;
        packets.push_back({section, kT - spread / 2 + static_cast<int64_t>(unit * static_cast<double>(spread)),
                           static_cast<uint32_t>(random() % 1500)});
      }
      CheckTimeline("random ", packets);
    }
  }
  // In step, as packets come, and damaged in the middle.
  std::vector<Timed> packets;
  for (int64_t i = 0; i < 20'000; ++i) packets.push_back({Section::kAttack, kT + i * 333'333, 60});
  packets[7'000].time_ns = 0;
  packets[9'000].time_ns = int64_t{UINT32_MAX} * kNsPerSec;
  CheckTimeline("damaged ", packets);
  CheckTimeline("from the first packet ", packets, kNever);
}

}  // namespace
}  // namespace pcap_ring

TEST_MAIN()
