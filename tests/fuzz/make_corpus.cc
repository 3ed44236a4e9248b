// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Writes what the fuzzers begin with: one well-formed input of each kind.
// Usage: make_corpus FOLDER; each fuzzer's inputs go to FOLDER/NAME.
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "layout/ledger.h"
#include "layout/record.h"
#include "os/mapping.h"
#include "os/memfd.h"
#include "wire/codec.h"
#include "wire/frame.h"
#include "wire/test_object.h"

namespace vineyard {
namespace {

namespace fs = std::filesystem;

class Corpus {
 public:
  explicit Corpus(fs::path folder) : folder_(std::move(folder)) {}
  void Add(const std::string& fuzzer, std::span<const std::byte> bytes) {
    fs::create_directories(folder_ / fuzzer);
    std::ofstream out(folder_ / fuzzer / ("seed" + std::to_string(++count_)), std::ios::binary);
    out.write(reinterpret_cast<const char*>(bytes.data()),
              static_cast<std::streamsize>(bytes.size()));
  }
  void Add(const std::string& fuzzer, std::string_view bytes) {
    Add(fuzzer, std::as_bytes(std::span(bytes)));
  }
  [[nodiscard]] int count() const { return count_; }

 private:
  fs::path folder_;
  int count_ = 0;
};

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

std::string Text(const flatbuffers::FlatBufferBuilder& b) {
  return {reinterpret_cast<const char*>(b.GetBufferPointer()), b.GetSize()};
}

std::string RequestOf(const auto& make_body, fb::RequestBody kind) {
  flatbuffers::FlatBufferBuilder b;
  const auto body = make_body(b);
  b.Finish(fb::CreateRequest(b, kind, body.Union()));
  return Text(b);
}

std::string ReplyOf(const auto& make_body, fb::ReplyBody kind) {
  flatbuffers::FlatBufferBuilder b;
  const auto body = make_body(b);
  const auto message = b.CreateString("why");
  b.Finish(fb::CreateReply(b, 0, message, kind, body.Union()));
  return Text(b);
}

std::vector<std::string> Messages() {
  using B = flatbuffers::FlatBufferBuilder;
  using fb::ReplyBody;
  using fb::RequestBody;
  const std::vector<uint64_t> ids{1, 2, 3};
  const fb::Token token(1, 2);
  return {
      RequestOf([&](B& b) { return fb::CreateHelloDirect(b, 1, &token, 1, &ids, &ids); },
                RequestBody::Hello),
      RequestOf(
          [](B& b) { return fb::CreatePutDirect(b, 1, fb::PutKind::Object, 96, 5, 0, 5, "n"); },
          RequestBody::Put),
      RequestOf([](B& b) { return fb::CreateReserve(b, 1 << 20, 1000); }, RequestBody::Reserve),
      RequestOf([](B& b) { return fb::CreateGetDirect(b, 0, "name", true, 1000, true); },
                RequestBody::Get),
      RequestOf([](B& b) { return fb::CreatePutNameDirect(b, 2, "name", 7, true, 1); },
                RequestBody::PutName),
      RequestOf([](B& b) { return fb::CreateDropNameDirect(b, 3, "name"); }, RequestBody::DropName),
      RequestOf(
          [](B& b) { return fb::CreateListNamesDirect(b, fb::Match::Glob, "*", "after", 10); },
          RequestBody::ListNames),
      RequestOf([](B& b) { return fb::CreateListObjectsDirect(b, "*", true, 0, 10); },
                RequestBody::ListObjects),
      RequestOf([&](B& b) { return fb::CreateDeleteDirect(b, 4, &ids, true, false); },
                RequestBody::Delete),
      RequestOf(
          [](B& b) {
            const std::vector<flatbuffers::Offset<fb::Label>> labels{
                fb::CreateLabelDirect(b, "key", "value")};
            return fb::CreateSetLabelsDirect(b, 5, 7, &labels);
          },
          RequestBody::SetLabels),
      RequestOf([](B& b) { return fb::CreateCreateStream(b, 7, 0x2a, 16, 2); },
                RequestBody::CreateStream),
      RequestOf([](B& b) { return fb::CreateOpenStream(b, 8, 0x2a, true); },
                RequestBody::OpenStream),
      RequestOf([](B& b) { return fb::CreatePushChunk(b, 9, 0x2a, 0x2b); }, RequestBody::PushChunk),
      RequestOf([](B& b) { return fb::CreateNextChunk(b, 0x2a, 1, 3, 1000); },
                RequestBody::NextChunk),
      RequestOf([](B& b) { return fb::CreateEndStream(b, 10, 0x2a, true, b.CreateString("why")); },
                RequestBody::EndStream),
      RequestOf([](B& b) { return fb::CreateGetStatus(b); }, RequestBody::GetStatus),
      ReplyOf(
          [&](B& b) {
            return fb::CreateWelcomeDirect(b, 1, "default", 1, "uuid", 1, "1.0", 3, 256, 1024, 64,
                                           &ids);
          },
          ReplyBody::Welcome),
      ReplyOf(
          [&](B& b) {
            const std::vector<flatbuffers::Offset<fb::Extent>> extents{
                fb::CreateExtentDirect(b, 1, 4096, &ids)};
            return fb::CreateGotDirect(b, &extents, 1, 2);
          },
          ReplyBody::Got),
      ReplyOf(
          [](B& b) {
            const std::vector<flatbuffers::Offset<fb::NameEntry>> names{
                fb::CreateNameEntryDirect(b, "n", 1, 2)};
            return fb::CreateNamesDirect(b, &names, true);
          },
          ReplyBody::Names),
      ReplyOf(
          [](B& b) {
            const std::vector<flatbuffers::Offset<fb::VolumeEntry>> volumes{
                fb::CreateVolumeEntryDirect(b, "default", "socket")};
            return fb::CreateVolumesDirect(b, &volumes);
          },
          ReplyBody::Volumes),
  };
}

void AddRecords(Corpus& corpus) {
  using namespace layout;
  struct alignas(64) Slot {
    std::byte bytes[2048] = {};
  };
  const auto descriptor = wire::EncodeDescriptor(wire::ExampleObject());
  const std::vector<ChunkEntry> chunks{{2 << 20}, {4096}};
  const std::string_view name = "a name";
  const std::span<const std::byte> heads[] = {descriptor, std::as_bytes(std::span(chunks)),
                                              std::as_bytes(std::span(name))};
  for (uint8_t kind = 1; kind <= 3; ++kind) {
    Slot slot;
    RecordFields fields;
    fields.kind = static_cast<RecordKind>(kind);
    fields.id = 7;
    const auto head = heads[kind - 1];
    WriteRecord(slot.bytes, fields, head, std::as_bytes(std::span(name)), 1);
    const uint64_t size = RecordSize(static_cast<uint32_t>(head.size()), name.size());
    corpus.Add("record_fuzz", std::span(slot.bytes).first(size));
    const uint64_t message = BytesOffset(static_cast<uint32_t>(head.size())) + name.size() - 8;
    corpus.Add("record_fuzz", std::span(slot.bytes).subspan(8, message));
  }
}

void AddLedgers(Corpus& corpus) {
  using namespace layout;
  const os::UniqueFd memory = os::CreateMemfd("make_corpus", kLedgerSize).value();
  const auto mapping = os::Mapping::Open(memory, kLedgerSize, os::Access::kReadWrite).value();
  Ledger ledger(mapping.data());
  ledger.Initialize(1, 2);
  for (const size_t changes : {size_t{0}, size_t{1}, size_t{5}}) {
    ledger.Publish(3, {1, 2, 3, 0}, std::vector<IntentChange>(changes, {1, 2, 3, 4}));
    std::vector<std::byte> input(mapping.data(), mapping.data() + sizeof(LedgerHeader));
    const std::byte* intent = mapping.data() + kLedgerPage;
    input.insert(input.end(), intent, intent + ledger.header().intent.load());
    corpus.Add("ledger_fuzz", input);
  }
}

int Main(const fs::path& folder) {
  Corpus corpus(folder);
  const auto descriptor = wire::EncodeDescriptor(wire::ExampleObject());
  const std::string text(reinterpret_cast<const char*>(descriptor.data()), descriptor.size());
  corpus.Add("descriptor_fuzz", descriptor);
  corpus.Add("descriptor_fuzz", wire::EncodeDescriptor({}));
  char piece = 0;
  std::string all("\x05\x01", 2);
  for (const std::string& message : Messages()) {
    corpus.Add("frame_fuzz", Framed(piece, static_cast<char>(piece / 2), message, text));
    all += Framed(0, 0, message, "").substr(2);
    piece = static_cast<char>(piece + 3);
  }
  corpus.Add("frame_fuzz", all);
  AddRecords(corpus);
  AddLedgers(corpus);
  // Changes to memory: which, how the checksum is treated, where (2 bytes), what (4 bytes).
  for (uint8_t which = 0; which < 12; ++which) {
    for (uint8_t checksum = 0; checksum < 4; ++checksum) {
      const uint8_t change[] = {which, checksum, 40, 0, 1,   0, 0, 0,
                                which, checksum, 3,  8, 255, 0, 0, 0};
      corpus.Add("recovery_fuzz", std::as_bytes(std::span(change)));
    }
  }
  std::printf("%d inputs in %s\n", corpus.count(), folder.c_str());
  return 0;
}

}  // namespace
}  // namespace vineyard

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: make_corpus FOLDER\n");
    return 2;
  }
  return vineyard::Main(argv[1]);
}
