#pragma once

#include <cstdint>

#include "source/packet.h"

namespace pcap_ring {

// What passed, by protocol. Plain sums: two snapshots subtract to what lay between them.
struct TrafficCounters {
  uint64_t packets = 0;
  uint64_t bytes = 0;  // original lengths
  uint64_t inbound_packets = 0;
  uint64_t inbound_bytes = 0;
  // Of the transport: tcp + udp + icmp + other == packets. ICMPv6 is icmp; a fragment counts under the protocol that
  // its IP header names.
  uint64_t tcp = 0;
  uint64_t udp = 0;
  uint64_t icmp = 0;
  uint64_t other = 0;
  // One packet may count under several: syn is SYN without ACK, synack both, ack is ACK without SYN, FIN or RST.
  uint64_t syn = 0;
  uint64_t synack = 0;
  uint64_t ack = 0;
  uint64_t rst = 0;
  uint64_t fin = 0;
  uint64_t fragments = 0;  // IPv4 with MF or an offset, IPv6 with a fragment header that is not atomic

  TrafficCounters operator-(const TrafficCounters& earlier) const;
  TrafficCounters& operator+=(const TrafficCounters& more);
  TrafficCounters operator*(uint64_t times) const;
};

// What the headers of one packet say of its two ends.
struct Endpoints {
  enum class Transport : uint8_t { kNone, kTcp, kUdp };

  // Into the packet's bytes. The addresses stand at fixed places, so they are known once the fixed header of IPv4 or
  // IPv6 was captured, whatever its length fields claim.
  const uint8_t* source = nullptr;
  const uint8_t* destination = nullptr;
  uint8_t address_size = 0;  // 4 or 16; 0: no addresses
  // kNone: no ports. A fragment that is not the first has none.
  Transport transport = Transport::kNone;
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
};

// Looks at the headers of one packet. Knows nothing of files or rings; safe on any bytes of any length.
// On the capture thread, for every packet: no allocation, no system call.
class TrafficCounter {
 public:
  // `dlt` is libpcap's DLT_ value. Link types that it cannot look into count every packet as other.
  explicit TrafficCounter(int dlt);

  void Count(const Packet& packet);
  // The same, and where it came from and went to.
  void Count(const Packet& packet, Endpoints* endpoints);
  const TrafficCounters& total() const { return total_; }

 private:
  void CountLengths(const Packet& packet);

  int dlt_;
  TrafficCounters total_;
};

}  // namespace pcap_ring
