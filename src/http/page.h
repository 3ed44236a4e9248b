// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// The page: the files of src/http/page/, compiled in (cmake/embed_page.cmake).
#pragma once

#include <span>
#include <string_view>

#include "http/answer.h"

namespace vineyard::http {

struct PageFile {
  std::string_view path;  ///< "/", "/page.css"
  std::string_view type;
  Body body;
};

std::span<const PageFile> PageFiles();

}  // namespace vineyard::http
