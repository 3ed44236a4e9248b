// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "http/objects.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace vineyard::http {
namespace {

using nlohmann::json;

ObjectInfo Object(uint64_t id, std::string type, uint64_t bytes,
                  std::vector<uint64_t> members = {}) {
  ObjectInfo info;
  info.id = ObjectId(id);
  info.type_name = std::move(type);
  info.nbytes = bytes;
  info.created_unix_ns = 5'000'000;
  info.creator = {.pid = 7, .uid = 8, .pod = "ns/pod"};
  for (const uint64_t member : members) info.members.push_back({"m", ObjectId(member)});
  return info;
}

TEST(Objects, AreListedOnceWithAllThatTheyAreMadeOf) {
  VolumeContents volume{.name = "default"};
  volume.objects = {Object(1, "leaf", 10), Object(2, "leaf", 20), Object(3, "table", 5, {1, 2}),
                    Object(4, "frame", 1, {3, 1}), Object(5, "leaf", 7)};
  // A blob that belongs to an object, and one of its own.
  volume.objects[0].buffers = {{ObjectId(1).own_blob(), 0, 10}};
  volume.objects.push_back(Object(ObjectId(1).own_blob().value(), "vineyard::Blob", 10));
  volume.objects.push_back(Object(ObjectId(9).own_blob().value(), "vineyard::Blob", 90));
  volume.names = {{.name = "first", .id = ObjectId(4)}, {.name = "second", .id = ObjectId(4)}};
  const json told = json::parse(ObjectsJson({.volumes = {volume}}, 77, 88));
  EXPECT_EQ(told["version"], 77);
  EXPECT_EQ(told["time"], 88);
  EXPECT_EQ(told["more"], false);
  const json& rows = told["rows"];
  EXPECT_EQ(rows["id"], json({"o0000000000000004", "o0000000000000005", "o8000000000000009"}));
  EXPECT_EQ(rows["bytes"], json({36, 7, 90}));
  EXPECT_EQ(rows["name"], json({"first", nullptr, nullptr}));
  EXPECT_EQ(rows["names"], json({2, 0, 0}));
  EXPECT_EQ(rows["created"], json({5, 5, 5}));
  EXPECT_EQ(rows["state"], json({0, 0, 0}));
  EXPECT_EQ(told["types"][rows["type"][0].get<size_t>()], "frame");
  EXPECT_EQ(told["creators"][rows["creator"][1].get<size_t>()],
            json({{"pid", 7}, {"uid", 8}, {"pod", "ns/pod"}}));
}

TEST(Objects, TextOfOthersStaysText) {
  const std::string nasty = "</script><img src=x onerror=alert(1)>\"\\\n\xff";
  VolumeContents volume{.name = nasty};
  volume.objects = {Object(1, nasty, 1)};
  volume.names = {{.name = nasty, .id = ObjectId(1)}};
  const json told = json::parse(ObjectsJson({.volumes = {volume}, .more = true}, 1, 1));
  EXPECT_TRUE(told["types"][0].get<std::string>().starts_with("</script><img"));
  EXPECT_EQ(told["types"][0], told["rows"]["name"][0]);
  EXPECT_EQ(told["more"], true);
}

TEST(Objects, NoneIsAListToo) {
  const json told = json::parse(ObjectsJson({}, 1, 1));
  EXPECT_TRUE(told["rows"]["id"].empty());
  EXPECT_TRUE(told["volumes"].empty());
}

}  // namespace
}  // namespace vineyard::http
