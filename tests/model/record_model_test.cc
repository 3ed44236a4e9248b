// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// A model check of how records are written and read: Note [Reading a record] in layout/record.h, tried
// in every execution that the memory model allows, for three records in one slot of two words.
//
// The model is that of C++'s release and acquire in terms of views. Each location has the messages that
// were stored to it, in order (there is one writer). A thread has a view: for each location the oldest
// message it may still read. A load picks any message from there on; an acquire load takes over the
// view that a release store put into the message, a relaxed one does not. The explorer tries every
// interleaving and every choice. What is left out, stores that take effect before earlier loads, needs
// a reader that stores.
//
// Each rule of the Note is then broken in turn, and the explorer must find the torn read that follows:
// a model in which nothing can go wrong would prove nothing.
#include <array>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace vineyard {
namespace {

constexpr size_t kWords = 2;
constexpr size_t kSequence = kWords;  // the location of S; words are 0 … kWords - 1
constexpr size_t kLocations = kWords + 1;
constexpr int kRecords = 3;

enum class Order { kRelaxed, kSynchronising };  // release for stores, acquire for loads

// The protocol, as record.cc has it; a test changes one of them.
struct Rules {
  bool writer_clears = true;                 // W1
  Order word_store = Order::kSynchronising;  // W2
  Order publish = Order::kSynchronising;     // W3
  Order first_look = Order::kSynchronising;  // R1
  Order word_load = Order::kSynchronising;   // R2
  bool reader_looks_again = true;            // R3
  bool looks_again_too_early = false;        // R3 before R2
  bool sequence_used_twice = false;
};

using View = std::array<size_t, kLocations>;  // index of a message

struct Message {
  int value = 0;
  View view{};
};

struct Memory {
  std::array<std::vector<Message>, kLocations> messages;
};

struct Store {
  size_t location;
  int value;
  Order order;
};

// What the writer does for records 1 … kRecords, with an erasure between the last two.
std::vector<Store> WriterProgram(const Rules& rules) {
  std::vector<Store> program;
  for (int record = 1; record <= kRecords; ++record) {
    if (record == kRecords) program.push_back({kSequence, 0, Order::kSynchronising});
    if (rules.writer_clears) program.push_back({kSequence, 0, Order::kRelaxed});
    for (size_t word = 0; word < kWords; ++word) {
      program.push_back({word, record, rules.word_store});
    }
    const int sequence = rules.sequence_used_twice ? 1 + (record - 1) % 2 : record;
    program.push_back({kSequence, sequence, rules.publish});
  }
  return program;
}

struct Load {
  size_t location;
  Order order;
};

std::vector<Load> ReaderProgram(const Rules& rules) {
  std::vector<Load> program{{kSequence, rules.first_look}};
  const Load again{kSequence, Order::kRelaxed};
  if (rules.looks_again_too_early) program.push_back(again);
  for (size_t word = 0; word < kWords; ++word) program.push_back({word, rules.word_load});
  if (rules.reader_looks_again && !rules.looks_again_too_early) program.push_back(again);
  return program;
}

struct Outcome {
  size_t executions = 0;
  size_t accepted = 0;
  std::optional<std::string> torn;
};

class Explorer {
 public:
  explicit Explorer(const Rules& rules)
      : rules_(rules), writer_(WriterProgram(rules)), reader_(ReaderProgram(rules)) {
    for (auto& messages : memory_.messages) messages.push_back({});  // all zero at first
  }

  Outcome Run() {
    Step(0, {}, {});
    return outcome_;
  }

 private:
  // What may happen next: the writer's next store, or the reader's next load of any message it may see.
  void Step(size_t writer_at, const View& reader_view, const std::vector<int>& read) {
    if (read.size() == reader_.size()) return Judge(read);
    const Load& load = reader_[read.size()];
    const std::vector<Message>& messages = memory_.messages[load.location];
    for (size_t m = reader_view[load.location]; m < messages.size(); ++m) {
      View view = reader_view;
      view[load.location] = m;
      if (load.order == Order::kSynchronising) {
        for (size_t i = 0; i < kLocations; ++i) view[i] = std::max(view[i], messages[m].view[i]);
      }
      std::vector<int> now = read;
      now.push_back(messages[m].value);
      Step(writer_at, view, now);
    }
    if (writer_at == writer_.size()) return;
    const Store& store = writer_[writer_at];
    std::vector<Message>& to = memory_.messages[store.location];
    const View before = writer_view_;
    writer_view_[store.location] = to.size();
    View carried{};
    if (store.order == Order::kSynchronising) carried = writer_view_;
    carried[store.location] = to.size();
    to.push_back({store.value, carried});
    Step(writer_at + 1, reader_view, read);
    to.pop_back();
    writer_view_ = before;
  }

  void Judge(const std::vector<int>& read) {
    ++outcome_.executions;
    const int first = read[0];
    if (first == 0) return;  // gives up
    const size_t words_at = rules_.looks_again_too_early ? 2 : 1;
    if (rules_.reader_looks_again) {
      const int again = rules_.looks_again_too_early ? read[1] : read.back();
      if (again != first) return;  // gives up
    }
    ++outcome_.accepted;
    bool whole = true;
    for (size_t word = 0; word < kWords; ++word) {
      const int value = read[words_at + word];
      whole = whole && value == read[words_at];
      if (!rules_.sequence_used_twice) whole = whole && value == first;
    }
    if (whole || outcome_.torn) return;
    std::string text = "sequence " + std::to_string(first) + ", words";
    for (size_t word = 0; word < kWords; ++word)
      text += " " + std::to_string(read[words_at + word]);
    outcome_.torn = text;
  }

  Rules rules_;
  std::vector<Store> writer_;
  std::vector<Load> reader_;
  Memory memory_;
  View writer_view_{};
  Outcome outcome_;
};

TEST(RecordModel, NoExecutionShowsATornRecord) {
  const Outcome outcome = Explorer(Rules()).Run();
  EXPECT_EQ(outcome.torn, std::nullopt);
  EXPECT_GT(outcome.executions, 1000u);
  EXPECT_GT(outcome.accepted, 10u);
}

struct Broken {
  const char* what;
  std::function<void(Rules&)> how;
};

class BrokenRule : public ::testing::TestWithParam<Broken> {};

TEST_P(BrokenRule, LetsATornRecordThrough) {
  Rules rules;
  GetParam().how(rules);
  EXPECT_NE(Explorer(rules).Run().torn, std::nullopt) << GetParam().what;
}

INSTANTIATE_TEST_SUITE_P(
    Rules, BrokenRule,
    ::testing::Values(
        Broken{"WithoutTheLastLook", [](Rules& r) { r.reader_looks_again = false; }},
        Broken{"WithTheLastLookTooEarly", [](Rules& r) { r.looks_again_too_early = true; }},
        Broken{"WithoutClearingFirst", [](Rules& r) { r.writer_clears = false; }},
        Broken{"WithRelaxedWordStores", [](Rules& r) { r.word_store = Order::kRelaxed; }},
        Broken{"WithARelaxedPublication", [](Rules& r) { r.publish = Order::kRelaxed; }},
        Broken{"WithARelaxedFirstLook", [](Rules& r) { r.first_look = Order::kRelaxed; }},
        Broken{"WithRelaxedWordLoads", [](Rules& r) { r.word_load = Order::kRelaxed; }},
        Broken{"WithASequenceUsedTwice", [](Rules& r) { r.sequence_used_twice = true; }}),
    [](const ::testing::TestParamInfo<Broken>& rule) { return rule.param.what; });

}  // namespace
}  // namespace vineyard
