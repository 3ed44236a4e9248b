// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "cli/object_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/session.h"

namespace vineyard::cli {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kSecond = 1'000'000'000;

ObjectInfo Example() {
  ObjectInfo info;
  info.id = ObjectId(1);
  info.type_name = "vineyard::ndarray";
  info.metadata = R"({"shape":[2,3],"big":9223372036854775807})";
  info.buffers = {{ObjectId(1).own_blob(), 64, uint64_t{64} << 20}};
  info.members = {{"index", ObjectId(7)}};
  info.labels = {{"stage", "train"}};
  info.created_unix_ns = 1'700'000'000 * kSecond;
  info.creator = {.pid = 12, .uid = 1000, .pod = "space/pod", .program = "step.py"};
  info.nbytes = uint64_t{64} << 20;
  return info;
}

TEST(ObjectJson, HasTheDocumentedKeys) {
  const nlohmann::json expected = nlohmann::json::parse(R"({
    "id": "o0000000000000001",
    "type_name": "vineyard::ndarray",
    "nbytes": 67108864,
    "created": "2023-11-14T22:13:20.000Z",
    "created_unix_ns": 1700000000000000000,
    "creator": {"pid": 12, "uid": 1000, "pod": "space/pod", "program": "step.py"},
    "metadata": {"shape": [2, 3], "big": 9223372036854775807},
    "labels": {"stage": "train"},
    "buffers": [{"blob": "o8000000000000001", "offset": 64, "length": 67108864}],
    "members": [{"key": "index", "id": "o0000000000000007"}]
  })");
  EXPECT_EQ(ObjectJson(Example()), expected);
}

TEST(ObjectText, ShowsAllOfAnObject) {
  const std::string text = ObjectText(Example(), (1'700'000'000 + 300) * kSecond);
  EXPECT_EQ(text, R"(id       o0000000000000001
type     vineyard::ndarray
size     64.0 MiB (67108864 bytes)
age      5m
created  2023-11-14T22:13:20.000Z
creator  step.py, pid 12, uid 1000, pod space/pod
label    stage=train

metadata:
  {
    "big": 9223372036854775807,
    "shape": [
      2,
      3
    ]
  }

buffers:
  BLOB               OFFSET      SIZE
  o8000000000000001      64  64.0 MiB

members:
  KEY    ID
  index  o0000000000000007
)");
}

TEST(ObjectText, LetsNothingThroughThatSteersATerminal) {
  ObjectInfo info = Example();
  info.type_name = "\x1b[31mred";
  info.labels = {{"a\nb", "\x9b"}};
  info.members = {{"\x1b]0;title\x07", ObjectId(2)}};
  info.creator.pod = "\r";
  for (const char* metadata :
       {R"({"a":"\u001b[2J\u009b"})", "\x1b[2J no json", "{\"a\":\"\xc2\x9b\"}"}) {
    info.metadata = metadata;
    const std::string text = ObjectText(info, 0);
    for (const char c : {'\x1b', '\x07', '\r', '\x9b'}) {
      EXPECT_EQ(text.find(c), std::string::npos) << text;
    }
  }
}

TEST(MetadataJson, IsAStringWhereItIsNoJson) {
  EXPECT_EQ(MetadataJson("{\"a\":1}"), (nlohmann::json{{"a", 1}}));
  for (const char* text : {"", "{", "{\"a\":1e999}", "\xff"}) {
    EXPECT_EQ(MetadataJson(text), nlohmann::json(std::string(text)));
  }
}

TEST(MetadataJson, NestedTooDeepIsNotWalked) {
  const std::string deep = std::string(1'000'000, '[') + std::string(1'000'000, ']');
  const nlohmann::json document = MetadataJson(deep);
  ASSERT_TRUE(document.is_string());
  EXPECT_GT(JsonText(document).size(), deep.size());
  const std::string brackets = "{\"a\":\"" + std::string(1000, '[') + "\\\"[\"}";
  EXPECT_TRUE(MetadataJson(brackets).is_object()) << "brackets in a string do not nest";
}

}  // namespace
}  // namespace vineyard::cli
