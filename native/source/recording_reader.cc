#include "source/recording_reader.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

namespace pcap_ring {
namespace {

using Next = RecordingReader::Next;
// What a step of reading came to; nothing: go on.
using Verdict = std::optional<Next>;
using Uint128 = unsigned __int128;
using Int128 = __int128;

constexpr uint32_t kMaxCaplen = RecordingReader::kMaxCaplen;

constexpr uint32_t kMagicMicro = 0xa1b2c3d4;
constexpr uint32_t kMagicNano = 0xa1b23c4d;
constexpr uint32_t kMagicKuznetzov = 0xa1b2cd34;
constexpr size_t kFileHeaderSize = 24;
constexpr uint32_t kReservedLinkTypeBits = RecordingReader::kReservedLinkTypeBits;

constexpr uint32_t kSectionHeader = 0x0a0d0d0a;  // reads the same in both byte orders
constexpr uint32_t kInterfaceDescription = 1;
constexpr uint32_t kOldPacket = 2;
constexpr uint32_t kSimplePacket = 3;
constexpr uint32_t kEnhancedPacket = 6;
constexpr uint32_t kByteOrderMagic = 0x1a2b3c4d;
// Type, length and trailing length: no block is shorter.
constexpr uint32_t kMinBlock = 12;
constexpr uint32_t kTrailerSize = 4;
// Of the blocks that must lie in memory as a whole: the largest packet and, as in libpcap, 128 KiB of options.
constexpr uint32_t kMaxBufferedBlock = kMaxCaplen + 131'072;
// The table of interfaces must not grow with whatever a file claims.
constexpr size_t kMaxInterfaces = 65'536;

constexpr uint16_t kEndOfOptions = 0;
constexpr uint16_t kPacketFlags = 2;
constexpr uint16_t kTimeResolution = 9;
constexpr uint16_t kTimeOffset = 14;

constexpr uint32_t kLinkTypeSll = 113;
constexpr uint32_t kLinkTypeSll2 = 276;
constexpr uint8_t kSllOutgoing = 4;

uint32_t Load32(const uint8_t* from) {
  uint32_t value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

// The bytes of a recording, from a descriptor or from memory, one window after the other.
class Input {
 public:
  Status Open(const std::string& path) {
    int fd;
    do {
      fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    } while (fd < 0 && errno == EINTR);
    if (fd < 0) return Status::Errno(Code::kBadFile, "cannot open the recording", "open");
    fd_.Reset(fd);
    // A pipe could keep the thread waiting for ever, and a device never ends.
    struct stat found;
    if (fstat(fd, &found) != 0) return Status::Errno(Code::kBadFile, "cannot look at the recording", "fstat");
    if (S_ISDIR(found.st_mode)) return Status::Errno(Code::kBadFile, "cannot read the recording", "read", EISDIR);
    if (!S_ISREG(found.st_mode)) {
      return Status::Error(Code::kBadFile, "not a regular file; a recording from elsewhere can be given as bytes");
    }
    buffer_.resize(kBufferSize);
    data_ = buffer_.data();
    ended_ = false;
    return Status::Ok();
  }

  void Open(std::vector<uint8_t> bytes) {
    buffer_ = std::move(bytes);
    data_ = buffer_.data();
    size_ = buffer_.size();
  }

  const uint8_t* data() const { return data_; }
  uint64_t offset() const { return offset_; }
  int error_number() const { return error_number_; }

  // Returns how many bytes are at data(): fewer than `wanted` only where the recording ends or cannot be read. Moves
  // the window, so pointers into it end here.
  size_t Fill(size_t wanted) {
    if (size_ < wanted && !ended_) ReadUntil(wanted);
    return size_;
  }

  void Consume(size_t count) {
    data_ += count;
    size_ -= count;
    offset_ += count;
  }

  // Passes `count` bytes without ever holding more than one window of them. Returns how many there were.
  uint64_t Skip(uint64_t count) {
    uint64_t left = count;
    while (left > 0 && Fill(1) > 0) {
      const size_t step = static_cast<size_t>(std::min<uint64_t>(left, size_));
      Consume(step);
      left -= step;
    }
    return count - left;
  }

 private:
  static constexpr size_t kBufferSize = 262'144;

  void ReadUntil(size_t wanted) {
    if (size_ > 0) std::memmove(buffer_.data(), data_, size_);
    while (size_ < wanted && !ended_) {
      // Only once the buffer is really full: a length that the file merely claims costs no memory.
      if (size_ == buffer_.size()) Grow(wanted);
      ReadOnce();
    }
    data_ = buffer_.data();
  }

  void Grow(size_t size) {
    buffer_.reserve(size);  // or resize() would take twice as much
    buffer_.resize(size);
  }

  void ReadOnce() {
    ssize_t count;
    do {
      count = ::read(fd_.get(), buffer_.data() + size_, buffer_.size() - size_);
    } while (count < 0 && errno == EINTR);
    if (count < 0) error_number_ = errno;
    if (count <= 0) {
      ended_ = true;
    } else {
      size_ += static_cast<size_t>(count);
    }
  }

  UniqueFd fd_;
  std::vector<uint8_t> buffer_;
  const uint8_t* data_ = nullptr;
  size_t size_ = 0;
  uint64_t offset_ = 0;  // of data_ in the recording
  bool ended_ = true;    // nothing more to come from fd_
  int error_number_ = 0;
};

// What the two formats share: byte order, the head's values, and saying where and how a recording is damaged.
class Format {
 public:
  Format(Input* input, bool swapped, const char* unit) : input_(input), swapped_(swapped), unit_(unit) {}
  virtual ~Format() = default;

  virtual Verdict ReadHead() = 0;
  virtual Next Read(Packet* packet) = 0;

  uint32_t linktype() const { return linktype_; }
  uint32_t snaplen() const { return snaplen_; }
  uint32_t file_snaplen() const { return file_snaplen_; }
  Status TakeError() { return std::move(error_); }

 protected:
  uint16_t Get16(const uint8_t* from) const {
    uint16_t value;
    std::memcpy(&value, from, sizeof value);
    return swapped_ ? __builtin_bswap16(value) : value;
  }
  uint32_t Get32(const uint8_t* from) const {
    const uint32_t value = Load32(from);
    return swapped_ ? __builtin_bswap32(value) : value;
  }
  uint64_t Get64(const uint8_t* from) const {
    uint64_t value;
    std::memcpy(&value, from, sizeof value);
    return swapped_ ? __builtin_bswap64(value) : value;
  }

  void SetHead(uint32_t linktype, uint32_t snaplen, uint32_t file_snaplen) {
    linktype_ = linktype;
    snaplen_ = snaplen == 0 || snaplen > kMaxCaplen ? kMaxCaplen : snaplen;
    file_snaplen_ = file_snaplen == 0 || file_snaplen > kMaxCaplen ? kMaxCaplen : file_snaplen;
  }

  void BeginUnit() {
    ++number_;
    start_ = input_->offset();
  }

  std::string Where() const {
    if (number_ == 0) return "file header at byte 0: ";
    return unit_ + (" " + std::to_string(number_)) + " at byte " + std::to_string(start_) + ": ";
  }

  Next Damage(const std::string& what) {
    error_ = Status::Error(Code::kBadFile, Where() + what);
    return Next::kDamaged;
  }

  // For where Fill or Skip came short.
  Next Cut(const char* part, uint64_t got, uint64_t wanted) {
    if (input_->error_number() != 0) {
      error_ = Status::Errno(Code::kBadFile, Where() + "cannot read on", "read", input_->error_number());
      return Next::kDamaged;
    }
    return Damage(std::string("cut in the ") + part + ": " + std::to_string(got) + " of " + std::to_string(wanted) +
                  " bytes");
  }

  // For where a record or block begins and nothing is there.
  Next End() { return input_->error_number() != 0 ? Cut(unit_, 0, 0) : Next::kEnd; }

  Next TooLong(uint32_t caplen) {
    return Damage("captured length " + std::to_string(caplen) + " is more than " + std::to_string(kMaxCaplen));
  }

  void Deliver(const uint8_t* data, uint32_t caplen, uint32_t len, Packet* packet) const {
    packet->data = data;
    packet->caplen = caplen;
    packet->len = len;
    packet->outbound = IsCookedOutgoing(data, caplen);
  }

  Input* const input_;
  bool swapped_;  // against this machine

 private:
  // The cooked headers are big-endian in every recording.
  bool IsCookedOutgoing(const uint8_t* data, uint32_t caplen) const {
    switch (linktype_ & 0xffff) {
      case kLinkTypeSll:
        return caplen >= 2 && data[0] == 0 && data[1] == kSllOutgoing;
      case kLinkTypeSll2:
        return caplen >= 11 && data[10] == kSllOutgoing;
      default:
        return false;
    }
  }

  const char* const unit_;
  uint64_t number_ = 0;
  uint64_t start_ = 0;
  uint32_t linktype_ = 0;
  uint32_t snaplen_ = 0;
  uint32_t file_snaplen_ = 0;
  Status error_;
};

class Pcap final : public Format {
 public:
  Pcap(Input* input, bool swapped, uint32_t magic)
      : Format(input, swapped, "record"),
        header_size_(magic == kMagicKuznetzov ? 24 : 16),
        ns_per_fraction_(magic == kMagicNano ? 1 : 1000) {}

  static bool IsMagic(uint32_t magic) {
    return magic == kMagicMicro || magic == kMagicNano || magic == kMagicKuznetzov;
  }

  Verdict ReadHead() override {
    const size_t got = input_->Fill(kFileHeaderSize);
    if (got < kFileHeaderSize) return Cut("header", got, kFileHeaderSize);
    const uint8_t* header = input_->data();
    if (const Verdict verdict = ReadVersion(Get16(header + 4), Get16(header + 6))) return verdict;
    const uint32_t linktype = Get32(header + 20);
    if ((linktype & kReservedLinkTypeBits) != 0) {
      return Damage("link type field " + std::to_string(linktype) + " has reserved bits set");
    }
    SetHead(linktype, Get32(header + 16), Get32(header + 16));
    input_->Consume(kFileHeaderSize);
    return {};
  }

  Next Read(Packet* packet) override {
    BeginUnit();
    size_t got = input_->Fill(header_size_);
    if (got == 0) return End();
    if (got < header_size_) return Cut("record header", got, header_size_);
    const uint8_t* header = input_->data();
    packet->sec = Get32(header);
    packet->nsec = Get32(header + 4) * ns_per_fraction_;
    uint32_t caplen = Get32(header + 8);
    uint32_t len = Get32(header + 12);
    if (lengths_ == Lengths::kSwapped || (lengths_ == Lengths::kUnsure && caplen > len)) std::swap(caplen, len);
    if (caplen > kMaxCaplen) return TooLong(caplen);

    got = input_->Fill(header_size_ + caplen) - header_size_;
    if (got < caplen) return Cut("packet data", got, caplen);
    Deliver(input_->data() + header_size_, caplen, len, packet);
    input_->Consume(header_size_ + caplen);
    return Next::kPacket;
  }

 private:
  // Captured length and length changed places with version 2.3, and some writers of 2.3 did not know.
  enum class Lengths { kInPlace, kSwapped, kUnsure };

  Verdict ReadVersion(uint16_t major, uint16_t minor) {
    const bool is_dg_ux = major == 543 && minor == 0;
    if (!is_dg_ux && (major != 2 || minor > 4)) {
      return Damage("unknown version " + std::to_string(major) + "." + std::to_string(minor));
    }
    if (is_dg_ux || minor < 3) {
      lengths_ = Lengths::kSwapped;
    } else if (minor == 3) {
      lengths_ = Lengths::kUnsure;
    }
    return {};
  }

  const uint32_t header_size_;
  const int64_t ns_per_fraction_;
  Lengths lengths_ = Lengths::kInPlace;
};

class Pcapng final : public Format {
 public:
  explicit Pcapng(Input* input) : Format(input, false, "block") {}

  Verdict ReadHead() override {
    Packet unused;
    while (interfaces_.empty()) {
      const Verdict verdict = ReadBlock(&unused);
      if (verdict == Next::kEnd) return Damage("the recording ends without an interface description");
      if (verdict) return verdict;
    }
    // The other interfaces may have a larger snaplen.
    SetHead(interfaces_.front().linktype, interfaces_.front().snaplen, kMaxCaplen);
    return {};
  }

  Next Read(Packet* packet) override {
    Verdict verdict;
    while (!verdict) verdict = ReadBlock(packet);
    return *verdict;  // NOLINT(bugprone-unchecked-optional-access): the loop ends with one
  }

 private:
  struct Interface {
    uint32_t linktype = 0;
    uint32_t snaplen = 0;  // 0: no limit
    Uint128 ticks_per_sec = 1'000'000;
    int64_t offset_sec = 0;
  };

  // Of enhanced and old packet blocks, which differ only in the width of the interface's number.
  static constexpr uint32_t kPacketFixedSize = 28;
  static constexpr uint32_t kSimpleFixedSize = 12;
  static constexpr uint32_t kInterfaceFixedSize = 16;
  static constexpr uint32_t kSectionFixedSize = 24;

  Verdict ReadBlock(Packet* packet) {
    BeginUnit();
    const size_t got = input_->Fill(kMinBlock);
    if (got == 0) return End();
    if (got < kMinBlock) return Cut("block header", got, kMinBlock);
    const uint8_t* block = input_->data();
    if (Load32(block) == kSectionHeader && !TakeByteOrder(Load32(block + 8))) {
      return Damage("section header without a byte-order magic");
    }
    const uint32_t type = Get32(block);
    const uint32_t total = Get32(block + 4);
    if (total < kMinBlock || total % 4 != 0) {
      return Damage("block length " + std::to_string(total) + " is not a multiple of 4, at least 12");
    }
    switch (type) {
      case kSectionHeader:
        return ReadSection(total);
      case kInterfaceDescription:
        return ReadInterface(total);
      case kEnhancedPacket:
      case kOldPacket:
        return ReadPacket(type, total, packet);
      case kSimplePacket:
        return ReadSimplePacket(total, packet);
      default:
        return SkipBlock(0, total);
    }
  }

  bool TakeByteOrder(uint32_t magic) {
    swapped_ = magic != kByteOrderMagic;
    return !swapped_ || magic == __builtin_bswap32(kByteOrderMagic);
  }

  Verdict ReadSection(uint32_t total) {
    if (total < kSectionFixedSize + kTrailerSize) return TooShort(total);
    const size_t got = input_->Fill(kSectionFixedSize);
    if (got < kSectionFixedSize) return Cut("block", got, total);
    const uint16_t major = Get16(input_->data() + 12);
    const uint16_t minor = Get16(input_->data() + 14);
    // 1.2 has been written by programs that meant 1.0.
    if (major != 1 || (minor != 0 && minor != 2)) {
      return Damage("unknown version " + std::to_string(major) + "." + std::to_string(minor));
    }
    interfaces_.clear();
    input_->Consume(kSectionFixedSize);
    return SkipBlock(kSectionFixedSize, total);
  }

  Verdict ReadInterface(uint32_t total) {
    if (const Verdict verdict = BufferBlock(kInterfaceFixedSize, total)) return verdict;
    if (interfaces_.size() == kMaxInterfaces) {
      return Damage("more than " + std::to_string(kMaxInterfaces) + " interfaces in one section");
    }
    const uint8_t* block = input_->data();
    Interface interface;
    interface.linktype = Get16(block + 8);
    interface.snaplen = Get32(block + 12);
    const bool whole = ForEachOption(block + kInterfaceFixedSize, block + total - kTrailerSize,
                                     [&](uint16_t code, const uint8_t* value, uint16_t length) {
                                       return TakeInterfaceOption(code, value, length, &interface);
                                     });
    // Guessing a resolution would move every packet of this interface.
    if (!whole) return Damage("options of the interface description are broken");
    interfaces_.push_back(interface);
    input_->Consume(total);
    return {};
  }

  bool TakeInterfaceOption(uint16_t code, const uint8_t* value, uint16_t length, Interface* interface) const {
    switch (code) {
      case kTimeResolution:
        if (length != 1) return false;
        interface->ticks_per_sec = TicksPerSec(*value);
        return true;
      case kTimeOffset:
        if (length != 8) return false;
        interface->offset_sec = static_cast<int64_t>(Get64(value));
        return true;
      default:
        return true;
    }
  }

  static Uint128 TicksPerSec(uint8_t resolution) {
    const int exponent = resolution & 0x7f;
    if ((resolution & 0x80) != 0) return Uint128{1} << exponent;
    // Finer than 10^-38 all 64-bit counts of ticks are 0 ns, as they are at 10^-38, the last that 128 bits hold.
    Uint128 ticks = 1;
    for (int i = 0; i < std::min(exponent, 38); ++i) ticks *= 10;
    return ticks;
  }

  Verdict ReadPacket(uint32_t type, uint32_t total, Packet* packet) {
    if (const Verdict verdict = BufferBlock(kPacketFixedSize, total)) return verdict;
    const uint8_t* block = input_->data();
    const uint32_t id = type == kEnhancedPacket ? Get32(block + 8) : Get16(block + 8);
    if (const Verdict verdict = CheckInterface(id)) return verdict;
    const uint32_t caplen = Get32(block + 20);
    if (const Verdict verdict = CheckCaplen(caplen, total - kPacketFixedSize - kTrailerSize)) return verdict;
    const uint64_t ticks = uint64_t{Get32(block + 12)} << 32 | Get32(block + 16);
    if (!SetTime(interfaces_[id], ticks, packet)) return Damage("timestamp is not within 1970 to 2106");
    Deliver(block + kPacketFixedSize, caplen, Get32(block + 24), packet);
    if (HasOutboundFlag(block + kPacketFixedSize + Padded(caplen), block + total - kTrailerSize)) {
      packet->outbound = true;
    }
    input_->Consume(total);
    return Next::kPacket;
  }

  Verdict ReadSimplePacket(uint32_t total, Packet* packet) {
    if (const Verdict verdict = BufferBlock(kSimpleFixedSize, total)) return verdict;
    if (const Verdict verdict = CheckInterface(0)) return verdict;
    const uint8_t* block = input_->data();
    const uint32_t len = Get32(block + 8);
    const uint32_t snaplen = interfaces_.front().snaplen;
    const uint32_t caplen = snaplen == 0 ? len : std::min(len, snaplen);
    if (const Verdict verdict = CheckCaplen(caplen, total - kSimpleFixedSize - kTrailerSize)) return verdict;
    packet->sec = packet->nsec = 0;  // these blocks carry no time, and libpcap says 1970, too
    Deliver(block + kSimpleFixedSize, caplen, len, packet);
    input_->Consume(total);
    return Next::kPacket;
  }

  Verdict CheckInterface(uint32_t id) {
    if (id >= interfaces_.size()) {
      return Damage("packet of interface " + std::to_string(id) + ", which is not described before it");
    }
    const uint32_t found = interfaces_[id].linktype;
    if (found == linktype()) return {};
    return Damage("second link type " + std::to_string(found) + ", first was " + std::to_string(linktype()));
  }

  Verdict CheckCaplen(uint32_t caplen, uint32_t room) {
    if (caplen > kMaxCaplen) return TooLong(caplen);
    if (caplen <= room) return {};
    return Damage("captured length " + std::to_string(caplen) + " is more than the " + std::to_string(room) +
                  " bytes that the block has for it");
  }

  // False if the time does not fit the unsigned 32-bit seconds of a .pcap.
  bool SetTime(const Interface& interface, uint64_t ticks, Packet* packet) {
    const Uint128 whole = ticks / interface.ticks_per_sec;
    const Uint128 rest = ticks % interface.ticks_per_sec;
    const Int128 sec = static_cast<Int128>(whole) + interface.offset_sec;
    if (sec < 0 || sec > UINT32_MAX) return false;
    packet->sec = static_cast<int64_t>(sec);
    packet->nsec = static_cast<int64_t>(rest * kNsPerSec / interface.ticks_per_sec);
    return true;
  }

  bool HasOutboundFlag(const uint8_t* options, const uint8_t* end) const {
    bool outbound = false;
    // Broken options are no reason to lose the packet before them.
    ForEachOption(options, end, [&](uint16_t code, const uint8_t* value, uint16_t length) {
      if (code == kPacketFlags && length == 4) outbound = (Get32(value) & 3) == 2;
      return true;
    });
    return outbound;
  }

  // False where an option does not fit or `take` refuses it.
  template <typename Take>
  bool ForEachOption(const uint8_t* option, const uint8_t* end, Take take) const {
    while (end - option >= 4) {
      const uint16_t code = Get16(option);
      const uint16_t length = Get16(option + 2);
      if (code == kEndOfOptions) return true;
      option += 4;
      if (end - option < static_cast<ptrdiff_t>(Padded(length))) return false;
      if (!take(code, option, length)) return false;
      option += Padded(length);
    }
    return true;
  }

  static uint32_t Padded(uint32_t length) { return (length + 3) / 4 * 4; }

  Next TooShort(uint32_t total) {
    return Damage("block length " + std::to_string(total) + " is too short for its type");
  }

  // Brings the whole block to input_->data().
  Verdict BufferBlock(uint32_t fixed_size, uint32_t total) {
    if (total < fixed_size + kTrailerSize) return TooShort(total);
    if (total > kMaxBufferedBlock) {
      return Damage("block length " + std::to_string(total) + " is more than " + std::to_string(kMaxBufferedBlock));
    }
    const size_t got = input_->Fill(total);
    if (got < total) return Cut("block", got, total);
    return CheckTrailer(input_->data() + total - kTrailerSize, total);
  }

  // Passes the rest of a block of which `done` bytes are consumed, however long it is.
  Verdict SkipBlock(uint32_t done, uint32_t total) {
    const uint32_t body = total - kTrailerSize - done;
    const uint64_t skipped = input_->Skip(body);
    if (skipped < body) return Cut("block", done + skipped, total);
    const size_t got = input_->Fill(kTrailerSize);
    if (got < kTrailerSize) return Cut("block", total - kTrailerSize + got, total);
    const Verdict verdict = CheckTrailer(input_->data(), total);
    input_->Consume(kTrailerSize);
    return verdict;
  }

  Verdict CheckTrailer(const uint8_t* trailer, uint32_t total) {
    const uint32_t repeated = Get32(trailer);
    if (repeated == total) return {};
    return Damage("block length " + std::to_string(total) + " is " + std::to_string(repeated) + " at the block's end");
  }

  std::vector<Interface> interfaces_;  // of the current section
};

std::string Hex(const uint8_t* bytes, size_t count) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (size_t i = 0; i < count; ++i) {
    text += kDigits[bytes[i] >> 4];
    text += kDigits[bytes[i] & 15];
  }
  return text;
}

// Nothing and `error` if the recording begins with no magic number that is known.
std::unique_ptr<Format> RecogniseFormat(Input* input, Status* error) {
  constexpr size_t kMagicSize = 4;
  const size_t got = input->Fill(kMagicSize);
  if (input->error_number() != 0) {
    *error = Status::Errno(Code::kBadFile, "cannot read the recording", "read", input->error_number());
    return nullptr;
  }
  if (got < kMagicSize) {
    *error = Status::Error(Code::kBadFile, got == 0 ? "the recording is empty (0 bytes)"
                                                    : "file header at byte 0: cut in the magic number: " +
                                                          std::to_string(got) + " of 4 bytes");
    return nullptr;
  }
  const uint32_t magic = Load32(input->data());
  const uint32_t other_order = __builtin_bswap32(magic);
  if (Pcap::IsMagic(magic)) return std::make_unique<Pcap>(input, false, magic);
  if (Pcap::IsMagic(other_order)) return std::make_unique<Pcap>(input, true, other_order);
  if (magic == kSectionHeader) return std::make_unique<Pcapng>(input);
  *error = Status::Error(Code::kBadFile, "neither .pcap nor .pcapng: the first bytes are " + Hex(input->data(), 4));
  return nullptr;
}

}  // namespace

struct RecordingReader::Impl {
  Input input;
  std::unique_ptr<Format> format;

