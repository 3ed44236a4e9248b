// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Site: what is answered to which path: the page, the figures, the instance's health.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "http/answer.h"
#include "http/guard.h"
#include "http/kept_answer.h"
#include "http/questions.h"
#include "http/sampler.h"
#include "http/server.h"

namespace vineyard::http {

class Site {
 public:
  /// `deliver` is called from threads of this object's, until it is gone.
  Site(std::string socket, Guard guard, KeptAnswer::Deliver deliver);
  Site(const Site&) = delete;
  Site& operator=(const Site&) = delete;

  void Start();
  /// As Server::Handler.
  std::optional<Answer> Handle(const Request& request, Server::Ticket ticket);

 private:
  std::optional<Answer> HandleFigures(const Request& request, Server::Ticket ticket);
  std::optional<Answer> HandleObjects(const Request& request, const Outlook& outlook,
                                      Server::Ticket ticket);
  std::optional<Answer> HandleWhy(const Request& request, const Outlook& outlook,
                                  Server::Ticket ticket);

  // On the thread of questions_.
  Result<KeptAnswer::Fetched> FetchObjects();
  Result<KeptAnswer::Fetched> FetchWith(Result<std::string> (*ask)(Client&));
  Result<Client*> Instance();

  const std::string socket_;
  const Guard guard_;
  const KeptAnswer::Deliver deliver_;
  std::optional<Client> instance_;  // that thread's own
  KeptAnswer objects_;
  KeptAnswer clients_;
  KeptAnswer waits_;
  Sampler sampler_;
  Questions questions_;  // last: its thread ends before what it uses
};

}  // namespace vineyard::http
