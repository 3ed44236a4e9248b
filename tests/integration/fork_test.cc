// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Clients that fork.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/testing.h"
#include "testing/raw_client.h"
#include "testing/test_daemon.h"

namespace vineyard {
namespace {

using testing::Bell;
using testing::Child;
using testing::Eventually;
using testing::FreshToken;
using testing::HoldsPattern;
using testing::IsPattern;
using testing::MakeFrame;
using testing::Pattern;
using testing::PutPattern;
using testing::RawClient;
using testing::TestDaemon;

constexpr size_t kMiB = size_t{1} << 20;

class Fork : public ::testing::Test {
 protected:
  Fork() : client_(daemon_.Connect()) {}
  InstanceStatus Now() { return client_.GetStatus().value(); }
  TestDaemon daemon_;
  Client client_;
};

TEST_F(Fork, AChildGoesOnWithAConnectionOfItsOwn) {
  ASSERT_OK(PutPattern(client_, 1, kMiB, "from the parent"));
  ASSERT_OK(client_.Get("from the parent"));
  for (int i = 0; i < 3; ++i) {
    Child child([&] {
      if (!HoldsPattern(client_.Get("from the parent"), 1, kMiB)) return 1;
      if (!PutPattern(client_, 2, kMiB, "from the child").ok()) return 2;
      return client_.GetStatus()->connections == 2 ? 0 : 3;
    });
    EXPECT_EQ(child.Wait(), 0);
    EXPECT_TRUE(HoldsPattern(client_.Get("from the child"), 2, kMiB));
    ASSERT_OK(PutPattern(client_, 3, 1000, "more"));
  }
  EXPECT_TRUE(Eventually([&] { return Now().connections == 1; }));
}

TEST_F(Fork, TheFirstThingAChildDoesMayBeASmallPut) {
  Child child([&] { return PutPattern(client_, 1, 1000, "small").ok() ? 0 : 1; });
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_TRUE(HoldsPattern(client_.Get("small"), 1, 1000));
}

TEST_F(Fork, ChildrenAndTheirChildrenReadWhatWasGotBefore) {
  auto id = PutPattern(client_, 1, kMiB);
  ASSERT_OK(id);
  auto object = client_.Get(*id);
  ASSERT_OK(object);
  Child child([&] {
    if (!HoldsPattern(object, 1, kMiB)) return 1;
    Child grandchild([&] {
      if (!HoldsPattern(object, 1, kMiB)) return 1;
      return HoldsPattern(client_.Get(*id), 1, kMiB) ? 0 : 2;
    });
    return grandchild.Wait();
  });
  EXPECT_EQ(child.Wait(), 0);
}

TEST_F(Fork, AnUnsealedBlobStaysTheParents) {
  auto large = client_.CreateBlob(3 * kMiB);
  auto small = client_.CreateBlob(100);
  ASSERT_OK(large);
  ASSERT_OK(small);
  std::ranges::copy(Pattern(1, 3 * kMiB), large->data());
  Bell checked;
  Bell go_on;
  Child child([&] {
    int code = 0;
    // Zeros to write to, as one likes: nobody sees it.
    if (std::ranges::any_of(large->bytes(), [](std::byte b) { return b != std::byte{0}; }))
      code = 1;
    std::ranges::fill(large->bytes(), std::byte{9});
    checked.Ring();
    (void)go_on.Wait();
    if (!client_.Seal(std::move(*large)).status().Is(StatusCode::kFailedPrecondition)) code = 2;
    if (!client_.Seal(std::move(*small)).status().Is(StatusCode::kFailedPrecondition)) code = 3;
    {
      const MutableBlob ends = std::move(*small);
    }
    return code;
  });
  (void)checked.Wait();
  EXPECT_TRUE(IsPattern(large->bytes(), 1));
  auto sealed = client_.Seal(std::move(*large));  // while the child lives
  ASSERT_OK(sealed);
  go_on.Ring();
  EXPECT_EQ(child.Wait(), 0);
  EXPECT_TRUE(IsPattern(daemon_.Connect().GetBlob(sealed->id())->bytes(), 1));
  EXPECT_OK(client_.Seal(std::move(*small)));
}

// A process that reserves, forks, and is killed; its child lives on until told to end.
class Orphan {
 public:
  Orphan(const std::function<std::shared_ptr<void>()>& reserve,
         const std::function<int(Bell&)>& in_the_child) {
    parent_ = std::make_unique<Child>([&] {
      const std::shared_ptr<void> held = reserve();
      const pid_t pid = ::fork();
      if (pid == 0) {
        ::alarm(250);
        began_.Ring(static_cast<uint64_t>(::getpid()));
        (void)end_.Wait();
        outcome_.Ring(static_cast<uint64_t>(in_the_child(end_)));
        ::_exit(0);
      }
      ::pause();
      return 0;
    });
    EXPECT_TRUE(began_.Wait().has_value());
  }
  void KillParent() { parent_->Kill(); }
  uint64_t End() {
    end_.Ring();
    return outcome_.Wait().value_or(99);
  }