  Status ReadHead() {
    Status error;
    format = RecogniseFormat(&input, &error);
    if (format && format->ReadHead()) error = format->TakeError();
    return error;
  }
};

RecordingReader::RecordingReader() : error_(Status::Error(Code::kBadFile, "no recording is open")) {}
RecordingReader::~RecordingReader() = default;

Status RecordingReader::OpenPath(const std::string& path) {
  impl_ = std::make_unique<Impl>();
  error_ = impl_->input.Open(path);
  return error_.ok() ? OpenInput() : error_;
}

Status RecordingReader::OpenBytes(std::vector<uint8_t> bytes) {
  impl_ = std::make_unique<Impl>();
  impl_->input.Open(std::move(bytes));
  return OpenInput();
}

Status RecordingReader::OpenInput() {
  error_ = impl_->ReadHead();
  if (error_.ok()) {
    linktype_ = impl_->format->linktype();
    snaplen_ = impl_->format->snaplen();
    file_snaplen_ = impl_->format->file_snaplen();
  }
  return error_;
}

RecordingReader::Next RecordingReader::Read(Packet* packet) {
  if (!error_.ok()) return Next::kDamaged;
  const Next next = impl_->format->Read(packet);
  if (next == Next::kDamaged) error_ = impl_->format->TakeError();
  return next;
}

}  // namespace pcap_ring
