// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "os/socket.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <filesystem>
#include <fstream>

#include "base/testing.h"
#include "os/memfd.h"
#include "os/process.h"
#include "os/user.h"

namespace vineyard::os {
namespace {

namespace fs = std::filesystem;
using std::chrono::milliseconds;

class Socket : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = (fs::temp_directory_path() / "socket_test.XXXXXX").string();
    ASSERT_NE(::mkdtemp(pattern.data()), nullptr);
    folder_ = pattern;
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string Path(const std::string& name) const { return (folder_ / name).string(); }

  fs::path folder_;
};

Result<size_t> Send(const UniqueFd& socket, std::string_view text, std::span<const int> fds = {}) {
  const iovec part{const_cast<char*>(text.data()), text.size()};
  return SendSome(socket, std::span(&part, 1), fds);
}

size_t OpenDescriptors() {
  size_t count = 0;
  for ([[maybe_unused]] const auto& entry : fs::directory_iterator("/proc/self/fd")) ++count;
  return count;
}

TEST_F(Socket, ConnectingToNothingSaysSo) {
  EXPECT_CODE(kUnavailable, ConnectUnix(Path("absent")));
  EXPECT_CODE(kUnavailable, ConnectUnix(""));
  std::ofstream(Path("file")) << "x";
  EXPECT_CODE(kUnavailable, ConnectUnix(Path("file")));
  EXPECT_CODE(kUnavailable, ConnectUnix(folder_.string()));
}

TEST_F(Socket, ListeningWhereSomethingIsAlreadyIsRefused) {
  ASSERT_OK_AND_ASSIGN(const UniqueFd listener, ListenUnix(Path("s"), 0660));
  EXPECT_CODE(kAlreadyExists, ListenUnix(Path("s"), 0660));
  std::ofstream(Path("file")) << "x";
  EXPECT_CODE(kAlreadyExists, ListenUnix(Path("file"), 0660));
  EXPECT_FALSE(ListenUnix(Path("no/such/folder/s"), 0660).ok());
  EXPECT_FALSE(ListenUnix("", 0660).ok());
}

TEST_F(Socket, HasTheModeAskedForWhateverTheUmask) {
  const mode_t before = ::umask(0077);
  ASSERT_OK_AND_ASSIGN(const UniqueFd listener, ListenUnix(Path("s"), 0666));
  ::umask(before);
  struct stat info{};
  ASSERT_EQ(::stat(Path("s").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0666u);
  EXPECT_EQ(BoundPath(listener), Path("s"));
  EXPECT_TRUE(IsListeningUnixSocket(listener));
}

TEST_F(Socket, OnlyAListeningUnixSocketPassesForOne) {
  ASSERT_OK_AND_ASSIGN(const auto pair, SocketPair());
  EXPECT_FALSE(IsListeningUnixSocket(pair.first));
  EXPECT_EQ(BoundPath(pair.first), "");
  EXPECT_FALSE(IsListeningUnixSocket(CreateMemfd("x", PageSize()).value()));
  EXPECT_FALSE(IsListeningUnixSocket(UniqueFd()));
  EXPECT_EQ(BoundPath(UniqueFd()), "");
  const UniqueFd datagram(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  EXPECT_FALSE(IsListeningUnixSocket(datagram));
}

TEST_F(Socket, PathsOfAnyLengthWork) {
  fs::path deep = folder_;
  for (int i = 0; i < 6; ++i) deep /= std::string(50, 'd');
  fs::create_directories(deep);
  const std::string path = (deep / "vineyard.sock").string();
  ASSERT_GT(path.size(), 300u);
  ASSERT_OK_AND_ASSIGN(const UniqueFd listener, ListenUnix(path, 0600));
  struct stat info{};
  ASSERT_EQ(::stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  EXPECT_EQ(ProbeUnix(path).value(), SocketFile::kLive);
  EXPECT_OK(ConnectUnix(path));
  EXPECT_CODE(kAlreadyExists, ListenUnix(path, 0600));
}

TEST_F(Socket, NobodyListensInAFolderThatIsNotThereHoweverLongThePath) {
  for (const size_t length : {size_t{10}, size_t{200}}) {
    const std::string folder = Path(std::string(length, 'd'));
    EXPECT_CODE(kUnavailable, ConnectUnix(folder + "/vineyard.sock")) << length;
    std::ofstream{folder} << "a file";
    EXPECT_CODE(kUnavailable, ConnectUnix(folder + "/vineyard.sock")) << length;
  }
}

TEST_F(Socket, PathsAroundTheKernelsLimitWork) {
  for (size_t length = 104; length <= 112; ++length) {
    const std::string path = Path(std::string(length - folder_.string().size() - 1, 'n'));
    ASSERT_EQ(path.size(), length);
    ASSERT_OK_AND_ASSIGN(const UniqueFd listener, ListenUnix(path, 0600));
    EXPECT_OK(ConnectUnix(path)) << length;
  }
}

TEST_F(Socket, ANameThatIsTooLongForAnyAddressSaysSo) {
  const std::string path = Path(std::string(200, 'n'));
  EXPECT_CODE(kInvalid, ListenUnix(path, 0600));
  EXPECT_CODE(kInvalid, ConnectUnix(path));
}

TEST_F(Socket, ProbeTellsWhatLiesAtAPath) {
  EXPECT_EQ(ProbeUnix(Path("absent")).value(), SocketFile::kAbsent);
  EXPECT_EQ(ProbeUnix(Path("absent/below")).value(), SocketFile::kAbsent);
  std::ofstream(Path("file")) << "x";
  EXPECT_EQ(ProbeUnix(Path("file")).value(), SocketFile::kNotSocket);
  EXPECT_EQ(ProbeUnix(Path("file/below")).value(), SocketFile::kAbsent);
  fs::create_directory(folder_ / "folder");
  EXPECT_EQ(ProbeUnix(Path("folder")).value(), SocketFile::kNotSocket);
  {
    ASSERT_OK_AND_ASSIGN(const UniqueFd listener, ListenUnix(Path("s"), 0600));
    EXPECT_EQ(ProbeUnix(Path("s")).value(), SocketFile::kLive);
    fs::create_symlink(Path("s"), Path("link"));
    EXPECT_EQ(ProbeUnix(Path("link")).value(), SocketFile::kNotSocket);
  }
  EXPECT_EQ(ProbeUnix(Path("s")).value(), SocketFile::kDead);
}

TEST_F(Socket, OnlyADeadSocketIsRemoved) {
  std::ofstream(Path("file")) << "x";
  RemoveDeadSocket(Path("file"));
  EXPECT_TRUE(fs::exists(Path("file")));
  {
    ASSERT_OK_AND_ASSIGN(const UniqueFd listener, ListenUnix(Path("s"), 0600));
    RemoveDeadSocket(Path("s"));
    EXPECT_TRUE(fs::exists(Path("s")));
  }
  RemoveDeadSocket(Path("s"));
  EXPECT_FALSE(fs::exists(Path("s")));
  RemoveDeadSocket(Path("s"));
  EXPECT_OK(ListenUnix(Path("s"), 0600));
}

TEST_F(Socket, AFullQueueIsALiveSocket) {
  ASSERT_OK_AND_ASSIGN(const UniqueFd listener, ListenUnix(Path("s"), 0600));
  ASSERT_EQ(::listen(listener.get(), 0), 0);
  std::vector<UniqueFd> waiting;
  while (true) {
    auto socket = ConnectUnix(Path("s"));
    if (!socket.ok()) {
      EXPECT_CODE(kDeadlineExceeded, socket);  // worth another try
      break;
    }
    waiting.push_back(std::move(socket).value());
  }
  EXPECT_EQ(ProbeUnix(Path("s")).value(), SocketFile::kLive);
}

TEST_F(Socket, AnOrphanedListenerIsToldFromALiveOne) {
  EXPECT_FALSE(IsOrphanedListener(Path("s")));
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    auto listener = ListenUnix(Path("s"), 0600);
    const pid_t heir = ::fork();  // has the socket too, and lives on
    if (heir == 0) {
      while (true) ::pause();
    }
    [[maybe_unused]] ssize_t n = ::write(pipe[1], &heir, sizeof heir);
    ::pause();
    ::_exit(0);
  }
  pid_t heir = 0;
  ASSERT_EQ(::read(pipe[0], &heir, sizeof heir), static_cast<ssize_t>(sizeof heir));
  EXPECT_FALSE(IsOrphanedListener(Path("s")));
  ::kill(child, SIGKILL);
  ASSERT_OK(Reap(child));
  EXPECT_EQ(ProbeUnix(Path("s")).value(), SocketFile::kLive);
  EXPECT_TRUE(IsOrphanedListener(Path("s")));
  ::kill(heir, SIGKILL);
  ::close(pipe[0]);
  ::close(pipe[1]);
}

TEST_F(Socket, PermissionIsAskedOfTheKernel) {
  if (!IsRoot()) GTEST_SKIP() << "only root can become somebody else";
  fs::permissions(folder_, fs::perms::all);
  ASSERT_OK_AND_ASSIGN(const UniqueFd listener, ListenUnix(Path("s"), 0600));
  const pid_t child = ::fork();
  if (child == 0) {
    if (::setgid(65534) != 0 || ::setuid(65534) != 0) ::_exit(1);
    ::_exit(ConnectUnix(Path("s")).status().Is(StatusCode::kPermissionDenied) &&
                    !ProbeUnix(Path("s")).ok()
                ? 0
                : 2);
  }
  EXPECT_EQ(Reap(child).value().code, 0);
}

TEST_F(Socket, AcceptWithoutAConnectionFindsNone) {
  ASSERT_OK_AND_ASSIGN(const UniqueFd listener, ListenUnix(Path("s"), 0600));
  EXPECT_CODE(kNotFound, Accept(listener));
  ASSERT_OK_AND_ASSIGN(const UniqueFd client, ConnectUnix(Path("s")));
  ASSERT_OK_AND_ASSIGN(const UniqueFd server, Accept(listener));
  ASSERT_OK_AND_ASSIGN(const Peer peer, GetPeer(server));
  EXPECT_EQ(peer.pid, ::getpid());
  EXPECT_EQ(peer.uid, ::getuid());
  EXPECT_FALSE(HasEnded(peer.pidfd));
}

TEST_F(Socket, BytesAndDescriptorsArrive) {
  ASSERT_OK_AND_ASSIGN(const auto pair, SocketPair());
  ASSERT_OK_AND_ASSIGN(const UniqueFd memory, CreateMemfd("socket_test", PageSize()));
  std::vector<int> fds(kMaxFdsPerMessage, memory.get());
  ASSERT_EQ(Send(pair.first, "hello", fds).value(), 5u);
  std::array<std::byte, 16> buffer{};
  std::vector<UniqueFd> received;
  ASSERT_OK_AND_ASSIGN(const Received got, ReceiveSome(pair.second, buffer, &received));
  EXPECT_EQ(got.bytes, 5u);
  ASSERT_EQ(received.size(), kMaxFdsPerMessage);
  for (const UniqueFd& fd : received) {
    EXPECT_EQ(FileIdentity(fd).value(), FileIdentity(memory).value());
    EXPECT_NE(::fcntl(fd.get(), F_GETFD) & FD_CLOEXEC, 0);
  }
}

TEST_F(Socket, ReceivingTellsNothingYetFromTheEnd) {
  ASSERT_OK_AND_ASSIGN(auto pair, SocketPair());
  std::array<std::byte, 16> buffer{};
  std::vector<UniqueFd> fds;
  EXPECT_TRUE(ReceiveSome(pair.second, buffer, &fds).value().would_block);
  ASSERT_OK(Send(pair.first, "x"));
  pair.first.Reset();
  EXPECT_EQ(ReceiveSome(pair.second, buffer, &fds).value().bytes, 1u);
  EXPECT_TRUE(ReceiveSome(pair.second, buffer, &fds).value().closed);
  EXPECT_CODE(kUnavailable, Send(pair.second, "x"));
}

TEST_F(Socket, AFullSocketTakesNothingAndLosesNothing) {
  ASSERT_OK_AND_ASSIGN(const auto pair, SocketPair());
  const std::string chunk(1000, 'x');
  size_t sent = 0;
  while (true) {
    ASSERT_OK_AND_ASSIGN(const size_t n, Send(pair.first, chunk));
    if (n == 0) break;
    sent += n;
  }
  EXPECT_CODE(kDeadlineExceeded, WaitReady(pair.first.get(), Readiness::kWrite, Clock::now(), {}));
  std::array<std::byte, 4096> buffer{};
  std::vector<UniqueFd> fds;
  while (sent > 0) sent -= ReceiveSome(pair.second, buffer, &fds).value().bytes;
  EXPECT_TRUE(ReceiveSome(pair.second, buffer, &fds).value().would_block);
  EXPECT_OK(WaitReady(pair.first.get(), Readiness::kWrite, Clock::now(), {}));
}

TEST_F(Socket, DescriptorsThatDoNotFitIntoTheProcessAreToldOf) {
  ASSERT_OK_AND_ASSIGN(const auto pair, SocketPair());
  const std::vector<int> numbers(8, pair.first.get());
  ASSERT_EQ(Send(pair.first, "x", numbers).value(), 1u);
  const pid_t child = ::fork();
  if (child == 0) {
    const rlimit few{OpenDescriptors() + 2, OpenDescriptors() + 2};
    ::setrlimit(RLIMIT_NOFILE, &few);
    std::array<std::byte, 16> buffer{};
    std::vector<UniqueFd> fds;
    const auto got = ReceiveSome(pair.second, buffer, &fds);
    ::_exit(got.ok() && got->fds_lost && got->bytes == 1 ? 0 : 1);
  }
  EXPECT_EQ(Reap(child).value().code, 0);
}

// Only users without CAP_SYS_RESOURCE and CAP_SYS_ADMIN are limited, each as a whole: a user id of its
// own for the test.
TEST_F(Socket, DescriptorsThatNobodyTakesAreLimited) {
  if (EffectiveUser() != 0) GTEST_SKIP() << "needs root";
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    const rlimit few{64, 64};
    const uid_t nobody = 100'000 + static_cast<uid_t>(::getpid());
    if (::setrlimit(RLIMIT_NOFILE, &few) != 0 || ::setuid(nobody) != 0) ::_exit(1);
    auto pair = SocketPair();
    if (!pair.ok()) ::_exit(2);
    const int own = pair->first.get();
    for (int i = 0; i < 200; ++i) {
      auto sent = Send(pair->first, "x", std::span(&own, 1));
      if (sent.status().Is(StatusCode::kLimitExceeded)) ::_exit(0);
      if (!sent.ok() || *sent != 1) ::_exit(3);
    }
    ::_exit(4);
  }
  EXPECT_EQ(Reap(child).value().code, 0);
}

TEST_F(Socket, DescriptorsThatNobodyTakesAreClosedWithTheSocket) {
  const size_t before = OpenDescriptors();
  {
    ASSERT_OK_AND_ASSIGN(const auto pair, SocketPair());
    const int number = pair.first.get();
    for (int i = 0; i < 10; ++i) ASSERT_OK(Send(pair.first, "x", std::span(&number, 1)));
    std::array<std::byte, 1> buffer{};
    std::vector<UniqueFd> fds;
    ASSERT_OK(ReceiveSome(pair.second, buffer, &fds));
    EXPECT_EQ(fds.size(), 1u);
  }
  EXPECT_EQ(OpenDescriptors(), before);
}

TEST_F(Socket, WaitingEndsAtTheDeadlineOrWhenInterrupted) {
  ASSERT_OK_AND_ASSIGN(const auto pair, SocketPair());
  EXPECT_CODE(kDeadlineExceeded, WaitReady(pair.first.get(), Readiness::kRead, Clock::now(), {}));
  EXPECT_CODE(kDeadlineExceeded,
              WaitReady(pair.first.get(), Readiness::kRead, Clock::now() + milliseconds(5), {}));
  EXPECT_CODE(kDeadlineExceeded, WaitReady(pair.first.get(), Readiness::kRead,
                                           Clock::now() - std::chrono::hours(1), {}));
  int asked = 0;
  EXPECT_CODE(kCancelled, WaitReady(pair.first.get(), Readiness::kRead, TimePoint::max(),
                                    [&] { return ++asked == 2; }));
  EXPECT_EQ(asked, 2);
}

TEST_F(Socket, WaitingEndsWhenTheOtherSideGoes) {
  ASSERT_OK_AND_ASSIGN(auto pair, SocketPair());
  pair.first.Reset();
  EXPECT_OK(WaitReady(pair.second.get(), Readiness::kRead, TimePoint::max(), {}));
}

}  // namespace
}  // namespace vineyard::os
