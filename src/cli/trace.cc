// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The requests there were, and those that come.
#include <charconv>
#include <thread>

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/nouns.h"
#include "cli/people.h"
#include "cli/verbs.h"

namespace vineyard::cli {

namespace {

constexpr std::chrono::milliseconds kPause{200};

struct Options {
  bool all = false;
  bool follow = false;
  std::string limit = "20";
  std::string slower = "0";
  std::string of;
  bool failed = false;
};

// "3": all of client 3; "3#17": its request 17; nothing: everybody's.
struct Asker {
  uint64_t client = 0;
  uint64_t request_id = 0;

  [[nodiscard]] bool Includes(const TracedRequest& r) const {
    return (client == 0 || r.client == client) && (request_id == 0 || r.request_id == request_id);
  }
};

Result<Asker> ParseAsker(const std::string& text) {
  Asker asker;
  if (text.empty()) return asker;
  const char* const end = text.data() + text.size();
  auto read = std::from_chars(text.data(), end, asker.client);
  if (read.ec == std::errc() && read.ptr != end && *read.ptr == '#') {
    read = std::from_chars(read.ptr + 1, end, asker.request_id);
    if (asker.request_id == 0) read.ec = std::errc::invalid_argument;
  }
  if (read.ec == std::errc() && read.ptr == end && asker.client != 0) return asker;
  return Status::Invalid(fmt::format(
      "--of: '{}' is none; say a client's number, or a request's, as in 3 or 3#17", text));
}

nlohmann::json RequestJson(const TracedRequest& r, const People& people) {
  return {{"sequence", r.sequence},
          {"time", FormatTime(r.begun_unix_ns)},
          {"begun_unix_ns", r.begun_unix_ns},
          {"request", r.kind},
          {"request_id", r.request_id},
          {"client", r.client},
          {"pid", r.pid},
          {"program", people.Program(r.pid)},
          {"volume", r.volume},
          {"bytes", r.bytes},
          {"took_us", r.took.count() / 1000},
          {"waited_us", r.waited.count() / 1000},
          {"result", r.code == StatusCode::kOk ? "ok" : std::string(StatusCodeName(r.code))}};
}

std::string Micros(std::chrono::nanoseconds time) {
  const double us = static_cast<double>(time.count()) / 1000;
  return us < 10'000 ? fmt::format("{:.0f}us", us) : fmt::format("{:.1f}ms", us / 1000);
}

std::string RequestLine(const TracedRequest& r, const People& people) {
  std::string line =
      fmt::format("{} {:>8} {:<12} {:<13} {}#{} {}", FormatTime(r.begun_unix_ns), Micros(r.took),
                  r.kind, r.code == StatusCode::kOk ? "ok" : StatusCodeName(r.code), r.client,
                  r.request_id, people.Name(r.pid));
  if (r.waited.count() > 0) line += fmt::format(" waited {}", Micros(r.waited));
  return line;
}

class Tracer {
 public:
  Tracer(Session& session, Client& client, const Options& options, size_t limit, Timeout slower,
         Asker of)
      : session_(session), client_(client), options_(options), limit_(limit), slower_(slower),
        of_(of) {}

  Status Run() {
    VY_RETURN_IF_ERROR(TakePages());
    const size_t first = shown_.size() > limit_ ? shown_.size() - limit_ : 0;
    shown_.erase(shown_.begin(), shown_.begin() + static_cast<ptrdiff_t>(first));
    if (!options_.follow && session_.wants_json()) return PrintAll();
    VY_RETURN_IF_ERROR(PrintLines());
    while (options_.follow && !session_.reader_is_gone()) {
      std::this_thread::sleep_for(kPause);
      VY_RETURN_IF_ERROR(TakePages());
      VY_RETURN_IF_ERROR(PrintLines());
    }
    return {};
  }

