#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

namespace pcap_ring {

// Writes one JSON text (RFC 8259) into a string, without a document in between. Commas are its own business; nesting is
// the caller's. `Raw` splices a text that is JSON already.
class JsonWriter {
 public:
  JsonWriter& BeginObject();
  JsonWriter& EndObject();
  JsonWriter& BeginArray();
  JsonWriter& EndArray();
  JsonWriter& Key(std::string_view key);
  JsonWriter& String(std::string_view value);  // escapes; invalid UTF-8 becomes U+FFFD
  JsonWriter& Int(int64_t value);
  JsonWriter& Uint(uint64_t value);
  JsonWriter& Double(double value);  // as few digits, from 15 to 17, as read back the same; not finite: null
  JsonWriter& Bool(bool value);
  JsonWriter& Null();
  JsonWriter& Raw(std::string_view json);

  const std::string& text() const { return text_; }
  std::string Take() { return std::move(text_); }

 private:
  void Separate();

  std::string text_;
  bool needs_comma_ = false;
};

}  // namespace pcap_ring
