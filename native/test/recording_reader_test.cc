#include "source/recording_reader.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <new>
#include <random>
#include <sstream>

#include "test/check.h"

namespace {
thread_local size_t largest_allocation = 0;
}  // namespace

// Not inlined, or the compiler takes half of the pair for a mismatch.
[[gnu::noinline]] void* operator new(size_t size) {
  largest_allocation = std::max(largest_allocation, size);
  void* memory = std::malloc(size);
  if (memory == nullptr) std::abort();
  return memory;
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, size_t) noexcept { std::free(memory); }

namespace pcap_ring {
namespace {

using Bytes = std::vector<uint8_t>;
using Next = RecordingReader::Next;

constexpr uint32_t kMicro = 0xa1b2c3d4;
constexpr uint32_t kNano = 0xa1b23c4d;
constexpr uint32_t kKuznetzov = 0xa1b2cd34;
constexpr uint32_t kLinkTypes[] = {0, 1, 8, 9, 12, 101, 104, 105, 113, 127, 228, 276};
constexpr std::endian kOrders[] = {std::endian::little, std::endian::big};

// Numbers in one byte order, one after the other.
class Encoder {
 public:
  explicit Encoder(std::endian order = std::endian::little) : order_(order) {}

  Encoder& U8(uint8_t value) { return Number(value, 1); }
  Encoder& U16(uint32_t value) { return Number(value, 2); }
  Encoder& U32(uint32_t value) { return Number(value, 4); }
  Encoder& U64(uint64_t value) { return Number(value, 8); }
  Encoder& Raw(const Bytes& bytes) {
    bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
    return *this;
  }
  Encoder& Pad() {
    while (bytes_.size() % 4 != 0) bytes_.push_back(0);
    return *this;
  }
  Encoder& Patch32(size_t at, uint32_t value) {
    const Bytes encoded = Encoder(order_).U32(value).bytes();
    std::copy(encoded.begin(), encoded.end(), bytes_.begin() + static_cast<ptrdiff_t>(at));
    return *this;
  }

  const Bytes& bytes() const { return bytes_; }
  std::endian order() const { return order_; }

 private:
  Encoder& Number(uint64_t value, int size) {
    for (int i = 0; i < size; ++i) {
      const int byte = order_ == std::endian::little ? i : size - 1 - i;
      bytes_.push_back(static_cast<uint8_t>(value >> (8 * byte)));
    }
    return *this;
  }

