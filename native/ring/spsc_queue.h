#pragma once

#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

namespace pcap_ring {

// A bounded lock-free queue between one producing and one consuming thread. Each side owns its index and keeps a copy of
// the other's, so that a push or a pop that finds room touches one shared cache line. After the idea of Lamport (1983),
// with cached indices as in MCRingBuffer (Lee, Bu, Chandranmenon 2010).
template <typename T>
class SpscQueue {
 public:
  // `capacity`: a power of two.
  explicit SpscQueue(size_t capacity) : mask_(capacity - 1), slots_(std::make_unique<T[]>(capacity)) {}

  // Producer only. False and `value` untouched when full.
  bool Push(T&& value) {
    const size_t tail = tail_.load(std::memory_order_relaxed);  // only we write it
    if (tail - cached_head_ > mask_) {
      cached_head_ = head_.load(std::memory_order_acquire);  // pairs with Pop: the slot was moved out of
      if (tail - cached_head_ > mask_) return false;
    }
    slots_[tail & mask_] = std::move(value);
    tail_.store(tail + 1, std::memory_order_release);  // publishes the slot and all it points to
    return true;
  }

  // Consumer only. False when empty.
  bool Pop(T* value) {
    const size_t head = head_.load(std::memory_order_relaxed);  // only we write it
    if (head == cached_tail_) {
      cached_tail_ = tail_.load(std::memory_order_acquire);  // pairs with Push
      if (head == cached_tail_) return false;
    }
    *value = std::move(slots_[head & mask_]);
    head_.store(head + 1, std::memory_order_release);  // gives the slot back
    return true;
  }

 private:
  static constexpr size_t kCacheLine = 64;

  const size_t mask_;
  const std::unique_ptr<T[]> slots_;
  alignas(kCacheLine) std::atomic<size_t> head_{0};
  size_t cached_tail_ = 0;  // consumer's
  alignas(kCacheLine) std::atomic<size_t> tail_{0};
  size_t cached_head_ = 0;  // producer's
};

}  // namespace pcap_ring
