#include "traffic/keyed_hash.h"

#include <sys/random.h>

#include <bit>
#include <cstring>

#include "base/time.h"

namespace pcap_ring {
namespace {

struct State {
  uint64_t v0, v1, v2, v3;

  void Round() {
    v0 += v1;
    v1 = std::rotl(v1, 13) ^ v0;
    v0 = std::rotl(v0, 32);
    v2 += v3;
    v3 = std::rotl(v3, 16) ^ v2;
    v0 += v3;
    v3 = std::rotl(v3, 21) ^ v0;
    v2 += v1;
    v1 = std::rotl(v1, 17) ^ v2;
    v2 = std::rotl(v2, 32);
  }
  void Absorb(uint64_t word) {
    v3 ^= word;
    Round();
    v0 ^= word;
  }
};

struct Key {
  uint64_t words[2];

  Key() {
    if (getrandom(words, sizeof words, 0) == static_cast<ssize_t>(sizeof words)) return;
    // A sandbox that forbids the call: clocks and where the loader put us are still no constants.
    words[0] = static_cast<uint64_t>(RealtimeNs()) ^ reinterpret_cast<uintptr_t>(this);
    words[1] = static_cast<uint64_t>(MonotonicNs());
  }
};

}  // namespace

uint64_t SipHash13(uint64_t key0, uint64_t key1, const uint8_t* bytes, size_t size) {
  State state = {key0 ^ 0x736f6d6570736575, key1 ^ 0x646f72616e646f6d, key0 ^ 0x6c7967656e657261,
                 key1 ^ 0x7465646279746573};
  uint64_t last = uint64_t{size} << 56;
  while (size >= 8) {
    uint64_t word;
    std::memcpy(&word, bytes, sizeof word);
    if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
    state.Absorb(word);
    bytes += 8;
    size -= 8;
  }
  for (size_t i = 0; i < size; ++i) last |= uint64_t{bytes[i]} << (8 * i);
  state.Absorb(last);
  state.v2 ^= 0xff;
  state.Round();
  state.Round();
  state.Round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

uint64_t KeyedHash(const uint8_t* bytes, size_t size) {
  static const Key key;
  return SipHash13(key.words[0], key.words[1], bytes, size);
}

}  // namespace pcap_ring
