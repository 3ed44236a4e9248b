// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "http/site.h"

#include <charconv>
#include <chrono>
#include <utility>
#include <vector>

#include "http/objects.h"
#include "http/page.h"
#include "http/why.h"

namespace vineyard::http {

namespace {

constexpr Timeout kPatience{5'000};
constexpr Timeout kPatienceWithList{20'000};

Answer PrometheusAnswer(Body text) {
  return {.type = "text/plain; version=0.0.4; charset=utf-8", .body = std::move(text)};
}

Answer NotReady(const Outlook& outlook) { return ErrorAnswer(503, "unavailable", outlook.why_not); }

std::optional<uint64_t> ReadNumber(std::string_view text) {
  uint64_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return number;
}

}  // namespace

Site::Site(std::string socket, Guard guard, KeptAnswer::Deliver deliver)
    : socket_(std::move(socket)), guard_(std::move(guard)), deliver_(std::move(deliver)),
      objects_(
          questions_, [this] { return FetchObjects(); }, deliver_),
      clients_(
          questions_, [this] { return FetchWith(ClientsJson); }, deliver_),
      waits_(questions_, [this] { return FetchWith(WaitsJson); }, deliver_), sampler_(socket_) {}

void Site::Start() {
  sampler_.Start();
  questions_.Start();
}

std::optional<Answer> Site::Handle(const Request& request, Server::Ticket ticket) {
  if (const auto refused = guard_.Check(request)) return ErrorAnswer(*refused);
  if (request.path == "/healthz") return TextAnswer(200, "ok\n");
  if (request.path == "/readyz") {
    const auto outlook = sampler_.Look();
    return outlook->ready ? TextAnswer(200, "ok\n") : TextAnswer(503, outlook->why_not + "\n");
  }
  for (const PageFile& file : PageFiles()) {
    if (request.path != file.path) continue;
    return Answer{.type = file.type, .body = file.body};
  }
  const bool is_figures = request.path == "/metrics" || request.path.starts_with("/api/");
  if (!is_figures) return ErrorAnswer(404, "not_found", "there is nothing at this path");
  if (const auto refused = guard_.CheckToken(request)) return ErrorAnswer(*refused);
  return HandleFigures(request, ticket);
}

std::optional<Answer> Site::HandleFigures(const Request& request, Server::Ticket ticket) {
  const auto outlook = sampler_.Look();
  if (request.path == "/metrics") return PrometheusAnswer(outlook->metrics);
  if (request.path == "/api/v1/history" && outlook->history)
    return Answer{.body = outlook->history};
  if (!outlook->ready) return NotReady(*outlook);
  if (request.path == "/api/v1/state") return Answer{.body = outlook->state};
  if (request.path == "/api/v1/objects") return HandleObjects(request, *outlook, ticket);
  if (request.path == "/api/v1/why") return HandleWhy(request, *outlook, ticket);
  if (request.path == "/api/v1/clients") return clients_.Get(std::nullopt, std::nullopt, ticket);
  if (request.path == "/api/v1/waits") return waits_.Get(std::nullopt, std::nullopt, ticket);
  return ErrorAnswer(404, "not_found", "there is nothing at this path");
}

std::optional<Answer> Site::HandleObjects(const Request& request, const Outlook& outlook,
                                          Server::Ticket ticket) {
  std::optional<uint64_t> since;
  if (const auto text = request.Parameter("since")) {
    since = ReadNumber(*text);
    if (!since) return ErrorAnswer(400, "invalid", "since is no version");
  }
  return objects_.Get(outlook.objects_version, since, ticket);
}

std::optional<Answer> Site::HandleWhy(const Request& request, const Outlook& outlook,
                                      Server::Ticket ticket) {
  const auto id = ObjectId::Parse(request.Parameter("id").value_or(""));
  if (!id) return ErrorAnswer(400, "invalid", "id is none; write one such as o000000000000002a");
  const std::string name(request.Parameter("volume").value_or("default"));
  const auto volume = outlook.sample->volumes.find(name);
  if (volume == outlook.sample->volumes.end()) {
    return ErrorAnswer(404, "not_found", "there is no such volume");
  }
  const auto job = [this, ticket, id = *id, socket = volume->second.socket] {
    auto client = Client::Connect({.socket = socket, .timeout = kPatience});
    if (!client.ok()) return deliver_(ticket, StatusAnswer(client.status()));
    auto json = WhyJson(*client, id);
    deliver_(ticket, json.ok() ? JsonAnswer(std::move(json).value()) : StatusAnswer(json.status()));
  };
  if (questions_.Ask(job)) return std::nullopt;
  return ErrorAnswer(503, "busy", "too many questions wait; ask again");
}

Result<KeptAnswer::Fetched> Site::FetchObjects() {
  const auto outlook = sampler_.Look();
  if (!outlook->ready) return Status::Unavailable(outlook->why_not);
  std::vector<VolumeInfo> volumes;
  for (const auto& [name, volume] : outlook->sample->volumes) volumes.push_back(volume);
  const int64_t time = UnixMilliseconds();
  const Contents contents = FetchContents(volumes, kPatienceWithList);
  // As of before it was asked for: what has changed meanwhile is asked for again.
  return KeptAnswer::Fetched{outlook->objects_version,
                             ObjectsJson(contents, outlook->objects_version, time)};
}

Result<KeptAnswer::Fetched> Site::FetchWith(Result<std::string> (*ask)(Client&)) {
  VY_ASSIGN_OR_RETURN(Client * instance, Instance());
  VY_ASSIGN_OR_RETURN(std::string json, ask(*instance));
  return KeptAnswer::Fetched{static_cast<uint64_t>(UnixMilliseconds()), std::move(json)};
}

Result<Client*> Site::Instance() {
  if (!instance_) {
    auto client = Client::Connect({.socket = socket_, .timeout = kPatience});
    if (!client.ok()) return std::move(client).status();
    instance_.emplace(std::move(client).value());
  }
  return &*instance_;
}

}  // namespace vineyard::http