 private:
  Status TakePages() {
    bool more = true;
    while (more) {
      VY_ASSIGN_OR_RETURN(TracePage page, client_.GetTrace(after_, options_.all));
      if (page.missed > 0 && after_ > 0) {
        Session::Say(fmt::format("{} were forgotten before they could be shown",
                                 Count(page.missed, "request")));
      }
      for (TracedRequest& r : page.requests) {
        if (r.took < slower_ || (options_.failed && r.code == StatusCode::kOk)) continue;
        if (r.kind == "GetTrace" || !of_.Includes(r)) continue;  // the first are this program's
        shown_.push_back(std::move(r));
      }
      after_ = page.last;
      more = page.more;
    }
    return {};
  }

  Status LearnPeople() {
    VY_ASSIGN_OR_RETURN(const std::vector<ClientInfo> clients, client_.ListClients(options_.all));
    people_ = People(clients);
    return {};
  }

  Status PrintAll() {
    VY_RETURN_IF_ERROR(LearnPeople());
    nlohmann::json list = nlohmann::json::array();
    for (const TracedRequest& r : shown_) list.push_back(RequestJson(r, people_));
    session_.PrintJson({{"requests", std::move(list)}});
    return {};
  }

  Status PrintLines() {
    if (shown_.empty()) return {};
    VY_RETURN_IF_ERROR(LearnPeople());
    for (const TracedRequest& r : shown_) {
      session_.Print(session_.wants_json() ? JsonLine(RequestJson(r, people_))
                                           : EscapedLine(RequestLine(r, people_)));
    }
    shown_.clear();
    return session_.Flush();
  }

  Session& session_;
  Client& client_;
  const Options& options_;
  const size_t limit_;
  const Timeout slower_;
  const Asker of_;
  uint64_t after_ = 0;
  std::vector<TracedRequest> shown_;
  People people_;
};

Status ShowTrace(Session& session, const Options& options) {
  VY_ASSIGN_OR_RETURN(const size_t limit, ParseLimit(options.limit));
  VY_ASSIGN_OR_RETURN(const Timeout slower, ParseTimeout("--slower-than", options.slower));
  VY_ASSIGN_OR_RETURN(const Asker of, ParseAsker(options.of));
  VY_ASSIGN_OR_RETURN(Client client, session.Connect());
  return Tracer(session, client, options, limit, slower, of).Run();
}

}  // namespace

void AddTrace(CLI::App& root, Session& session) {
  CLI::App& trace = AddCommand(
      root,
      {.name = "trace",
       .description =
           "Requests that were answered: when, how long it took, what came of it.\n"
           "Whose it was is CLIENT#REQUEST, as the client counts. Gets of what is in memory ask\n"
           "nobody, and are not here. What was slow or failed is remembered longest.",
       .json =
           R"({"requests": [{"sequence", "time", "begun_unix_ns", "request", "request_id", "client",
  "pid", "program", "volume", "bytes", "took_us", "waited_us", "result"}]}; with --follow
  each request is a document of its own, in a line)",
       .example = R"(follow what fails, or takes longer than 10 ms
  vineyardctl trace --follow --failed
  vineyardctl trace --follow --slower-than 10ms
  vineyardctl trace --of 3#17)"});
  Options& options = RunWhenChosen(trace, session, ShowTrace);
  trace.add_flag("-f,--follow", options.follow, "go on with those that come, until Ctrl-C");
  trace
      .add_option("--limit", options.limit,
                  "of those there were, the last so many; 0: all; 20 by default")
      ->type_name("N");
  trace.add_option("--slower-than", options.slower, "only those that took as long")
      ->type_name("DURATION");
  trace.add_option("--of", options.of, "only this client's requests, or this one request")
      ->type_name("CLIENT[#REQUEST]");
  trace.add_flag("--failed", options.failed, "only those that were refused or failed");
  trace.add_flag("--all", options.all,
                 "of all volumes: for the owner of the instance, at its first socket");
}

}  // namespace vineyard::cli
