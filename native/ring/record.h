#pragma once

#include <cstdint>
#include <cstring>

#include "ring/slab_pool.h"

namespace pcap_ring {

// A packet in the log: this header, then `caplen` bytes, then padding to 8. A header never crosses the end of a slab (a
// rest too small for one is skipped); the bytes may.
struct RecordHeader {
  int64_t sec;
  int64_t nsec;
  uint32_t caplen;
  uint32_t len;

  int64_t time_ns() const { return sec * 1'000'000'000 + nsec; }
};
static_assert(sizeof(RecordHeader) == 24);

constexpr uint32_t PadToEight(uint32_t size) { return (size + 7) & ~uint32_t{7}; }

// A place in the log, at a record or at the end.
struct Cursor {
  Slab* slab = nullptr;
  uint32_t offset = 0;
};

// `packets` records from `begin` on, handed to a reader with one pin on every slab they touch, and on begin's.
struct Span {
  Cursor begin;
  uint64_t packets = 0;
  // The slab that the last pin of the span is on: where the log ended when the span was cut.
  Slab* last = nullptr;
};

// Walks records forward. On whichever thread may look at them. `left_slab(Slab*)` is told of each slab left behind.
class RecordWalker {
 public:
  explicit RecordWalker(Cursor cursor) : cursor_(cursor) {}

  const Cursor& cursor() const { return cursor_; }

  // The header at the cursor. There must be a record.
  template <typename LeftSlab>
  RecordHeader Header(LeftSlab&& left_slab) {
    if (Slab::kSize - cursor_.offset < sizeof(RecordHeader)) Leave(left_slab);
    RecordHeader header;
    std::memcpy(&header, cursor_.slab->bytes + cursor_.offset, sizeof header);
    return header;
  }

  // The record's bytes in pieces (`piece(const uint8_t*, uint32_t)`); the cursor then stands behind it. Follows Header.
  template <typename Piece, typename LeftSlab>
  void Bytes(const RecordHeader& header, Piece&& piece, LeftSlab&& left_slab) {
    cursor_.offset += sizeof(RecordHeader);
    uint32_t left = header.caplen;
    while (left > 0) {
      if (cursor_.offset == Slab::kSize) Leave(left_slab);
      const uint32_t room = Slab::kSize - cursor_.offset;
      const uint32_t size = left < room ? left : room;
      piece(cursor_.slab->bytes + cursor_.offset, size);
      cursor_.offset += size;
      left -= size;
    }
    cursor_.offset = PadToEight(cursor_.offset);
  }

  // Past the record with this header, without looking at its bytes.
  template <typename LeftSlab>
  void Skip(const RecordHeader& header, LeftSlab&& left_slab) {
    const uint32_t end = cursor_.offset + static_cast<uint32_t>(sizeof(RecordHeader)) + header.caplen;
    if (end <= Slab::kSize) {  // as most do
      cursor_.offset = PadToEight(end);
      return;
    }
    Bytes(
        header, [](const uint8_t*, uint32_t) {}, left_slab);
  }

 private:
  template <typename LeftSlab>
  void Leave(LeftSlab&& left_slab) {
    Slab* left = cursor_.slab;
    cursor_ = {left->next, 0};
    left_slab(left);
  }

  Cursor cursor_;
};

}  // namespace pcap_ring