  std::endian order_;
  Bytes bytes_;
};

Bytes Payload(uint32_t size) {
  Bytes bytes(size);
  for (uint32_t i = 0; i < size; ++i) bytes[i] = static_cast<uint8_t>(i * 7 + size);
  return bytes;
}

struct PcapHead {
  uint32_t magic = kMicro;
  uint32_t major = 2;
  uint32_t minor = 4;
  uint32_t snaplen = 65535;
  uint32_t linktype = 1;
};

Encoder Pcap(const PcapHead& head = {}, std::endian order = std::endian::little) {
  Encoder file(order);
  file.U32(head.magic).U16(head.major).U16(head.minor).U32(0).U32(0).U32(head.snaplen).U32(head.linktype);
  return file;
}

void AddRecord(Encoder* file, uint32_t sec, uint32_t fraction, uint32_t caplen, uint32_t len, const Bytes& data,
               bool kuznetzov = false) {
  file->U32(sec).U32(fraction).U32(caplen).U32(len);
  if (kuznetzov) file->U32(3).U16(0x800).U8(0).U8(0);
  file->Raw(data);
}

void AddBlock(Encoder* file, uint32_t type, const Bytes& body) {
  const uint32_t total = static_cast<uint32_t>(body.size() + 3) / 4 * 4 + 12;
  file->U32(type).U32(total).Raw(body).Pad().U32(total);
}

void AddSection(Encoder* file, uint32_t minor = 0) {
  AddBlock(file, 0x0a0d0d0a, Encoder(file->order()).U32(0x1a2b3c4d).U16(1).U16(minor).U64(UINT64_MAX).bytes());
}

void AddInterface(Encoder* file, uint32_t linktype, uint32_t snaplen = 0, const Bytes& options = {}) {
  AddBlock(file, 1, Encoder(file->order()).U16(linktype).U16(0).U32(snaplen).Raw(options).bytes());
}

void AddEnhanced(Encoder* file, uint32_t interface, uint64_t ticks, const Bytes& data, const Bytes& options = {}) {
  const uint32_t size = static_cast<uint32_t>(data.size());
  Encoder body(file->order());
  body.U32(interface).U32(static_cast<uint32_t>(ticks >> 32)).U32(static_cast<uint32_t>(ticks)).U32(size).U32(size + 4);
  AddBlock(file, 6, body.Raw(data).Pad().Raw(options).bytes());
}

void AddOldPacket(Encoder* file, uint32_t interface, uint64_t ticks, const Bytes& data) {
  const uint32_t size = static_cast<uint32_t>(data.size());
  Encoder body(file->order());
  body.U16(interface).U16(9).U32(static_cast<uint32_t>(ticks >> 32)).U32(static_cast<uint32_t>(ticks));
  AddBlock(file, 2, body.U32(size).U32(size).Raw(data).bytes());
}

void AddSimple(Encoder* file, uint32_t len, const Bytes& data) {
  AddBlock(file, 3, Encoder(file->order()).U32(len).Raw(data).bytes());
}

Bytes Flags(std::endian order, uint32_t flags) {
  return Encoder(order).U16(1).U16(3).Raw({'a', 'b', 'c', 0}).U16(2).U16(4).U32(flags).U32(0).bytes();
}

struct Seen {
  int64_t sec;
  int64_t nsec;
  uint32_t len;
  bool outbound;
  Bytes data;
};

struct Result {
  Status opened;
  std::vector<Seen> packets;
  Next last = Next::kPacket;
  Status error;
  uint32_t linktype = 0;
  uint32_t snaplen = 0;
};

Result ReadAll(RecordingReader* reader, const Status& opened) {
  Result result;
  result.opened = opened;
  if (!opened.ok()) return result;
  result.linktype = reader->linktype();
  result.snaplen = reader->snaplen();
  Packet packet;
  while ((result.last = reader->Read(&packet)) == Next::kPacket) {
    result.packets.push_back(
        {packet.sec, packet.nsec, packet.len, packet.outbound, Bytes(packet.data, packet.data + packet.caplen)});
  }
  CHECK(reader->Read(&packet) == result.last);
  CHECK_EQ(reader->error().ok(), result.last == Next::kEnd);
  result.error = reader->error();
  return result;
}

// The copy has no byte to spare, so that a sanitizer sees every read behind the end.
Result FromBytes(const Bytes& bytes) {
  RecordingReader reader;
  return ReadAll(&reader, reader.OpenBytes(Bytes(bytes.begin(), bytes.end())));
}

Result FromPath(const std::string& path) {
  RecordingReader reader;
  return ReadAll(&reader, reader.OpenPath(path));
}

class TemporaryDirectory {
 public:
  TemporaryDirectory() { CHECK(::mkdtemp(path_.data()) != nullptr); }
  ~TemporaryDirectory() {
    ::unlink(File().c_str());
    ::rmdir(path_.c_str());
  }
  const std::string& path() const { return path_; }
  std::string File() const { return path_ + "/recording"; }

