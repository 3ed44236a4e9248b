// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "http/objects.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace vineyard::http {
namespace {

using nlohmann::json;

// Objects of one type and creator, 1, 2, …
Survey SurveyOf(std::string type, Creator creator, std::vector<std::optional<uint64_t>> bytes) {
  Survey survey{.types = {std::move(type)}, .creators = {std::move(creator)}};
  for (const auto& each : bytes) {
    survey.objects.push_back(
        {.id = ObjectId(survey.objects.size() + 1), .bytes = each, .created_unix_ns = 5'000'000});
  }
  return survey;
}

TEST(Objects, AreRowsWithTheirNamesAndTheirMakers) {
  VolumeContents first{.name = "default"};
  first.objects =
      SurveyOf("frame", {.pid = 7, .uid = 8, .pod = "ns/pod", .program = "train.py"}, {36, {}});
  first.objects.objects[1].where = Survey::Where::kBoth;
  first.names = {{.name = "first", .id = ObjectId(1)},
                 {.name = "other", .id = ObjectId(9)},
                 {.name = "second", .id = ObjectId(1)}};
  VolumeContents second{.name = "other"};
  second.objects = SurveyOf("vineyard::Blob", {}, {90});
  second.objects.types.insert(second.objects.types.begin(), "frame");
  second.objects.objects[0].type = 1;
  second.objects.objects[0].where = Survey::Where::kDisk;
  const json told = json::parse(ObjectsJson({.volumes = {first, second}}, 77, 88));
  EXPECT_EQ(told["version"], 77);
  EXPECT_EQ(told["time"], 88);
  EXPECT_EQ(told["more"], false);
  const json& rows = told["rows"];
  EXPECT_EQ(rows["id"], json({"o0000000000000001", "o0000000000000002", "o0000000000000001"}));
  EXPECT_EQ(rows["volume"], json({0, 0, 1}));
  EXPECT_EQ(rows["bytes"], json({36, nullptr, 90}));
  EXPECT_EQ(rows["name"], json({"first", nullptr, nullptr}));
  EXPECT_EQ(rows["names"], json({2, 0, 0}));
  EXPECT_EQ(rows["created"], json({5, 5, 5}));
  EXPECT_EQ(told["states"][rows["state"][0].get<size_t>()], "memory");
  EXPECT_EQ(told["states"][rows["state"][1].get<size_t>()], "mixed");
  EXPECT_EQ(told["states"][rows["state"][2].get<size_t>()], "disk");
  EXPECT_EQ(told["types"], json({"frame", "vineyard::Blob"})) << "each once";
  EXPECT_EQ(rows["type"], json({0, 0, 1}));
  EXPECT_EQ(told["creators"],
            json({{{"pid", 7}, {"uid", 8}, {"pod", "ns/pod"}, {"program", "train.py"}}}));
  EXPECT_EQ(rows["creator"], json({0, 0, -1}));
}

TEST(Objects, TextOfOthersStaysText) {
  const std::string nasty = "</script><img src=x onerror=alert(1)>\"\\\n\xff";
  VolumeContents volume{.name = nasty};
  volume.objects = SurveyOf(nasty, {.pid = 1, .program = nasty}, {1});
  volume.names = {{.name = nasty, .id = ObjectId(1)}};
  const json told = json::parse(ObjectsJson({.volumes = {volume}, .more = true}, 1, 1));
  EXPECT_TRUE(told["types"][0].get<std::string>().starts_with("</script><img"));
  EXPECT_EQ(told["types"][0], told["rows"]["name"][0]);
  EXPECT_EQ(told["types"][0], told["creators"][0]["program"]);
  EXPECT_EQ(told["more"], true);
}

TEST(Objects, NoneIsAListToo) {
  const json told = json::parse(ObjectsJson({}, 1, 1));
  EXPECT_TRUE(told["rows"]["id"].empty());
  EXPECT_TRUE(told["volumes"].empty());
}

}  // namespace
}  // namespace vineyard::http
