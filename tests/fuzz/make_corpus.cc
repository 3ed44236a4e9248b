// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Writes what the fuzzers begin with: one well-formed input of each kind.
// Usage: make_corpus FOLDER; each fuzzer's inputs go to FOLDER/NAME.
#include <array>
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
#include "spill/format.h"
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

// After the byte that says what the fuzzer makes right: heads, names, identities.
void AddSpillFiles(Corpus& corpus) {
  using namespace spill;
  const auto add = [&corpus](char mend, std::span<const std::byte> bytes) {
    std::string input(1, mend);
    input.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    corpus.Add("spill_fuzz", input);
  };
  for (const uint64_t size : {uint64_t{0}, uint64_t{1}, 3 * kBlock + 1}) {
    Head head{.key = {.volume = 1, .id = 2, .kind = 3}, .place = {4, 5}, .size = size};
    head.description.resize(size % 100, std::byte{'d'});
    head.checksums.resize(BlocksOf(size), 6);
    std::vector<std::byte> bytes(HeadLength(head.description.size(), size));
    EncodeHead(head, bytes);
    for (char mend = 0; mend < 4; ++mend) add(mend, bytes);
  }
  for (const std::string& name : {FileName({1, 2, 3}), PartName({~uint64_t{0}, 0xab, 255})}) {
    add(0, std::as_bytes(std::span(name)));
  }
  std::array<std::byte, kIdentityLength> identity{};
  EncodeIdentity({1, 2}, identity);
  add(0, identity);
  add(1, identity);
}

// Stored values: metadata, and buffers by their bytes.
void AddValues(Corpus& corpus) {
  using namespace std::string_literals;
  const auto add = [&corpus](std::string metadata, const std::vector<std::string>& buffers) {
    std::string input = "{\"version\":1," + std::move(metadata) + "}" + '\0';
    for (const std::string& buffer : buffers) {
      input += static_cast<char>(buffer.size() % 256);
      input += static_cast<char>(buffer.size() / 256);
      input += buffer;
    }
    corpus.Add("types_fuzz", input);
  };
  const auto array = [&add](const std::string& type, const std::string& rest,
                            const std::vector<std::string>& buffers) {
    add(R"("codec":"arrow.array","type_":)" + type + "," + rest, buffers);
  };
  const std::string two = "\0\0\0\0\1\0\0\0\3\0\0\0"s;  // offsets of two items
  const std::string child = R"({"name_":"","type_":"c"})";
  const std::string bytes = R"({"length_":3,"buffers_":[null,1]})";
  array(R"("g")", R"("length_":2,"null_count_":1,"buffers_":[0,1])", {"\1", std::string(16, 'x')});
  array(R"("b")", R"("length_":9,"buffers_":[null,0])", {"ab"});
  array(R"("u")", R"("length_":2,"buffers_":[null,0,1])", {two, "abc"});
  array(R"("U")", R"("length_":1,"buffers_":[null,0,1])",
        {std::string(8, '\0') + "\2\0\0\0\0\0\0\0"s, "\xc3\xa9"});
  array(R"("vu")", R"("length_":1,"buffers_":[null,0,1])",
        {"\xd\0\0\0xxxx\0\0\0\0\1\0\0\0"s, "axxxxxxxxxxxxxx"});
  array(R"({"format_":"+l","children_":[)" + child + "]}",
        R"("length_":2,"buffers_":[null,0],"children_":[)" + bytes + "]", {two, "abc"});
  array(R"({"format_":"+vl","children_":[)" + child + "]}",
        R"("length_":1,"buffers_":[null,0,2],"children_":[)" + bytes + "]",
        {"\1\0\0\0"s, "abc", "\2\0\0\0"s});
  array(R"({"format_":"+w:2","children_":[)" + child + "]}",
        R"("length_":1,"buffers_":[null],"children_":[)" + bytes + "]", {"", "abc"});
  array(R"({"format_":"+ud:5","children_":[)" + child + "]}",
        R"("length_":1,"buffers_":[0,2],"children_":[)" + bytes + "]", {"\5", "abc", "\2\0\0\0"s});
  array(R"({"format_":"+us:5","children_":[)" + child + "]}",
        R"("length_":3,"buffers_":[0],"children_":[)" + bytes + "]", {"\5\5\5", "abc"});
  array(
      R"({"format_":"+r","children_":[{"name_":"run_ends","type_":"s","nullable_":false},)" +
          child + "]}",
      R"("length_":4,"buffers_":[],"children_":[{"length_":2,"buffers_":[null,0]},)" + bytes + "]",
      {"\2\0\4\0"s, "abc"});
  array(R"({"format_":"c","dictionary_":"u","ordered_":true})",
        R"("length_":2,"buffers_":[null,2],"dictionary_":{"length_":2,"buffers_":[null,0,1]})",
        {two, "abc", "\0\1"s});
  array(R"({"extension_":"arrow.uuid","storage_":"w:16","serialized_":{"hex_":"ff"}})",
        R"("length_":1,"buffers_":[null,0])", {std::string(16, 'u')});
  const std::string schema =
      R"("schema_":{"fields_":[{"name_":"a","type_":"c","metadata_":[["k","v"]]}]})";
  add(R"("codec":"arrow.table","num_rows_":3,"columns_":[[)" + bytes + "]]," + schema, {"", "abc"});
  add(R"("codec":"arrow.batch","num_rows_":3,"columns_":[)" + bytes + "]," + schema, {"", "abc"});
  add(R"("codec":"arrow.schema",)" + schema, {});
  add(R"("codec":"arrow.chunked","type_":"c","chunks_":[)" + bytes + "," + bytes + "]",
      {"", "abc"});
  const std::string tensor = R"("codec":"tensor","value_type_meta_":"|i1","buffer":0,)";
  add(tensor + R"("order_":"C","shape_":[2,3])", {"abcdef"});
  add(tensor + R"("order_":"K","shape_":[2,3,4],"axes_":[2,0,1],"repeated_":[2],"flipped_":[1])",
      {"abcdef"});
  add(R"("codec":"pandas.frame","shape_":[3,2],
      "columns_":{"codec":"pandas.rangeindex","start_":0,"stop_":2,"step_":1,"name_":null},
      "index_":{"codec":"pandas.index","values_":{"codec":"ref","id":0}},
      "blocks_":[{"columns_":[0],"values_":{"id":0,)" +
          tensor + R"("order_":"C","shape_":[3]}},
      {"columns_":{"start_":1,"step_":1,"count_":1},"values_":{"codec":"pandas.masked","values_":{)" +
          tensor + R"("order_":"C","shape_":[3]},"mask_":{"codec":"tensor","value_type_meta_":"|b1",
      "buffer":1,"order_":"C","shape_":[3]}}}])",
      {"abc", "\0\1\0"s});
}

