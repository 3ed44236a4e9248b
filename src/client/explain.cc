// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Why an object is there: the answers of several questions, and what follows from them.
#include <fmt/format.h>

#include "base/size.h"
#include "client/impl.h"

namespace vineyard {

namespace {

constexpr size_t kMostReferrers = 100;

std::string Who(const ClientInfo& client) {
  std::string who = client.program.empty() ? "a program" : client.program;
  who += fmt::format(" (pid {}", client.pid);
  if (!client.pod.empty()) who += ", pod " + client.pod;
  return who + ")";
}

/// Writes down what follows from what is known of an object.
class Reasoning {
 public:
  Reasoning(Explanation& found, bool has_disk) : found_(found), has_disk_(has_disk) {}

  void Run() {
    found_.evictable = has_disk_ && found_.places.memory_bytes > 0;
    SayWhyItIsStored();
    SayWhereItIs();
    SayWhoHoldsIt();
    if (found_.evictable) {
      Because("nobody uses it now: it goes to the disk when memory is short");
      Advise(fmt::format("vineyardctl object evict {} moves it to the disk now", id()));
    }
    Advise(fmt::format("vineyardctl object rm {}{} deletes it", id(),
                       found_.referrers.empty() ? "" : " --force"));
  }

 private:
  [[nodiscard]] std::string id() const { return found_.info.id.ToString(); }
  void Because(std::string reason) { found_.reasons.push_back(std::move(reason)); }
  void Advise(std::string advice) { found_.advice.push_back(std::move(advice)); }
  void KeptInMemory(std::string reason) {
    found_.evictable = false;
    Because(std::move(reason));
  }

  void SayWhyItIsStored() {
    for (const NameInfo& name : found_.names) {
      Because(fmt::format("the name '{}' points to it{}", name.name,
                          name.ttl || name.linger ? ", for a time" : ""));
    }
    for (const ObjectInfo& object : found_.referrers) {
      Because(fmt::format("it is a part of {} ({})", object.id.ToString(), object.type_name));
    }
    if (found_.names.empty() && found_.referrers.empty()) {
      Because("nothing refers to it: it stays until somebody deletes it");
    }
  }

  void SayWhereItIs() {
    const Places& places = found_.places;
    if (!places.damage.empty()) Because("a part of it can't be read: " + places.damage);
    if (places.memory_bytes + places.spilled_bytes == 0) {
      return KeptInMemory("it is small: it lies among other small things, and stays in memory");
    }
    if (places.spilled_bytes > 0) {
      Because(fmt::format("{} of it lie on the disk only", FormatSize(places.spilled_bytes)));
    }
    if (places.memory_bytes > 0 && !has_disk_) {
      Because("the instance has no disk to move it to");
      Advise("start the instance with --spill_path, and it moves what nobody uses to the disk");
    }
  }

  void SayWhoHoldsIt() {
    bool any_maps = false;
    for (const ClientInfo& holder : found_.places.holders) {
      if (holder.mapped_bytes > 0) {
        any_maps = true;
        KeptInMemory(
            fmt::format("{} has {} of it mapped", Who(holder), FormatSize(holder.mapped_bytes)));
        Advise(fmt::format("have {} let go of it (del its arrays), or end it", Who(holder)));
      }
      if (holder.pinned_bytes > 0) {
        KeptInMemory(fmt::format("{} has pinned it", Who(holder)));
        Advise(fmt::format("have {} unpin it, or end it", Who(holder)));
      }
    }
    if (found_.places.in_use && !any_maps) {
      KeptInMemory(
          "a process that the instance does not know has it mapped: a fork, perhaps, or who was "
          "given it");
      Advise("look for the process: grep -l vineyard /proc/*/maps");
    }
    if (!found_.places.kept) return;
    bool by_own_name = false;
    for (const NameInfo& name : found_.names) {
      if (!name.keep) continue;
      by_own_name = true;
      KeptInMemory(fmt::format("the name '{}' keeps it in memory", name.name));
      Advise(fmt::format("vineyardctl name put '{}' {} lets it go to the disk", name.name, id()));
    }
    if (!by_own_name)
      KeptInMemory("a name that points to something it is a part of keeps it in memory");
  }

  Explanation& found_;
  const bool has_disk_;
};

}  // namespace

Result<Explanation> Client::Explain(ObjectId id, const CallOptions& options) {
  Explanation found;
  if (id.is_blob()) {
    VY_ASSIGN_OR_RETURN(const bool exists, Exists(id, options));
    if (!exists) return Status::NotFound(fmt::format("no blob {}", id.ToString()));
    found.info.id = id;
    found.info.type_name = "vineyard::Blob";
    found.info.metadata = "{}";
  } else {
    VY_ASSIGN_OR_RETURN(const Object object,
                        Get(id, {.timeout = options.timeout, .map_buffers = false}));
    found.info = object.info();
  }
  VY_ASSIGN_OR_RETURN(found.places, GetPlaces(id, options));
  if (id.is_blob()) found.info.nbytes = found.places.memory_bytes + found.places.spilled_bytes;
  ListNamesOptions names{.timeout = options.timeout};
  names.id = id;
  if (found.places.references > 0) {
    VY_ASSIGN_OR_RETURN(found.names, ListNames(names));
  }
  if (found.places.references > found.names.size()) {
    ListOptions referrers{.timeout = options.timeout};
    referrers.limit =
        std::min<size_t>(found.places.references - found.names.size(), kMostReferrers);
    referrers.member = id;
    VY_ASSIGN_OR_RETURN(found.referrers, List(referrers));
  }
  Reasoning(found, impl_->connection().facts().has_disk).Run();
  return found;
}

}  // namespace vineyard
