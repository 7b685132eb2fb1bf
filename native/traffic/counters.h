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
};

// Looks at the headers of one packet. Knows nothing of files or rings; safe on any bytes of any length.
// On the capture thread, for every packet: no allocation, no system call.
class TrafficCounter {
 public:
  // `dlt` is libpcap's DLT_ value. Link types that it cannot look into count every packet as other.
  explicit TrafficCounter(int dlt);

  void Count(const Packet& packet);
  const TrafficCounters& total() const { return total_; }

 private:
  void CountEthertype(uint16_t ethertype, const uint8_t* data, uint32_t size);
  void CountIp(const uint8_t* data, uint32_t size);
  void CountIpv4(const uint8_t* data, uint32_t size);
  void CountIpv6(const uint8_t* data, uint32_t size);
  void CountTransport(uint8_t protocol, const uint8_t* data, uint32_t size, bool first_fragment);

  int dlt_;
  TrafficCounters total_;
};

}  // namespace pcap_ring
