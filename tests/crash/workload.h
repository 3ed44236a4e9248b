// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// For tests of an engine's death: every kind of change, one after another, and what a client that was
// told "done" may rely on afterwards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <ostream>
#include <string>
#include <utility>

#include "vineyard/client.h"
#include "vineyard/stream.h"

namespace vineyard::testing {

/// What an instance says it holds.
struct Figures {
  uint64_t usage = 0;
  uint64_t objects = 0;
  uint64_t blobs = 0;
  uint64_t names = 0;
  uint64_t lingering = 0;
  uint64_t waiting = 0;
  auto operator<=>(const Figures&) const = default;
};
std::ostream& operator<<(std::ostream& out, const Figures& f);
Figures FiguresOf(Client& client);

/// The changes are made by `client`, each of them answered before the next.
class Workload {
 public:
  explicit Workload(Client& client) : client_(client) {}

  void First();
  void Second();
  /// Fails the test unless this client finds just what the two have left.
  void Check(Client& client) const;
  void DeleteAll();

 private:
  struct Value {  // a pattern
    uint64_t seed;
    size_t size;
  };

  ObjectId Put(uint64_t seed, size_t size, const std::string& name);
  /// The name goes elsewhere: the object goes unless another name has it.
  void Release(ObjectId id, const std::string& name);
  void PutName(const std::string& name, ObjectId id);
  void Drop(const std::string& name);
  void PutInPlace(uint64_t seed, size_t size);
  ObjectId MakeBlob(uint64_t seed, size_t size);
  void RefersTo(ObjectId id);
  /// With an object in it, under the volume's own name.
  void MakeVolume(const std::string& name, uint64_t seed);
  void RemoveVolume(const std::string& name);
  void OpenStream();
  /// The next chunk, whose pattern is counted from 90.
  void PutChunk(size_t size);
  void ReadChunk();

  Client& client_;
  std::map<ObjectId, Value> objects_;  // of one pattern each
  std::map<std::string, std::pair<ObjectId, uint64_t>> names_;
  std::map<ObjectId, Value> blobs_;
  std::map<std::string, std::pair<std::string, Value>> volumes_;  // name → socket, what is in it
  size_t referring_ = 0;
  ObjectId stream_;
  std::optional<StreamWriter> writer_;
  std::optional<StreamReader> reader_;
  uint64_t chunks_put_ = 0;
  uint64_t chunks_read_ = 0;  // the last of them is still in the reader's hands
};

}  // namespace vineyard::testing
