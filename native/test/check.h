#pragma once

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

// The smallest test runner that does: TEST(name) { CHECK(...); CHECK_EQ(a, b); }, one executable per *_test.cc.
// Prints TAP, so that .ci/run counts these tests like all others.
namespace pcap_ring::testing {

struct Case {
  const char* name;
  void (*run)();
};

inline std::vector<Case>& Cases() {
  static std::vector<Case> cases;
  return cases;
}
inline int& Failures() {
  static int failures = 0;
  return failures;
}

struct Register {
  Register(const char* name, void (*run)()) { Cases().push_back({name, run}); }
};

template <typename T>
std::string Show(const T& value) {
  if constexpr (requires { std::to_string(value); }) {
    return std::to_string(value);
    // cppcheck-suppress identicalConditionAfterEarlyExit ; it does not look into the braces
  } else if constexpr (requires { std::string(value); }) {
    return std::string(value);
  } else {
    return "?";
  }
}

inline void Fail(const char* file, int line, const std::string& what) {
  std::printf("# %s:%d: %s\n", file, line, what.c_str());
  ++Failures();
}

inline int RunAll() {
  int failed = 0;
  int number = 0;
  std::printf("TAP version 14\n1..%zu\n", Cases().size());
  for (const Case& c : Cases()) {
    const int before = Failures();
    c.run();
    const bool ok = Failures() == before;
    failed += ok ? 0 : 1;
    std::printf("%sok %d - %s\n", ok ? "" : "not ", ++number, c.name);
    std::fflush(stdout);
  }
  return failed == 0 ? 0 : 1;
}

}  // namespace pcap_ring::testing

// NOLINTBEGIN(bugprone-macro-parentheses): a name that is declared.
#define TEST(name)                                                           \
  static void name();                                                        \
  static const ::pcap_ring::testing::Register register_##name(#name, &name); \
  static void name()
// NOLINTEND(bugprone-macro-parentheses)
#define CHECK(condition) \
  ((condition) ? (void)0 : ::pcap_ring::testing::Fail(__FILE__, __LINE__, "CHECK(" #condition ")"))
// Copies: a reference into a temporary would not outlive its line.
#define CHECK_EQ(actual, expected)                                                                 \
  do {                                                                                             \
    const auto actual_ = (actual);                                                                 \
    const auto expected_ = (expected);                                                             \
    if (!(actual_ == expected_))                                                                   \
      ::pcap_ring::testing::Fail(__FILE__, __LINE__,                                               \
                                 #actual " is " + ::pcap_ring::testing::Show(actual_) + ", not " + \
                                     ::pcap_ring::testing::Show(expected_));                       \
  } while (0)
#define TEST_MAIN() \
  int main() { return ::pcap_ring::testing::RunAll(); }
