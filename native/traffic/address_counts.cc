#include "traffic/address_counts.h"

#include <algorithm>
#include <cstring>
#include <tuple>

#include "traffic/keyed_hash.h"

namespace pcap_ring {

bool AddressCounts::Entry::Is(const uint8_t* other, uint8_t other_size) const {
  return size == other_size && std::memcmp(address.data(), other, size) == 0;
}

// Reserved, not filled: pages that few addresses never touch cost nothing.
AddressCounts::AddressCounts() : buckets_(kBuckets) { entries_.reserve(kEntries); }

void AddressCounts::Add(const uint8_t* address, uint8_t size, uint32_t len) {
  ++packets_;
  const uint64_t hash = KeyedHash(address, size);
  const auto tag = static_cast<uint16_t>(hash);
  if (different_ != nullptr) different_->Add(hash);
  for (uint32_t at = Home(tag); buckets_[at].entry != 0; at = After(at)) {
    if (buckets_[at].tag != tag) continue;
    const auto found = static_cast<uint16_t>(buckets_[at].entry - 1);
    Entry& entry = entries_[found];
    if (!entry.Is(address, size)) continue;
    ++entry.packets;
    entry.bytes += len;
    if (different_ != nullptr) SiftDown(found);
    return;
  }

  Entry fresh = {{}, 1, len, 0, 0, size};
  std::memcpy(fresh.address.data(), address, size);
  if (entries_.size() < kEntries) {
    entries_.push_back(fresh);
    Insert(tag, static_cast<uint16_t>(entries_.size() - 1));
    return;
  }
  if (different_ == nullptr) {
    StartEstimating();
    different_->Add(hash);
  }
  const uint16_t place = heap_[0];
  Erase(place);
  fresh.error = static_cast<uint32_t>(entries_[place].rank());
  entries_[place] = fresh;  // at the heap's top, where the one before it was
  Insert(tag, place);
  SiftDown(place);
}

uint64_t AddressCounts::Different() const {
  if (different_ == nullptr) return entries_.size();
  // What is known for certain bounds the estimate.
  return std::clamp<uint64_t>(different_->Estimate(), kEntries + 1, packets_);
}

std::vector<AddressCounts::Top> AddressCounts::MostPackets(size_t most) const {
  std::vector<const Entry*> order;
  order.reserve(entries_.size());
  for (const Entry& entry : entries_) order.push_back(&entry);
  const auto middle = order.begin() + static_cast<ptrdiff_t>(std::min(most, order.size()));
  std::partial_sort(order.begin(), middle, order.end(), [](const Entry* left, const Entry* right) {
    return std::tie(right->packets, left->size, left->address) < std::tie(left->packets, right->size, right->address);
  });
  std::vector<Top> top;
  for (auto at = order.begin(); at != middle; ++at) {
    top.push_back({{(*at)->address, (*at)->size}, (*at)->packets, (*at)->bytes});
  }
  return top;
}

void AddressCounts::Insert(uint16_t tag, uint16_t entry) {
  uint32_t at = Home(tag);
  while (buckets_[at].entry != 0) at = After(at);
  buckets_[at] = {static_cast<uint16_t>(entry + 1), tag};
}

// Closes the gap by moving back what probed past it, so that no probe ends early.
void AddressCounts::Erase(uint16_t entry) {
  const Entry& leaving = entries_[entry];
  uint32_t gap = Home(static_cast<uint16_t>(KeyedHash(leaving.address.data(), leaving.size)));
  while (buckets_[gap].entry != entry + 1) gap = After(gap);
  for (uint32_t at = After(gap); buckets_[at].entry != 0; at = After(at)) {
    const uint32_t from_home = (at - Home(buckets_[at].tag)) % kBuckets;
    const uint32_t from_gap = (at - gap) % kBuckets;
    if (from_home < from_gap) continue;
    buckets_[gap] = buckets_[at];
    gap = at;
  }
  buckets_[gap] = {};
}

// What was counted exactly so far becomes the sketches' first content.
void AddressCounts::StartEstimating() {
  different_ = std::make_unique<Cardinality>();
  for (const Entry& entry : entries_) different_->Add(KeyedHash(entry.address.data(), entry.size));
  heap_.resize(entries_.size());
  for (size_t i = 0; i < heap_.size(); ++i) heap_[i] = static_cast<uint16_t>(i);
  // Sorted is a heap, too. By place where ranks are equal: what comes of it depends on the packets alone.
  std::sort(heap_.begin(), heap_.end(), [this](uint16_t left, uint16_t right) {
    return std::make_tuple(entries_[left].rank(), left) < std::make_tuple(entries_[right].rank(), right);
  });
  for (size_t i = 0; i < heap_.size(); ++i) entries_[heap_[i]].heap_at = static_cast<uint16_t>(i);
}

// A rank only ever grows.
void AddressCounts::SiftDown(uint16_t entry) {
  const uint64_t rank = entries_[entry].rank();
  size_t at = entries_[entry].heap_at;
  for (size_t child; (child = 2 * at + 1) < heap_.size(); at = child) {
    uint64_t lowest = entries_[heap_[child]].rank();
    if (child + 1 < heap_.size()) {
      const uint64_t other = entries_[heap_[child + 1]].rank();
      if (other < lowest) {
        lowest = other;
        ++child;
      }
    }
    if (rank <= lowest) break;
    heap_[at] = heap_[child];
    entries_[heap_[at]].heap_at = static_cast<uint16_t>(at);
  }
  heap_[at] = entry;
  entries_[entry].heap_at = static_cast<uint16_t>(at);
}

}  // namespace pcap_ring
