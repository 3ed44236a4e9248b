// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// An object's description as JSON and as text.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "vineyard/object.h"

namespace vineyard::cli {

/// Keys: id, type_name, nbytes, created, created_unix_ns, creator {pid, uid, pod, program}, metadata,
/// labels {key: value}, buffers [{blob, offset, length}], members [{key, id}]. When and by whom a blob
/// was made is not known: created and creator are null.
nlohmann::json ObjectJson(const ObjectInfo& info);

/// What `object get` shows; `now_unix_ns` is what the age is counted to.
std::string ObjectText(const ObjectInfo& info, int64_t now_unix_ns);

/// The metadata as a document; a string with its text where it is no JSON, or nested too deep to be
/// walked safely.
nlohmann::json MetadataJson(std::string_view text);

int64_t UnixNow();

}  // namespace vineyard::cli
