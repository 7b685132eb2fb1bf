#pragma once

#include <cstddef>
#include <cstdint>

#include "ring/record.h"
#include "ring/slab_pool.h"
#include "source/packet.h"

namespace pcap_ring {

// The newest packets, bounded in number and in bytes, at the end of a log of slabs. Every packet is copied once, into
// the log; whoever records it is handed a span of the log and reads it there. A slab that has left the ring while a
// reader still holds it is "retired" until the reader lets go.
//
// One stretch of the log can be held: it stays when the ring has left it behind, and shares the ring's bound in bytes. If
// there is no room beside it for a single packet, it is let go.
//
// The capture thread's alone, but for the spans that it hands over.
class PacketRing {
 public:
  // A pin holder: told of every slab that the log grows by, so that it can pin it.
  class Grower {
   public:
    virtual void OnNewSlab(Slab* slab) = 0;

   protected:
    ~Grower() = default;
  };

  // `largest`: bytes of the largest packet that can come; one that alone is beyond `max_bytes` is kept alone.
  PacketRing(size_t max_packets, size_t max_bytes, uint32_t largest);
  ~PacketRing();
  PacketRing(const PacketRing&) = delete;
  PacketRing& operator=(const PacketRing&) = delete;

  // Less one.
  void EvictOldest();

  bool ok() const { return pool_.ok() && tail_.slab != nullptr; }
  void set_grower(Grower* grower) { grower_ = grower; }

  // Appends, overwriting the oldest as needed. At most largest() bytes of the packet are kept. False: not kept, as
  // readers hold every slab.
  [[nodiscard]] bool Push(const Packet& packet);
  uint32_t largest() const { return largest_; }
  // As if `packets` more had been pushed, the latest of them stamped `latest_ns`, that what is pushed next overwrites, as it
  // must: it leaves the ring empty. Not while MustKeepPushing().
  void Skip(uint64_t packets, int64_t latest_ns);
  // What is pushed is held, or shares a slab with what is.
  bool MustKeepPushing() const { return holding_ && (growing_ || (!left_last_ && held_last_ == tail_.slab)); }
  size_t max_packets() const { return max_packets_; }

  size_t packets() const { return packets_; }
  uint64_t bytes() const { return bytes_; }  // captured bytes
  uint64_t pushed() const { return pushed_; }  // also the number of the next packet
  uint64_t oldest_number() const { return pushed_ - packets_; }
  // The oldest of the row that ends with the newest: what is held comes first, where no packet between it and the ring is gone.
  uint64_t first_of_row() const {
    const bool one_row = holding_ && held_first_ < oldest_number() && oldest_number() <= held_end();
    return one_row ? held_first_ : oldest_number();
  }
  Cursor oldest() const { return oldest_; }
  Cursor tail() const { return tail_; }
  Cursor last() const { return last_; }  // the record pushed last
  int64_t newest_ns() const { return newest_ns_; }  // the largest timestamp ever pushed
  int64_t evicted_ns() const { return evicted_ns_; }  // the largest timestamp that was overwritten, INT64_MIN before
  // First and last packet by place in the ring; only while packets() > 0.
  int64_t oldest_ns() const;
  int64_t last_ns() const { return last_ns_; }

  // From the next packet on.
  void SetMaxPackets(size_t max_packets) { max_packets_ = max_packets; }
  // At once; what is held counts, too. The newest packet stays.
  void SetMaxBytes(size_t max_bytes);

  // The record of packet `number`, which must be in the ring, or in what is held.
  Cursor Find(uint64_t number) const;

  // Holds the ring, or where that is more than `most_bytes` its newest slabs: so many as these take, give or take two. It grows
  // with the log for `packets` or `bytes` more, or until half of the memory is held. The slabs stay where they are, so this
  // takes no time, but for the packets that a Release has given back to the ring beyond its number, which go first.
  void Hold(uint64_t most_bytes, uint64_t packets, uint64_t bytes);
  // Holds no more than packets `first` to before `end`, as far as it holds them; it may still grow up to there.
  void Trim(uint64_t first, uint64_t end);
  // Lets go. What has left the ring becomes its oldest again, as if it had never been held, or is given back if packets
  // between are gone.
  void Release();
  // Also by itself, for a packet that has no room beside what is held.
  bool holding() const { return holding_; }
  bool growing() const { return growing_; }  // what is pushed is held, too
  uint64_t held_first() const { return held_first_; }
  uint64_t held_end() const { return growing_ ? pushed_ : held_end_; }  // behind the last
  // Captured bytes of the ring and what is held together.
  uint64_t bytes_in_all() const { return bytes_ + outside_bytes_; }

  // While something is being recorded the log may grow by the queue, 30 MiB, and by as much again as the ring: 32 MiB at
  // defaults. False: no memory.
  bool StartRecording();
  void StopRecording();
  // True from when readers lag so far behind that no more may be pinned for them until they are well below that again.
  bool Congested();
  // Takes back what readers are done with; the log does so by itself as it grows.
  void Reclaim() { Reclaim(retired_count_); }

  static constexpr size_t kQueueBytes = 30 * 1024 * 1024;

 private:
  void BeginHoldIn(size_t slabs);
  void LeaveRing(Slab* slab);
  void StopGrowing();
  void LeaveLog(Slab* slab);
  bool MakeRoom();
  bool Extend(size_t count);
  void StartAtTail();
  void EvictAll();
  bool ExtendFor(uint32_t size);
  void CopyOverSlabs(const uint8_t* data, uint32_t size);
  void Retire(Slab* slab);
  void Reclaim(size_t looks);

  size_t max_packets_;
  size_t max_bytes_;
  const size_t max_slabs_;
  const size_t lent_slabs_;
  const uint32_t largest_;
  SlabPool pool_;
  Grower* grower_ = nullptr;
  Cursor oldest_;
  Cursor tail_;
  Cursor last_;
  size_t packets_ = 0;
  uint64_t bytes_ = 0;
  uint64_t pushed_ = 0;
  uint64_t pushed_bytes_ = 0;
  size_t slabs_ = 0;  // from the oldest packet's to the tail's

  bool holding_ = false;
  bool growing_ = false;
  bool left_first_ = false;  // the first held slab has left the ring
  bool left_last_ = false;  // the last one has, too
  Cursor held_begin_;
  Slab* held_last_ = nullptr;  // once it has stopped growing
  uint64_t held_first_ = 0;
  uint64_t held_end_ = 0;
  uint64_t stop_ = UINT64_MAX;  // the packet before which it stops growing
  uint64_t stop_bytes_ = UINT64_MAX;  // by pushed_bytes_
  size_t outside_slabs_ = 0;  // held and no more the ring's
  uint64_t outside_bytes_ = 0;

  Slab* retired_ = nullptr;  // a queue, as readers are mostly done with the oldest first
  Slab* retired_last_ = nullptr;
  size_t retired_count_ = 0;
  bool congested_ = false;
  int64_t newest_ns_ = INT64_MIN;
  int64_t evicted_ns_ = INT64_MIN;
  int64_t last_ns_ = 0;
};

}  // namespace pcap_ring
