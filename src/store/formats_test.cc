// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The worked examples of docs/formats/, byte for byte: what a page shows is what the code writes, and
// what a page leaves out is zero. A page's example is its block fenced as ```hex, with lines of an
// offset, two spaces, bytes, and after two more spaces whatever helps the reader.
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "base/testing.h"
#include "layout/catalog.h"
#include "layout/ledger.h"
#include "layout/record.h"
#include "layout/ring.h"
#include "layout/stream_state.h"
#include "os/mapping.h"
#include "spill/format.h"
#include "store/durable_format.h"
#include "store/test_machine.h"
#include "wire/codec.h"
#include "wire/frame.h"

namespace vineyard::store {
namespace {

using Bytes = std::vector<std::byte>;

std::string Dump(std::span<const std::byte> bytes) {
  std::string text;
  char line[32];
  for (size_t at = 0; at < bytes.size(); at += 16) {
    const auto part = bytes.subspan(at, std::min<size_t>(16, bytes.size() - at));
    if (std::ranges::all_of(part, [](std::byte b) { return b == std::byte{0}; })) continue;
    std::snprintf(line, sizeof line, "%04zx ", at);
    text += line;
    for (const std::byte b : part) {
      std::snprintf(line, sizeof line, " %02x", static_cast<unsigned>(b));
      text += line;
    }
    text += '\n';
  }
  return text;
}

// Offset → bytes of each line of the page's example.
std::map<size_t, Bytes> ReadExample(const std::string& page) {
  std::map<size_t, Bytes> lines;
  std::ifstream in(std::string(VINEYARD_SOURCE_DIR) + "/docs/formats/" + page + ".md");
  std::string line;
  bool inside = false;
  while (std::getline(in, line)) {
    if (line.starts_with("```")) {
      inside = line == "```hex";
      continue;
    }
    const size_t gap = line.find("  ");
    if (!inside || gap == std::string::npos) continue;
    std::istringstream text(line.substr(gap + 2, line.find("  ", gap + 2) - gap - 2));
    Bytes& bytes = lines[std::stoul(line.substr(0, gap), nullptr, 16)];
    for (unsigned value; text >> std::hex >> value;) bytes.push_back(static_cast<std::byte>(value));
  }
  return lines;
}

void ExpectPageShows(const std::string& page, std::span<const std::byte> actual) {
  const auto example = ReadExample(page);
  ASSERT_FALSE(example.empty()) << page << ".md has no example; it would be\n" << Dump(actual);
  Bytes shown(actual.size());
  for (const auto& [at, bytes] : example) {
    ASSERT_LE(at + bytes.size(), shown.size()) << page;
    std::ranges::copy(bytes, shown.begin() + static_cast<std::ptrdiff_t>(at));
  }
  EXPECT_TRUE(std::ranges::equal(shown, actual)) << "docs/formats/" << page << ".md shows\n"
                                                 << Dump(shown) << "the code writes\n"
                                                 << Dump(actual);
}

Bytes ExampleDescriptor() {
  ObjectInfo info;
  info.type_name = "vineyard::Tensor<double>";
  info.metadata = R"({"shape_":[2]})";
  info.buffers = {{ObjectId(), 0, 16}};
  info.members = {{"next", ObjectId(0x2a)}};
  Bytes bytes = wire::EncodeDescriptor(info);
  wire::StampDescriptor(bytes, fb::Stamp(0x2b, 1'767'225'600'000'000'000, 1234, 1000));
  return bytes;
}

TEST(Formats, TheDescriptorPageShowsWhatIsWritten) {
  ExpectPageShows("descriptor", ExampleDescriptor());
}

TEST(Formats, TheRecordPageShowsWhatIsWritten) {
  struct alignas(64) Slot {
    std::byte bytes[192] = {};
  } slot;
  layout::RecordFields fields;
  fields.kind = layout::RecordKind::kName;
  fields.flags = layout::kFlagOwned;
  fields.id = layout::NameKey("prices", 7);
  fields.value = 0x2b;
  fields.version = 3;
  fields.creator = uint64_t{1000} << 32 | 1234;
  const std::string_view name = "prices";
  layout::WriteRecord(slot.bytes, fields, std::as_bytes(std::span(name)), {}, 9);
  ExpectPageShows("record", std::span<const std::byte>(slot.bytes)
                                .first(layout::RecordSize(static_cast<uint32_t>(name.size()), 0)));
}

TEST(Formats, TheStreamPageShowsWhatIsWritten) {
  layout::StreamState state;
  state.capacity = 4;
  state.places_taken = 1;
  state.first = 7;
  state.writer = 1;
  state.next_reader = 2;
  state.chunks = {0x2b, 0x800000000000002c};
  state.readers = {{1, 2, 7}};
  ExpectPageShows("stream", layout::EncodeStream(state));
}

TEST(Formats, TheLedgerPageShowsWhatIsWritten) {
  const os::UniqueFd memory = os::CreateMemfd("formats_test", layout::kLedgerSize).value();
  const auto mapping =
      os::Mapping::Open(memory, layout::kLedgerSize, os::Access::kReadWrite).value();
  layout::Ledger ledger(mapping.data());
  ledger.Initialize(2, 0x2c);
  ledger.header().serving = 1;
  ClientTable clients(ledger);
  ASSERT_OK_AND_ASSIGN(ClientState * client, clients.Add({0x11, 0x22}, 1234, 1000, 1, {}));
  clients.Note(*client, {4, 0x2a, 0, 0});
  clients.Acknowledge(*client, 3);
  const layout::Ref now(layout::RecordKind::kObject, 1, 0x140);
  const std::vector<layout::IntentChange> changes{{1, 0x2b, 0, now.value()}};
  ledger.Publish(client->key, {5, 0x2b, 0, 0}, changes);
  // The page leaves out the 16 MiB between the intent and the rows.
  const uint64_t rows = layout::kLedgerPage + layout::kIntentArea;
  ExpectPageShows("ledger", mapping.bytes().first(rows + sizeof(layout::ClientRow)));
}

TEST(Formats, TheCatalogPageShowsWhatIsWritten) {
  Events events;
  FakeKeeper keeper;
  FakeKeeper::Link link(keeper, events);
  Budget budget(1 << 20);
  CatalogSpec spec{
      .volume = 1, .name = "default", .generation = 2, .instance = {0x11, 0x22}, .hash_seed = 7};
  ASSERT_OK_AND_ASSIGN(const auto catalog, Catalog::Create(spec, budget, link, [] {}));
  ASSERT_OK(catalog->Open());
  const layout::Ref ref(layout::RecordKind::kObject, 1, 0x140);
  ASSERT_TRUE(catalog->index().Apply(0x2b, {}, ref));
  const auto mapping =
      os::Mapping::Open(catalog->first_file(), catalog->bytes_held(), os::Access::kRead).value();
  Bytes bytes(mapping.bytes().begin(), mapping.bytes().end());
  // What glibc keeps in a robust mutex is its own affair, and differs from run to run.
  std::memset(bytes.data() + offsetof(layout::CatalogHeader, engine), 0, sizeof(os::RobustWord));
  ExpectPageShows("catalog", bytes);
}

TEST(Formats, TheRingPageShowsWhatIsWritten) {
  const os::UniqueFd memory = os::CreateMemfd("formats_test", layout::kRingFile).value();
  const auto mapping = os::Mapping::Open(memory, layout::kRingFile, os::Access::kReadWrite).value();
  auto& page = *reinterpret_cast<layout::RingPage*>(mapping.data());
  const auto magic = std::as_bytes(std::span(&wire::kFrameMagic, 1));
  layout::RingProducer<> asks(page.requests, layout::kRequestRing);
  layout::RingConsumer<> asked(page.requests, layout::kRequestRing);
  layout::CopyIn(layout::RequestBytes(mapping.data()), asks.position(), magic);
  asks.Append(0x120);
  asks.Publish();
  asked.Release(0x120);
  EXPECT_TRUE(asked.FallAsleep());
  // Where it wakes it clears the word; the page shows the moment between.
  asks.Append(0x30);
  asks.Publish();
  EXPECT_FALSE(asked.FallAsleep());
  page.requests.sleeping = 1;
  layout::RingProducer<> answers(page.replies, layout::kReplyRing);
  layout::RingConsumer<> answered(page.replies, layout::kReplyRing);
  layout::CopyIn(layout::ReplyBytes(mapping.data()), answers.position(), magic);
  answers.Append(0x78);
  answers.Publish();
  answered.Release(0x78);
  page.by_socket = 2;
  page.engine_processor = 1;
  page.partners = 2;
  page.client_processor = 3;
  ExpectPageShows("ring", mapping.bytes());
}

TEST(Formats, TheSpillFilePageShowsWhatIsWritten) {
  const std::string_view data = "five!";
  const std::string_view description = "what the store knows";
  const auto described = std::as_bytes(std::span(description));
  spill::Head head{.key = {.volume = 1, .id = 0x800000000000002b, .kind = 1},
                   .place = {0x1111111111111111, 0x2222222222222222},
                   .size = data.size(),
                   .written_ns = 1'767'225'600'000'000'000,
                   .description = {described.begin(), described.end()}};
  Bytes bytes(spill::FileLength(description.size(), data.size()));
  const auto block = std::span(bytes).subspan(spill::HeadLength(description.size(), data.size()));
  std::memcpy(block.data(), data.data(), data.size());
  head.checksums = {spill::BlockChecksum(block)};
  spill::EncodeHead(head, std::span(bytes).first(bytes.size() - block.size()));
  ExpectPageShows("spill-file", bytes);
  EXPECT_EQ(spill::FileName(head.key), "01-0000000000000001-800000000000002b.spill");
}

TEST(Formats, TheDurableFilesPageShowsWhatIsWritten) {
  const std::string_view name = "prices";
  Bytes bytes = EncodeDurableRecord({.fields = {.kind = layout::RecordKind::kName,
                                                .flags = layout::kFlagOwned | layout::kFlagDurable,
                                                .value = 0x2b,
                                                .version = 3,
                                                .creator = 1234 | uint64_t{1000} << 32},
                                     .head = std::as_bytes(std::span(name)),
                                     .bytes = {},
                                     .ends_ns = {}});
  ExpectPageShows("durable-files", bytes);
}

TEST(Formats, TheSpillFolderPageShowsWhatIsWritten) {
  Bytes bytes(spill::kIdentityLength);
  spill::EncodeIdentity({0x1111111111111111, 0x2222222222222222},
                        std::span(bytes).first<spill::kIdentityLength>());
  ExpectPageShows("spill-folder", bytes);
}

TEST(Formats, TheProtocolPageShowsWhatIsSent) {
  flatbuffers::FlatBufferBuilder builder;
  const auto body = fb::CreatePutNameDirect(builder, 5, "prices", 0x2b);
  builder.Finish(fb::CreateRequest(builder, fb::RequestBody::PutName, body.Union()));
  wire::FrameHeader header;
  header.body_length = builder.GetSize();
  header.request_id = 9;
  header.acknowledged = 4;
  Bytes bytes(sizeof header + wire::Pad8(builder.GetSize()));
  std::memcpy(bytes.data(), &header, sizeof header);
  std::memcpy(bytes.data() + sizeof header, builder.GetBufferPointer(), builder.GetSize());
  ExpectPageShows("protocol", bytes);
}

}  // namespace
}  // namespace vineyard::store
