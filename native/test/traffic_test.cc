#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "test/check.h"
#include "traffic/counters.h"

namespace pcap_ring {
namespace {

using Bytes = std::vector<uint8_t>;
using Field = uint64_t TrafficCounters::*;

constexpr size_t kNeverSeen = SIZE_MAX;
constexpr uint32_t kSeed = 20261122;

Bytes operator+(Bytes a, const Bytes& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

uint8_t High(size_t value) { return static_cast<uint8_t>(value >> 8); }
uint8_t Low(size_t value) { return static_cast<uint8_t>(value); }
Bytes Two(size_t value) { return {High(value), Low(value)}; }

Bytes Ethernet(uint16_t type) { return Bytes{2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2} + Two(type); }
Bytes Tag(uint16_t type) { return Bytes{0x20, 0x07} + Two(type); }
Bytes Sll(uint16_t type) { return Bytes{0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0} + Two(type); }
Bytes Sll2(uint16_t type) { return Two(type) + Bytes{0, 0, 0, 0, 0, 2, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0}; }

Bytes Tcp(uint8_t flags) { return {0x80, 0, 0, 80, 1, 2, 3, 4, 5, 6, 7, 8, 0x50, flags, 0x40, 0, 0, 0, 0, 0}; }
Bytes Udp() { return {0, 53, 0x80, 0, 0, 8, 0, 0}; }
Bytes Icmp() { return {8, 0, 0xf7, 0xff, 0, 0, 0, 0}; }

struct Ipv4Lies {
  size_t words = 5;  // the header's length
  uint16_t fragment = 0;
  int total_length = -1;  // the right one
  uint8_t version = 4;
};

Bytes Ipv4(uint8_t protocol, const Bytes& payload, Ipv4Lies lies = {}) {
  const size_t header = std::max<size_t>(lies.words, 5) * 4;
  const size_t length = lies.total_length >= 0 ? lies.total_length : header + payload.size();
  Bytes bytes = Bytes{Low(size_t{lies.version} << 4 | lies.words), 0} + Two(length) + Bytes{0, 1} + Two(lies.fragment) +
                Bytes{64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2};
  bytes.resize(header, 1);
  return bytes + payload;
}

Bytes Ipv6(uint8_t next, const Bytes& payload, int payload_length = -1, uint8_t version = 6) {
  Bytes bytes = Bytes{Low(version << 4), 0, 0, 0} + Two(payload_length >= 0 ? payload_length : payload.size()) +
                Bytes{next, 64};
  bytes.resize(40, 0xfd);
  return bytes + payload;
}

// `length` as the header's own field has it.
Bytes Extension(uint8_t next, uint8_t length, size_t size) {
  Bytes bytes = {next, length};
  bytes.resize(size, 0);
  return bytes;
}
Bytes FragmentHeader(uint8_t next, uint16_t offset_and_more) {
  return Bytes{next, 0} + Two(offset_and_more) + Bytes{0, 0, 0, 9};
}

// A packet, and the length from which on each thing about it can be known.
struct Case {
  std::string name;
  int dlt;
  Bytes bytes;
  Field protocol = &TrafficCounters::other;
  size_t protocol_at = 0;
  std::vector<Field> flags = {};
  size_t flags_at = kNeverSeen;
  size_t fragment_at = kNeverSeen;
};

constexpr Field kTcp = &TrafficCounters::tcp;
constexpr Field kUdp = &TrafficCounters::udp;
constexpr Field kIcmp = &TrafficCounters::icmp;
constexpr Field kOther = &TrafficCounters::other;
constexpr Field kSyn = &TrafficCounters::syn;
constexpr Field kSynack = &TrafficCounters::synack;
constexpr Field kAck = &TrafficCounters::ack;
constexpr Field kRst = &TrafficCounters::rst;
constexpr Field kFin = &TrafficCounters::fin;

std::vector<Case> MakeCases() {
  std::vector<Case> cases;
  const auto add = [&cases](Case c) { cases.push_back(std::move(c)); };

  // Every link type, with a SYN in IPv4 and one in IPv6.
  struct Link {
    const char* name;
    int dlt;
    Bytes v4, v6;
  };
  const Link links[] = {
      {"ethernet", 1, Ethernet(0x0800), Ethernet(0x86dd)},
      {"802.1q", 1, Ethernet(0x8100) + Tag(0x0800), Ethernet(0x8100) + Tag(0x86dd)},
      {"802.1ad", 1, Ethernet(0x88a8) + Tag(0x8100) + Tag(0x0800), Ethernet(0x88a8) + Tag(0x8100) + Tag(0x86dd)},
      {"0x9100", 1, Ethernet(0x9100) + Tag(0x9100) + Tag(0x0800), Ethernet(0x9100) + Tag(0x88a8) + Tag(0x86dd)},
      {"sll", 113, Sll(0x0800), Sll(0x86dd)},
      {"sll tagged", 113, Sll(0x8100) + Tag(0x0800), Sll(0x8100) + Tag(0x86dd)},
      {"sll2", 276, Sll2(0x0800), Sll2(0x86dd)},
      {"sll2 tagged", 276, Sll2(0x88a8) + Tag(0x0800), Sll2(0x88a8) + Tag(0x86dd)},
      {"raw 12", 12, {}, {}},
      {"raw 14", 14, {}, {}},
      {"raw 101", 101, {}, {}},
      {"null little", 0, {2, 0, 0, 0}, {24, 0, 0, 0}},
      {"null big", 0, {0, 0, 0, 2}, {0, 0, 0, 30}},
      {"null freebsd", 0, {2, 0, 0, 0}, {28, 0, 0, 0}},
      {"null macos", 0, {2, 0, 0, 0}, {30, 0, 0, 0}},
      {"null linux", 0, {2, 0, 0, 0}, {10, 0, 0, 0}},
      {"loop", 108, {0, 0, 0, 2}, {0, 0, 0, 24}},
      {"ppp", 9, {0xff, 3, 0, 0x21}, {0xff, 3, 0, 0x57}},
      {"ppp without address", 9, {0, 0x21}, {0, 0x57}},
      {"c_hdlc", 104, {0x0f, 0, 8, 0}, {0x0f, 0, 0x86, 0xdd}},
  };
  for (const Link& link : links) {
    const std::string name = link.name;
    const size_t v4 = link.v4.size();
    const size_t v6 = link.v6.size();
    add({name + " ipv4", link.dlt, link.v4 + Ipv4(6, Tcp(0x02)), kTcp, v4 + 10, {kSyn}, v4 + 34});
    add({name + " ipv6", link.dlt, link.v6 + Ipv6(6, Tcp(0x02)), kTcp, v6 + 7, {kSyn}, v6 + 54});
  }
  add({"ipv4 only", 228, Ipv4(6, Tcp(0x02)), kTcp, 10, {kSyn}, 34});
  add({"ipv6 only", 229, Ipv6(6, Tcp(0x02)), kTcp, 7, {kSyn}, 54});

  // What cannot be looked into.
  add({"ipv6 on ipv4 only", 228, Ipv6(6, Tcp(0x02))});
  add({"ipv4 on ipv6 only", 229, Ipv4(6, Tcp(0x02))});
  add({"unknown link type", 147, Ipv4(6, Tcp(0x02))});
  add({"negative link type", -1, Ipv4(6, Tcp(0x02))});
  add({"arp", 1, Ethernet(0x0806) + Bytes(46, 1)});
  add({"802.3 length", 1, Ethernet(46) + Bytes(46, 0x42)});
  add({"null family", 0, Bytes{7, 0, 0, 0} + Ipv4(6, Tcp(0x02))});
  add({"ppp lcp", 9, Bytes{0xff, 3, 0xc0, 0x21} + Ipv4(6, Tcp(0x02))});
  add({"raw version 5", 12, Ipv4(6, Tcp(0x02), {.version = 5})});
  add({"ethernet ipv4 version 6", 1, Ethernet(0x0800) + Ipv4(6, Tcp(0x02), {.version = 6})});
  add({"ethernet ipv6 version 4", 1, Ethernet(0x86dd) + Ipv6(6, Tcp(0x02), -1, 4)});
  Bytes tags = Ethernet(0x8100);
  for (int i = 0; i < 7; ++i) tags = tags + Tag(0x8100);
  add({"8 tags", 1, tags + Tag(0x0800) + Ipv4(17, Udp()), kUdp, 14 + 32 + 10});
  add({"9 tags", 1, tags + Tag(0x8100) + Tag(0x0800) + Ipv4(17, Udp())});

  // Transports.
  add({"udp4", 12, Ipv4(17, Udp()), kUdp, 10});
  add({"udp6", 12, Ipv6(17, Udp()), kUdp, 7});
  add({"icmp", 12, Ipv4(1, Icmp()), kIcmp, 10});
  add({"icmpv6", 12, Ipv6(58, Icmp()), kIcmp, 7});
  add({"gre", 12, Ipv4(47, Bytes(20, 0))});
  add({"esp", 12, Ipv6(50, Bytes(20, 0))});
  add({"no next header", 12, Ipv6(59, {})});
  add({"ah in ipv4", 12, Ipv4(51, Extension(6, 4, 24) + Tcp(0x02))});

  // TCP flags.
  const struct {
    const char* name;
    uint8_t flags;
    std::vector<Field> fields;
  } flags[] = {
      {"none", 0, {}},
      {"syn ece cwr", 0xc2, {kSyn}},
      {"synack", 0x12, {kSynack}},
      {"ack", 0x10, {kAck}},
      {"psh ack", 0x18, {kAck}},
      {"fin ack", 0x11, {kFin}},
      {"rst ack", 0x14, {kRst}},
      {"rst", 0x04, {kRst}},
      {"fin", 0x01, {kFin}},
      {"syn fin", 0x03, {kSyn, kFin}},
      {"syn rst", 0x06, {kSyn, kRst}},
      {"xmas", 0xff, {kSynack, kRst, kFin}},
      {"urg psh", 0x28, {}},
  };
  for (const auto& f : flags) add({std::string("flags ") + f.name, 12, Ipv4(6, Tcp(f.flags)), kTcp, 10, f.fields, 34});

  // IPv4: fragments, options, lies.
  add({"don't fragment", 12, Ipv4(6, Tcp(0x02), {.fragment = 0x4000}), kTcp, 10, {kSyn}, 34});
  add({"reserved bit", 12, Ipv4(6, Tcp(0x02), {.fragment = 0x8000}), kTcp, 10, {kSyn}, 34});
  add({"first fragment", 12, Ipv4(6, Tcp(0x02), {.fragment = 0x2000}), kTcp, 10, {kSyn}, 34, 10});
  add({"middle fragment", 12, Ipv4(6, Tcp(0x02), {.fragment = 0x2001}), kTcp, 10, {}, kNeverSeen, 10});
  add({"last fragment", 12, Ipv4(17, Bytes(40, 2), {.fragment = 0x1fff}), kUdp, 10, {}, kNeverSeen, 10});
  add({"tiny fragment, padded",
       12,
       Ipv4(6, Tcp(0x02), {.fragment = 0x2000, .total_length = 28}),
       kTcp,
       10,
       {},
       kNeverSeen,
       10});
  add({"options", 12, Ipv4(6, Tcp(0x12), {.words = 15}), kTcp, 10, {kSynack}, 74});
  add({"header length 4", 12, Ipv4(6, Tcp(0x02), {.words = 4}), kTcp, 10});
  add({"header length 0", 12, Ipv4(17, Udp(), {.words = 0}), kUdp, 10});
  Bytes overlong = Ipv4(6, Tcp(0x02));
  overlong[0] = 0x4f;
  add({"header length past the end", 12, overlong, kTcp, 10});
  add({"total length 0", 12, Ipv4(6, Tcp(0x02), {.total_length = 0}), kTcp, 10, {kSyn}, 34});
  add({"total length 65535", 12, Ipv4(6, Tcp(0x02), {.total_length = 65535}), kTcp, 10, {kSyn}, 34});
  add({"total length 1", 12, Ipv4(6, Tcp(0x02), {.total_length = 1}), kTcp, 10});
  add({"total length 33", 12, Ipv4(6, Tcp(0x02), {.total_length = 33}), kTcp, 10});
  add({"total length 34", 12, Ipv4(6, Tcp(0x02), {.total_length = 34}), kTcp, 10, {kSyn}, 34});

  // IPv6: extension headers; the protocol is known once the last one's second byte is there.
  for (const uint8_t kind : Bytes{0, 43, 60, 135, 139, 140}) {
    const std::string name = "extension " + std::to_string(kind);
    add({name, 12, Ipv6(kind, Extension(6, 0, 8) + Tcp(0x02)), kTcp, 42, {kSyn}, 62});
    add({name + " long", 12, Ipv6(kind, Extension(6, 2, 24) + Tcp(0x02)), kTcp, 42, {kSyn}, 78});
    add({name + " lies", 12, Ipv6(kind, Extension(6, 255, 8) + Tcp(0x02)), kTcp, 42});
  }
  add({"ah", 12, Ipv6(51, Extension(6, 4, 24) + Tcp(0x02)), kTcp, 42, {kSyn}, 78});
  add({"ah, esp", 12, Ipv6(51, Extension(50, 4, 24) + Tcp(0x02))});
  add({"chain",
       12,
       Ipv6(0, Extension(60, 0, 8) + Extension(43, 1, 16) + Extension(44, 2, 24) + FragmentHeader(51, 0x0001) +
                   Extension(60, 1, 12) + Extension(58, 0, 8) + Icmp()),
       kIcmp,
       40 + 8 + 16 + 24 + 8 + 12 + 2,
       {},
       kNeverSeen,
       40 + 8 + 16 + 24 + 4});
  Bytes chain;
  for (int i = 0; i < 15; ++i) chain = chain + Extension(60, 0, 8);
  add({"16 extensions", 12, Ipv6(60, chain + Extension(6, 0, 8) + Tcp(0x10)), kTcp, 162, {kAck}, 182});
  add({"17 extensions", 12, Ipv6(60, chain + Extension(60, 0, 8) + Extension(6, 0, 8) + Tcp(0x10))});
  add({"atomic fragment", 12, Ipv6(44, FragmentHeader(6, 0) + Tcp(0x02)), kTcp, 42, {kSyn}, 62});
  add({"atomic fragment, reserved bits", 12, Ipv6(44, FragmentHeader(6, 6) + Tcp(0x02)), kTcp, 42, {kSyn}, 62});
  add({"first fragment6", 12, Ipv6(44, FragmentHeader(6, 1) + Tcp(0x02)), kTcp, 42, {kSyn}, 62, 44});
  add({"middle fragment6", 12, Ipv6(44, FragmentHeader(6, 9) + Tcp(0x02)), kTcp, 42, {}, kNeverSeen, 44});
  add({"last fragment6", 12, Ipv6(44, FragmentHeader(17, 0xfff8) + Bytes(20, 6)), kUdp, 42, {}, kNeverSeen, 44});
  // The payload of a later fragment is no header, whatever its header names.
  add({"later fragment of options",
       12,
       Ipv6(44, FragmentHeader(60, 8) + Extension(6, 0, 8) + Tcp(0x02)),
       kOther,
       0,
       {},
       kNeverSeen,
       44});
  add({"fragment in a fragment",
       12,
       Ipv6(44, FragmentHeader(44, 1) + FragmentHeader(17, 1) + Udp()),
       kUdp,
       50,
       {},
       kNeverSeen,
       44});
  const Bytes jumbo = {6, 0, 0xc2, 4, 0, 1, 0x86, 0xa0};
  add({"jumbogram", 12, Ipv6(0, jumbo + Tcp(0x10), 0), kTcp, 42, {kAck}, 62});
  add({"big tcp without option", 12, Ipv6(6, Tcp(0x10), 0), kTcp, 7, {kAck}, 54});
  add({"tiny fragment6, padded", 12, Ipv6(44, FragmentHeader(6, 1) + Tcp(0x02), 16), kTcp, 42, {}, kNeverSeen, 44});
  add({"payload length 13", 12, Ipv6(6, Tcp(0x02), 13), kTcp, 7});
  add({"payload length 14", 12, Ipv6(6, Tcp(0x02), 14), kTcp, 7, {kSyn}, 54});
  add({"payload length 65535", 12, Ipv6(6, Tcp(0x02), 65535), kTcp, 7, {kSyn}, 54});
  return cases;
}

const std::vector<Case>& AllCases() {
  static const std::vector<Case> cases = MakeCases();
  return cases;
}

// "10.0.0.1 10.0.0.2 tcp 32768 80", in hexadecimal; reads every byte that is pointed to.
std::string Describe(const Endpoints& ends, const Packet& packet) {
  std::string text;
  for (const uint8_t* address : {ends.source, ends.destination}) {
    CHECK_EQ(address != nullptr, ends.address_size != 0);
    if (address == nullptr) continue;
    CHECK(address >= packet.data && address + ends.address_size <= packet.data + packet.caplen);
    for (int i = 0; i < ends.address_size; ++i) {
      char byte[4];
      std::snprintf(byte, sizeof byte, "%02x", address[i]);
      text += byte;
    }
    text += " ";
  }
  if (ends.transport == Endpoints::Transport::kNone) return text;
  text += ends.transport == Endpoints::Transport::kTcp ? "tcp " : "udp ";
  return text + std::to_string(ends.source_port) + " " + std::to_string(ends.destination_port);
}

// On the heap and exactly as large as captured, so that the sanitizer sees every byte too far. `shift` misaligns. What
// was found of the ends must lie in there, and change nothing about the figures.
TrafficCounters CountOne(int dlt, const uint8_t* bytes, size_t size, uint32_t len, size_t shift, bool outbound = false,
                         std::string* ends_text = nullptr) {
  const std::unique_ptr<uint8_t[]> heap(new uint8_t[size + shift]);
  if (size > 0) std::memcpy(heap.get() + shift, bytes, size);
  Packet packet;
  packet.caplen = static_cast<uint32_t>(size);
  packet.len = len;
  packet.data = heap.get() + shift;
  packet.outbound = outbound;
  TrafficCounter counter(dlt);
  counter.Count(packet);
  TrafficCounter with_ends(dlt);
  Endpoints ends;
  with_ends.Count(packet, &ends);
  CHECK(std::memcmp(&counter.total(), &with_ends.total(), sizeof(TrafficCounters)) == 0);
  const std::string text = Describe(ends, packet);
  if (ends_text != nullptr) *ends_text = text;
  return counter.total();
}

std::string Describe(const TrafficCounters& c) {
  std::string text;
  const auto add = [&text](const char* name, uint64_t value) {
    if (value != 0) text += std::string(" ") + name + "=" + std::to_string(value);
  };
  add("packets", c.packets);
  add("bytes", c.bytes);
  add("inbound_packets", c.inbound_packets);
  add("inbound_bytes", c.inbound_bytes);
  add("tcp", c.tcp);
  add("udp", c.udp);
  add("icmp", c.icmp);
  add("other", c.other);
  add("syn", c.syn);
  add("synack", c.synack);
  add("ack", c.ack);
  add("rst", c.rst);
  add("fin", c.fin);
  add("fragments", c.fragments);
  return text;
}

TrafficCounters Expected(const Case& c, size_t size, uint32_t len) {
  TrafficCounters expected;
  expected.packets = expected.inbound_packets = 1;
  expected.bytes = expected.inbound_bytes = len;
  ++(expected.*(size >= c.protocol_at ? c.protocol : kOther));
  if (size >= c.flags_at) {
    for (const Field flag : c.flags) ++(expected.*flag);
  }
  if (size >= c.fragment_at) ++expected.fragments;
  return expected;
}

TEST(EveryBranchAtEveryLength) {
  for (const Case& c : AllCases()) {
    for (size_t size = 0; size <= c.bytes.size(); ++size) {
      for (const size_t shift : {size_t{0}, size_t{1}}) {
        const std::string where = c.name + " at " + std::to_string(size) + ":";
        const auto counted = CountOne(c.dlt, c.bytes.data(), size, 1514, shift);
        CHECK_EQ(where + Describe(counted), where + Describe(Expected(c, size, 1514)));
      }
    }
  }
}

// The ends of the packet that `bytes` start with, when only the first `size` of them were captured.
std::string EndsOf(const Bytes& bytes, size_t size) {
  std::string text;
  CountOne(1, bytes.data(), size, 1514, 0, false, &text);
  return text;
}

TEST(EndsAtEveryLength) {
  const std::string v4 = "0a000001 0a000002 ";
  std::string v6;
  for (int i = 0; i < 32; ++i) v6 += i == 16 ? " fd" : "fd";
  v6 += " ";
  const struct {
    const char* name;
    Bytes bytes;
    std::string addresses;
    size_t addresses_at;
    std::string ports;
    size_t ports_at;
  } cases[] = {
      {"tcp4", Ethernet(0x0800) + Ipv4(6, Tcp(2)), v4, 34, "tcp 32768 80", 38},
      {"udp4", Ethernet(0x0800) + Ipv4(17, Udp()), v4, 34, "udp 53 32768", 38},
      {"tagged", Ethernet(0x8100) + Tag(0x0800) + Ipv4(17, Udp()), v4, 38, "udp 53 32768", 42},
      {"options", Ethernet(0x0800) + Ipv4(17, Udp(), {.words = 15}), v4, 34, "udp 53 32768", 78},
      {"icmp", Ethernet(0x0800) + Ipv4(1, Icmp()), v4, 34, "", kNeverSeen},
      {"first fragment", Ethernet(0x0800) + Ipv4(17, Udp(), {.fragment = 0x2000}), v4, 34, "udp 53 32768", 38},
      {"later fragment", Ethernet(0x0800) + Ipv4(17, Udp(), {.fragment = 0x2001}), v4, 34, "", kNeverSeen},
      {"header length 0", Ethernet(0x0800) + Ipv4(17, Udp(), {.words = 0}), v4, 34, "", kNeverSeen},
      {"total length 23", Ethernet(0x0800) + Ipv4(17, Udp(), {.total_length = 23}), v4, 34, "", kNeverSeen},
      {"total length 1", Ethernet(0x0800) + Ipv4(17, Udp(), {.total_length = 1}), v4, 34, "", kNeverSeen},
      {"total length 0", Ethernet(0x0800) + Ipv4(17, Udp(), {.total_length = 0}), v4, 34, "udp 53 32768", 38},
      {"version 5", Ethernet(0x0800) + Ipv4(17, Udp(), {.version = 5}), v4, kNeverSeen, "", kNeverSeen},
      {"udp6", Ethernet(0x86dd) + Ipv6(17, Udp()), v6, 54, "udp 53 32768", 58},
      {"extensions", Ethernet(0x86dd) + Ipv6(0, Extension(60, 0, 8) + Extension(6, 1, 16) + Tcp(2)), v6, 54,
       "tcp 32768 80", 82},
      {"first fragment6", Ethernet(0x86dd) + Ipv6(44, FragmentHeader(17, 1) + Udp()), v6, 54, "udp 53 32768", 66},
      {"later fragment6", Ethernet(0x86dd) + Ipv6(44, FragmentHeader(17, 9) + Udp()), v6, 54, "", kNeverSeen},
      {"arp", Ethernet(0x0806) + Bytes(46, 1), v4, kNeverSeen, "", kNeverSeen},
  };
  for (const auto& c : cases) {
    for (size_t size = 0; size <= c.bytes.size(); ++size) {
      const std::string where = c.name + (" at " + std::to_string(size) + ": ");
      CHECK_EQ(where + EndsOf(c.bytes, size),
               where + (size >= c.addresses_at ? c.addresses : "") + (size >= c.ports_at ? c.ports : ""));
    }
  }
}

TEST(PaddingChangesNothing) {
  for (const Case& c : AllCases()) {
    const Bytes padded = c.bytes + Bytes(300, 0xff);
    const auto counted = CountOne(c.dlt, padded.data(), padded.size(), 60, 0);
    CHECK_EQ(c.name + Describe(counted), c.name + Describe(Expected(c, c.bytes.size(), 60)));
  }
}

TEST(AnyBytesAreSafeAndCountOnce) {
  std::printf("# seed %u\n", kSeed);
  std::mt19937 generator(kSeed);
  const auto random = [&generator] { return static_cast<uint32_t>(generator()); };
  const auto check = [](const std::string& name, const TrafficCounters& c) {
    const bool sound = c.packets == 1 && c.tcp + c.udp + c.icmp + c.other == 1 && c.fragments <= 1 &&
                       c.syn + c.synack + c.ack <= c.tcp && c.ack + c.rst <= c.tcp && c.ack + c.fin <= c.tcp;
    CHECK_EQ(name + (sound ? "" : Describe(c)), name);
  };
  for (const Case& c : AllCases()) {
    for (int round = 0; round < 1000; ++round) {
      Bytes bytes = c.bytes;
      for (uint32_t flips = 1 + random() % 4; flips > 0; --flips) bytes[random() % bytes.size()] = Low(random());
      const size_t size = round % 2 == 0 ? bytes.size() : random() % (bytes.size() + 1);
      check(c.name, CountOne(c.dlt, bytes.data(), size, random(), random() % 4));
    }
  }
  for (const int dlt : {0, 1, 9, 12, 14, 101, 104, 108, 113, 228, 229, 276, 147}) {
    for (int round = 0; round < 5000; ++round) {
      Bytes bytes(random() % 128);
      for (uint8_t& byte : bytes) byte = Low(random());
      check("noise", CountOne(dlt, bytes.data(), bytes.size(), random(), 0));
    }
  }
}

TEST(LengthsAreThoseOfTheWireAndDirectionCounts) {
  const Bytes udp = Ipv4(17, Udp());
  const auto damaged = CountOne(12, udp.data(), udp.size(), 0, 0);
  CHECK_EQ(Describe(damaged), " packets=1 inbound_packets=1 udp=1");
  const auto huge = CountOne(12, udp.data(), udp.size(), UINT32_MAX, 0);
  CHECK_EQ(Describe(huge), " packets=1 bytes=4294967295 inbound_packets=1 inbound_bytes=4294967295 udp=1");
  const auto outbound = CountOne(12, udp.data(), udp.size(), 100, 0, true);
  CHECK_EQ(Describe(outbound), " packets=1 bytes=100 udp=1");
  for (const int dlt : {0, 1, 9, 12, 104, 113, 228, 229, 276}) {
    TrafficCounter counter(dlt);
    counter.Count(Packet{});
    CHECK_EQ(Describe(counter.total()), " packets=1 inbound_packets=1 other=1");
  }
}

TEST(CountersAddAndSubtract) {
  TrafficCounter counter(12);
  TrafficCounters sum;
  TrafficCounters half;
  size_t number = 0;
  for (const Case& c : AllCases()) {
    if (c.dlt != 12) continue;
    Packet packet;
    packet.caplen = packet.len = static_cast<uint32_t>(c.bytes.size());
    packet.data = c.bytes.data();
    packet.outbound = ++number % 3 == 0;
    const TrafficCounters before = counter.total();
    counter.Count(packet);
    sum += counter.total() - before;
    if (number == 20) half = counter.total();
  }
  CHECK_EQ(Describe(sum), Describe(counter.total()));
  TrafficCounters again = half;
  again += counter.total() - half;
  CHECK_EQ(Describe(again), Describe(counter.total()));
  CHECK_EQ(Describe(counter.total() - counter.total()), "");
  CHECK_EQ(sum.packets, number);
  CHECK_EQ(sum.tcp + sum.udp + sum.icmp + sum.other, sum.packets);
}

}  // namespace
}  // namespace pcap_ring

TEST_MAIN()
