// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "client/survey.h"

#include <algorithm>
#include <span>
#include <utility>

#include "client/call_stream.h"
#include "client/impl.h"
#include "wire/codec.h"

namespace vineyard {

namespace client {

namespace {

// Of one request: so that it does not keep the engine for long.
constexpr uint32_t kAPage = 1'000;

std::string_view View(const flatbuffers::String* text) {
  return text == nullptr ? std::string_view() : text->string_view();
}

Status CutOff() { return Status::Protocol("the instance's list is cut off"); }

}  // namespace

uint32_t SurveyBuilder::NumberOfType(std::string_view type) {
  if (last_type_ < types_.size() && types_[last_type_] == type) return last_type_;
  const auto next = static_cast<uint32_t>(types_.size());
  const auto [found, is_new] = numbers_of_types_.try_emplace(std::string(type), next);
  if (is_new) types_.emplace_back(type);
  return last_type_ = found->second;
}

uint32_t SurveyBuilder::NumberOfCreator(const fb::Descriptor& descriptor) {
  const fb::Stamp& stamp = *descriptor.stamp();
  const std::string_view pod = View(descriptor.pod());
  const std::string_view program = View(descriptor.program());
  if (last_creator_ < creators_.size()) {
    const Creator& last = creators_[last_creator_];
    const bool is_it = last.pid == stamp.creator_pid() && last.uid == stamp.creator_uid() &&
                       last.pod == pod && last.program == program;
    if (is_it) return last_creator_;
  }
  const auto next = static_cast<uint32_t>(creators_.size());
  const auto [found, is_new] = numbers_of_creators_.try_emplace(
      {stamp.creator_pid(), stamp.creator_uid(), std::string(pod), std::string(program)}, next);
  if (is_new) {
    creators_.push_back(
        {stamp.creator_pid(), stamp.creator_uid(), std::string(pod), std::string(program)});
  }
  return last_creator_ = found->second;
}

void SurveyBuilder::Add(const fb::Descriptor& descriptor) {
  Entry entry{.id = descriptor.stamp()->id(),
              .created_unix_ns = descriptor.stamp()->created_unix_ns(),
              .type = NumberOfType(descriptor.type_name()->string_view()),
              .creator = NumberOfCreator(descriptor),
              .first_member = static_cast<uint32_t>(members_.size()),
              .first_blob = static_cast<uint32_t>(blobs_.size())};
  if (descriptor.buffers() != nullptr) {
    const uint64_t own = ObjectId(entry.id).own_blob().value();
    for (const fb::BufferRange* buffer : *descriptor.buffers()) {
      entry.bytes += buffer->length();
      if (buffer->blob() != 0 && buffer->blob() != own) {
        blobs_.push_back(buffer->blob());
      } else if (buffer->length() > 0) {
        entry.has_own_bytes = true;
      }
    }
  }
  if (descriptor.members() != nullptr) {
    for (const fb::Member* member : *descriptor.members()) members_.push_back(member->id());
  }
  entry.members = static_cast<uint32_t>(members_.size()) - entry.first_member;
  entry.blobs = static_cast<uint32_t>(blobs_.size()) - entry.first_blob;
  entries_.push_back(entry);
}

const SurveyBuilder::Entry* SurveyBuilder::Find(uint64_t id) const {
  const auto found = std::ranges::lower_bound(entries_, id, {}, &Entry::id);
  return found != entries_.end() && found->id == id ? &*found : nullptr;
}

// The blob that was put together with an object is a part of that, as long as that is there.
bool SurveyBuilder::IsPart(const Entry& entry, const std::vector<uint64_t>& parts) const {
  const ObjectId id(entry.id);
  return std::ranges::binary_search(parts, entry.id) ||
         (id.is_blob() && Find(id.owner_of_blob().value()) != nullptr);
}

void SurveyBuilder::AddPlaces(const Entry& entry, Below* below) const {
  const auto add = [&](uint64_t blob) {
    (std::ranges::binary_search(spilled_, blob) ? below->on_disk : below->in_memory) = true;
  };
  if (entry.has_own_bytes) add(ObjectId(entry.id).own_blob().value());
  for (const uint64_t blob : std::span(blobs_).subspan(entry.first_blob, entry.blobs)) add(blob);
}

SurveyBuilder::Below SurveyBuilder::LookBelow(const Entry& root, uint64_t* steps) {
  Below below{.bytes = root.bytes};
  if (!spilled_.empty()) AddPlaces(root, &below);
  if (root.members == 0) return below;
  ++walk_;
  const auto come_by = [this](const Entry& entry) {
    return std::exchange(seen_by_[static_cast<size_t>(&entry - entries_.data())], walk_) != walk_;
  };
  come_by(root);
  std::vector<const Entry*> left{&root};
  while (!left.empty()) {
    const Entry& entry = *left.back();
    left.pop_back();
    for (const uint64_t id : std::span(members_).subspan(entry.first_member, entry.members)) {
      if (*steps == 0) {
        below.bytes = std::nullopt;
        return below;
      }
      --*steps;
      const Entry* member = Find(id);
      if (member == nullptr || !come_by(*member)) continue;
      *below.bytes += member->bytes;
      if (!spilled_.empty()) AddPlaces(*member, &below);
      left.push_back(member);
    }
  }
  return below;
}

Survey SurveyBuilder::Finish(uint64_t most_steps) && {
  if (!std::ranges::is_sorted(entries_, {}, &Entry::id))
    std::ranges::sort(entries_, {}, &Entry::id);
  std::ranges::sort(spilled_);
  std::vector<uint64_t> parts = members_;
  parts.insert(parts.end(), blobs_.begin(), blobs_.end());
  std::ranges::sort(parts);
  seen_by_.resize(entries_.size());
  Survey survey;
  survey.looked_at = entries_.size();
  survey.objects.reserve(entries_.size());
  for (const Entry& entry : entries_) {
    if (IsPart(entry, parts)) continue;
    const Below below = LookBelow(entry, &most_steps);
    survey.objects.push_back({.id = ObjectId(entry.id),
                              .bytes = below.bytes,
                              .created_unix_ns = entry.created_unix_ns,
                              .type = entry.type,
                              .creator = entry.creator,
                              .where = !below.on_disk    ? Survey::Where::kMemory
                                       : below.in_memory ? Survey::Where::kBoth
                                                         : Survey::Where::kDisk});
  }
  survey.types = std::move(types_);
  survey.creators = std::move(creators_);
  return survey;
}

namespace {

// The instance makes a page while the one before is read.
class Pages {
 public:
  Pages(Connection& connection, os::TimePoint deadline)
      : request_(Question(fb::RequestBody::ListObjects,
                          [this](flatbuffers::FlatBufferBuilder& b, uint64_t) {
                            return fb::CreateListObjects(b, b.CreateString("*"),
                                                         /*include_parts=*/true, after_, kAPage)
                                .Union();
                          })),
        stream_(connection, deadline,
                [this](Result<Answer> answer) { page_ = std::move(answer); }) {}
  Pages(const Pages&) = delete;
  Pages& operator=(const Pages&) = delete;
  ~Pages() { stream_.Finish(); }

