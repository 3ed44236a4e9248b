// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "http/web_client.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <utility>

#include <gtest/gtest.h>

#include "os/process.h"

namespace vineyard::testing {

namespace fs = std::filesystem;

WebConnection::WebConnection(uint16_t port)
    : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fd_.Reset();
}

bool WebConnection::Say(const std::string& text) const {
  size_t sent = 0;
  while (sent < text.size()) {
    const ssize_t n = ::send(fd_.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) return false;
    sent += static_cast<size_t>(n);
  }
  return true;
}

std::string WebConnection::HearAll() const {
  std::string all;
  std::array<char, 65536> buffer;
  for (ssize_t n = 0; (n = ::recv(fd_.get(), buffer.data(), buffer.size(), 0)) > 0;) {
    all.append(buffer.data(), static_cast<size_t>(n));
  }
  return all;
}

nlohmann::json WebAnswer::json() const {
  auto parsed = nlohmann::json::parse(body, nullptr, /*allow_exceptions=*/false);
  EXPECT_FALSE(parsed.is_discarded()) << body.substr(0, 1000);
  return parsed;
}

uint16_t PortInLog(const std::string& log) {
  const std::string mark = "HTTP is answered address=";
  const size_t begin = log.rfind(mark);
  if (begin == std::string::npos) return 0;
  const std::string line = log.substr(begin, log.find('\n', begin) - begin);
  uint16_t port = 0;
  const size_t colon = line.rfind(':');
  std::from_chars(line.data() + colon + 1, line.data() + line.size(), port);
  return port;
}

pid_t WebProcessOf(pid_t keeper) {
  for (const auto& entry : fs::directory_iterator("/proc")) {
    const std::string name = entry.path().filename().string();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const auto pid = static_cast<pid_t>(std::stol(name));
    if (os::ProcessName(pid) != "vineyardd-http") continue;
    std::ifstream in(entry.path() / "status");
    for (std::string line; std::getline(in, line);) {
      if (line == "PPid:\t" + std::to_string(keeper)) return pid;
    }
  }
  return 0;
}

namespace {

DaemonOptions WithHttp(std::vector<std::string> flags, const std::string& address,
                       const std::string& program) {
  flags.push_back("--http=" + address);
  return {.flags = std::move(flags), .environment = {}, .program = program};
}

}  // namespace

WebDaemon::WebDaemon(std::vector<std::string> flags, const std::string& address,
                     const std::string& program)
    : TestDaemon(WithHttp(std::move(flags), address, program)), port_(PortInLog(log())) {
  EXPECT_NE(port_, 0) << log();
}

WebAnswer WebDaemon::Get(const std::string& path, const std::string& lines) const {
  const WebConnection connection(port_);
  const std::string host = lines.find("Host:") == std::string::npos
                               ? "Host: 127.0.0.1:" + std::to_string(port_) + "\r\n"
                               : "";
  connection.Say("GET " + path + " HTTP/1.1\r\n" + host + "Connection: close\r\n" + lines + "\r\n");
  const std::string all = connection.HearAll();
  WebAnswer answer;
  const size_t end = all.find("\r\n\r\n");
  if (!all.starts_with("HTTP/1.1 ") || end == std::string::npos) return answer;
  answer.status = static_cast<int>(std::stol(all.substr(9, 3)));
  answer.head = all.substr(0, end + 2);
  answer.body = all.substr(end + 4);
  return answer;
}

WebAnswer WebDaemon::Await(const std::string& path, int status) const {
  WebAnswer answer;
  EXPECT_TRUE(Eventually([&] { return (answer = Get(path)).status == status; }))
      << path << " is answered by " << answer.status << " " << answer.body;
  return answer;
}

pid_t WebDaemon::web() const {
  pid_t pid = 0;
  EXPECT_TRUE(Eventually([&] { return (pid = WebProcessOf(keeper())) != 0; }));
  return pid;
}

}  // namespace vineyard::testing
