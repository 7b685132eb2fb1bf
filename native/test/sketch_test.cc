// What stands between a flood from made-up addresses and unbounded memory: hash, cardinality, counts by address and port.

#include <algorithm>
#include <cmath>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "test/check.h"
#include "traffic/address_counts.h"
#include "traffic/cardinality.h"
#include "traffic/keyed_hash.h"
#include "traffic/port_counts.h"

namespace pcap_ring {
namespace {

constexpr uint32_t kSeed = 20261122;
constexpr size_t kEntries = AddressCounts::kEntries;
using Key = std::vector<uint8_t>;

Key Ipv4Of(uint32_t number) {
  return {static_cast<uint8_t>(number >> 24), static_cast<uint8_t>(number >> 16), static_cast<uint8_t>(number >> 8),
          static_cast<uint8_t>(number)};
}

Key Ipv6Of(uint32_t number) {
  Key key(16, 0x20);
  const Key low = Ipv4Of(number);
  std::copy(low.begin(), low.end(), key.begin() + 12);
  return key;
}

Key KeyOf(const Address& address) { return {address.bytes.begin(), address.bytes.begin() + address.size}; }

// The truth, by nothing but a map.
struct Truth {
  struct Sum {
    uint64_t packets = 0;
    uint64_t bytes = 0;
  };
  std::map<Key, Sum> by_address;
  uint64_t packets = 0;

  void Add(const Key& key, uint32_t len) {
    ++packets;
    ++by_address[key].packets;
    by_address[key].bytes += len;
  }
};

struct Both {
  AddressCounts counts;
  Truth truth;

