#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/sha256.h"
#include "base/sha256_blocks.h"
#include "base/status.h"
#include "base/time.h"
#include "test/check.h"

namespace pcap_ring {
namespace {

using namespace std::string_literals;

std::string Digest(const std::string& text) {
  Sha256 hash;
  hash.Update(text.data(), text.size());
  return hash.HexDigest();
}

TEST(Sha256KnowsTheVectorsOfNist) {
  Sha256 empty;
  CHECK_EQ(empty.HexDigest(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK_EQ(Digest("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK_EQ(Digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
           "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK_EQ(Digest("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrs"
                  "mnopqrstnopqrstu"),
           "cf5b16a778af8380036ce59e7b0492370b249b11e8f07a51afac45037afee9d1");
  CHECK_EQ(Digest("\xbd"), "68325720aabd7c82f30f554b313d0570c95accbb7dc4b5aae11204c08ffe732b");
  CHECK_EQ(Digest("\xc9\x8c\x8e\x55"), "7abc22c0ae5af26ce93dbb94433a0e0b2e119d014f8e7f65bd56c61ccccd9504");
  CHECK_EQ(Digest(std::string(55, '\0')), "02779466cdec163811d078815c633f21901413081449002f24aa3e80f0b88ef7");
  CHECK_EQ(Digest(std::string(56, '\0')), "d4817aa5497628e7c77e6b606107042bbba3130888c5f47a375e6179be789fbb");
  CHECK_EQ(Digest(std::string(57, '\0')), "65a16cb7861335d5ace3c60718b5052e44660726da4cd13bb745381b235a1785");
  CHECK_EQ(Digest(std::string(64, '\0')), "f5a5fd42d16a20302798ef6ed309979b43003d2320d9f0e8ea9831a92759fb4b");
  CHECK_EQ(Digest(std::string(1'000'000, 'a')), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256StreamsInAnyPieces) {
  const std::string million(1'000'000, 'a');
  for (const size_t piece : {size_t{1}, size_t{63}, size_t{64}, size_t{65}, size_t{127}, size_t{8191}}) {
    Sha256 hash;
    for (size_t at = 0; at < million.size(); at += piece) {
      hash.Update(nullptr, 0);
      hash.Update(million.data() + at, std::min(piece, million.size() - at));
    }
    CHECK_EQ(hash.HexDigest(), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  }
  std::string text;
  for (int i = 0; i < 200; ++i) text += static_cast<char>(i);
  for (size_t size = 0; size <= text.size(); ++size) {
    const std::string whole = Digest(text.substr(0, size));
    for (size_t cut = 0; cut <= size; ++cut) {
      Sha256 hash;
      hash.Update(text.data(), cut);
      hash.Update(text.data() + cut, size - cut);
      CHECK_EQ(hash.HexDigest(), whole);
    }
  }
}

// The other tests are of the one that this machine takes.
TEST(Sha256OfTheProcessorIsThePortableOne) {
  const Sha256Blocks of_processor = Sha256BlocksOfProcessor();
  if (of_processor == nullptr) {
    std::printf("# this processor has no instructions for it\n");
    return;
  }
  std::array<uint32_t, 8> portable{1, 2, 3, 4, 5, 6, 7, 8};
  std::array<uint32_t, 8> other = portable;
  std::vector<uint8_t> bytes(64 * 16 + 1);
  uint32_t next = 1;
  for (size_t blocks = 0; blocks <= 16; ++blocks) {
    for (uint8_t& byte : bytes) byte = static_cast<uint8_t>((next = next * 1664525 + 1013904223) >> 24);
    // Not aligned.
    Sha256BlocksPortable(portable.data(), bytes.data() + 1, blocks);
    of_processor(other.data(), bytes.data() + 1, blocks);
    CHECK(other == portable);
  }
}

TEST(TimeIsIso8601) {
  const auto micro = [](int64_t sec, int64_t ns = 0) { return FormatTime(sec * kNsPerSec + ns, Precision::kMicro); };
  CHECK_EQ(micro(0), "1970-01-01T00:00:00.000000Z");
  CHECK_EQ(micro(951'782'399), "2000-02-28T23:59:59.000000Z");
  CHECK_EQ(micro(951'782'400), "2000-02-29T00:00:00.000000Z");
  CHECK_EQ(micro(951'868'800), "2000-03-01T00:00:00.000000Z");
  CHECK_EQ(micro(1'709'164'800), "2024-02-29T00:00:00.000000Z");
  CHECK_EQ(micro(1'677'628'799), "2023-02-28T23:59:59.000000Z");
  CHECK_EQ(micro(1'677'628'800), "2023-03-01T00:00:00.000000Z");
  CHECK_EQ(micro(4'107'542'399), "2100-02-28T23:59:59.000000Z");
  CHECK_EQ(micro(4'107'542'400), "2100-03-01T00:00:00.000000Z");
  CHECK_EQ(micro(1'795'334'400, 123'456'000), "2026-11-22T08:00:00.123456Z");
  CHECK_EQ(micro(2'147'483'648), "2038-01-19T03:14:08.000000Z");
  CHECK_EQ(micro(4'294'967'295), "2106-02-07T06:28:15.000000Z");
  CHECK_EQ(micro(4'294'967'296), "2106-02-07T06:28:16.000000Z");
}

TEST(TimeIsCutNotRounded) {
  const int64_t last = 1'798'761'599'999'999'999;
  CHECK_EQ(FormatTime(last, Precision::kMicro), "2026-12-31T23:59:59.999999Z");
  CHECK_EQ(FormatTime(last, Precision::kNano), "2026-12-31T23:59:59.999999999Z");
  CHECK_EQ(FormatTime(999, Precision::kMicro), "1970-01-01T00:00:00.000000Z");
  CHECK_EQ(FormatTime(999, Precision::kNano), "1970-01-01T00:00:00.000000999Z");
  CHECK_EQ(FormatTime(1'000, Precision::kMicro), "1970-01-01T00:00:00.000001Z");
}

TEST(TimeBeforeTheEpochAndAtTheEnds) {
  CHECK_EQ(FormatTime(-1, Precision::kNano), "1969-12-31T23:59:59.999999999Z");
  CHECK_EQ(FormatTime(-1, Precision::kMicro), "1969-12-31T23:59:59.999999Z");
  CHECK_EQ(FormatTime(-kNsPerSec, Precision::kMicro), "1969-12-31T23:59:59.000000Z");
  CHECK_EQ(FormatTime(-kNsPerSec - 1, Precision::kNano), "1969-12-31T23:59:58.999999999Z");
  CHECK_EQ(FormatTime(-86'400 * kNsPerSec, Precision::kMicro), "1969-12-31T00:00:00.000000Z");
  CHECK_EQ(FormatTime(INT64_MAX, Precision::kNano), "2262-04-11T23:47:16.854775807Z");
  CHECK_EQ(FormatTime(INT64_MIN, Precision::kNano), "1677-09-21T00:12:43.145224192Z");
}

TEST(EveryDayIsTheCalendars) {
  for (int64_t day = -106'751; day <= 106'751; ++day) {
    const time_t second = day * 86'400 + (day & 0xffff);
    std::tm utc{};
    ::gmtime_r(&second, &utc);
    char text[32];
    std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S.000000Z", &utc);
    CHECK_EQ(FormatTime(second * kNsPerSec, Precision::kMicro), text);
  }
}

TEST(ClocksRun) {
  CHECK(RealtimeNs() > 1'700'000'000 * kNsPerSec);
  const int64_t first = MonotonicNs();
  CHECK(first > 0);
  CHECK(MonotonicNs() >= first);
}

std::string JsonString(std::string_view value) { return JsonWriter().String(value).Take(); }
std::string JsonDouble(double value) { return JsonWriter().Double(value).Take(); }

TEST(JsonPutsCommasAndNests) {
  JsonWriter json;
  json.BeginObject().Key("a").Int(-1).Key("b").BeginArray().Uint(1).String("x").BeginArray().EndArray();
  json.BeginObject().EndObject().Null().Bool(true).EndArray().Key("c").BeginObject().Key("d").Bool(false).EndObject();
  json.Key("e").Raw("[1,{}]").Key("f").Raw("2").EndObject();
  CHECK_EQ(json.text(), R"({"a":-1,"b":[1,"x",[],{},null,true],"c":{"d":false},"e":[1,{}],"f":2})");
  CHECK_EQ(JsonWriter().BeginArray().EndArray().Take(), "[]");
  CHECK_EQ(JsonWriter().BeginObject().Key("\"\n").Null().EndObject().Take(), R"({"\"\n":null})");
}

TEST(JsonIntegersAreWhole) {
  CHECK_EQ(JsonWriter().Int(INT64_MIN).Take(), "-9223372036854775808");
  CHECK_EQ(JsonWriter().Int(INT64_MAX).Take(), "9223372036854775807");
  CHECK_EQ(JsonWriter().Uint(UINT64_MAX).Take(), "18446744073709551615");
  CHECK_EQ(JsonWriter().Uint(0).Take(), "0");
}

TEST(JsonEscapes) {
  CHECK_EQ(JsonString(""), R"("")");
  CHECK_EQ(JsonString("a\"b\\c/d"), R"("a\"b\\c/d")");
  CHECK_EQ(JsonString("\b\f\n\r\t"), R"("\b\f\n\r\t")");
  CHECK_EQ(JsonString("\0\x01\x0b\x1f\x20\x7f"s), "\"\\u0000\\u0001\\u000b\\u001f \x7f\"");
}

std::string EncodeUtf8(uint32_t c) {
  const auto byte = [](uint32_t b) { return static_cast<char>(b); };
  const auto more = [&](int shift) { return byte(0x80 | (c >> shift & 0x3f)); };
  if (c < 0x80) return {byte(c)};
  if (c < 0x800) return {byte(0xc0 | c >> 6), more(0)};
  if (c < 0x10000) return {byte(0xe0 | c >> 12), more(6), more(0)};
  return {byte(0xf0 | c >> 18), more(12), more(6), more(0)};
}

TEST(JsonKeepsEveryCodePoint) {
  int wrong = 0;
  for (uint32_t c = 0x80; c <= 0x10ffff; ++c) {
    const std::string text = EncodeUtf8(c);
    const bool surrogate = c >= 0xd800 && c <= 0xdfff;
    wrong += JsonString(text) != (surrogate ? "\"\uFFFD\uFFFD\uFFFD\"" : "\"" + text + "\"");
  }
  CHECK_EQ(wrong, 0);
}

TEST(JsonReplacesInvalidUtf8) {
  // One replacement for each maximal part, as WHATWG decoders do (Unicode 15, tables 3-8 to 3-11).
  CHECK_EQ(JsonString("a\x80z"), "\"a\uFFFDz\"");
  CHECK_EQ(JsonString("\xff\xfe"), "\"\uFFFD\uFFFD\"");
  CHECK_EQ(JsonString("\xc3"), "\"\uFFFD\"");
  CHECK_EQ(JsonString("\xc3\""), "\"\uFFFD\\\"\"");
  CHECK_EQ(JsonString("\xe2\x82"), "\"\uFFFD\"");
  CHECK_EQ(JsonString("\xf0\x9f\x98"), "\"\uFFFD\"");
  CHECK_EQ(JsonString("\xf0\x9f\x98\n"), "\"\uFFFD\\n\"");
  CHECK_EQ(JsonString("\xf4\x90\x80\x80"), "\"\uFFFD\uFFFD\uFFFD\uFFFD\"");
  CHECK_EQ(JsonString("\xc0\xaf\xe0\x80\xbf\xf0\x81\x82\x41"),
           "\"\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\x41\"");
  CHECK_EQ(JsonString("\xf4\x91\x92\x93\xff\x41\x80\xbf\x42"),
           "\"\uFFFD\uFFFD\uFFFD\uFFFD\uFFFD\x41\uFFFD\uFFFD\x42\"");
  CHECK_EQ(JsonString("\xe1\x80\xe2\xf0\x91\x92\xf1\xbf\x41"), "\"\uFFFD\uFFFD\uFFFD\uFFFD\x41\"");
  // A view that ends inside a code point must not be read on.
  CHECK_EQ(JsonString(std::string_view("\xe2\x82\xac", 2)), "\"\uFFFD\"");
}

// The number grammar of RFC 8259.
bool IsJsonNumber(const std::string& text) {
  const char* p = text.c_str();
  const auto digits = [&p] {
    const char* start = p;
    while (*p >= '0' && *p <= '9') ++p;
    return p > start;
  };
  if (*p == '-') ++p;
  if (*p == '0') {
    ++p;
  } else if (!digits()) {
    return false;
  }
  if (*p == '.' && (++p, !digits())) return false;
  if (*p == 'e') {
    ++p;
    if (*p == '+' || *p == '-') ++p;
    if (!digits()) return false;
  }
  return *p == '\0';
}

TEST(JsonDoublesReadBackTheSame) {
  CHECK_EQ(JsonDouble(0.1), "0.1");
  CHECK_EQ(JsonDouble(1), "1");
  CHECK_EQ(JsonDouble(-2.5), "-2.5");
  CHECK_EQ(JsonDouble(1.0 / 3), "0.3333333333333333");
  CHECK_EQ(JsonDouble(std::nan("")), "null");
  CHECK_EQ(JsonDouble(-INFINITY), "null");
  CHECK_EQ(JsonWriter().BeginArray().Double(INFINITY).Double(1.5).EndArray().Take(), "[null,1.5]");

  constexpr uint32_t kSeed = 20261122;
  std::printf("# seed %u\n", kSeed);
  std::mt19937_64 random(kSeed);
  using Limits = std::numeric_limits<double>;
  std::vector<double> values = {0.0,
                                -0.0,
                                1e-7,
                                1e20,
                                1e22,
                                1e300,
                                Limits::max(),
                                Limits::lowest(),
                                Limits::min(),
                                Limits::denorm_min(),
                                -Limits::denorm_min()};
  for (int i = 0; i < 100'000; ++i) values.push_back(std::bit_cast<double>(random()));
  for (const double value : values) {
    if (!std::isfinite(value)) continue;
    const std::string text = JsonDouble(value);
    CHECK(IsJsonNumber(text));
    CHECK_EQ(std::bit_cast<uint64_t>(std::strtod(text.c_str(), nullptr)), std::bit_cast<uint64_t>(value));
  }
}

TEST(StatusNamesEveryCode) {
  CHECK_EQ(CodeName(Code::kOk), ""s);
  CHECK_EQ(CodeName(Code::kPermission), "ERR_PCAP_PERMISSION"s);
  CHECK_EQ(CodeName(Code::kNoSuchDevice), "ERR_PCAP_NO_SUCH_DEVICE"s);
  CHECK_EQ(CodeName(Code::kDeviceDown), "ERR_PCAP_DEVICE_DOWN"s);
  CHECK_EQ(CodeName(Code::kDeviceGone), "ERR_PCAP_DEVICE_GONE"s);
  CHECK_EQ(CodeName(Code::kBadFilter), "ERR_PCAP_BAD_FILTER"s);
  CHECK_EQ(CodeName(Code::kBadFile), "ERR_PCAP_BAD_FILE"s);
  CHECK_EQ(CodeName(Code::kFileExists), "ERR_PCAP_FILE_EXISTS"s);
  CHECK_EQ(CodeName(Code::kWrite), "ERR_PCAP_WRITE"s);
  CHECK_EQ(CodeName(Code::kNoSpace), "ERR_PCAP_NO_SPACE"s);
  CHECK_EQ(CodeName(Code::kClosed), "ERR_PCAP_CLOSED"s);
  CHECK_EQ(CodeName(Code::kKernel), "ERR_PCAP_KERNEL"s);
}

TEST(StatusCarriesTheErrno) {
  CHECK(Status::Ok().ok());
  const Status error = Status::Error(Code::kBadFilter, "no");
  CHECK(!error.ok());
  CHECK_EQ(error.message, "no");
  CHECK_EQ(error.error_number, 0);
  CHECK(error.syscall == nullptr);

  errno = ENOSPC;
  const Status failed = Status::Errno(Code::kNoSpace, "a.pcap", "write");
  CHECK(failed.code == Code::kNoSpace);
  // NOLINTNEXTLINE(concurrency-mt-unsafe): there is one thread.
  CHECK_EQ(failed.message, "a.pcap: "s + std::strerror(ENOSPC));
  CHECK_EQ(failed.error_number, ENOSPC);
  CHECK_EQ(failed.syscall, "write"s);
  CHECK_EQ(Status::Errno(Code::kWrite, "a.pcap", "write", 4'000).message, "a.pcap: Unknown error 4000");
}

}  // namespace
}  // namespace pcap_ring

TEST_MAIN()
