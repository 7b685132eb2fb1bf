#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "traffic/cardinality.h"

namespace pcap_ring {

// An IPv4 or IPv6 address.
struct Address {
  std::array<uint8_t, 16> bytes = {};  // an IPv4 one stands first
  uint8_t size = 0;                    // 4 or 16

  bool operator==(const Address&) const = default;
};

// Packets and bytes by address, in bounded memory whoever makes the addresses up.
//
// Up to kEntries different addresses everything is counted exactly. From there on it is Space-Saving (Metwally, Agrawal,
// El Abbadi 2005) over these entries: a new address takes the place of the one with the fewest packets and inherits its
// count as its own possible error. Given out is what was certainly there: `packets` counts from the last time that the
// address took a place, so it may be too low, by at most (packets of all) / kEntries, and never too high. Every address
// with more than that many packets has a place. How many different addresses there were is estimated then.
class AddressCounts {
 public:
  static constexpr size_t kEntries = 4096;

  struct Top {
    Address address;
    uint64_t packets = 0;
    uint64_t bytes = 0;
  };

  AddressCounts();

  // `size` is 4 or 16, `len` the packet's length.
  void Add(const uint8_t* address, uint8_t size, uint32_t len);

  uint64_t packets() const { return packets_; }  // of all addresses, exact
  bool estimated() const { return different_ != nullptr; }
  // How many different addresses.
  uint64_t Different() const;
  // The `most` with the most packets; of those with as many, the lower address first.
  std::vector<Top> MostPackets(size_t most) const;

 private:
  struct Entry {
    std::array<uint8_t, 16> address;
    uint64_t packets;  // since it took its place
    uint64_t bytes;
    uint32_t error;  // packets that it may have had before: at most packets_ / kEntries
    uint16_t heap_at;
    uint8_t size;

    uint64_t rank() const { return packets + error; }
    bool Is(const uint8_t* other, uint8_t other_size) const;
  };
  // Open addressing with linear probing, never more than half full. The tag is the hash's low end: its own low bits say
  // where the bucket would like to be, the others spare most looks at entries.
  struct Bucket {
    uint16_t entry;  // counted from 1; 0: empty
    uint16_t tag;
  };
  static constexpr uint32_t kBuckets = 2 * kEntries;
  static_assert(kBuckets <= 1u << 16);

  static uint32_t Home(uint16_t tag) { return tag % kBuckets; }
  static uint32_t After(uint32_t bucket) { return (bucket + 1) % kBuckets; }

  void Insert(uint16_t tag, uint16_t entry);
  void Erase(uint16_t entry);
  void StartEstimating();
  void SiftDown(uint16_t entry);

  uint64_t packets_ = 0;
  std::vector<Entry> entries_;
  std::vector<Bucket> buckets_;
  // Once there are more addresses than entries: the entries by rank, the lowest first (a binary heap).
  std::vector<uint16_t> heap_;
  std::unique_ptr<Cardinality> different_;
};

}  // namespace pcap_ring
