#pragma once

#include <linux/if_packet.h>

#include <cstddef>
#include <cstdint>

namespace pcap_ring {

// The kernel's buffer of a packet socket (TPACKET_V3), where libpcap has mapped it: blocks that the kernel fills one after
// the other, and hands over whole. Reading them here saves what libpcap does for each packet. Whoever does must do so for all
// of them, as libpcap has its own idea of which comes next. The capture thread's.
//
// Source: linux/if_packet.h, Documentation/networking/packet_mmap.rst.
class BlockRing {
 public:
  // False: this socket has no such buffer, or it is not to be found.
  bool Attach(int socket);
  // To as many blocks as lie there.
  void AttachTo(uint8_t* begin, size_t blocks);
  void Detach() { blocks_ = held_ = 0; }
  bool attached() const { return blocks_ > 0; }

  // The oldest block that is not held, once it is handed over; else nullptr.
  tpacket_block_desc* Ready() const { return held_ < blocks_ && Taken(At(next_)) ? At(next_) : nullptr; }
  // Holds it, until it is given back.
  void Hold();
  // The oldest of those that are held.
  tpacket_block_desc* Held() const { return At((next_ + blocks_ - held_) % blocks_); }
  void GiveBack();
  size_t held() const { return held_; }
  size_t blocks() const { return blocks_; }
  // The kernel has filled all that were given back: it drops what comes, until one more is.
  bool Full() const { return Taken(At((next_ + 2 * blocks_ - held_ - 1) % blocks_)); }
  // It had, when the block that was given back last was.
  bool WasFull() const { return Taken(At((next_ + 2 * blocks_ - held_ - 2) % blocks_)); }
  // libpcap's own, since it knows TPACKET_V3: the largest packet that it can be asked for (MAXIMUM_SNAPLEN), as pcap_bufsize()
  // says.
  static constexpr size_t kBlockSize = 256 * 1024;
  // It is the reader's (again).
  static bool Taken(const tpacket_block_desc* block) {
    return (__atomic_load_n(&block->hdr.bh1.block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER) != 0;
  }

 private:
  tpacket_block_desc* At(size_t number) const {
    return reinterpret_cast<tpacket_block_desc*>(begin_ + number * kBlockSize);
  }

  uint8_t* begin_ = nullptr;
  size_t blocks_ = 0;
  size_t next_ = 0;
  size_t held_ = 0;  // right before it
};

}  // namespace pcap_ring
