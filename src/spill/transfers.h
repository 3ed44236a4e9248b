// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// What a crew does with a place: writing a file, reading one, checking one, and reading the heads of all
// that were there at the start.
//
// Each returns at once; `done` is called on a thread of the crew, once, and must not wait for anything.
// REQUIRES: the crew lives until then (its end calls all off, and waits).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "spill/crew.h"
#include "spill/format.h"
#include "spill/memory.h"
#include "spill/opened_file.h"
#include "spill/place.h"
#include "vineyard/status.h"

namespace vineyard::spill {

struct WriteRequest {
  Key key;
  Source source;
  std::vector<std::byte> description;  // what the store needs to make the object again
  Durability durability = Durability::kInstance;
  IfThere if_there = IfThere::kRefuse;
  Room room = Room::kAskedFor;
};
/// A file that is called off, or whose writing fails, leaves nothing (one that was to be replaced stays, or
/// is the new one). kOutOfMemory: the disk is full.
std::shared_ptr<Job> Write(std::shared_ptr<Place> place, Crew& crew, WriteRequest request,
                           std::function<void(Status)> done);

struct ReadRequest {
  Key key;
  uint64_t offset = 0;
  Destination destination;  // its size is how much is read
};
/// Fills the destination; what is in it after a failure is undefined. Errors are those of
/// OpenedFile::Open and Read.
std::shared_ptr<Job> Read(std::shared_ptr<Place> place, Crew& crew, ReadRequest request,
                          std::function<void(Status)> done);

/// Reads all of a file, when there is nothing else to do, and sets it aside if it is damaged: kCorrupted.
std::shared_ptr<Job> Check(std::shared_ptr<Place> place, Crew& crew, const Key& key,
                           std::function<void(Status)> done);

/// A file whose head is whole.
struct Found {
  Key key;
  uint64_t size = 0;
  int64_t written_ns = 0;
  std::vector<std::byte> description;
};
struct ScanReport {
  uint64_t found = 0;
  uint64_t set_aside = 0;               // damaged
  uint64_t disowned = 0;                // another instance's, or of another format
  std::vector<std::string> unreadable;  // the disk gave an error; they stay where they are
  std::vector<Key> damaged;             // that were set aside
  std::vector<Key> left;                // disowned or unreadable
};
/// Reads the heads of the survey's files that are `wanted` (null: all). `found` is called with some at a time, by
/// several threads at once. Files that are written meanwhile are not among them; those removed meanwhile may be.
std::shared_ptr<Job> Scan(std::shared_ptr<Place> place, Crew& crew,
                          std::function<void(std::vector<Found>)> found,
                          std::function<void(Result<ScanReport>)> done,
                          bool (*wanted)(const Key& key) = nullptr);

}  // namespace vineyard::spill