// Series of pandas.
void AddSeries(Corpus& corpus) {
  const auto add = [&corpus](const std::string& values) {
    std::string input = R"({"codec":"pandas.series","version":1,"values_":)" + values + "}" + '\0';
    input += std::string("\x10\0", 2) + "\1" + std::string(15, '\0');
    corpus.Add("types_fuzz", input + std::string("\3\0abc", 5));
  };
  const std::string labels =
      R"({"codec":"pandas.index","name_":null,"values_":{"codec":"tensor.object",
      "size_":2,"shape_":[2],"order_":"C","items_":["a",null]}})";
  add(R"({"codec":"pandas.categorical","ordered_":true,"codes_":{"codec":"tensor",
      "value_type_meta_":"|i1","shape_":[16],"order_":"C","buffer":0},"categories_":{"codec":
      "pandas.index","values_":{"codec":"pandas.string","values_":{"codec":"tensor.object",
      "size_":2,"items_":["a","b"]}}}})");
  add(R"({"codec":"pandas.datetime","zone_":{"codec":"zone","kind_":"pytz.offset","minutes_":90},
      "values_":{"codec":"tensor","value_type_meta_":"<M8[ns]","shape_":[2],"order_":"C","buffer":0}})");
  add(R"({"codec":"pandas.string","values_":{"codec":"tensor.object","size_":1,"packed_":{
      "texts_":1,"lengths_":0}}})");
  add(R"({"codec":"pandas.arrow","values_":{"codec":"arrow.chunked","type_":"s","chunks_":[
      {"length_":8,"buffers_":[null,0]}]}})");
  corpus.Add("types_fuzz",
             R"({"codec":"pandas.frame","version":1,"shape_":[0,0],"blocks_":[],"columns_":)" +
                 labels + R"(,"index_":)" + labels + "}");
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
  AddSpillFiles(corpus);
  AddValues(corpus);
  AddSeries(corpus);
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
