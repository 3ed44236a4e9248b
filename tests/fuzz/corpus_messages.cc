// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <cstdint>
#include <cstring>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "corpus.h"
#include "vineyard/status.h"
#include "wire/codec.h"
#include "wire/frame.h"
#include "wire/test_object.h"

namespace vineyard::fuzz {

namespace {

using Builder = flatbuffers::FlatBufferBuilder;
using fb::ReplyBody;
using fb::RequestBody;

// A frame as it is sent, after the two bytes that say how it is cut.
std::string Framed(char first_piece, char second_piece, std::string_view body,
                   std::string_view payload) {
  wire::FrameHeader header;
  header.request_id = 1;
  header.body_length = static_cast<uint32_t>(body.size());
  header.payload_length = payload.size();
  std::string bytes{first_piece, second_piece};
  bytes.append(reinterpret_cast<const char*>(&header), sizeof header);
  bytes += body;
  bytes.append(wire::Pad8(body.size()) - body.size(), '\0');
  bytes += payload;
  bytes.append(wire::Pad8(payload.size()) - payload.size(), '\0');
  return bytes;
}

std::string Text(const Builder& b) {
  return {reinterpret_cast<const char*>(b.GetBufferPointer()), b.GetSize()};
}

flatbuffers::Offset<fb::ClientEntry> ExampleClient(Builder& b) {
  return fb::CreateClientEntryDirect(b, 1, "default", 2, 3, "program", "namespace/pod", true, true,
                                     4, 5, 6, 7, 8, 9, 10, 11);
}

class Messages {
 public:
  Messages();
  [[nodiscard]] const std::vector<std::string>& all() const { return all_; }

 private:
  void AddObjects();
  void AddLists();
  void AddStreams();
  void AddInstance();
  void AddFigures();
  void AddReplies();
  void AddListReplies();
  void AddFiguresReplies();

  void Request(RequestBody kind, const auto& make_body) {
    Builder b;
    const auto body = make_body(b);
    b.Finish(fb::CreateRequest(b, kind, body.Union()));
    all_.push_back(Text(b));
    requests_.insert(kind);
  }
  void Reply(ReplyBody kind, const auto& make_body) {
    Builder b;
    const auto body = make_body(b);
    const auto message = b.CreateString("why");
    b.Finish(fb::CreateReply(b, 0, message, kind, body.Union()));
    all_.push_back(Text(b));
    replies_.insert(kind);
  }