 private:
  Bell began_;
  Bell end_;
  Bell outcome_;
  std::unique_ptr<Child> parent_;
};

TEST_F(Fork, AForkedChildOfADeadClientKeepsNothingThatTheClientHadReserved) {
  const InstanceStatus start = Now();
  Orphan orphan(
      [&]() -> std::shared_ptr<void> {
        struct Held {
          Client client;
          Result<MutableBlob> large;
          Result<MutableBlob> small;
        };
        auto held = std::make_shared<Held>(
            Held{daemon_.Connect(), Status::Cancelled(""), Status::Cancelled("")});
        held->large = held->client.CreateBlob(32 * kMiB);
        held->small = held->client.CreateBlob(1000);
        std::ranges::fill(held->large->bytes(), std::byte{1});
        return held;
      },
      [](Bell&) { return 0; });
  EXPECT_GE(Now().memory_usage, start.memory_usage + 32 * kMiB);
  orphan.KillParent();
  InstanceStatus now;
  EXPECT_TRUE(Eventually([&] {
    now = Now();
    return now.memory_usage == start.memory_usage && now.memory_lingering == 0 &&
           now.memory_held <= start.memory_held && now.connections == start.connections;
  })) << "usage "
      << now.memory_usage << " lingering " << now.memory_lingering << " held " << now.memory_held
      << " connections " << now.connections;
  EXPECT_EQ(orphan.End(), 0U);
}

// One that does not use our library's care: it has the memory mapped, writable, for good.
TEST_F(Fork, MemoryThatAStubbornChildKeepsMappedIsEmptiedAndCounted) {
  const InstanceStatus start = Now();
  std::byte* mapped = nullptr;
  Orphan orphan(
      [&]() -> std::shared_ptr<void> {
        auto raw = std::make_shared<RawClient>(daemon_.socket(), FreshToken());
        auto reserved = raw->Ask(MakeFrame(fb::RequestBody::Reserve, [](testing::Builder& b) {
          return fb::CreateReserve(b, 2 * kMiB, 1000).Union();
        }));
        void* at = ::mmap(nullptr, 2 * kMiB, PROT_READ | PROT_WRITE, MAP_SHARED,
                          reserved->fds[0].get(), 0);
        mapped = static_cast<std::byte*>(at);
        std::fill_n(mapped, 2 * kMiB, std::byte{1});
        return raw;
      },
      [&](Bell&) {
        const std::span<const std::byte> bytes(mapped, 2 * kMiB);
        const auto is_empty = [&] {
          return std::ranges::all_of(bytes, [](std::byte b) { return b == std::byte{0}; });
        };
        return Eventually(is_empty) ? 0 : 1;
      });
  orphan.KillParent();
  EXPECT_TRUE(Eventually([&] {
    const InstanceStatus now = Now();
    return now.memory_usage == start.memory_usage && now.memory_lingering == 2 * kMiB;
  }));
  EXPECT_EQ(orphan.End(), 0U);
  EXPECT_TRUE(Eventually([&] { return Now().memory_lingering == 0; }));
}

TEST_F(Fork, ForkingWhileOtherThreadsPutHarmsNeither) {
  std::atomic<bool> stop{false};
  std::vector<std::thread> threads;
  for (uint64_t t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (uint64_t i = 0; !stop; ++i) {
        const size_t size = i % 2 == 0 ? kMiB : 1000;
        auto id = PutPattern(client_, t * 1'000'000 + i, size);
        ASSERT_OK(id);
        ASSERT_TRUE(HoldsPattern(client_.Get(*id), t * 1'000'000 + i, size));
        ASSERT_OK(client_.Delete({*id}));
      }
    });
  }
  ASSERT_OK(PutPattern(client_, 5, kMiB, "n"));
  for (int i = 0; i < 20; ++i) {
    Child child([&] {
      if (!HoldsPattern(client_.Get("n"), 5, kMiB)) return 1;
      return PutPattern(client_, 6, kMiB, "from a child").ok() ? 0 : 2;
    });
    EXPECT_EQ(child.Wait(), 0);
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(Eventually([&] { return Now().memory_lingering == 0; }));
}

}  // namespace
}  // namespace vineyard
