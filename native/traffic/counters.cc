#include "traffic/counters.h"

#include <algorithm>
#include <iterator>

namespace pcap_ring {
namespace {

// DLT_ values of libpcap. Its own header is no help: there DLT_RAW and others depend on the platform, while a recording
// brings those of any.
enum LinkType : int {
  kNull = 0,
  kEthernet = 1,
  kPpp = 9,
  kRaw = 12,
  kRawOpenBsd = 14,
  kRawFile = 101,  // LINKTYPE_RAW
  kCiscoHdlc = 104,
  kLoop = 108,
  kLinuxSll = 113,
  kIpv4 = 228,
  kIpv6 = 229,
  kLinuxSll2 = 276,
};

enum Ethertype : uint16_t {
  kTypeIpv4 = 0x0800,
  kTypeVlan = 0x8100,
  kTypeIpv6 = 0x86dd,
  kTypeProviderVlan = 0x88a8,
  kTypeOldVlan = 0x9100,
};

enum Protocol : uint8_t {
  kHopByHop = 0,
  kIcmp = 1,
  kTcp = 6,
  kUdp = 17,
  kRouting = 43,
  kFragment = 44,
  kAuthentication = 51,
  kIcmpV6 = 58,
  kDestination = 60,
  kMobility = 135,
  kHip = 139,
  kShim6 = 140,
};

enum TcpFlag : uint8_t { kFin = 0x01, kSyn = 0x02, kRst = 0x04, kAck = 0x10 };

// Nobody stacks more in earnest; a packet of nothing but tags or extension headers must not cost more than others.
constexpr int kMaxVlanTags = 8;
constexpr int kMaxExtensions = 16;

constexpr uint64_t TrafficCounters::*kFields[] = {
    &TrafficCounters::packets,       &TrafficCounters::bytes,     &TrafficCounters::inbound_packets,
    &TrafficCounters::inbound_bytes, &TrafficCounters::tcp,       &TrafficCounters::udp,
    &TrafficCounters::icmp,          &TrafficCounters::other,     &TrafficCounters::syn,
    &TrafficCounters::synack,        &TrafficCounters::ack,       &TrafficCounters::rst,
    &TrafficCounters::fin,           &TrafficCounters::fragments,
};
static_assert(std::size(kFields) * sizeof(uint64_t) == sizeof(TrafficCounters));

uint16_t Be16(const uint8_t* p) { return static_cast<uint16_t>(p[0] << 8 | p[1]); }
uint32_t Be32(const uint8_t* p) { return uint32_t{Be16(p)} << 16 | Be16(p + 2); }

bool IsVlan(uint16_t ethertype) {
  return ethertype == kTypeVlan || ethertype == kTypeProviderVlan || ethertype == kTypeOldVlan;
}

bool IsExtension(uint8_t protocol) {
  switch (protocol) {
    case kHopByHop:
    case kRouting:
    case kFragment:
    case kAuthentication:
    case kDestination:
    case kMobility:
    case kHip:
    case kShim6:
      return true;
  }
  return false;
}

// The ethertype for the address family that DLT_NULL and DLT_LOOP put first, in the byte order of whoever wrote it.
uint16_t FamilyEthertype(uint32_t family) {
  if (family > 0xffff) family = __builtin_bswap32(family);
  switch (family) {
    case 2:
      return kTypeIpv4;
    case 10:  // Linux
    case 24:  // NetBSD, OpenBSD
    case 28:  // FreeBSD
    case 30:  // macOS
      return kTypeIpv6;
  }
  return 0;
}

uint16_t PppEthertype(uint16_t protocol) { return protocol == 0x0021 ? kTypeIpv4 : protocol == 0x0057 ? kTypeIpv6 : 0; }

// What a walk finds of the two ends: for nobody, or for an Endpoints.
struct NoEnds {
  void Addresses(const uint8_t*, uint8_t) {}
  void Ports(Endpoints::Transport, uint16_t, uint16_t) {}
};
struct NotedEnds {
  Endpoints* to;

  void Addresses(const uint8_t* both, uint8_t size) {
    to->address_size = size;
    to->source = both;
    to->destination = both + size;
  }
  void Ports(Endpoints::Transport transport, uint16_t source, uint16_t destination) {
    to->transport = transport;
    to->source_port = source;
    to->destination_port = destination;
  }
};

// The one parser of headers. A template, so that the capture thread does not pay for ends that only the writer asks for.
// Every path ends in exactly one of tcp, udp, icmp and other. `size` is always what was captured.
template <typename Ends>
class HeaderWalk {
 public:
  HeaderWalk(TrafficCounters* total, Ends ends) : total_(total), ends_(ends) {}

  void CountFrame(int dlt, const uint8_t* data, uint32_t size) {
    switch (dlt) {
      case kEthernet:
        if (size >= 14) return CountEthertype(Be16(data + 12), data + 14, size - 14);
        break;
      case kLinuxSll:
        if (size >= 16) return CountEthertype(Be16(data + 14), data + 16, size - 16);
        break;
      case kLinuxSll2:
        if (size >= 20) return CountEthertype(Be16(data), data + 20, size - 20);
        break;
      case kRaw:
      case kRawOpenBsd:
      case kRawFile:
        return CountIp(data, size);
      case kIpv4:
        return CountIpv4(data, size);
      case kIpv6:
        return CountIpv6(data, size);
      case kNull:
      case kLoop:
        if (size >= 4) return CountEthertype(FamilyEthertype(Be32(data)), data + 4, size - 4);
        break;
      case kPpp: {
        // Address and control may have been negotiated away.
        const uint32_t start = size >= 2 && Be16(data) == 0xff03 ? 2 : 0;
        if (size >= start + 2) {
          return CountEthertype(PppEthertype(Be16(data + start)), data + start + 2, size - start - 2);
        }
        break;
      }
      case kCiscoHdlc:
        if (size >= 4) return CountEthertype(Be16(data + 2), data + 4, size - 4);
        break;
    }
    ++total_->other;
  }