  const std::vector<uint64_t> ids_{1, 2, 3};
  const fb::Token token_{1, 2};
  std::vector<std::string> all_;
  std::set<RequestBody> requests_;
  std::set<ReplyBody> replies_;
};

void Messages::AddObjects() {
  Request(RequestBody::Hello, [&](Builder& b) {
    return fb::CreateHelloDirect(b, 1, &token_, 1, &ids_, &ids_, &ids_, "p", "n/p");
  });
  Request(RequestBody::Put, [&](Builder& b) {
    const std::vector<fb::Token> siblings{token_};
    return fb::CreatePutDirect(b, 1, fb::PutKind::Object, 96, 5, 7, 5, "n", true, 2, 1000, &ids_, 9,
                               500, &siblings, true, 1000, true, true);
  });
  Request(RequestBody::Reserve, [](Builder& b) { return fb::CreateReserve(b, 1 << 20, 1000); });
  Request(RequestBody::Abort, [](Builder& b) { return fb::CreateAbort(b, 7); });
  Request(RequestBody::Get,
          [](Builder& b) { return fb::CreateGetDirect(b, 0, "name", true, 1000, true); });
  Request(RequestBody::OpenExtents,
          [&](Builder& b) { return fb::CreateOpenExtentsDirect(b, &ids_, 1000, 12); });
  Request(RequestBody::OpenCatalog, [&](Builder& b) {
    const std::vector<uint32_t> arenas{1, 2};
    return fb::CreateOpenCatalogDirect(b, &arenas, &ids_);
  });
  Request(RequestBody::Released, [&](Builder& b) { return fb::CreateReleasedDirect(b, &ids_); });
  Request(RequestBody::Delete,
          [&](Builder& b) { return fb::CreateDeleteDirect(b, 4, &ids_, true, true, true); });
  Request(RequestBody::SetLabels, [](Builder& b) {
    const std::vector<flatbuffers::Offset<fb::Label>> labels{
        fb::CreateLabelDirect(b, "key", "value")};
    return fb::CreateSetLabelsDirect(b, 5, 7, &labels);
  });
  Request(RequestBody::PlaceObjects, [&](Builder& b) {
    return fb::CreatePlaceObjectsDirect(b, fb::PlaceAction::Evict, &ids_, true, 1000);
  });
  Request(RequestBody::GetPlaces, [](Builder& b) { return fb::CreateGetPlaces(b, 7); });
}

void Messages::AddLists() {
  Request(RequestBody::PutName, [](Builder& b) {
    return fb::CreatePutNameDirect(b, 2, "name", 7, true, 1, true, 500, true, 1000, true, true,
                                   2000);
  });
  Request(RequestBody::DropName,
          [](Builder& b) { return fb::CreateDropNameDirect(b, 3, "name", true, 1); });
  Request(RequestBody::ListNames, [](Builder& b) {
    return fb::CreateListNamesDirect(b, fb::Match::Prefix, "*", "after", 10, 7);
  });
  Request(RequestBody::ListObjects,
          [](Builder& b) { return fb::CreateListObjectsDirect(b, "*", true, 7, 10, 8); });
  Request(RequestBody::CreateVolume, [](Builder& b) {
    const std::vector<fb::SocketFile> rights{{0600, 1, 2}, {0660, 3, 4}};
    return fb::CreateCreateVolumeDirect(b, 6, "volume", 1 << 20, true, 1 << 19, 1000, true,
                                        &rights);
  });
  Request(RequestBody::ListVolumes, [](Builder& b) { return fb::CreateListVolumes(b); });
  Request(RequestBody::RemoveVolume,
          [](Builder& b) { return fb::CreateRemoveVolumeDirect(b, 7, "volume"); });
}

void Messages::AddStreams() {
  Request(RequestBody::CreateStream,
          [](Builder& b) { return fb::CreateCreateStream(b, 7, 0x2a, 16, 2); });
  Request(RequestBody::OpenStream,
          [](Builder& b) { return fb::CreateOpenStream(b, 8, 0x2a, true); });
  Request(RequestBody::PushChunk,
          [](Builder& b) { return fb::CreatePushChunk(b, 9, 0x2a, 0x2b, true); });
  Request(RequestBody::NextChunk,
          [](Builder& b) { return fb::CreateNextChunk(b, 0x2a, 1, 3, 1000); });
  Request(RequestBody::AwaitRoom, [](Builder& b) { return fb::CreateAwaitRoom(b, 0x2a, 1000); });
  Request(RequestBody::EndStream,
          [](Builder& b) { return fb::CreateEndStreamDirect(b, 10, 0x2a, true, "why"); });
  Request(RequestBody::LeaveStream,
          [](Builder& b) { return fb::CreateLeaveStream(b, 11, 0x2a, 1); });
  Request(RequestBody::DropStream, [](Builder& b) { return fb::CreateDropStream(b, 12, 0x2a); });
  Request(RequestBody::GetStream, [](Builder& b) { return fb::CreateGetStream(b, 0x2a); });
}

void Messages::AddInstance() {
  Request(RequestBody::GetStatus, [](Builder& b) { return fb::CreateGetStatus(b); });
  Request(RequestBody::Goodbye, [](Builder& b) { return fb::CreateGoodbye(b); });
  Request(RequestBody::Cancel, [](Builder& b) { return fb::CreateCancel(b, 3); });
  Request(RequestBody::OpenRing, [](Builder& b) { return fb::CreateOpenRing(b); });
  Request(RequestBody::ShareIdle, [](Builder& b) { return fb::CreateShareIdle(b); });
  Request(RequestBody::Upgrade, [](Builder& b) { return fb::CreateUpgrade(b, 13); });
}

void Messages::AddFigures() {
  Request(RequestBody::ListClients, [](Builder& b) { return fb::CreateListClients(b, true, 7); });
  Request(RequestBody::ListWaits, [](Builder& b) { return fb::CreateListWaits(b, true); });
  Request(RequestBody::GetFigures, [](Builder& b) { return fb::CreateGetFigures(b, true); });
  Request(RequestBody::GetTrace, [](Builder& b) { return fb::CreateGetTrace(b, true, 7, 10); });
}

void Messages::AddReplies() {
  Reply(ReplyBody::Welcome, [&](Builder& b) {
    return fb::CreateWelcomeDirect(b, 1, "default", 1, "uuid", 1, "1.0", 3, 256, 1024, 64, &ids_,
                                   true, true, true, 9);
  });
  Reply(ReplyBody::Done, [](Builder& b) { return fb::CreateDone(b, 1, 2); });
  Reply(ReplyBody::Reserved, [&](Builder& b) {
    return fb::CreateReserved(b, fb::CreateExtentDirect(b, 1, 4096, &ids_));
  });
  Reply(ReplyBody::Got, [&](Builder& b) {
    const std::vector<flatbuffers::Offset<fb::Extent>> extents{
        fb::CreateExtentDirect(b, 1, 4096, &ids_)};
    return fb::CreateGotDirect(b, &extents, 1, 2, 3, 4, 5, true, true);
  });
  Reply(ReplyBody::CatalogParts, [&](Builder& b) {
    const std::vector<fb::ArenaSize> arenas{{1, 4096}};
    return fb::CreateCatalogPartsDirect(b, &arenas, &ids_);
  });
  Reply(ReplyBody::StatusInfo, [](Builder& b) {
    return fb::CreateStatusInfoDirect(b, "local", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, true, 14,
                                      15, 16, 17, 18, 19, 20, 21, true, 22, 23, 24, 25, 26);
  });
  Reply(ReplyBody::StreamInfo, [](Builder& b) {
    const std::vector<fb::StreamReader> readers{{1, 2, 3}};
    return fb::CreateStreamInfoDirect(b, fb::StreamPhase::Failed, 16, 1, 1, 3, 2, 1, &readers,
                                      "why");
  });
  Reply(ReplyBody::RingOpened, [](Builder& b) { return fb::CreateRingOpened(b); });
  Reply(ReplyBody::Places, [](Builder& b) {
    const std::vector<flatbuffers::Offset<fb::ClientEntry>> holders{ExampleClient(b)};
    return fb::CreatePlacesDirect(b, 1, 2, true, true, true, true, &holders, "why", 3);
  });
}

void Messages::AddListReplies() {
  Reply(ReplyBody::Names, [](Builder& b) {
    const std::vector<flatbuffers::Offset<fb::NameEntry>> names{
        fb::CreateNameEntryDirect(b, "n", 1, 2, 3, 4, 5, true, true)};
    return fb::CreateNamesDirect(b, &names, true);
  });
  Reply(ReplyBody::Objects, [](Builder& b) {
    return fb::CreateObjects(b, 1, 2, true, b.CreateVector(std::vector<uint64_t>{9}));
  });
  Reply(ReplyBody::Volumes, [](Builder& b) {
    const std::vector<flatbuffers::Offset<fb::VolumeEntry>> volumes{
        fb::CreateVolumeEntryDirect(b, "default", "socket", 1, 2, 3, 4, 5, "readers", 6, 7, true)};
    return fb::CreateVolumesDirect(b, &volumes);
  });
}

void Messages::AddFiguresReplies() {
  Reply(ReplyBody::Clients, [](Builder& b) {
    const std::vector<flatbuffers::Offset<fb::ClientEntry>> clients{ExampleClient(b)};
    return fb::CreateClientsDirect(b, &clients, 1, true);
  });
  Reply(ReplyBody::Waits, [](Builder& b) {
    const std::vector<flatbuffers::Offset<fb::WaitEntry>> waits{fb::CreateWaitEntryDirect(
        b, fb::WaitKind::Name, "Get", "default", 1, 2, 3, "name", 4, 5, 6, 7)};
    return fb::CreateWaitsDirect(b, &waits, true);
  });
  Reply(ReplyBody::Figures, [&](Builder& b) {
    const fb::VolumeMemory memory{1, 2, 3, 4, 5, 6, 7, 8};
    const std::vector<flatbuffers::Offset<fb::RequestCount>> requests{
        fb::CreateRequestCountDirect(b, "Get", 6, 1, 1000, &ids_)};
    const std::vector<flatbuffers::Offset<fb::VolumeFigures>> volumes{
        fb::CreateVolumeFiguresDirect(b, "default", &memory, 36, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11,
                                      &requests, 12, 13, 14, 15, true)};
    return fb::CreateFiguresDirect(b, &volumes, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13);
  });
  Reply(ReplyBody::Trace, [](Builder& b) {
    const std::vector<fb::TraceEntry> entries{{1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 0}};
    const std::vector<flatbuffers::Offset<flatbuffers::String>> kinds{b.CreateString("NONE"),
                                                                      b.CreateString("Hello")};
    const std::vector<flatbuffers::Offset<fb::VolumeNumber>> volumes{
        fb::CreateVolumeNumberDirect(b, 8, "default")};
    return fb::CreateTraceDirect(b, &entries, &kinds, &volumes, 1, 2, true);
  });
}

Messages::Messages() {
  AddObjects();
  AddLists();
  AddStreams();
  AddInstance();
  AddFigures();
  AddReplies();
  AddListReplies();
  AddFiguresReplies();
  // A new message is to be added above.
  for (const RequestBody kind : fb::EnumValuesRequestBody()) {
    VY_CHECK(kind == RequestBody::NONE || requests_.contains(kind));
  }
  for (const ReplyBody kind : fb::EnumValuesReplyBody()) {
    VY_CHECK(kind == ReplyBody::NONE || replies_.contains(kind));
  }
}

// A reply that says what it is, and is not.
std::string WithoutBody() {
  Builder b;
  b.Finish(fb::CreateReply(b, 0, 0, ReplyBody::Done));
  return Text(b);
}

std::string Failure(uint8_t code) {
  Builder b;
  b.Finish(fb::CreateReplyDirect(b, code, "why"));
  return Text(b);
}

}  // namespace

void AddMessages(Corpus& corpus) {
  const auto descriptor = wire::EncodeDescriptor(wire::ExampleObject());
  const std::string text(reinterpret_cast<const char*>(descriptor.data()), descriptor.size());
  corpus.Add("descriptor_fuzz", descriptor);
  corpus.Add("descriptor_fuzz", wire::EncodeDescriptor({}));
  std::vector<std::string> messages = Messages().all();
  for (const int code : {0, 2, 18, 19, 255})
    messages.push_back(Failure(static_cast<uint8_t>(code)));
  messages.push_back(WithoutBody());
  char piece = 0;
  std::string all("\x05\x01", 2);
  for (const std::string& message : messages) {
    corpus.Add("frame_fuzz", Framed(piece, static_cast<char>(piece / 2), message, text));
    all += Framed(0, 0, message, "").substr(2);
    piece = static_cast<char>(piece + 3);
  }
  corpus.Add("frame_fuzz", all);
  // More than a reader usually has room for, between two that are small; the second time not whole.
  const std::string small = Framed(0, 0, messages[0], text).substr(2);
  for (const size_t bytes : {wire::FrameReader::kUsualSpace, size_t{200'000}}) {
    const std::string large = Framed(0, 0, messages[1], std::string(bytes, 'p')).substr(2);
    for (const char* pieces : {"\xff\xc8", "\x00\x00", "\x40\x09"}) {
      const std::string cut(pieces, 2);
      corpus.Add("frame_fuzz", cut + small + large + small);
      corpus.Add("frame_fuzz", cut + large.substr(0, large.size() - 9));
    }
  }
  // Headers that promise what is not to be had: a version, a body, a payload.
  for (const size_t at : {size_t{0}, size_t{4}, size_t{8}, size_t{12}, size_t{16}, size_t{24}}) {
    std::string wrong = Framed(0, 0, messages[0], text);
    for (size_t i = 0; i < 4; ++i) wrong[2 + at + i] = '\xff';
    corpus.Add("frame_fuzz", wrong);
  }
}

}  // namespace vineyard::fuzz
