#pragma once

#include <array>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <vector>

#include "traffic/counters.h"

namespace pcap_ring {

// Packets by port of TCP and UDP, exactly. A flood from random ports touches all 65,536 of them, so these are plain
// arrays: 16 bits a port, 128 KiB for each protocol and side that occurs, pages that nothing touches being free. Every
// 65,536 packets of one port are carried over into a list, which is thereby no longer than (packets) / 65,536.
class PortCounts {
 public:
  enum class Side { kSource, kDestination };

  struct Top {
    uint16_t port = 0;
    uint64_t packets = 0;
  };

  // Nothing, if it has no ports.
  void Add(const Endpoints& ends);
  // The `most` with the most packets; of those with as many, the lower port first.
  std::vector<Top> MostPackets(Endpoints::Transport transport, Side side, size_t most) const;

 private:
  static constexpr size_t kPorts = 65536;

  struct Free {
    void operator()(uint16_t* counts) const { std::free(counts); }
  };
  struct Carry {
    uint16_t port;
    uint32_t times;
  };
  struct OneSide {
    std::unique_ptr<uint16_t[], Free> low;  // nullptr until there is a packet
    std::vector<Carry> carries;

    void Add(uint16_t port);
  };

  static size_t Index(Endpoints::Transport transport, Side side);

  std::array<OneSide, 4> sides_;
};

}  // namespace pcap_ring
