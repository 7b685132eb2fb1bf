#include "source/block_ring.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cstdio>

#include "base/fd.h"

namespace pcap_ring {

// libpcap does not say where its mapping is; the system does.
bool BlockRing::Attach(int socket) {
  Detach();
  int version = -1;
  socklen_t size = sizeof version;
  struct stat file;
  if (getsockopt(socket, SOL_PACKET, PACKET_VERSION, &version, &size) != 0 || version != TPACKET_V3) return false;
  if (fstat(socket, &file) != 0) return false;
  const UniqueFile maps(std::fopen("/proc/self/maps", "re"));
  if (maps == nullptr) return false;
  char line[512];
  while (blocks_ == 0 && std::fgets(line, sizeof line, maps.get()) != nullptr) {
    unsigned long begin, end, inode;
    unsigned major, minor;
    // NOLINTNEXTLINE(cert-err34-c): what the kernel prints fits.
    if (std::sscanf(line, "%lx-%lx %*s %*x %x:%x %lu", &begin, &end, &major, &minor, &inode) != 5) continue;
    if (inode != file.st_ino || makedev(major, minor) != file.st_dev || (end - begin) % kBlockSize != 0) continue;
    // NOLINTNEXTLINE(performance-no-int-to-ptr): an address is told as a number.
    AttachTo(reinterpret_cast<uint8_t*>(begin), (end - begin) / kBlockSize);
  }
  return blocks_ > 0;
}

void BlockRing::AttachTo(uint8_t* begin, size_t blocks) {
  begin_ = begin;
  blocks_ = blocks;
  next_ = held_ = 0;
}

void BlockRing::Hold() {
  next_ = (next_ + 1) % blocks_;
  ++held_;
}

void BlockRing::GiveBack() {
  __atomic_store_n(&Held()->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
  --held_;
  // What is looked at next is not older than that: the kernel may fill its last block while it does not see this one yet.
  __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

}  // namespace pcap_ring
