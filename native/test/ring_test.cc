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
  return {from.time_ns / kNsPerSec,
          from.time_ns % kNsPerSec,
          static_cast<uint32_t>(from.data.size()),
          from.len,
          from.data.data(),
          false};
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
      {1, 64 + 65536, 64},           {500, 64 + 65536, 64},         {1'000'000, 64 + 65536, 64},
      {2, 262144 + 65536, 262144},   {500, 262144 + 65536, 262144}, {500, 2 * 1024 * 1024, 2048},
      {500, 2 * 1024 * 1024, 65535}, {37, 1 << 20, 16384},          {3, 1514 + 65536, 1514},
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

// The plainest model of a ring with a stretch that is held: every packet ever pushed, by number.
struct HoldLimits {
  size_t packets;
  size_t bytes;
  uint32_t largest;  // that can come
  uint32_t usual;  // most are no larger
  bool recording;  // with readers, who hold slabs
  bool exact;  // slabs are never short, so the ring's packets are known to the last one
  int pushes;
};

class HoldModel {
 public:
  HoldModel(const HoldLimits& limits, uint32_t seed)
      : limits_(limits),
        random_(seed),
        ring_(limits.packets, limits.bytes, limits.largest),
        max_packets_(limits.packets),
        max_bytes_(limits.bytes) {
    if (limits.recording) CHECK(ring_.StartRecording());
  }

  bool Run() {
    for (int i = 0; i < limits_.pushes; ++i) {
      Step();
      if (i % 251 == 0 || i + 1 == limits_.pushes) Compare();
      if (!ok_) {
        std::printf("# differs at push %d: ring %llu to %llu, held %d: %llu to %llu; model from %llu\n", i,
                    static_cast<unsigned long long>(ring_.oldest_number()),
                    static_cast<unsigned long long>(ring_.pushed()), ring_.holding(),
                    static_cast<unsigned long long>(ring_.held_first()),
                    static_cast<unsigned long long>(ring_.held_end()), static_cast<unsigned long long>(first_));
        return false;
      }
    }
    return AllSlabsAreThere();
  }

  int holds() const { return holds_; }
  int contiguous() const { return contiguous_; }
  int given_up() const { return given_up_; }

 private:
  struct Reader {
    Span span;
    uint64_t first;
  };

  void Expect(bool condition, const char* what) {
    if (!condition && ok_) std::printf("# not so: %s\n", what);
    ok_ = ok_ && condition;
  }
  uint64_t Random(uint64_t below) { return random_() % below; }
  // Bytes of packets `first` up to before `end`.
  uint64_t Bytes(uint64_t first, uint64_t end) const { return sums_[end] - sums_[first]; }

  uint32_t RandomSize() {
    uint32_t size = static_cast<uint32_t>(Random(limits_.usual + 1));
    if (Random(64) == 0) size = static_cast<uint32_t>(Slab::kSize * Random(4) + Random(64) - 32);  // a slab's edges
    if (Random(128) == 0) size = limits_.largest;
    if (Random(32) == 0) size = 0;
    return std::min(size, limits_.largest);
  }

  void Step() {
    if (limits_.recording && Random(40) == 0) Read();
    if (!readers_.empty() && Random(50) == 0) LetGo(Random(readers_.size()));
    if (Random(200) == 0) ring_.SetMaxPackets(max_packets_ = 1 + Random(limits_.packets));
    if (Random(200) == 0) SetMaxBytes(limits_.bytes / 2 + Random(limits_.bytes / 2 + 1));
    if (Random(300) == 0) Hold();
    if (Random(200) == 0) Trim();
    if (Random(400) == 0) Release();
    Push();
  }

  void SetMaxBytes(size_t bytes) {
    ring_.SetMaxBytes(max_bytes_ = bytes);
    if (holding_ && !ring_.holding()) {
      ++given_up_;
      holding_ = growing_ = false;
    }
    first_ = ring_.oldest_number();
    Expect(ring_.bytes_in_all() <= max_bytes_ || (ring_.packets() == 1 && !ring_.holding()),
           "the bound in bytes at once");
  }

