#include "ring/packet_ring.h"

#include <algorithm>
#include <cstring>

namespace pcap_ring {
namespace {

// Packets in the first and the last slab, and headers, beside one of the largest.
constexpr size_t kRoomBesideLargest = 64 * 1024;
// The bound in bytes is one of packets; their headers in the log, and slabs that are filled in part, come on top.
constexpr size_t kShareOfHeaders = 8;
constexpr size_t kPartlyFilled = 4;
constexpr size_t kSpareSlabs = 32;  // what one record may take after the limit was seen
// Retired slabs that are looked at for each one that is taken: a reader that lags has two thousand of them.
constexpr size_t kLooksPerSlab = 8;
constexpr size_t kLooksPerCheck = 64;

// While something is recorded: the queue, and as much again as the ring, whose slabs may all be pinned and retire one by one
// after the queue's limit was seen.
size_t LentSlabs(size_t ring_slabs) { return PacketRing::kQueueBytes / Slab::kSize + ring_slabs; }

}  // namespace

PacketRing::PacketRing(size_t max_packets, size_t max_bytes, uint32_t largest)
    : max_packets_(max_packets),
      max_bytes_(max_bytes),
      max_slabs_((std::max(max_bytes, largest + kRoomBesideLargest) + max_bytes / kShareOfHeaders) / Slab::kSize +
                 kPartlyFilled),
      lent_slabs_(LentSlabs(max_slabs_)),
      largest_(largest),
      pool_(max_slabs_, lent_slabs_) {
  if (!pool_.ok()) return;
  tail_ = {pool_.Take(), 0};
  oldest_ = tail_;
  slabs_ = 1;
}

PacketRing::~PacketRing() = default;

int64_t PacketRing::oldest_ns() const {
  return RecordWalker(oldest_).Header([](Slab*) {}).time_ns();
}

// Takes a slab that has just left the ring out of the log, unless it is held.
void PacketRing::LeaveRing(Slab* slab) {
  --slabs_;
  if (holding_ && !left_last_) {
    left_first_ |= slab == held_begin_.slab;
    if (left_first_) {
      left_last_ = !growing_ && slab == held_last_;
      ++outside_slabs_;
      return;
    }
  }
  LeaveLog(slab);
}

// Or keeps it aside until its readers are done.
void PacketRing::LeaveLog(Slab* slab) {
  if (!slab->pinned()) {
    pool_.Free(slab);
  } else {
    Retire(slab);
  }
}

void PacketRing::Retire(Slab* slab) {
  slab->link = nullptr;
  (retired_ == nullptr ? retired_ : retired_last_->link) = slab;
  retired_last_ = slab;
  ++retired_count_;
}

void PacketRing::EvictOldest() {
  const auto left = [this](Slab* slab) { LeaveRing(slab); };
  RecordWalker walker(oldest_);
  const RecordHeader header = walker.Header(left);
  walker.Skip(header, left);
  oldest_ = walker.cursor();
  if (holding_ && oldest_number() >= held_first_ && oldest_number() < held_end()) outside_bytes_ += header.caplen;
  --packets_;
  bytes_ -= header.caplen;
  evicted_ns_ = std::max(evicted_ns_, header.time_ns());
}

// The oldest packet goes; of an empty ring what is held, as the newest packets come first. False: there is neither.
bool PacketRing::MakeRoom() {
  if (packets_ > 0) {
    EvictOldest();
  } else if (holding_) {
    Release();
  } else {
    return false;
  }
  return true;
}

void PacketRing::SetMaxBytes(size_t max_bytes) {
  max_bytes_ = max_bytes;
  while (bytes_in_all() > max_bytes_ && (packets_ > 1 || holding_)) {
    if (packets_ > 1) {
      EvictOldest();
    } else {
      Release();
    }
  }
}

// One that is still held goes to the end of the queue, so that it does not stand before those that are not.
void PacketRing::Reclaim(size_t looks) {
  for (; looks > 0 && retired_ != nullptr; --looks) {
    Slab* slab = retired_;
    retired_ = slab->link;
    --retired_count_;
    if (slab->pinned()) {
      Retire(slab);
    } else {
      pool_.Free(slab);
    }
  }
}

bool PacketRing::StartRecording() {
  Reclaim();
  return pool_.Borrow();
}

void PacketRing::StopRecording() {
  congested_ = false;
  pool_.GiveBack();
}

// A row of short spans and short gaps helps nobody, nor does looking at all of them again for every slab: it goes on once
// an eighth has fallen free.
bool PacketRing::Congested() {
  const size_t limit = lent_slabs_ - max_slabs_ - kSpareSlabs;
  if (!congested_ && retired_count_ < limit) return false;
  Reclaim(congested_ ? kLooksPerCheck : retired_count_);
  congested_ = retired_count_ >= limit - limit / 8;
  return congested_;
}

// The log's next `count` slabs, all or none. The oldest packets make room, so that the ring never holds more than its
// share.
bool PacketRing::Extend(size_t count) {
  if (growing_ && outside_slabs_ > max_slabs_ / 2) StopGrowing();
  Reclaim(kLooksPerSlab * count);
  Slab* first = nullptr;
  Slab** at = &first;
  for (size_t i = 0; i < count; ++i) {
    while (slabs_ + outside_slabs_ + i >= max_slabs_ && MakeRoom()) {
    }
    *at = pool_.Take();
    if (*at == nullptr) {
      Reclaim();
      // Readers may hold slabs that left the ring. One that they hold and that is still in it would bring nothing.
      const auto make_room = [&] {
        while ((*at = pool_.Take()) == nullptr && (packets_ == 0 || !oldest_.slab->pinned()) && MakeRoom()) {
        }
      };
      make_room();
      if (*at == nullptr && holding_) {
        Release();
        make_room();
      }
    }
    if (*at == nullptr) {
      while (first != nullptr) {
        Slab* following = first->next;
        pool_.Free(first);
        first = following;
      }
      return false;
    }
    at = &(*at)->next;
  }
  tail_.slab->next = first;
  for (Slab* slab = tail_.slab; slab->next != nullptr; slab = slab->next) slab->next->previous = slab;
  slabs_ += count;
  if (grower_ == nullptr) return true;
  for (Slab* slab = first; slab != nullptr; slab = slab->next) grower_->OnNewSlab(slab);
  return true;
}

// An empty ring begins where the log goes on.
void PacketRing::StartAtTail() {
  while (oldest_.slab != tail_.slab) {
    Slab* left = oldest_.slab;
    oldest_.slab = left->next;
    LeaveRing(left);
  }
  oldest_ = tail_;
}

void PacketRing::EvictAll() {
  if (holding_ && !left_last_) {
    while (packets_ > 0) EvictOldest();
    return;
  }
  // All that were ever pushed are behind then.
  evicted_ns_ = newest_ns_;
  packets_ = bytes_ = 0;
  StartAtTail();
}

void PacketRing::Skip(uint64_t packets, int64_t latest_ns) {
  EvictAll();
  newest_ns_ = evicted_ns_ = std::max(newest_ns_, latest_ns);
  pushed_ += packets;
  tail_.slab->first_offset = Slab::kSize;  // numbers in it go on with the next
}

// Most packets need no slab.
bool PacketRing::Push(const Packet& packet) {
  const uint32_t caplen = std::min(packet.caplen, largest_);
  const uint32_t size = sizeof(RecordHeader) + caplen;
  if (pushed_ == stop_ || pushed_bytes_ + caplen > stop_bytes_) StopGrowing();
  while (packets_ >= max_packets_ && packets_ > 0) EvictOldest();
  while (bytes_in_all() + caplen > max_bytes_ && MakeRoom()) {
  }
  if (size > Slab::kSize - tail_.offset && !ExtendFor(size)) return false;
  if (packets_ == 0) StartAtTail();
  last_ = tail_;
  if (tail_.slab->first_offset == Slab::kSize) {
    tail_.slab->first_offset = tail_.offset;
    tail_.slab->first_number = pushed_;
  }

  const RecordHeader header = {packet.sec, packet.nsec, caplen, packet.len};
  std::memcpy(tail_.slab->bytes + tail_.offset, &header, sizeof header);
  tail_.offset += sizeof header;
  if (caplen > 0 && caplen <= Slab::kSize - tail_.offset) {
    std::memcpy(tail_.slab->bytes + tail_.offset, packet.data, caplen);
    tail_.offset += caplen;
  } else {
    CopyOverSlabs(packet.data, caplen);
  }
  tail_.offset = PadToEight(tail_.offset);
  ++packets_;
  ++pushed_;
  bytes_ += caplen;
  pushed_bytes_ += caplen;
  last_ns_ = header.time_ns();
  newest_ns_ = std::max(newest_ns_, last_ns_);
  return true;
}

// So that a record of `size` has room, which the rest of the tail's slab is too small for.
bool PacketRing::ExtendFor(uint32_t size) {
  if (Slab::kSize - tail_.offset < sizeof(RecordHeader)) {
    if (!Extend(1)) return false;
    tail_ = {tail_.slab->next, 0};
  }
  const uint32_t room = Slab::kSize - tail_.offset;
  return size <= room || Extend((size - room + Slab::kSize - 1) / Slab::kSize);
}

Cursor PacketRing::Find(uint64_t number) const {
  const bool held = holding_ && !growing_ && number < held_end_;
  Slab* slab = held ? held_last_ : tail_.slab;
  while (slab->first_offset == Slab::kSize || slab->first_number > number) slab = slab->previous;
  RecordWalker walker({slab, slab->first_offset});
  const auto ignore = [](Slab*) {};
  for (uint64_t at = slab->first_number; at < number; ++at) walker.Skip(walker.Header(ignore), ignore);
  return walker.cursor();
}

void PacketRing::Hold(uint64_t most_bytes, uint64_t packets, uint64_t bytes) {
  Release();
  while (packets_ > max_packets_) EvictOldest();
  holding_ = growing_ = true;
  left_first_ = left_last_ = false;
  held_begin_ = oldest_;
  held_first_ = oldest_number();
  if (bytes_ > most_bytes) {
    // Headers and padding come on top, and of many slabs the first and the last are held in part. A quarter is the ring's.
    const size_t slabs = (most_bytes + most_bytes / 32) / Slab::kSize;
    BeginHoldIn(std::min(slabs + std::min<size_t>(2, slabs / 8), max_bytes_ / 4 * 3 / Slab::kSize));
  }
  stop_ = pushed_ + packets;
  stop_bytes_ = pushed_bytes_ + bytes;
}

// With the first record that begins in the newest `slabs` slabs, or with the newest of all.
void PacketRing::BeginHoldIn(size_t slabs) {
  Slab* begin = nullptr;
  for (Slab* slab = tail_.slab; slab != oldest_.slab; slab = slab->previous) {
    if (begin != nullptr && slabs == 0) {
      held_begin_ = {begin, begin->first_offset};
      held_first_ = begin->first_number;
      return;
    }
    if (slab->first_offset != Slab::kSize) begin = slab;
    if (slabs > 0) --slabs;
  }
}

void PacketRing::StopGrowing() {
  growing_ = false;
  stop_ = stop_bytes_ = UINT64_MAX;
  held_end_ = pushed_;
  held_last_ = tail_.slab;
}

void PacketRing::Trim(uint64_t first, uint64_t end) {
  const auto ignore = [](Slab*) {};
  RecordWalker walker(held_begin_);
  for (; held_first_ < first; ++held_first_) {
    const RecordHeader header = walker.Header(ignore);
    walker.Skip(header, ignore);
    if (held_first_ < oldest_number()) outside_bytes_ -= header.caplen;
  }
  // The record may begin in the slab behind.
  if (held_first_ < held_end()) walker.Header(ignore);
  for (Slab* slab = held_begin_.slab; slab != walker.cursor().slab && outside_slabs_ > 0; --outside_slabs_) {
    Slab* const following = slab->next;
    LeaveLog(slab);
    slab = following;
  }
  held_begin_ = walker.cursor();
  left_first_ = outside_slabs_ > 0;

  if (growing_ && pushed_ < end) {
    stop_ = end;
    return;
  }
  if (growing_) StopGrowing();
  if (held_end_ <= end) return;
  walker = RecordWalker(Find(end - 1));
  walker.Skip(walker.Header(ignore), ignore);
  Slab* const last = walker.cursor().slab;
  for (uint64_t number = end; number < std::min(held_end_, oldest_number()); ++number) {
    const RecordHeader header = walker.Header(ignore);
    walker.Skip(header, ignore);
    outside_bytes_ -= header.caplen;
  }
  held_end_ = end;
  held_last_ = last;
  size_t kept = 1;
  for (Slab* slab = held_begin_.slab; slab != last; slab = slab->next) ++kept;
  left_last_ = outside_slabs_ >= kept;
  for (Slab* slab = last->next; outside_slabs_ > kept; --outside_slabs_) {
    Slab* const following = slab->next;
    LeaveLog(slab);
    slab = following;
  }
}

void PacketRing::Release() {
  if (!holding_) return;
  if (first_of_row() < oldest_number()) {
    packets_ = pushed_ - held_first_;
    bytes_ += outside_bytes_;
    slabs_ += outside_slabs_;
    oldest_ = held_begin_;
  } else {
    for (Slab* slab = held_begin_.slab; outside_slabs_ > 0; --outside_slabs_) {
      Slab* const following = slab->next;
      LeaveLog(slab);
      slab = following;
    }
  }
  outside_slabs_ = 0;
  outside_bytes_ = 0;
  holding_ = growing_ = false;
  stop_ = stop_bytes_ = UINT64_MAX;
}

// To the tail, over as many slabs as were made ready.
void PacketRing::CopyOverSlabs(const uint8_t* data, uint32_t size) {
  while (size > 0) {
    if (tail_.offset == Slab::kSize) tail_ = {tail_.slab->next, 0};
    const uint32_t piece = std::min(size, Slab::kSize - tail_.offset);
    std::memcpy(tail_.slab->bytes + tail_.offset, data, piece);
    tail_.offset += piece;
    data += piece;
    size -= piece;
  }
}

}  // namespace pcap_ring
