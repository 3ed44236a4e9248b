// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "http/metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace vineyard::http {
namespace {

using std::chrono::microseconds;
using ::testing::HasSubstr;
using ::testing::Not;

Sample OneVolume() {
  Sample sample;
  sample.status.version = "1.2.3";
  sample.status.deployment = "a\"b\\c";
  sample.status.memory_usage = 77;
  Figures& figures = sample.figures;
  figures.limit = 1000;
  figures.held = 600;
  figures.ready = 100;
  figures.generation = 3;
  VolumeFigures volume;
  volume.name = "default";
  volume.memory = {.sealed = 300, .writing = 100, .catalog = 200};
  volume.objects = 4;
  volume.refused_memory = 5;
  RequestFigures put{.kind = "Put", .answered = 4, .failed = 1, .total = microseconds(9)};
  put.buckets[0] = 1;
  put.buckets[3] = 2;
  put.buckets.back() = 1;
  volume.requests = {put, RequestFigures{.kind = "Get"}};
  figures.volumes.push_back(volume);
  return sample;
}

TEST(Metrics, TellAnInstanceThatDoesNotAnswerByOneFigure) {
  const std::string text = MetricsText(nullptr);
  EXPECT_THAT(text, HasSubstr("\nvineyard_up 0\n"));
  EXPECT_THAT(text, Not(HasSubstr("vineyard_memory")));
}

TEST(Metrics, StatesOfMemoryMakeUpTheLimit) {
  const Sample sample = OneVolume();
  const std::string text = MetricsText(&sample);
  for (const char* line :
       {"vineyard_up 1\n", "vineyard_memory_limit_bytes 1000\n",
        "vineyard_memory_bytes{state=\"sealed\"} 300\n",
        "vineyard_memory_bytes{state=\"writing\"} 100\n",
        "vineyard_memory_bytes{state=\"catalog\"} 200\n",
        "vineyard_memory_bytes{state=\"ready\"} 100\n",
        "vineyard_memory_bytes{state=\"free\"} 300\n", "vineyard_objects{volume=\"default\"} 4\n",
        "vineyard_volume_memory_bytes{volume=\"default\",state=\"sealed\"} 300\n",
        "vineyard_refusals_total{volume=\"default\",reason=\"memory\"} 5\n",
        "vineyard_engine_restarts_total 2\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

TEST(Metrics, RequestsAreACumulativeHistogram) {
  const Sample sample = OneVolume();
  const std::string text = MetricsText(&sample);
  const std::string labels = "{volume=\"default\",request=\"Put\"";
  for (const std::string& line :
       {"_bucket" + labels + ",le=\"1e-06\"} 1\n", "_bucket" + labels + ",le=\"4e-06\"} 1\n",
        "_bucket" + labels + ",le=\"8e-06\"} 3\n", "_bucket" + labels + ",le=\"+Inf\"} 4\n",
        "_sum" + labels + "} 9e-06\n", "_count" + labels + "} 4\n"}) {
    EXPECT_THAT(text, HasSubstr("vineyard_request_duration_seconds" + line));
  }
  EXPECT_THAT(text, HasSubstr("vineyard_failed_requests_total" + labels + "} 1\n"));
  EXPECT_THAT(text, Not(HasSubstr("request=\"Get\""))) << "nobody has asked for one";
}

TEST(Metrics, LabelsAreEscaped) {
  const Sample sample = OneVolume();
  EXPECT_THAT(MetricsText(&sample),
              HasSubstr("instances_memory_usage_bytes{user=\"a\\\"b\\\\c\"} 77\n"));
  EXPECT_EQ(EscapeLabel("a\nb\"\\"), "a\\nb\\\"\\\\");
  EXPECT_EQ(EscapeLabel("\xff"), "\xef\xbf\xbd");
  EXPECT_EQ(EscapeLabel("Ü"), "Ü");
}

}  // namespace
}  // namespace vineyard::http
