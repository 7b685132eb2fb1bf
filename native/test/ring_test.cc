#include "ring/packet_ring.h"

#include <sys/mman.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <random>
#include <vector>

#include "incident/recording.h"
#include "test/check.h"
#include "test/support.h"

namespace pcap_ring {
namespace {

using testing::Bytes;
using testing::TestPacket;

const auto kIgnore = [](Slab*) {};

Packet ToPacket(const TestPacket& from) {
  return {from.time_ns / kNsPerSec, from.time_ns % kNsPerSec, static_cast<uint32_t>(from.data.size()), from.len,
          from.data.data(), false};
}

TestPacket MakePacket(uint64_t number, uint32_t size) {
  TestPacket packet = {testing::kBase + static_cast<int64_t>(number) * 1001, size + 3, Bytes(size)};
  testing::Fill(packet.data.data(), size, number);
  return packet;
}

bool NextIs(RecordWalker* walker, const TestPacket& expected) {
  const RecordHeader header = walker->Header(kIgnore);
  bool same = header.time_ns() == expected.time_ns && header.len == expected.len &&
              header.caplen == expected.data.size();
  if (!same) return false;
  uint32_t at = 0;
  walker->Bytes(
      header,
      [&](const uint8_t* data, uint32_t size) {
        same = same && std::memcmp(data, expected.data.data() + at, size) == 0;
        at += size;
      },
      kIgnore);
  return same && at == header.caplen;
}

bool Holds(const PacketRing& ring, const std::deque<TestPacket>& newest) {
  if (ring.packets() > newest.size()) return false;
  RecordWalker walker(ring.oldest());
  for (size_t i = newest.size() - ring.packets(); i < newest.size(); ++i) {
    if (!NextIs(&walker, newest[i])) return false;
  }
  return true;
}

struct Limits {
  size_t packets;
  size_t bytes;
  uint32_t snaplen;
};

// Random packets against the plainest model: the last ones pushed.
void CompareWithModel(const Limits& limits, uint32_t seed, int pushes) {
  std::printf("# seed %u: %zu packets, %zu bytes, snaplen %u\n", seed, limits.packets, limits.bytes, limits.snaplen);
  std::mt19937 random(seed);
  PacketRing ring(limits.packets, limits.bytes, limits.snaplen);
  CHECK(ring.ok());
  CHECK_EQ(ring.largest(), limits.snaplen);
  std::deque<TestPacket> model;
  uint64_t model_bytes = 0;
  bool ok = true;
  for (int i = 0; i < pushes && ok; ++i) {
    // Of every magnitude, and often right at the edges of a slab.
    uint32_t size = static_cast<uint32_t>(random()) & ((1u << random() % 19) - 1);
    if (random() % 4 == 0) size = static_cast<uint32_t>(Slab::kSize * (random() % 4) + random() % 64 - 32);
    if (random() % 8 == 0) size = limits.snaplen;
    if (random() % 16 == 0) size = 0;
    if (size > limits.snaplen) size = static_cast<uint32_t>(random()) % (limits.snaplen + 1);
    model.push_back(MakePacket(static_cast<uint64_t>(i), size));
    model_bytes += size;
    ok = ok && ring.Push(ToPacket(model.back()));
    while (model.size() > limits.packets) {
      model_bytes -= model.front().data.size();
      model.pop_front();
    }
    ok = ok && ring.packets() >= 1 && ring.packets() <= limits.packets && ring.bytes() <= limits.bytes;
    ok = ok && ring.last_ns() == model.back().time_ns;
    RecordWalker last(ring.last());
    ok = ok && NextIs(&last, model.back());
    uint64_t bytes = 0;
    for (size_t k = model.size() - ring.packets(); k < model.size(); ++k) bytes += model[k].data.size();
    ok = ok && bytes == ring.bytes();
    ok = ok && ring.oldest_ns() == model[model.size() - ring.packets()].time_ns;
    // What is left out for want of bytes is no more than had to go: two slabs and the largest gap are lost at most.
    if (ring.packets() < model.size()) {
      const size_t next = model[model.size() - ring.packets() - 1].data.size();
      ok = ok && bytes + next + (ring.packets() + 1) * 56 + 2 * Slab::kSize + limits.snaplen > limits.bytes / 2;
    }
    if (i % 7 == 0 || i + 1 == pushes) ok = ok && Holds(ring, model);
    if (!ok) std::printf("# differs at push %d of size %u\n", i, size);
  }
  CHECK(ok);
}

TEST(keeps_the_newest_packets_byte_for_byte) {
  const Limits all[] = {
      {1, 64 + 65536, 64},       {500, 64 + 65536, 64},           {1'000'000, 64 + 65536, 64},
      {2, 262144 + 65536, 262144}, {500, 262144 + 65536, 262144}, {500, 2 * 1024 * 1024, 2048},
      {500, 2 * 1024 * 1024, 65535}, {37, 1 << 20, 16384},        {3, 1514 + 65536, 1514},
  };
  for (const Limits& limits : all) {
    for (const uint32_t seed : {1u, 20261122u}) CompareWithModel(limits, seed, 1500);
  }
}

TEST(holds_exactly_max_packets_where_bytes_suffice) {
  for (const size_t packets : {1, 2, 500, 10'000}) {
    PacketRing ring(packets, std::max<size_t>(2 * 1024 * 1024, 4096 * packets), 2048);
    bool ok = true;
    for (size_t i = 0; i < packets * 2 + 1000; ++i) {
      ok = ok && ring.Push(ToPacket(MakePacket(i, static_cast<uint32_t>(60 + i % 1500))));
      ok = ok && ring.packets() == std::min(i + 1, packets);
    }
    CHECK(ok);
  }
}

TEST(keeps_alone_what_is_larger_than_the_bytes) {
  PacketRing ring(10, 64 + 65536, 262144);
  CHECK(ring.Push(ToPacket(MakePacket(0, 100))));
  const TestPacket packet = MakePacket(1, 262144);
  CHECK(ring.Push(ToPacket(packet)));
  CHECK_EQ(ring.packets(), 1u);
  CHECK(Holds(ring, {packet}));
  CHECK(ring.Push(ToPacket(MakePacket(2, 100))));
  CHECK_EQ(ring.packets(), 1u);
  CHECK_EQ(ring.bytes(), 100u);
}

TEST(cuts_a_packet_larger_than_can_come) {
  PacketRing ring(10, 64 + 65536, 2048);
  TestPacket packet = MakePacket(1, 262144);
  CHECK(ring.Push(ToPacket(packet)));
  CHECK_EQ(ring.packets(), 1u);
  CHECK_EQ(ring.bytes(), ring.largest());
  packet.data.resize(ring.largest());
  CHECK(Holds(ring, {packet}));
}

class Pinner : public PacketRing::Grower {
 public:
  void OnNewSlab(Slab* slab) override {
    if (open) slab->Pin();
  }
  bool open = false;
};

// What Tap does: pins from `at` to the tail.
Span PinAll(const PacketRing& ring) {
  const Span span = {ring.oldest(), ring.packets(), ring.tail().slab};
  for (Slab* slab = span.begin.slab;; slab = slab->next) {
    slab->Pin();
    if (slab == span.last) return span;
  }
}

TEST(what_a_reader_holds_stays_while_the_ring_moves_on) {
  constexpr uint32_t kSeed = 7;
  std::printf("# seed %u\n", kSeed);
  std::mt19937 random(kSeed);
  PacketRing ring(200, 4 * 65536, 65536);
  CHECK(ring.StartRecording());
  struct Held {
    Span span;
    std::deque<TestPacket> packets;
  };
  std::deque<Held> held;
  std::deque<TestPacket> model;
  bool ok = true;
  for (uint64_t i = 0; i < 20'000; ++i) {
    model.push_back(MakePacket(i, static_cast<uint32_t>(random() % 3000)));
    if (model.size() > 200) model.pop_front();
    ok = ok && ring.Push(ToPacket(model.back()));
    if (random() % 200 == 0) {
      std::deque<TestPacket> packets(model.end() - static_cast<ptrdiff_t>(ring.packets()), model.end());
      held.push_back({PinAll(ring), std::move(packets)});
    }
    if (held.size() > 8) {
      const size_t which = random() % held.size();
      RecordWalker walker(held[which].span.begin);
      for (const TestPacket& packet : held[which].packets) ok = ok && NextIs(&walker, packet);
      ReleaseSpan(held[which].span);
      held.erase(held.begin() + static_cast<ptrdiff_t>(which));
    }
  }
  CHECK(ok);
  CHECK(!ring.Congested());
  for (const Held& each : held) ReleaseSpan(each.span);
  ring.StopRecording();
  CHECK(Holds(ring, model));
}

TEST(congestion_comes_when_readers_lag_and_goes_when_they_let_go) {
  PacketRing ring(500, 2 * 1024 * 1024, 65536);
  Pinner pinner;
  ring.set_grower(&pinner);
  CHECK(ring.StartRecording());
  CHECK(!ring.Congested());
  CHECK(ring.Push(ToPacket(MakePacket(0, 100))));
  Span span = PinAll(ring);
  pinner.open = true;
  uint64_t pushed = 1;
  // Never before there is room for a capture of the default cap, of full-size packets.
  while (!ring.Congested() && pushed < 200'000) CHECK(ring.Push(ToPacket(MakePacket(pushed++, 1514))));
  CHECK(ring.Congested());
  CHECK(pushed > 10'000);
  pinner.open = false;
  span.last = ring.tail().slab;
  // All that is pinned may leave the ring and yet every packet finds room.
  bool ok = true;
  for (int i = 0; i < 5000; ++i) ok = ok && ring.Push(ToPacket(MakePacket(pushed++, 1514)));
  CHECK(ok);
  CHECK(ring.Congested());
  ReleaseSpan(span);
  ring.Reclaim();
  CHECK(!ring.Congested());
  ring.StopRecording();
  for (int i = 0; i < 5000; ++i) ok = ok && ring.Push(ToPacket(MakePacket(pushed++, 1514)));
  CHECK(ok);
  CHECK_EQ(ring.packets(), 500u);
}

// Readers that let go in any order: what they still hold does not keep back what they do not.
TEST(a_reader_that_holds_on_keeps_back_its_own_only) {
  PacketRing ring(500, 2 * 1024 * 1024, 65536);
  CHECK(ring.StartRecording());
  Pinner pinner;
  ring.set_grower(&pinner);
  CHECK(ring.Push(ToPacket(MakePacket(0, 1514))));
  Span kept = PinAll(ring);
  uint64_t pushed = 1;
  // Ten times what the log may grow by, a span at a time.
  bool ok = true;
  bool congested = false;
  for (int i = 0; i < 200; ++i) {
    const Cursor begin = ring.tail();
    begin.slab->Pin();
    pinner.open = true;
    for (int j = 0; j < 1'000; ++j) ok = ok && ring.Push(ToPacket(MakePacket(pushed++, 1514)));
    pinner.open = false;
    congested = congested || ring.Congested();
    ReleaseSpan({begin, 0, ring.tail().slab});
  }
  CHECK(ok);
  CHECK(!congested);
  ReleaseSpan(kept);
}

// A second freeze while the writer hangs may take the last slab: then Push says so, and nothing is torn.
TEST(a_ring_without_memory_refuses_packets_and_stays_whole) {
  PacketRing ring(1'000'000, 2 * 1024 * 1024, 65536);
  Pinner pinner;
  ring.set_grower(&pinner);
  CHECK(ring.StartRecording());
  CHECK(ring.Push(ToPacket(MakePacket(0, 100))));
  Span span = PinAll(ring);
  pinner.open = true;
  std::deque<TestPacket> kept;
  for (uint64_t i = 1;; ++i) {
    const TestPacket packet = MakePacket(i, 9000);
    if (!ring.Push(ToPacket(packet))) break;
    kept.push_back(packet);
  }
  CHECK(kept.size() > 1000);
  CHECK(Holds(ring, kept));
  for (uint64_t i = 0; i < 1000; ++i) CHECK(!ring.Push(ToPacket(MakePacket(i, 9000))));
  CHECK(ring.packets() > 0);
  span.last = ring.tail().slab;
  ReleaseSpan(span);
  kept.clear();
  for (uint64_t i = 0; i < 1000; ++i) {
    kept.push_back(MakePacket(i, 9000));
    CHECK(ring.Push(ToPacket(kept.back())));
  }
  CHECK(Holds(ring, kept));
}

// The recording is over for the capture thread, but its writer still reads: the ring must go on all the same.
TEST(keeps_every_packet_while_the_writer_still_holds_what_was_the_whole_ring) {
  PacketRing ring(500, 64 + 65536, 64);
  uint64_t number = 0;
  bool ok = true;
  for (; number < 2000; ++number) ok = ok && ring.Push(ToPacket(MakePacket(number, 1000)));
  CHECK(ring.StartRecording());
  const Span span = PinAll(ring);
  ring.StopRecording();
  for (int i = 0; i < 100; ++i) ok = ok && ring.Push(ToPacket(MakePacket(number++, 1000)));
  CHECK(ok);
  CHECK_EQ(ring.last_ns(), MakePacket(number - 1, 0).time_ns);
  ReleaseSpan(span);
  for (int i = 0; i < 100; ++i) ok = ok && ring.Push(ToPacket(MakePacket(number++, 1000)));
  CHECK(ok);
}

// How many pages of these slabs are in memory.
size_t Resident(const std::vector<uint8_t*>& slabs) {
  size_t pages = 0;
  const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  for (uint8_t* slab : slabs) {
    std::vector<unsigned char> in(Slab::kSize / page);
    if (mincore(slab, Slab::kSize, in.data()) != 0) continue;  // not even mapped
    for (const unsigned char each : in) pages += each & 1;
  }
  return pages;
}

TEST(the_lent_part_is_given_back_to_the_system) {
  constexpr size_t kOwn = 4;
  constexpr size_t kLent = 64;
  SlabPool pool(kOwn, kLent);
  for (int round = 0; round < 3; ++round) {
    CHECK(pool.Borrow());
    std::vector<Slab*> taken;
    std::vector<uint8_t*> lent;
    while (Slab* slab = pool.Take()) {
      std::memset(slab->bytes, 1, Slab::kSize);
      taken.push_back(slab);
      if (slab->lent) lent.push_back(slab->bytes);
    }
    CHECK_EQ(taken.size(), kOwn + kLent);
    CHECK_EQ(lent.size(), kLent);
    CHECK(Resident(lent) > 0);
    // Half of it comes back before the part is given back, the other half afterwards.
    const size_t half = round == 0 ? 0 : taken.size() / static_cast<size_t>(round);
    for (size_t i = 0; i < half; ++i) pool.Free(taken[i]);
    pool.GiveBack();
    for (size_t i = half; i < taken.size(); ++i) pool.Free(taken[i]);
    CHECK_EQ(Resident(lent), 0u);
  }
}

}  // namespace
}  // namespace pcap_ring

TEST_MAIN()