  void AskAfter(uint64_t id) {
    after_ = id;
    stream_.Add(request_);
    stream_.Flush();
  }
  Result<Answer> Take() {
    stream_.Finish();
    return std::exchange(page_, Status::Internal("there is no page"));
  }

 private:
  uint64_t after_ = 0;
  Outgoing request_;
  Result<Answer> page_ = Status::Internal("there is no page");
  CallStream stream_;
};

Status AddPage(const Answer& answer, const fb::Objects& page, size_t limit,
               SurveyBuilder* builder) {
  std::span<const std::byte> rest = answer.payload;
  for (uint32_t i = 0; i < page.count() && builder->size() < limit; ++i) {
    uint64_t length = 0;
    if (rest.size() < sizeof length) return CutOff();
    std::copy_n(rest.data(), sizeof length, reinterpret_cast<std::byte*>(&length));
    rest = rest.subspan(sizeof length);
    if (length > rest.size()) return CutOff();
    VY_ASSIGN_OR_RETURN(const auto* descriptor, wire::DecodeDescriptor(rest.first(length)));
    builder->Add(*descriptor);
    rest = rest.subspan(std::min(wire::Pad8(length), rest.size()));
  }
  if (page.spilled() != nullptr) {
    for (const uint64_t blob : *page.spilled()) builder->AddSpilled(ObjectId(blob));
  }
  return {};
}

}  // namespace

}  // namespace client

Result<Survey> Client::TakeSurvey(const SurveyOptions& options) {
  client::Connection& connection = impl_->connection();
  client::SurveyBuilder builder;
  client::Pages pages(connection, connection.Deadline(options.timeout));
  pages.AskAfter(0);
  bool more = true;
  while (more && builder.size() < options.limit) {
    VY_ASSIGN_OR_RETURN(const client::Answer answer, pages.Take());
    const fb::Objects* page = answer.reply().body_as_Objects();
    if (page == nullptr) return Status::Protocol("the instance's list is none");
    more = page->more();
    const bool is_last = !more || builder.size() + page->count() >= options.limit;
    if (!is_last) pages.AskAfter(page->last());
    more = more || builder.size() + page->count() > options.limit;
    VY_RETURN_IF_ERROR(client::AddPage(answer, *page, options.limit, &builder));
  }
  Survey survey = std::move(builder).Finish(options.most_steps);
  survey.more = more;
  return survey;
}

}  // namespace vineyard
