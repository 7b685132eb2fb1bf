#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "test/support.h"

// A reader of .pcapng files in little-endian order that shares no code with the core.
namespace pcap_ring::testing {

struct ParsedOption {
  uint32_t code = 0;
  std::string value;

  bool operator==(const ParsedOption&) const = default;
};
using ParsedOptions = std::vector<ParsedOption>;

struct ParsedBlock {
  uint32_t type = 0;
  size_t begin = 0;
  size_t end = 0;
  Bytes fields;  // between the size and the options
  ParsedOptions options;

  std::string Option(uint32_t code) const {
    std::string found = "none";
    for (const ParsedOption& option : options) {
      if (option.code == code) found = option.value;
    }
    return found;
  }
  uint32_t U32(size_t at) const {
    return fields[at] | uint32_t{fields[at + 1]} << 8 | uint32_t{fields[at + 2]} << 16 | uint32_t{fields[at + 3]} << 24;
  }
};

struct ParsedPcapng {
  bool whole = false;  // a section header, an interface, packets, at most one statistics block at the end, nothing else
  std::vector<ParsedBlock> blocks;
  std::vector<ParsedBlock> packet_blocks;
  Packets packets;
  bool nano = false;
  uint32_t linktype = 0;
  uint32_t snaplen = 0;
  size_t whole_bytes = 0;
};

inline uint32_t Little(const Bytes& bytes, size_t at, int size) {
  uint32_t value = 0;
  for (int i = size; i-- > 0;) value = value << 8 | bytes[at + static_cast<size_t>(i)];
  return value;
}

// Options up to `end`; false if they are not well-formed, filled with zeros, and ended.
inline bool ParseOptions(const Bytes& bytes, size_t at, size_t end, ParsedOptions* options) {
  if (at == end) return true;
  while (at + 4 <= end) {
    const uint32_t code = Little(bytes, at, 2);
    const size_t length = Little(bytes, at + 2, 2);
    at += 4;
    if (code == 0) return length == 0 && at == end;
    const size_t next = at + (length + 3) / 4 * 4;
    if (next > end) return false;
    options->push_back({code, std::string(bytes.begin() + static_cast<ptrdiff_t>(at),
                                          bytes.begin() + static_cast<ptrdiff_t>(at + length))});
    for (at += length; at < next; ++at) {
      if (bytes[at] != 0) return false;
    }
  }
  return false;
}

inline bool ParseBlock(const Bytes& bytes, size_t at, ParsedBlock* block) {
  if (bytes.size() - at < 12) return false;
  const size_t size = Little(bytes, at + 4, 4);
  if (size < 12 || size % 4 != 0 || size > bytes.size() - at) return false;
  block->type = Little(bytes, at, 4);
  block->begin = at;
  block->end = at + size;
  if (Little(bytes, block->end - 4, 4) != size) return false;
  size_t fields = 0;
  size_t data = 0;
  switch (block->type) {
    case 0x0a0d0d0a:
      fields = 16;
      break;
    case 1:
      fields = 8;
      break;
    case 5:
      fields = 12;
      break;
    case 6:
      fields = 20;
      break;
    default:
      return false;
  }
  if (size < 12 + fields) return false;
  if (block->type == 6) data = (Little(bytes, at + 20, 4) + size_t{3}) / 4 * 4;
  const size_t options = at + 8 + fields + data;
  if (options + 4 > block->end) return false;
  block->fields.assign(bytes.begin() + static_cast<ptrdiff_t>(at + 8), bytes.begin() + static_cast<ptrdiff_t>(options));
  return ParseOptions(bytes, options, block->end - 4, &block->options);
}

inline ParsedPcapng ParsePcapng(const Bytes& bytes) {
  ParsedPcapng parsed;
  bool ended = false;
  for (ParsedBlock block; ParseBlock(bytes, parsed.whole_bytes, &block); block = {}) {
    const size_t number = parsed.blocks.size();
    if (ended || (number == 0) != (block.type == 0x0a0d0d0a) || (number == 1) != (block.type == 1)) return parsed;
    if (number == 0 && (block.U32(0) != 0x1a2b3c4d || block.U32(4) != 1)) return parsed;
    if (number == 1) {
      parsed.linktype = block.U32(0);
      parsed.snaplen = block.U32(4);
      parsed.nano = block.Option(9) == "\x09";
      if (!parsed.nano && block.Option(9) != "\x06") return parsed;
    }
    if (number > 1 && block.U32(0) != 0) return parsed;
    ended = block.type == 5;
    if (block.type == 6) {
      const int64_t ticks = int64_t{block.U32(4)} << 32 | block.U32(8);
      const auto data = block.fields.begin() + 20;
      parsed.packets.push_back({ticks * (parsed.nano ? 1 : 1000), block.U32(16), Bytes(data, data + block.U32(12))});
      parsed.packet_blocks.push_back(block);
    }
    parsed.whole_bytes = block.end;
    parsed.blocks.push_back(std::move(block));
  }
  parsed.whole = parsed.whole_bytes == bytes.size() && parsed.blocks.size() >= 2;
  return parsed;
}

}  // namespace pcap_ring::testing
