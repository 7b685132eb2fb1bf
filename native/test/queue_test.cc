#include "ring/spsc_queue.h"

#include <atomic>
#include <cstring>
#include <memory>
#include <random>
#include <thread>

#include "engine/pipeline.h"
#include "incident/recording.h"
#include "test/check.h"
#include "test/silent_listener.h"
#include "test/support.h"

namespace pcap_ring {
namespace {

using testing::kBase;

TEST(queue_is_first_in_first_out_and_bounded) {
  SpscQueue<std::unique_ptr<int>> queue(8);
  std::unique_ptr<int> out;
  CHECK(!queue.Pop(&out));
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 8; ++i) CHECK(queue.Push(std::make_unique<int>(i)));
    auto more = std::make_unique<int>(99);
    CHECK(!queue.Push(std::move(more)));
    // A queue that is full leaves it as it is.
    // cppcheck-suppress accessMoved ; that is what is tested
    CHECK(more != nullptr && *more == 99);  // NOLINT(bugprone-use-after-move): the same
    for (int i = 0; i < 8; ++i) {
      CHECK(queue.Pop(&out));
      CHECK_EQ(*out, i);
    }
    CHECK(!queue.Pop(&out));
  }
}

TEST(queue_between_two_threads_loses_nothing) {
  constexpr int kValues = 300'000;
  SpscQueue<std::unique_ptr<int>> queue(64);
  std::thread producer([&] {
    for (int i = 0; i < kValues; ++i) {
      auto value = std::make_unique<int>(i);
      while (!queue.Push(std::move(value))) std::this_thread::yield();
    }
  });
  bool ok = true;
  for (int i = 0; i < kValues; ++i) {
    std::unique_ptr<int> value;
    while (!queue.Pop(&value)) std::this_thread::yield();
    ok = ok && value != nullptr && *value == i;
  }
  producer.join();
  CHECK(ok);
}

uint32_t SizeOf(uint64_t number) { return static_cast<uint32_t>(8 + number * 7919 % 1507); }

// The reader's half: what the writer does with a span, with a check of every byte in place of a file.
class Reader {
 public:
  void Take(const TapMessage& message) {
    switch (message.kind) {
      case TapMessage::Kind::kStart:
        in_order = in_order && !started;
        started = true;
        history = message.before->total();
        break;
      case TapMessage::Kind::kSpan:
        in_order = in_order && started && summary == nullptr;
        Read(message.span);
        break;
      case TapMessage::Kind::kEnd:
        CHECK(message.summary != nullptr);
        summary = std::make_unique<TapSummary>(*message.summary);
        break;
      case TapMessage::Kind::kNone:
      case TapMessage::Kind::kFrozen:
      case TapMessage::Kind::kShutdown:
        break;
    }
  }

  bool started = false;
  bool in_order = true;
  bool intact = true;
  uint64_t history = 0;
  uint64_t recorded = 0;
  uint64_t first = 0;
  uint64_t last = 0;
  std::unique_ptr<TapSummary> summary;

 private:
  void Read(const Span& span) {
    if (span.last == nullptr) return;
    const auto unpin = [](Slab* slab) { slab->Unpin(); };
    RecordWalker walker(span.begin);
    for (uint64_t i = 0; i < span.packets; ++i) {
      const RecordHeader header = walker.Header(unpin);
      const auto number = static_cast<uint64_t>(header.time_ns() - kBase);
      uint32_t at = 0;
      const uint32_t size = SizeOf(number);
      intact = intact && header.caplen == size && header.len == size + 1;
      if (!intact) return;
      testing::Fill(expected_, size, number);
      walker.Bytes(
          header,
          [&](const uint8_t* data, uint32_t piece) {
            intact = intact && std::memcmp(expected_ + at, data, piece) == 0;
            at += piece;
          },
          unpin);
      in_order = in_order && (recorded == 0 || number > last);
      if (recorded == 0) first = number;
      last = number;
      ++recorded;
    }
    ReleaseSpan({walker.cursor(), 0, span.last});
  }

  uint8_t expected_[2048];
};

struct HandOver {
  uint64_t packets;
  size_t batch;
  // The reader only begins to read when so many packets were pushed since it last stopped, and stops after so many
  // messages: 0 for a reader that always reads.
  uint64_t hold = 0;
};

