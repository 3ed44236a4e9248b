// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// Puts an array under a name and reads it back from the same pages. Usage: hello SOCKET
#include <vineyard/vineyard.h>

#include <iostream>
#include <numeric>
#include <span>
#include <vector>

using namespace vineyard;

Status Hello(const std::string& socket) {
  VY_ASSIGN_OR_RETURN(Client client,
                      Client::Connect({.socket = socket, .wait_for_instance = Timeout(10'000)}));

  // Any process of the machine may write …
  std::vector<double> numbers(1'000'000);
  std::iota(numbers.begin(), numbers.end(), 1.0);
  ObjectBuilder builder("example::Numbers");
  builder.SetMetadata(R"({"unit": "metre"})").AddBuffer(std::as_bytes(std::span(numbers)));
  VY_RETURN_IF_ERROR(client.Put(builder, {.name = "numbers"}).status());

  // … and any other reads: the bytes are the writer's pages, not a copy.
  VY_ASSIGN_OR_RETURN(Object object, client.Get("numbers"));
  const Blob& blob = object.buffers().front();
  std::span<const double> values(reinterpret_cast<const double*>(blob.data()),
                                 blob.size() / sizeof(double));
  std::cout << object.type_name() << " " << object.metadata() << ": " << values.size()
            << " values, sum " << std::accumulate(values.begin(), values.end(), 0.0)
            << (blob.zero_copy() ? ", not copied\n" : ", copied\n");
  return client.DropName("numbers");
}

int main(int argc, char** argv) {
  Result<std::string> socket = argc > 1 ? argv[1] : FindSocket();
  Status status = socket.ok() ? Hello(*socket) : socket.status();
  if (!status.ok()) std::cerr << status.ToString() << "\n";
  return status.ok() ? 0 : 1;
}
