// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Metrics: a sample as the text that Prometheus reads (format 0.0.4).
//
// Names follow its rules: prefix vineyard_, base units, _total on what only grows. Counters begin anew with each
// engine, which Prometheus takes for what it is.
#pragma once

#include <string>
#include <string_view>

#include "http/sample.h"

namespace vineyard::http {

/// `sample` null: the instance does not answer, and nothing is known but that.
std::string MetricsText(const Sample* sample);

/// The text within the quotes of a label's value.
std::string EscapeLabel(std::string_view text);

}  // namespace vineyard::http
