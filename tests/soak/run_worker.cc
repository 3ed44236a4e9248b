// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The process of a seat: it does what it is told, until it is killed or nobody tells it anything.
#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "os/fd.h"
#include "os/mapping.h"
#include "soak/soak.h"
#include "soak/worker.h"

namespace vineyard::soak {

namespace {

Result<uint64_t> Obey(Worker& worker, const Message& message) {
  switch (message.what) {
    case Message::What::kWork: VY_RETURN_IF_ERROR(worker.Run(message.number)); break;
    case Message::What::kCheckAll: VY_RETURN_IF_ERROR(worker.CheckAll()); break;
    case Message::What::kDeleteAll: VY_RETURN_IF_ERROR(worker.DeleteAll()); break;
    case Message::What::kGeneration: return worker.Generation();
  }
  return uint64_t{0};
}

Status Serve(Seat& seat, const std::string& socket, int line, const WorkerOptions& options) {
  VY_ASSIGN_OR_RETURN(Client client, Client::Connect({.socket = socket,
                                                      .wait_for_instance = std::chrono::seconds(60),
                                                      .interrupted = {}}));
  Worker worker(std::move(client), seat, options);
  Message message;
  while (::recv(line, &message, sizeof message, MSG_WAITALL) == ssize_t{sizeof message}) {
    VY_ASSIGN_OR_RETURN(const uint64_t answer, Obey(worker, message));
    if (::send(line, &answer, sizeof answer, MSG_NOSIGNAL) != ssize_t{sizeof answer}) break;
  }
  return {};
}

}  // namespace

int RunWorker(std::span<char* const> arguments) {
  const auto number = [&](size_t i) { return std::strtoull(arguments[i], nullptr, 10); };
  const auto who = static_cast<uint32_t>(number(2));
  const os::UniqueFd file(::open(arguments[1], O_RDWR | O_CLOEXEC));
  auto memory = os::Mapping::Open(file, (who + 1) * sizeof(Seat), os::Access::kReadWrite);
  if (!memory.ok()) return 2;
  Seat& seat = reinterpret_cast<Seat*>(memory->data())[who];
  const Status s = Serve(seat, arguments[0], static_cast<int>(number(3)),
                         {who, number(4), number(5), static_cast<uint32_t>(number(6))});
  if (s.ok()) return 0;
  const std::string text = s.ToString();
  std::memcpy(seat.failure, text.c_str(), std::min(text.size() + 1, sizeof seat.failure - 1));
  return 1;
}

}  // namespace vineyard::soak