  void Add(const Key& key, uint32_t len) {
    counts.Add(key.data(), static_cast<uint8_t>(key.size()), len);
    truth.Add(key, len);
  }
};

TEST(siphash_1_3_as_published) {
  std::vector<uint8_t> bytes(64);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<uint8_t>(i);
  const auto zero = [&](size_t size) { return SipHash13(0, 0, bytes.data(), size); };
  CHECK_EQ(zero(0), 0xd1fba762150c532cu);
  CHECK_EQ(zero(1), 0x68a914128e01e473u);
  CHECK_EQ(zero(4), 0x7cc43f98813e4dbdu);
  CHECK_EQ(zero(7), 0x2f098ab0c751325au);
  CHECK_EQ(zero(8), 0xead411e67ebe2eeau);
  CHECK_EQ(zero(16), 0x8972188433a5c5b7u);
  CHECK_EQ(zero(40), 0x95bc321ab41d8206u);
  CHECK_EQ(SipHash13(0x0706050403020100, 0x0f0e0d0c0b0a0908, bytes.data(), 0), 0xabac0158050fc4dcu);
  CHECK_EQ(KeyedHash(bytes.data(), 16), KeyedHash(bytes.data(), 16));
  CHECK(KeyedHash(bytes.data(), 16) != zero(16));
  CHECK(KeyedHash(bytes.data(), 16) != KeyedHash(bytes.data(), 4));
}

// Five standard errors: once in two million runs by chance, and the seeds of these are fixed.
TEST(cardinality_within_its_error_from_one_to_millions) {
  const auto different = std::make_unique<Cardinality>();
  CHECK_EQ(different->Estimate(), 0u);
  uint64_t added = 0;
  double worst = 0;
  for (const uint64_t count : {1, 10, 100, 1'000, 4'097, 10'000, 30'000, 41'000, 60'000, 82'000, 200'000, 2'000'000}) {
    for (; added < count; ++added) {
      const Key key = Ipv4Of(static_cast<uint32_t>(added));
      for (int twice = 0; twice < 2; ++twice) different->Add(SipHash13(kSeed, 1, key.data(), key.size()));
    }
    const double error = std::abs(static_cast<double>(different->Estimate()) / static_cast<double>(count) - 1);
    CHECK(error < 5 * 1.04 / std::sqrt(Cardinality::kRegisters));
    worst = std::max(worst, error);
  }
  std::printf("# worst error %.2f %%\n", worst * 100);
}

TEST(cardinality_of_extreme_hashes) {
  Cardinality different;
  different.Add(0);
  different.Add(UINT64_MAX);
  CHECK_EQ(different.Estimate(), 2u);
  const auto all = std::make_unique<Cardinality>();
  for (uint64_t i = 0; i < Cardinality::kRegisters; ++i) all->Add(i << (64 - Cardinality::kBits));
  CHECK(all->Estimate() > uint64_t{1} << 60);
}

TEST(exact_up_to_the_bound) {
  std::mt19937 random(kSeed);
  Both both;
  // Every address at least once, some often, both kinds, in no order.
  std::vector<Key> keys;
  for (uint32_t i = 0; i < kEntries; ++i) keys.push_back(i % 2 == 0 ? Ipv4Of(i * 7919) : Ipv6Of(i));
  for (const Key& key : keys) both.Add(key, 60);
  for (int i = 0; i < 50'000; ++i) {
    const double skew = std::pow(static_cast<double>(random()) / 4294967296.0, 8);
    both.Add(keys[static_cast<size_t>(skew * kEntries)], static_cast<uint32_t>(random() % 1500));
  }
  CHECK(!both.counts.estimated());
  CHECK_EQ(both.counts.Different(), kEntries);
  CHECK_EQ(both.counts.packets(), both.truth.packets);
  const auto top = both.counts.MostPackets(kEntries + 10);
  CHECK_EQ(top.size(), kEntries);
  uint64_t before = UINT64_MAX;
  for (const auto& one : top) {
    const auto& truth = both.truth.by_address[KeyOf(one.address)];
    CHECK_EQ(one.packets, truth.packets);
    CHECK_EQ(one.bytes, truth.bytes);
    CHECK(one.packets <= before);
    before = one.packets;
  }
}

TEST(one_more_address_makes_it_an_estimate) {
  Both both;
  for (uint32_t i = 0; i < kEntries; ++i) both.Add(Ipv4Of(i), 60);
  both.Add(Ipv4Of(0), 60);
  CHECK(!both.counts.estimated());
  both.Add(Ipv4Of(kEntries), 60);
  CHECK(both.counts.estimated());
  const double different = static_cast<double>(both.counts.Different());
  CHECK(different > kEntries && different < (kEntries + 1) * 1.05);
}

TEST(an_ipv4_address_is_not_its_ipv6_namesake) {
  Both both;
  Key mapped(16, 0);
  mapped[10] = mapped[11] = 0xff;
  mapped[15] = 1;
  Key padded = Ipv4Of(1);
  padded.resize(16, 0);
  for (const Key& key : {Ipv4Of(1), mapped, padded}) both.Add(key, 60);
  CHECK_EQ(both.counts.Different(), 3u);
}

TEST(equal_counts_stand_in_the_order_of_addresses) {
  Both both;
  for (uint32_t i = 20; i > 0; --i) both.Add(i % 2 == 0 ? Ipv6Of(i) : Ipv4Of(i), 60);
  const auto top = both.counts.MostPackets(12);
  CHECK_EQ(top.size(), 12u);
  for (size_t i = 0; i < 10; ++i) CHECK(KeyOf(top[i].address) == Ipv4Of(static_cast<uint32_t>(2 * i + 1)));
  CHECK(KeyOf(top[10].address) == Ipv6Of(2));
}

// Some that send much in the middle of ever new addresses: found, never overstated, and no further off than promised.
void CheckSpoofed(const char* name, Key (*key_of)(uint32_t), uint32_t packets, bool heavy_from_start) {
  std::mt19937 random(kSeed);
  Both both;
  for (uint32_t i = 0; i < packets; ++i) {
    const bool heavy = i % 10 == 0 && (heavy_from_start || i > packets / 2);
    both.Add(key_of(heavy ? static_cast<uint32_t>(random() % 8) : 1'000 + i),
             static_cast<uint32_t>(40 + random() % 100));
  }
  CHECK(both.counts.estimated());
  CHECK_EQ(both.counts.packets(), packets);
  const double truth = static_cast<double>(both.truth.by_address.size());
  const double error = std::abs(static_cast<double>(both.counts.Different()) / truth - 1);
  std::printf("# %s: count off by %.2f %%\n", name, error * 100);
  CHECK(error < 0.05);
  uint64_t listed = 0;
  const auto top = both.counts.MostPackets(10);
  CHECK_EQ(top.size(), 10u);
  for (size_t i = 0; i < top.size(); ++i) {
    const auto& sum = both.truth.by_address[KeyOf(top[i].address)];
    CHECK(top[i].packets <= sum.packets);
    CHECK(top[i].bytes <= sum.bytes);
    CHECK(top[i].packets + packets / kEntries >= sum.packets);
    if (i < 8) CHECK(sum.packets > packets / 200);  // the eight that are
    listed += top[i].packets;
  }
  CHECK(listed <= both.counts.packets());
}

TEST(spoofed_ipv4) { CheckSpoofed("IPv4", Ipv4Of, 300'000, true); }
TEST(spoofed_ipv6) { CheckSpoofed("IPv6", Ipv6Of, 300'000, true); }
TEST(heavy_ones_that_come_late) { CheckSpoofed("late", Ipv4Of, 300'000, false); }

// The paper's bounds, from few addresses to many, from even to very uneven.
TEST(bounds_hold_for_any_stream) {
  for (uint32_t round = 0; round < 6; ++round) {
    std::mt19937 random(kSeed + round);
    Both both;
    const uint32_t range = 3'000u << round;
    for (int i = 0; i < 60'000; ++i) {
      const double unit = static_cast<double>(random()) / 4294967296.0;
      both.Add(Ipv4Of(static_cast<uint32_t>(std::pow(unit, 1 + round) * range)), 1);
    }
    const uint64_t slack = both.counts.packets() / kEntries;
    std::map<Key, uint64_t> found;
    for (const auto& one : both.counts.MostPackets(kEntries)) found[KeyOf(one.address)] = one.packets;
    CHECK_EQ(both.counts.estimated(), both.truth.by_address.size() > kEntries);
    for (const auto& [key, sum] : both.truth.by_address) {
      const auto it = found.find(key);
      const uint64_t said = it == found.end() ? 0 : it->second;
      CHECK(said <= sum.packets);
      CHECK(said + (both.counts.estimated() ? slack : 0) >= sum.packets);
    }
  }
}

Endpoints Ports(Endpoints::Transport transport, uint32_t source, uint32_t destination) {
  Endpoints ends;
  ends.transport = transport;
  ends.source_port = static_cast<uint16_t>(source);
  ends.destination_port = static_cast<uint16_t>(destination);
  return ends;
}

std::string Text(const std::vector<PortCounts::Top>& top) {
  std::string text;
  for (const auto& [port, packets] : top) text += std::to_string(port) + ":" + std::to_string(packets) + " ";
  return text;
}

TEST(ports_are_exact_beyond_their_16_bits) {
  using Transport = Endpoints::Transport;
  using Side = PortCounts::Side;
  PortCounts ports;
  ports.Add(Endpoints());
  CHECK_EQ(Text(ports.MostPackets(Transport::kTcp, Side::kSource, 10)), "");
  for (uint32_t i = 0; i < 200'000; ++i) ports.Add(Ports(Transport::kUdp, i, i % 3 == 0 ? 53 : 65'535));
  for (uint32_t i = 0; i < 65'536; ++i) ports.Add(Ports(Transport::kTcp, 0, 443));
  CHECK_EQ(Text(ports.MostPackets(Transport::kUdp, Side::kDestination, 10)), "65535:133333 53:66667 ");
  CHECK_EQ(Text(ports.MostPackets(Transport::kUdp, Side::kSource, 3)), "0:4 1:4 2:4 ");
  CHECK_EQ(Text(ports.MostPackets(Transport::kTcp, Side::kDestination, 10)), "443:65536 ");
  CHECK_EQ(Text(ports.MostPackets(Transport::kTcp, Side::kSource, 10)), "0:65536 ");
  CHECK_EQ(Text(ports.MostPackets(Transport::kTcp, Side::kSource, 0)), "");
}

TEST(the_ten_most_of_random_ports) {
  std::mt19937 random(kSeed);
  PortCounts ports;
  std::map<uint32_t, uint64_t> truth;
  for (int i = 0; i < 100'000; ++i) {
    const auto port = static_cast<uint32_t>(random() % 500);
    ++truth[port];
    ports.Add(Ports(Endpoints::Transport::kTcp, port, 1));
  }
  std::vector<std::pair<uint32_t, uint64_t>> order(truth.begin(), truth.end());
  std::stable_sort(order.begin(), order.end(), [](const auto& a, const auto& b) { return a.second > b.second; });
  std::vector<PortCounts::Top> expected;
  for (size_t i = 0; i < 10; ++i) expected.push_back({static_cast<uint16_t>(order[i].first), order[i].second});
  CHECK_EQ(Text(ports.MostPackets(Endpoints::Transport::kTcp, PortCounts::Side::kSource, 10)), Text(expected));
}

}  // namespace
}  // namespace pcap_ring

TEST_MAIN()