  void Push() {
    const uint64_t number = packets_.size();
    packets_.push_back(MakePacket(number, RandomSize()));
    const uint64_t size = packets_.back().data.size();
    const bool was_holding = ring_.holding();
    const uint64_t oldest_before = ring_.oldest_number();
    Expect(ring_.Push(ToPacket(packets_.back())), "every packet is taken");
    if (holding_ && growing_ && number == stop_) StopGrowing(number);
    while (first_ < number && number - first_ >= max_packets_) ++first_;
    while (first_ < number && Bytes(first_, number) + Outside() + size > max_bytes_) ++first_;
    sums_.push_back(sums_.back() + size);
    if (was_holding && !ring_.holding()) {  // it had no room beside that
      ++given_up_;
      holding_ = growing_ = false;
      Expect(size + limits_.largest > max_bytes_ / 8,
             "only a packet that is large in such a ring takes the held one's place");
      first_ = ring_.oldest_number();
    }
    if (holding_ && growing_ && ring_.held_end() != ring_.pushed()) {
      Expect(sums_[number] + size > stop_bytes_, "it stops for its bytes only when there are so many");
      StopGrowing(number);
    }
    if (growing_) {
      Expect(sums_[number + 1] <= stop_bytes_, "it stops for its bytes");
    }
    if (limits_.exact && ring_.holding() == was_holding) Expect(ring_.oldest_number() == first_, "the newest that fit");
    Expect(ring_.oldest_number() >= oldest_before || (was_holding && !ring_.holding()), "the ring never goes back");
    first_ = ring_.oldest_number();
    const uint64_t outside = Outside();
    Expect(ring_.pushed() == number + 1, "pushed");
    Expect(ring_.packets() >= 1 && ring_.packets() <= max_packets_, "packets");
    Expect(ring_.bytes() == Bytes(first_, number + 1), "bytes of the ring");
    Expect(ring_.bytes_in_all() == ring_.bytes() + outside, "bytes in all");
    Expect(ring_.bytes_in_all() <= max_bytes_ || (ring_.packets() == 1 && outside == 0 && size > max_bytes_),
           "the bound in bytes");
    Expect(ring_.holding() == holding_, "held");
    if (holding_) Expect(ring_.held_first() == held_first_ && ring_.held_end() == HeldEnd(), "what is held");
    Expect(Is(ring_.last(), number), "the last one");
  }

  uint64_t HeldEnd() const { return growing_ ? packets_.size() : held_end_; }
  uint64_t Outside() const {
    if (!holding_) return 0;
    const uint64_t end = std::min(first_, growing_ ? first_ : held_end_);
    return end > held_first_ ? Bytes(held_first_, end) : 0;
  }
  void StopGrowing(uint64_t number) {
    growing_ = false;
    held_end_ = number;
  }

  // Bytes of the log that packets `first` up to before `end` take.
  uint64_t InLog(uint64_t first, uint64_t end) const {
    uint64_t size = 0;
    for (; first < end; ++first)
      size += PadToEight(static_cast<uint32_t>(sizeof(RecordHeader) + packets_[first].data.size()));
    return size;
  }

  void Hold() {
    if (ring_.packets() == 0) return;
    const uint64_t end = ring_.pushed();
    if (holding_) Release();
    first_ = std::max(first_, end - std::min<uint64_t>(end, max_packets_));
    const uint64_t most = Random(max_bytes_ * 3 / 8 + 1);
    stop_ = end + Random(3 * limits_.packets / 2 + 2);
    stop_bytes_ = sums_[end] + Random(max_bytes_ * 3 / 16 + 1);
    ring_.Hold(most, stop_ - end, stop_bytes_ - sums_[end]);
    Expect(ring_.oldest_number() == first_, "no more than the ring's packets");
    holding_ = growing_ = true;
    held_first_ = ring_.held_first();
    Expect(held_first_ >= first_ && held_first_ < end, "a part of the ring");
    Expect(held_first_ == first_ || Bytes(first_, end) > most, "all of it, if that is no more");
    // The newest slabs may hold nothing but the rest of one record.
    const uint64_t in_log = InLog(held_first_, end);
    Expect(held_first_ == first_ || in_log <= most + most / 32 + limits_.largest + 4 * Slab::kSize,
           "no more than asked for");
    Expect(held_first_ == first_ || in_log + limits_.largest + 3 * Slab::kSize > most, "no less than asked for");
    Expect(ring_.first_of_row() == ring_.oldest_number(), "all in the ring");
    ++holds_;
  }

