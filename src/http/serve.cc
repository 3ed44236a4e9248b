// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "http/serve.h"

#include <csignal>
#include <memory>
#include <utility>

#include "base/logging.h"
#include "http/server.h"
#include "http/site.h"
#include "os/process.h"
#include "os/sandbox.h"
#include "os/tcp.h"

namespace vineyard::http {

namespace {

// A list of kMostListed objects, what it is made of, and the bodies on their way.
constexpr uint64_t kPrivateMemory = uint64_t{1} << 30;

Status EnterSandbox() {
  os::SandboxReport report;
  VY_RETURN_IF_ERROR(os::GiveUpRights({}, &report));
  VY_RETURN_IF_ERROR(os::RestrictCallsOfHttp(&report));
  if (!report.missing.empty()) {
    log::Warning("the process that answers HTTP keeps rights that it does not need",
                 {{"why", report.missing}});
  }
  return {};
}

}  // namespace

Status Serve(os::UniqueFd listener, const ServeOptions& options) {
  os::SetProcessName("vineyardd-http");
  std::signal(SIGPIPE, SIG_IGN);
  VY_ASSIGN_OR_RETURN(os::TcpAddress address, os::BoundTcpAddress(listener));
  VY_ASSIGN_OR_RETURN(std::string token, ReadToken(options.token_file));
  VY_RETURN_IF_ERROR(os::LimitPrivateMemory(kPrivateMemory));
  if (options.sandbox) VY_RETURN_IF_ERROR(EnterSandbox());

  std::unique_ptr<Server> server;  // outlives the site, whose threads deliver to it
  Site site(options.instance_socket, Guard(std::move(address), std::move(token)),
            [&server](Server::Ticket ticket, Answer answer) {
              server->Deliver(ticket, std::move(answer));
            });
  const auto handler = [&site](const Request& request, Server::Ticket ticket) {
    return site.Handle(request, ticket);
  };
  VY_ASSIGN_OR_RETURN(server, Server::Make(std::move(listener), handler));
  site.Start();
  return server->Run();
}

}  // namespace vineyard::http
