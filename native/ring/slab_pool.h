#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>

namespace pcap_ring {

// A piece of the packet log. The capture thread owns it; a reader may look at the bytes that were handed over to it for
// as long as it holds a pin.
struct Slab {
  static constexpr uint32_t kSize = 16 * 1024;

  uint8_t* bytes = nullptr;
  Slab* next = nullptr;  // the slab that follows in the log; written before anything behind it is handed over
  Slab* previous = nullptr;  // the one before it, which may have left the log; the capture thread's alone
  // The first record that begins in it, for whoever looks for one by its number; the capture thread's alone.
  uint64_t first_number = 0;
  uint32_t first_offset = kSize;  // kSize: none does
  std::atomic<uint32_t> pins{0};  // readers that may still look at it
  Slab* link = nullptr;  // free list or retired list; the capture thread's alone
  bool lent = false;  // of the part that exists only while something is being recorded

  // Capture thread. Relaxed: the reader learns of the pin through the queue that hands the span over.
  void Pin() { pins.fetch_add(1, std::memory_order_relaxed); }
  // Any thread. Release: what was read here was read before the slab can be written again.
  void Unpin() { pins.fetch_sub(1, std::memory_order_release); }
  // Capture thread. Acquire: pairs with Unpin.
  bool pinned() const { return pins.load(std::memory_order_acquire) != 0; }
};

// Anonymous memory in slabs: a fixed part for the ring, and a part that is lent while something is being recorded and
// given back to the system afterwards. The capture thread's alone.
class SlabPool {
 public:
  SlabPool(size_t own_slabs, size_t lent_slabs);
  ~SlabPool();
  SlabPool(const SlabPool&) = delete;
  SlabPool& operator=(const SlabPool&) = delete;

  bool ok() const { return own_.memory != nullptr; }

  // The lent part comes (false: no memory) and goes. Its pages go back to the system, of slabs still in use as they are
  // freed; its addresses stay, as a reader that holds the ring's own slabs leaves the ring no others to go on with.
  bool Borrow();
  void GiveBack();

  Slab* Take();  // nullptr when there is none
  void Free(Slab* slab);

 private:
  struct Part {
    uint8_t* memory = nullptr;
    std::unique_ptr<Slab[]> slabs;
    size_t count = 0;
    size_t in_use = 0;
    Slab* free = nullptr;
  };
  static bool Map(Part* part, bool lent);
  static void Unmap(Part* part);
  static Slab* TakeFrom(Part* part);

  Part own_;
  Part lent_;
  bool lending_ = false;
};

}  // namespace pcap_ring