  void Trim() {
    if (!holding_ || HeldEnd() <= held_first_) return;
    const uint64_t end = HeldEnd();
    const uint64_t first = held_first_ + Random(std::min<uint64_t>(end - held_first_, 40));
    const uint64_t to = first + 1 + Random(end - first + 20);
    ring_.Trim(first, to);
    held_first_ = first;
    if (growing_ && packets_.size() < to) {
      stop_ = to;
    } else {
      growing_ = false;
      held_end_ = std::min(end, to);
    }
    Expect(ring_.bytes_in_all() == ring_.bytes() + Outside(), "its bytes after trimming");
  }

  // The ring is then the newest packets that fit, if nothing in between was gone.
  void Release() {
    ring_.Release();
    Expect(!ring_.holding() && ring_.bytes_in_all() == ring_.bytes(), "nothing is held");
    if (holding_ && held_first_ < first_ && first_ <= HeldEnd()) {
      first_ = held_first_;
      ++contiguous_;
    }
    holding_ = growing_ = false;
    Expect(ring_.oldest_number() == first_, "the ring after it");
    Expect(ring_.bytes() == Bytes(first_, packets_.size()), "its bytes");
    Expect(ring_.packets() == 0 || ring_.oldest_ns() == packets_[first_].time_ns, "its oldest");
  }

  bool Is(Cursor at, uint64_t number) const {
    RecordWalker walker(at);
    return NextIs(&walker, packets_[number]);
  }
  // All of it, in a row and each found by its number.
  void CompareRow(Cursor begin, uint64_t first, uint64_t end) {
    RecordWalker walker(begin);
    for (uint64_t number = first; number < end; ++number) {
      Expect(NextIs(&walker, packets_[number]), "byte for byte");
      Expect(Is(ring_.Find(number), number), "found by its number");
    }
  }
  void Compare() {
    CompareRow(ring_.oldest(), ring_.oldest_number(), ring_.pushed());
    if (holding_) CompareRow(ring_.Find(held_first_), held_first_, HeldEnd());
    for (const Reader& reader : readers_) CompareReader(reader);
  }
  void CompareReader(const Reader& reader) {
    RecordWalker walker(reader.span.begin);
    for (uint64_t i = 0; i < reader.span.packets; ++i) {
      Expect(NextIs(&walker, packets_[reader.first + i]), "what a reader holds");
    }
  }

  // Any packets in a row, of what is held or of the ring.
  void Read() {
    if (readers_.size() >= 8) LetGo(0);
    const bool held = holding_ && Random(2) == 0;
    const uint64_t first = held ? held_first_ : ring_.oldest_number();
    const uint64_t end = held ? HeldEnd() : ring_.pushed();
    if (first == end) return;
    Reader reader;
    reader.first = first + Random(end - first);
    reader.span.packets = 1 + Random(end - reader.first);
    reader.span.begin = ring_.Find(reader.first);
    RecordWalker walker(ring_.Find(reader.first + reader.span.packets - 1));
    walker.Skip(walker.Header(kIgnore), kIgnore);
    reader.span.last = walker.cursor().slab;
    for (Slab* slab = reader.span.begin.slab;; slab = slab->next) {
      slab->Pin();
      if (slab == reader.span.last) break;
    }
    readers_.push_back(reader);
  }
  void LetGo(size_t which) {
    CompareReader(readers_[which]);
    ReleaseSpan(readers_[which].span);
    readers_.erase(readers_.begin() + static_cast<ptrdiff_t>(which));
  }