// A recording between two threads from freeze to resolution: everything offered is read as it was pushed, or counted.
Reader Run(const HandOver& run) {
  TapQueue queue;
  testing::SilentListener listener;
  Pipeline::Config config;
  config.ring_packets = 300;
  Pipeline pipeline(config, &queue, &listener);
  std::atomic<uint64_t> pushed{0};
  TapSpec spec = testing::MakeTap(1);
  Reader reader;
  std::thread thread([&] {
    uint64_t resume = run.hold;
    while (reader.summary == nullptr) {
      if (run.hold != 0 && pushed.load(std::memory_order_relaxed) < std::min(resume, run.packets)) {
        std::this_thread::yield();
        continue;
      }
      TapMessage message;
      for (int i = 0; i < 2000 && reader.summary == nullptr && queue.messages.Pop(&message); ++i) reader.Take(message);
      resume = pushed.load(std::memory_order_relaxed) + run.hold;
      if (run.hold == 0) std::this_thread::yield();
    }
  });

  uint8_t data[2048];
  const auto push = [&](uint64_t number) {
    const uint32_t size = SizeOf(number);
    testing::Fill(data, size, number);
    const int64_t time_ns = kBase + static_cast<int64_t>(number);
    pipeline.OnPacket({time_ns / kNsPerSec, time_ns % kNsPerSec, size, size + 1, data, false});
  };
  uint64_t number = 0;
  for (; number < 1000; ++number) push(number);
  CHECK(pipeline.Open(spec) != nullptr);
  pipeline.Start(pipeline.Find(1), kBase + static_cast<int64_t>(number), true);
  for (; number < run.packets; ++number) {
    push(number);
    if (number % run.batch != 0) continue;
    pipeline.EndBatch();
    pushed.store(number, std::memory_order_relaxed);
  }
  pipeline.Find(1)->RequestResolve(kBase + static_cast<int64_t>(number), false);
  while (Tap* tap = pipeline.Find(1)) {
    if (!tap->ended()) tap->Cross();
    pushed.store(run.packets, std::memory_order_relaxed);
    pipeline.EndBatch();
    std::this_thread::yield();
  }
  thread.join();
  CHECK(!pipeline.backlog());
  CHECK_EQ(spec.progress->load(), reader.recorded);
  // Every pin came back: the log may be handed over whole once more.
  for (uint64_t i = 0; i < 100'000; ++i) push(number++);
  CHECK_EQ(pipeline.ring_state().packets, 300u);
  return reader;
}

TEST(the_log_is_handed_over_whole_and_in_order) {
  for (const size_t batch : {1, 64, 1000}) {
    const Reader reader = Run({300'000, batch});
    CHECK(reader.intact);
    CHECK(reader.in_order);
    CHECK_EQ(reader.history, 300u);
    CHECK_EQ(reader.first, 700u);
    CHECK_EQ(reader.recorded + reader.summary->writer_loss, reader.last - reader.first + 1);
  }
}

TEST(what_a_slow_reader_loses_is_counted) {
  for (const uint64_t hold : {90'000u, 150'000u}) {
    const Reader reader = Run({400'000, 32, hold});
    CHECK(reader.intact);
    CHECK(reader.in_order);
    CHECK(reader.summary->writer_loss > 0);
    CHECK(reader.recorded > 10'000);
    CHECK_EQ(reader.recorded + reader.summary->writer_loss, reader.last - reader.first + 1);
    std::printf("# hold %llu: %llu recorded, %llu lost\n", static_cast<unsigned long long>(hold),
                static_cast<unsigned long long>(reader.recorded),
                static_cast<unsigned long long>(reader.summary->writer_loss));
  }
}

// Freezes upon freezes while the writer hangs: each pins the ring anew, until there is no slab left.
TEST(freezes_while_the_writer_hangs_tear_nothing) {
  TapQueue queue;
  testing::SilentListener listener;
  Pipeline pipeline({}, &queue, &listener);
  uint8_t data[2048];
  uint64_t number = 0;
  const auto push = [&](uint64_t count) {
    for (const uint64_t end = number + count; number < end; ++number) {
      const uint32_t size = SizeOf(number);
      testing::Fill(data, size, number);
      const int64_t time_ns = kBase + static_cast<int64_t>(number);
      pipeline.OnPacket({time_ns / kNsPerSec, time_ns % kNsPerSec, size, size + 1, data, false});
      if (number % 64 == 0) pipeline.EndBatch();
    }
  };
  push(1000);
  constexpr uint32_t kTaps = 40;
  for (uint32_t handle = 1; handle <= kTaps; ++handle) {
    CHECK(pipeline.Open(testing::MakeTap(handle)) != nullptr);
    pipeline.Start(pipeline.Find(handle), kBase + static_cast<int64_t>(number), true);
    push(handle == 1 ? 100'000 : 3000);
  }
  for (const auto& tap : pipeline.taps()) tap->Abandon(kBase + static_cast<int64_t>(number));
  std::map<uint32_t, Reader> readers;
  while (!pipeline.taps().empty()) {
    TapMessage message;
    pipeline.EndBatch();
    while (queue.messages.Pop(&message)) readers[message.handle].Take(message);
  }
  CHECK_EQ(readers.size(), size_t{kTaps});
  for (const auto& [handle, reader] : readers) {
    CHECK(reader.intact);
    CHECK(reader.in_order);
    CHECK(reader.summary != nullptr);
  }
  push(1000);
  CHECK_EQ(pipeline.ring_state().packets, 500u);
}

}  // namespace
}  // namespace pcap_ring

TEST_MAIN()