 private:
  std::string path_ = "/tmp/recording_reader_test.XXXXXX";
};

void Write(const std::string& path, const Bytes& bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

void CheckSame(const Result& a, const Result& b) {
  CHECK_EQ(a.opened.message, b.opened.message);
  CHECK_EQ(a.error.message, b.error.message);
  CHECK(a.last == b.last);
  CHECK_EQ(a.packets.size(), b.packets.size());
  for (size_t i = 0; i < std::min(a.packets.size(), b.packets.size()); ++i) {
    CHECK_EQ(a.packets[i].sec, b.packets[i].sec);
    CHECK_EQ(a.packets[i].nsec, b.packets[i].nsec);
    CHECK(a.packets[i].data == b.packets[i].data);
  }
}

bool Contains(const std::string& text, const std::string& part) { return text.find(part) != std::string::npos; }

void CheckDamaged(const Result& result, size_t packets, const std::string& message) {
  CHECK(result.opened.ok());
  CHECK_EQ(result.packets.size(), packets);
  CHECK(result.last == Next::kDamaged);
  CHECK(result.error.code == Code::kBadFile);
  CHECK_EQ(result.error.message, message);
}

void CheckBadHead(const Bytes& bytes, const std::string& message) {
  const Result result = FromBytes(bytes);
  CHECK(result.opened.code == Code::kBadFile);
  CHECK_EQ(result.opened.message, message);
}

void CheckTime(const Seen& packet, int64_t sec, int64_t nsec) {
  CHECK_EQ(packet.sec, sec);
  CHECK_EQ(packet.nsec, nsec);
}

Bytes SmallPcap(std::endian order) {
  Encoder file = Pcap({}, order);
  AddRecord(&file, 10, 20, 5, 60, Payload(5));
  AddRecord(&file, 11, 21, 0, 0, {});
  AddRecord(&file, 12, 22, 9, 9, Payload(9));
  return file.bytes();
}

Bytes SmallPcapng(std::endian order) {
  Encoder file(order);
  AddSection(&file);
  AddInterface(&file, 1, 0, Encoder(order).U16(9).U16(1).U8(9).Pad().U16(14).U16(8).U64(5).U32(0).bytes());
  AddEnhanced(&file, 0, 1'000'000'007, Payload(5), Flags(order, 2));
  AddBlock(&file, 5, Payload(12));
  AddSimple(&file, 6, Payload(6));
  AddOldPacket(&file, 0, 2'000'000'008, Payload(3));
  return file.bytes();
}

TEST(reads_every_magic_in_both_byte_orders_with_every_link_type) {
  for (const uint32_t magic : {kMicro, kNano, kKuznetzov}) {
    for (const std::endian order : kOrders) {
      for (const uint32_t linktype : kLinkTypes) {
        Encoder file = Pcap({.magic = magic, .linktype = linktype}, order);
        AddRecord(&file, 1'700'000'000, 123'456, 20, 1514, Payload(20), magic == kKuznetzov);
        AddRecord(&file, 4'294'967'295, 0, 21, 21, Payload(21), magic == kKuznetzov);
        const Result result = FromBytes(file.bytes());
        CHECK(result.last == Next::kEnd);
        CHECK_EQ(result.linktype, linktype);
        CHECK_EQ(result.snaplen, 65535u);
        CHECK_EQ(result.packets.size(), size_t{2});
        CheckTime(result.packets.at(0), 1'700'000'000, magic == kNano ? 123'456 : 123'456'000);
        CHECK_EQ(result.packets[0].len, 1514u);
        CHECK(result.packets[0].data == Payload(20));
        CheckTime(result.packets.at(1), 4'294'967'295, 0);
        CHECK(result.packets[1].data == Payload(21));
      }
    }
  }
}

TEST(keeps_what_the_record_header_claims) {
  Encoder file = Pcap({.snaplen = 8});
  AddRecord(&file, 1, 4'294'967'295, 0, 0, {});
  AddRecord(&file, 1, 1'000'000, 20, 3, Payload(20));
  AddRecord(&file, 0, 0, RecordingReader::kMaxCaplen, 0, Payload(RecordingReader::kMaxCaplen));
  const Result result = FromBytes(file.bytes());
  CHECK(result.last == Next::kEnd);
  CHECK_EQ(result.packets.size(), size_t{3});
  CheckTime(result.packets.at(0), 1, 4'294'967'295'000);
  CheckTime(result.packets.at(1), 1, 1'000'000'000);
  CHECK_EQ(result.packets[1].data.size(), size_t{20});
  CHECK_EQ(result.packets[1].len, 3u);
  CHECK(result.packets.at(2).data == Payload(RecordingReader::kMaxCaplen));
}

TEST(knows_which_versions_swapped_the_lengths) {
  struct Version {
    uint32_t major, minor, first, second;
  };
  for (const Version v :
       {Version{2, 4, 4, 60}, {2, 3, 4, 60}, {2, 3, 60, 4}, {2, 2, 60, 4}, {2, 0, 60, 4}, {543, 0, 60, 4}}) {
    Encoder file = Pcap({.major = v.major, .minor = v.minor});
    AddRecord(&file, 1, 2, v.first, v.second, Payload(4));
    const Result result = FromBytes(file.bytes());
    CHECK_EQ(result.packets.size(), size_t{1});
    CHECK(result.packets.at(0).data == Payload(4));
    CHECK_EQ(result.packets[0].len, 60u);
  }
  CheckBadHead(Pcap({.minor = 5}).bytes(), "file header at byte 0: unknown version 2.5");
  CheckBadHead(Pcap({.major = 543, .minor = 1}).bytes(), "file header at byte 0: unknown version 543.1");
  CheckBadHead(Pcap({.major = 1}).bytes(), "file header at byte 0: unknown version 1.4");
}

TEST(keeps_fcs_bits_of_the_link_type_and_refuses_reserved_ones) {
  const Result result = FromBytes(Pcap({.snaplen = 0, .linktype = 0x44000001}).bytes());
  CHECK_EQ(result.linktype, 0x44000001u);
  CHECK_EQ(result.snaplen, RecordingReader::kMaxCaplen);
  CHECK_EQ(FromBytes(Pcap({.snaplen = 0x7fffffff}).bytes()).snaplen, RecordingReader::kMaxCaplen);
  for (uint32_t bit = 16; bit < 26; ++bit) {
    const uint32_t linktype = 1u << bit;
    CheckBadHead(Pcap({.linktype = linktype}).bytes(),
                 "file header at byte 0: link type field " + std::to_string(linktype) + " has reserved bits set");
  }
}

TEST(refuses_what_is_no_recording) {
  CheckBadHead({}, "the recording is empty (0 bytes)");
  CheckBadHead({0xd4, 0xc3}, "file header at byte 0: cut in the magic number: 2 of 4 bytes");
  CheckBadHead({'h', 'e', 'l', 'l', 'o'}, "neither .pcap nor .pcapng: the first bytes are 68656c6c");
  Bytes head = Pcap().bytes();
  head.pop_back();
  CheckBadHead(head, "file header at byte 0: cut in the header: 23 of 24 bytes");

  Encoder section;
  AddSection(&section);
  AddBlock(&section, 5, Payload(12));
  CheckBadHead(section.bytes(), "block 3 at byte 52: the recording ends without an interface description");
  AddEnhanced(&section, 0, 0, Payload(4));
  CheckBadHead(section.bytes(), "block 3 at byte 52: packet of interface 0, which is not described before it");
  CheckBadHead(Encoder().U32(0x0a0d0d0a).U32(28).U32(0).bytes(),
               "block 1 at byte 0: section header without a byte-order magic");
  Encoder version;
  AddSection(&version, 1);
  CheckBadHead(version.bytes(), "block 1 at byte 0: unknown version 1.1");
}

TEST(says_what_the_system_refused) {
  const TemporaryDirectory directory;
  const Status missing = FromPath(directory.File()).opened;
  CHECK(missing.code == Code::kBadFile);
  CHECK_EQ(missing.error_number, ENOENT);
  CHECK_EQ(missing.syscall, std::string("open"));
  const Status is_directory = FromPath(directory.path()).opened;
  CHECK(is_directory.code == Code::kBadFile);
  CHECK_EQ(is_directory.error_number, EISDIR);
  CHECK_EQ(is_directory.syscall, std::string("read"));

  RecordingReader never_opened;
  Packet packet;
  CHECK(never_opened.Read(&packet) == Next::kDamaged);
}

TEST(reads_pcapng_of_both_byte_orders) {
  for (const std::endian order : kOrders) {
    for (const uint32_t linktype : kLinkTypes) {
      Encoder file(order);
      AddSection(&file, 2);
      AddInterface(&file, linktype, 0xffffffff);
      AddInterface(&file, linktype + 1, 96);
      AddBlock(&file, 0x0bad, Payload(40));
      AddEnhanced(&file, 0, 1'700'000'000'123'456, Payload(21));
      AddOldPacket(&file, 0, 7, Payload(22));
      const Result result = FromBytes(file.bytes());
      CHECK(result.last == Next::kEnd);
      CHECK_EQ(result.linktype, linktype);
      CHECK_EQ(result.snaplen, RecordingReader::kMaxCaplen);
      CHECK_EQ(result.packets.size(), size_t{2});
      CheckTime(result.packets.at(0), 1'700'000'000, 123'456'000);
      CHECK_EQ(result.packets[0].len, 25u);
      CHECK(result.packets[0].data == Payload(21));
      CheckTime(result.packets.at(1), 0, 7000);
      CHECK(result.packets[1].data == Payload(22));
    }
  }
}

TEST(each_section_has_its_own_byte_order_and_interfaces) {
  Bytes bytes;
  for (const std::endian order : {std::endian::big, std::endian::little, std::endian::big}) {
    Encoder file(order);
    AddSection(&file);
    AddInterface(&file, 1);
    AddEnhanced(&file, 0, 5, Payload(9));
    bytes.insert(bytes.end(), file.bytes().begin(), file.bytes().end());
  }
  Result result = FromBytes(bytes);
  CHECK(result.last == Next::kEnd);
  CHECK_EQ(result.packets.size(), size_t{3});
  for (const Seen& packet : result.packets) CheckTime(packet, 0, 5000);

  Encoder bare;
  AddSection(&bare);
  AddEnhanced(&bare, 0, 5, Payload(9));
  bytes.insert(bytes.end(), bare.bytes().begin(), bare.bytes().end());
  const std::string at = std::to_string(bytes.size() - bare.bytes().size() + 28);
  CheckDamaged(FromBytes(bytes), 3,
               "block 11 at byte " + at + ": packet of interface 0, which is not described before it");
}

struct Clock {
  Bytes resolution;
  int64_t offset;
  uint64_t ticks;
};

Result ReadClock(const Clock& clock, std::endian order) {
  Encoder options(order);
  if (!clock.resolution.empty()) options.U16(9).U16(1).Raw(clock.resolution).Pad();
  options.U16(14).U16(8).U64(static_cast<uint64_t>(clock.offset));
  Encoder file(order);
  AddSection(&file);
  AddInterface(&file, 1, 0, options.bytes());
  AddEnhanced(&file, 0, clock.ticks, Payload(1));
  return FromBytes(file.bytes());
}

TEST(converts_every_resolution_exactly_and_cuts) {
  struct Expected {
    Clock clock;
    int64_t sec, nsec;
  };
  const Expected all[] = {
      {{{}, 0, 1'500'000}, 1, 500'000'000},
      {{{0}, 0, 4'294'967'295}, 4'294'967'295, 0},
      {{{9}, 0, 1'700'000'000'123'456'789}, 1'700'000'000, 123'456'789},
      {{{9}, 1'000'000'000, 1}, 1'000'000'000, 1},
      {{{9}, -1, 1'999'999'999}, 0, 999'999'999},
      {{{12}, 0, 1'999'999'999'999}, 1, 999'999'999},
      {{{19}, 0, UINT64_MAX}, 1, 844'674'407},
      {{{20}, 0, UINT64_MAX}, 0, 184'467'440},
      {{{127}, 3, UINT64_MAX}, 3, 0},
      {{{0x88}, 0, 256 + 49}, 1, 191'406'250},
      {{{0x80}, 0, 12}, 12, 0},
      {{{0xa0}, 0, UINT64_MAX}, 4'294'967'295, 999'999'999},
      {{{0xbf}, 0, UINT64_MAX}, 1, 999'999'999},
      {{{0xff}, 0, UINT64_MAX}, 0, 0},
      {{{0}, INT64_MIN + 10, UINT64_MAX / 2}, 9, 0},
  };
  for (const std::endian order : kOrders) {
    for (const Expected& expected : all) {
      const Result result = ReadClock(expected.clock, order);
      CHECK_EQ(result.packets.size(), size_t{1});
      if (!result.packets.empty()) CheckTime(result.packets[0], expected.sec, expected.nsec);
    }
    for (const Clock& clock : {Clock{{0}, 0, 4'294'967'296}, Clock{{9}, -1, 999'999'999},
                               Clock{{0}, INT64_MAX, UINT64_MAX}, Clock{{0}, INT64_MIN, 0}}) {
      CheckDamaged(ReadClock(clock, order), 0,
                   "block 3 at byte " + std::string(clock.resolution.empty() ? "60" : "68") +
                       ": timestamp is not within 1970 to 2106");
    }
  }
}

TEST(refuses_broken_interface_options) {
  for (const Bytes& options : {Encoder().U16(9).U16(2).U32(6).bytes(), Encoder().U16(14).U16(4).U32(6).bytes(),
                               Encoder().U16(2).U16(9).U32(6).bytes()}) {
    Encoder file;
    AddSection(&file);
    AddInterface(&file, 1, 0, options);
    CheckBadHead(file.bytes(), "block 2 at byte 28: options of the interface description are broken");
  }
}

TEST(simple_packets_have_no_time_and_take_the_snaplen) {
  Encoder file;
  AddSection(&file);
  AddInterface(&file, 1, 6);
  AddSimple(&file, 100, Payload(6));
  AddEnhanced(&file, 0, 9'000'001, Payload(30));
  AddEnhanced(&file, 0, 8'000'000, Payload(30));
  AddSimple(&file, 5, Payload(5));
  AddSimple(&file, 7, {});
  const Result result = FromBytes(file.bytes());
  CheckDamaged(result, 4,
               "block 7 at byte " + std::to_string(file.bytes().size() - 16) +
                   ": captured length 6 is more than the 0 bytes that the block has for it");
  CheckTime(result.packets.at(0), 0, 0);
  CHECK(result.packets[0].data == Payload(6));
  CHECK_EQ(result.packets[0].len, 100u);
  CHECK_EQ(result.packets.at(1).data.size(), size_t{30});
  CheckTime(result.packets.at(2), 8, 0);
  CheckTime(result.packets.at(3), 0, 0);
  CHECK(result.packets[3].data == Payload(5));
}

TEST(ends_at_a_packet_of_a_second_link_type) {
  Encoder file;
  AddSection(&file);
  AddInterface(&file, 1);
  AddInterface(&file, 113);
  AddEnhanced(&file, 0, 1, Payload(4));
  AddEnhanced(&file, 1, 2, Payload(4));
  AddEnhanced(&file, 0, 3, Payload(4));
  CheckDamaged(FromBytes(file.bytes()), 1, "block 5 at byte 104: second link type 113, first was 1");

  Encoder sections;
  AddSection(&sections);
  AddInterface(&sections, 1);
  AddSection(&sections);
  AddInterface(&sections, 0);
  AddSimple(&sections, 4, Payload(4));
  CheckDamaged(FromBytes(sections.bytes()), 0, "block 5 at byte 96: second link type 0, first was 1");
}

TEST(knows_outbound_packets) {
  for (const std::endian order : kOrders) {
    Encoder file(order);
    AddSection(&file);
    AddInterface(&file, 1);
    for (uint32_t flags = 0; flags < 4; ++flags) AddEnhanced(&file, 0, 1, Payload(5), Flags(order, 0xfffc | flags));
    AddEnhanced(&file, 0, 1, Payload(5), Encoder(order).U16(2).U16(99).U32(2).bytes());
    const Result result = FromBytes(file.bytes());
    CHECK_EQ(result.packets.size(), size_t{5});
    for (size_t i = 0; i < result.packets.size(); ++i) CHECK_EQ(result.packets[i].outbound, i == 2);

    for (const uint32_t linktype : {113u, 276u, 1u, 0x40000071u}) {
      Encoder cooked = Pcap({.linktype = linktype}, order);
      Bytes data(20, 0);
      data[linktype == 276 ? 10 : 1] = 4;
      AddRecord(&cooked, 1, 1, 20, 20, data);
      AddRecord(&cooked, 1, 1, 1, 20, {0});
      AddRecord(&cooked, 1, 1, 20, 20, Bytes(20, 0));
      const Result packets = FromBytes(cooked.bytes());
      CHECK_EQ(packets.packets.size(), size_t{3});
      CHECK_EQ(packets.packets.at(0).outbound, linktype != 1);
      CHECK(!packets.packets.at(1).outbound && !packets.packets.at(2).outbound);
    }
  }
}

TEST(names_the_byte_of_a_damaged_record) {
  Encoder file = Pcap();
  AddRecord(&file, 1, 2, 4, 4, Payload(4));
  Encoder too_long = file;
  AddRecord(&too_long, 1, 2, 1'409'179'648, 60, Payload(60));
  CheckDamaged(FromBytes(too_long.bytes()), 1, "record 2 at byte 44: captured length 1409179648 is more than 262144");
  Encoder cut = file;
  AddRecord(&cut, 1, 2, 60, 60, Payload(59));
  CheckDamaged(FromBytes(cut.bytes()), 1, "record 2 at byte 44: cut in the packet data: 59 of 60 bytes");
  CheckDamaged(FromBytes(file.Raw(Payload(15)).bytes()), 1,
               "record 2 at byte 44: cut in the record header: 15 of 16 bytes");
}

TEST(names_the_byte_of_a_damaged_block) {
  Encoder file;
  AddSection(&file);
  AddInterface(&file, 1);
  const auto check = [&](const std::function<void(Encoder*)>& damage, const std::string& what) {
    Encoder damaged = file;
    AddEnhanced(&damaged, 0, 1, Payload(40));
    damage(&damaged);
    CheckDamaged(FromBytes(damaged.bytes()), 0, "block 3 at byte 48: " + what);
  };
  check([](Encoder* e) { e->Patch32(48 + 20, 1'409'179'648); }, "captured length 1409179648 is more than 262144");
  check([](Encoder* e) { e->Patch32(48 + 20, 41); },
        "captured length 41 is more than the 40 bytes that the block has for it");
  check([](Encoder* e) { e->Patch32(48 + 68, 76); }, "block length 72 is 76 at the block's end");
  check([](Encoder* e) { e->Patch32(52, 74); }, "block length 74 is not a multiple of 4, at least 12");
  check([](Encoder* e) { e->Patch32(52, 8); }, "block length 8 is not a multiple of 4, at least 12");
  check([](Encoder* e) { e->Patch32(52, 28); }, "block length 28 is too short for its type");
  check([](Encoder* e) { e->Patch32(52, 76); }, "cut in the block: 72 of 76 bytes");
  check([](Encoder* e) { e->Patch32(52, 0xfffffffc); }, "block length 4294967292 is more than 393216");
  check([](Encoder* e) { e->Patch32(48, 99).Patch32(52, 0xfffffffc); }, "cut in the block: 72 of 4294967292 bytes");
  check([](Encoder* e) { e->Patch32(48, 99).Patch32(52, 76); }, "cut in the block: 72 of 76 bytes");
  check([](Encoder* e) { e->Patch32(48, 99).Patch32(68 + 48, 0); }, "block length 72 is 0 at the block's end");
}

// `boundaries`: the only sizes at which a cut recording is not damaged; `packets_before`: how many it then holds.
void CheckCuts(const Bytes& whole, const std::vector<size_t>& boundaries, const std::vector<size_t>& packets_before,
               size_t head_size) {
  const Result complete = FromBytes(whole);
  CHECK(complete.last == Next::kEnd);
  const TemporaryDirectory directory;
  for (size_t size = 0; size <= whole.size(); ++size) {
    const Bytes cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
    const Result result = FromBytes(cut);
    Write(directory.File(), cut);
    CheckSame(FromPath(directory.File()), result);
    CHECK_EQ(result.opened.ok(), size >= head_size);
    if (size < head_size) continue;
    const size_t passed =
        static_cast<size_t>(std::upper_bound(boundaries.begin(), boundaries.end(), size) - boundaries.begin()) - 1;
    CHECK_EQ(result.last == Next::kEnd, boundaries[passed] == size);
    CHECK_EQ(result.packets.size(), packets_before[passed]);
    for (size_t i = 0; i < result.packets.size(); ++i) CHECK(result.packets[i].data == complete.packets[i].data);
  }
}

TEST(delivers_the_packets_before_a_cut_at_any_byte) {
  for (const std::endian order : kOrders) {
    CheckCuts(SmallPcap(order), {24, 45, 61, 86}, {0, 1, 2, 3}, 24);
    CheckCuts(SmallPcapng(order), {28, 72, 132, 156, 180, 216}, {0, 0, 1, 1, 2, 3}, 72);
  }
}

TEST(survives_every_flipped_byte) {
  std::mt19937 random(20261122);
  for (const std::endian order : kOrders) {
    for (const Bytes& whole : {SmallPcap(order), SmallPcapng(order)}) {
      for (size_t at = 0; at < whole.size(); ++at) {
        for (unsigned value = 0; value < 256; ++value) {
          Bytes flipped = whole;
          flipped[at] = static_cast<uint8_t>(value);
          FromBytes(flipped);
        }
      }
      for (int round = 0; round < 20'000; ++round) {
        Bytes flipped = whole;
        for (auto count = random() % 6 + 1; count > 0; --count) {
          flipped[random() % flipped.size()] = static_cast<uint8_t>(random());
        }
        flipped.resize(flipped.size() - random() % 8);
        const Result result = FromBytes(flipped);
        CHECK(result.packets.size() <= 6);
      }
    }
  }
}

Bytes LargeRecording(bool pcapng) {
  std::mt19937 random(7);
  Encoder file = pcapng ? Encoder() : Pcap();
  if (pcapng) AddSection(&file);
  if (pcapng) AddInterface(&file, 1);
  for (uint32_t i = 0; i < 300; ++i) {
    const uint32_t size = i % 50 == 49 ? RecordingReader::kMaxCaplen - i % 3 : static_cast<uint32_t>(random() % 9000);
    if (!pcapng) {
      AddRecord(&file, i, i, size, size, Payload(size));
    } else {
      AddEnhanced(&file, 0, i, Payload(size), Bytes(i == 99 ? 120'000 : 0, 0));
      if (i % 100 == 5) AddBlock(&file, 0xbad, Payload(1'000'000));
    }
  }
  return file.bytes();
}

TEST(reads_the_same_from_memory_and_from_a_file) {
  const TemporaryDirectory directory;
  for (const bool pcapng : {false, true}) {
    const Bytes bytes = LargeRecording(pcapng);
    const Result from_memory = FromBytes(bytes);
    CHECK(from_memory.last == Next::kEnd);
    CHECK_EQ(from_memory.packets.size(), size_t{300});
    Write(directory.File(), bytes);
    CheckSame(FromPath(directory.File()), from_memory);
    ::unlink(directory.File().c_str());
  }
}

TEST(refuses_what_could_block_or_never_end) {
  const TemporaryDirectory directory;
  CHECK_EQ(::mkfifo(directory.File().c_str(), 0600), 0);
  for (const std::string& path : {directory.File(), std::string("/dev/zero")}) {
    RecordingReader reader;
    const Status status = reader.OpenPath(path);
    CHECK(status.code == Code::kBadFile);
    CHECK(status.message.find("not a regular file") != std::string::npos);
  }
  ::unlink(directory.File().c_str());
}

size_t LargestAllocationOver(const Bytes& bytes) {
  const TemporaryDirectory directory;
  Write(directory.File(), bytes);
  largest_allocation = 0;
  RecordingReader reader;
  Packet packet;
  if (reader.OpenPath(directory.File()).ok()) {
    while (reader.Read(&packet) == Next::kPacket) {
    }
  }
  return largest_allocation;
}

TEST(takes_no_memory_for_what_a_recording_merely_claims) {
  constexpr size_t kBuffer = 262'144;
  Encoder claims = Pcap();
  AddRecord(&claims, 1, 1, 1'409'179'648, 1, {});
  CHECK_EQ(LargestAllocationOver(claims.bytes()), kBuffer);
  Encoder plausible = Pcap();
  AddRecord(&plausible, 1, 1, RecordingReader::kMaxCaplen, 1, {});
  CHECK_EQ(LargestAllocationOver(plausible.bytes()), kBuffer);
  CHECK_EQ(LargestAllocationOver(LargeRecording(false)), kBuffer + 16);
  Encoder skipped;
  AddSection(&skipped);
  AddInterface(&skipped, 1);
  AddBlock(&skipped, 10, Payload(3'000'000));
  CHECK_EQ(LargestAllocationOver(skipped.bytes()), kBuffer);
}

TEST(bounds_the_interfaces_of_a_section) {
  Encoder file;
  AddSection(&file);
  for (int i = 0; i < 65'536; ++i) AddInterface(&file, 1);
  AddEnhanced(&file, 65'535, 1, Payload(1));
  AddInterface(&file, 1);
  CheckDamaged(FromBytes(file.bytes()), 1,
               "block 65539 at byte " + std::to_string(file.bytes().size() - 20) +
                   ": more than 65536 interfaces in one section");
}

std::vector<std::string> Fields(const std::string& line) {
  std::vector<std::string> fields;
  std::istringstream stream(line);
  for (std::string field; std::getline(stream, field, '\t');) fields.push_back(field);
  return fields;
}

void CheckCapture(const std::string& directory, const std::vector<std::string>& names,
                  const std::vector<std::string>& fields) {
  const auto field = [&](const char* name) {
    const size_t column = static_cast<size_t>(std::find(names.begin(), names.end(), name) - names.begin());
    return column < fields.size() ? fields[column] : std::string();
  };
  const Result result = FromPath(directory + "/" + fields[0]);
  const Status& status = result.opened.ok() ? result.error : result.opened;
  std::printf("# %s: %zu packets%s%s\n", fields[0].c_str(), result.packets.size(), status.ok() ? "" : ", ",
              status.message.c_str());
  if (Contains(field("linktype"), ",")) {
    CHECK(Contains(status.message, "second link type"));
    return;
  }
  // The index's own parser does not know the swapped lengths of old versions. capinfos does, but refuses some files.
  const std::string by_capinfos = field("packets_capinfos");
  CHECK_EQ(std::to_string(result.packets.size()), by_capinfos == "?" ? field("packets_own_parser") : by_capinfos);
  const bool whole = field("truncation").empty() && field("bytes") != "0" && !Contains(field("note"), "reserved bits");
  CHECK_EQ(status.ok(), whole);
  if (result.opened.ok()) CHECK_EQ(std::to_string(result.linktype & 0xffff), field("linktype"));
}

TEST(agrees_with_the_index_of_recorded_captures) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing sets variables.
  const char* directory = std::getenv("PCAP_RING_CAPTURES");
  if (directory == nullptr) {
    std::printf("# SKIP PCAP_RING_CAPTURES names no directory of captures\n");
    return;
  }
  std::ifstream index(std::string(directory) + "/INDEX.tsv");
  std::string line;
  CHECK(static_cast<bool>(std::getline(index, line)));
  const std::vector<std::string> names = Fields(line);
  while (std::getline(index, line)) CheckCapture(directory, names, Fields(line));
}

}  // namespace
}  // namespace pcap_ring

TEST_MAIN()