  // With nobody left that holds any, the ring takes as many packets as a new one.
  bool AllSlabsAreThere() {
    Release();
    while (!readers_.empty()) LetGo(0);
    ring_.Reclaim();
    if (limits_.recording) ring_.StopRecording();
    ring_.SetMaxPackets(SIZE_MAX);
    ring_.SetMaxBytes(limits_.bytes);
    PacketRing fresh(SIZE_MAX, limits_.bytes, limits_.largest);
    const uint32_t size = std::min(700u, limits_.largest);
    const uint64_t turns = 4 * limits_.bytes / size;
    size_t least = SIZE_MAX, least_of_fresh = SIZE_MAX;
    for (uint64_t i = 0; i < turns; ++i) {
      const TestPacket packet = MakePacket(i, size);
      Expect(ring_.Push(ToPacket(packet)) && fresh.Push(ToPacket(packet)), "taken at the end");
      if (i < turns / 2) continue;
      least = std::min(least, ring_.packets());
      least_of_fresh = std::min(least_of_fresh, fresh.packets());
    }
    const size_t in_a_slab = Slab::kSize / size + 1;
    Expect(least + in_a_slab >= least_of_fresh, "no slab is lost");
    return ok_;
  }

  const HoldLimits limits_;
  std::mt19937 random_;
  PacketRing ring_;
  size_t max_packets_;
  size_t max_bytes_;
  std::vector<TestPacket> packets_;
  std::vector<uint64_t> sums_ = {0};
  std::vector<Reader> readers_;
  uint64_t first_ = 0;  // the ring's oldest
  bool holding_ = false;
  bool growing_ = false;
  uint64_t held_first_ = 0;
  uint64_t held_end_ = 0;
  uint64_t stop_ = 0;
  uint64_t stop_bytes_ = 0;
  int holds_ = 0;
  int contiguous_ = 0;
  int given_up_ = 0;
  bool ok_ = true;
};

TEST(what_is_held_stays_byte_for_byte_and_the_ring_is_what_it_would_have_been) {
  constexpr size_t kLarge = 2 * 1024 * 1024;
  const HoldLimits all[] = {
      {500, kLarge, 2048, 1514, false, true, 20'000},
      {500, kLarge, 2048, 1514, true, true, 20'000},
      {100, kLarge, 65535, 3000, true, true, 10'000},
      {1, kLarge, 2048, 1514, true, true, 5'000},
      {2, kLarge, 65535, 20'000, false, true, 5'000},
      {3, kLarge, 65535, 20'000, true, true, 5'000},
      {2000, kLarge, 2048, 200, true, true, 20'000},
      {500, 262144 + 65536, 262144, 3000, true, false, 8'000},
      {500, 262144 + 65536, 262144, 3000, false, false, 8'000},
      {500, 65535 + 65536, 65535, 1514, false, false, 8'000},
      {500, 64 + 65536, 64, 64, false, false, 20'000},
      {100'000, 64 + 65536, 64, 20, false, false, 20'000},
      {500, 64 + 65536, 1514, 1514, true, false, 10'000},
      {100'000, 16 + 65536, 16, 16, false, false, 40'000},
      {100'000, kLarge, 262144, 40'000, false, false, 3'000},
  };
  for (const HoldLimits& limits : all) {
    for (const uint32_t seed : {4u, 20261122u}) {
      std::printf("# seed %u: %zu packets, %zu bytes, at most %u and usually %u each\n", seed, limits.packets,
                  limits.bytes, limits.largest, limits.usual);
      HoldModel model(limits, seed);
      CHECK(model.Run());
      CHECK(model.holds() > 0);
      std::printf("# held %d times, %d times a part of the ring at the end, %d times given up\n", model.holds(),
                  model.contiguous(), model.given_up());
    }
  }
}

// Of tiny packets the headers take more than the packets themselves.
TEST(what_is_held_leaves_the_ring_room_for_packets_of_any_size) {
  for (const uint32_t size : {0u, 1u, 14u, 20u, 60u, 1514u, 65535u}) {
    for (const size_t bytes : {size_t{2 * 1024 * 1024}, size_t{65535 + 65536}}) {
      PacketRing ring(1'000'000, bytes, 65535);
      uint64_t number = 0;
      bool ok = true;
      const auto push = [&] { ok = ok && ring.Push(ToPacket(MakePacket(number++, size))); };
      for (size_t pushed = 0; pushed < bytes; pushed += size + sizeof(RecordHeader)) push();
      ring.Hold(bytes * 3 / 8, UINT64_MAX - number, bytes * 3 / 16);
      for (size_t pushed = 0; pushed < 3 * bytes; pushed += size + sizeof(RecordHeader)) {
        push();
        ok = ok && ring.packets() > 0 && ring.bytes_in_all() <= bytes;
      }
      CHECK(ok);
    }
  }
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