 private:
  void CountEthertype(uint16_t ethertype, const uint8_t* data, uint32_t size) {
    for (int tags = 0; IsVlan(ethertype) && size >= 4 && tags < kMaxVlanTags; ++tags) {
      ethertype = Be16(data + 2);
      data += 4;
      size -= 4;
    }
    if (ethertype == kTypeIpv4) return CountIpv4(data, size);
    if (ethertype == kTypeIpv6) return CountIpv6(data, size);
    ++total_->other;
  }

  void CountIp(const uint8_t* data, uint32_t size) {
    if (size > 0 && data[0] >> 4 == 6) return CountIpv6(data, size);
    CountIpv4(data, size);
  }

  void CountIpv4(const uint8_t* data, uint32_t size) {
    if (size < 10 || data[0] >> 4 != 4) {
      ++total_->other;
      return;
    }
    if (size >= 20) ends_.Addresses(data + 12, 4);
    const uint32_t header = (data[0] & 0x0fu) * 4;
    const uint32_t total_length = Be16(data + 2);
    const uint16_t fragment = Be16(data + 6);
    if (fragment & 0x3fff) ++total_->fragments;
    // What follows in the frame is padding. 0 is an offloaded packet above 64 KiB.
    if (total_length != 0) size = std::min(size, total_length);
    const uint32_t payload = header >= 20 && header < size ? size - header : 0;
    CountTransport(data[9], data + (size - payload), payload, (fragment & 0x1fff) == 0);
  }

  void CountIpv6(const uint8_t* data, uint32_t size) {
    if (size < 7 || data[0] >> 4 != 6) {
      ++total_->other;
      return;
    }
    if (size >= 40) ends_.Addresses(data + 8, 16);
    const uint32_t payload_length = Be16(data + 4);
    uint8_t next = data[6];
    // As in IPv4: padding, and 0 for a jumbogram.
    if (payload_length != 0) size = std::min(size, 40 + payload_length);
    const auto skip = [&data, &size](uint32_t bytes) {
      bytes = std::min(bytes, size);
      data += bytes;
      size -= bytes;
    };
    skip(40);

    bool fragmented = false;
    bool first_fragment = true;
    // A chain that is cut or too long leaves an extension in `next`, which counts as other.
    for (int i = 0; IsExtension(next) && first_fragment && size >= 2 && i < kMaxExtensions; ++i) {
      const uint8_t header = next;
      next = data[0];
      if (header == kFragment) {
        if (size >= 4) {
          const uint16_t field = Be16(data + 2);
          fragmented |= (field & 0xfff9) != 0;
          first_fragment = (field & 0xfff8) == 0;
        }
        skip(8);
      } else {
        skip(header == kAuthentication ? (data[1] + 2u) * 4 : (data[1] + 1u) * 8);
      }
    }
    if (fragmented) ++total_->fragments;
    CountTransport(next, data, size, first_fragment);
  }

  void CountTransport(uint8_t protocol, const uint8_t* data, uint32_t size, bool first_fragment) {
    switch (protocol) {
      case kTcp:
        break;
      case kUdp:
        ++total_->udp;
        if (first_fragment && size >= 4) ends_.Ports(Endpoints::Transport::kUdp, Be16(data), Be16(data + 2));
        return;
      case kIcmp:
      case kIcmpV6:
        ++total_->icmp;
        return;
      default:
        ++total_->other;
        return;
    }
    ++total_->tcp;
    if (!first_fragment) return;
    if (size >= 4) ends_.Ports(Endpoints::Transport::kTcp, Be16(data), Be16(data + 2));
    if (size < 14) return;
    const uint8_t flags = data[13];
    const uint8_t syn_ack = flags & (kSyn | kAck);
    total_->syn += syn_ack == kSyn;
    total_->synack += syn_ack == (kSyn | kAck);
    total_->ack += (flags & (kSyn | kAck | kFin | kRst)) == kAck;
    total_->rst += (flags & kRst) != 0;
    total_->fin += (flags & kFin) != 0;
  }

  TrafficCounters* const total_;
  Ends ends_;
};

}  // namespace

TrafficCounters TrafficCounters::operator-(const TrafficCounters& earlier) const {
  TrafficCounters difference;
  for (const auto field : kFields) difference.*field = this->*field - earlier.*field;
  return difference;
}

TrafficCounters& TrafficCounters::operator+=(const TrafficCounters& more) {
  for (const auto field : kFields) this->*field += more.*field;
  return *this;
}

TrafficCounters TrafficCounters::operator*(uint64_t times) const {
  TrafficCounters product;
  for (const auto field : kFields) product.*field = this->*field * times;
  return product;
}

TrafficCounter::TrafficCounter(int dlt) : dlt_(dlt) {}

void TrafficCounter::CountLengths(const Packet& packet) {
  ++total_.packets;
  total_.bytes += packet.len;
  if (!packet.outbound) {
    ++total_.inbound_packets;
    total_.inbound_bytes += packet.len;
  }
}

void TrafficCounter::Count(const Packet& packet) {
  CountLengths(packet);
  HeaderWalk(&total_, NoEnds()).CountFrame(dlt_, packet.data, packet.caplen);
}

void TrafficCounter::Count(const Packet& packet, Endpoints* endpoints) {
  CountLengths(packet);
  *endpoints = Endpoints();
  HeaderWalk(&total_, NotedEnds{endpoints}).CountFrame(dlt_, packet.data, packet.caplen);
}

}  // namespace pcap_ring
