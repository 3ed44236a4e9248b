// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// A tensor and a table, stored so that Python gets them as numpy.ndarray and pyarrow.Table, and read
// back from the same pages. Usage: typed_values SOCKET [TABLE], where TABLE is the name of a table (or a
// frame) that Python has put; its columns of numbers are summed up.
#include <vineyard/vineyard.h>

#include <iostream>
#include <numeric>
#include <vector>

using namespace vineyard;

Status UseTensors(Client& client) {
  // Filled in place: the elements are written into the store, and never copied.
  VY_ASSIGN_OR_RETURN(MutableTensor<float> image, Tensor<float>::Create(client, {480, 640}));
  std::iota(image.values().begin(), image.values().end(), 0.0F);
  VY_RETURN_IF_ERROR(std::move(image).Put(client, {.name = "image"}).status());

  VY_ASSIGN_OR_RETURN(const Tensor<float> seen, Tensor<float>::Get(client, "image"));
  std::cout << "a tensor of " << seen.shape()[0] << " x " << seen.shape()[1]
            << ", at (1, 2): " << seen(1, 2)
            << (seen.blob().zero_copy() ? ", not copied\n" : ", copied\n");

  // The type of the elements is part of the value: nothing is reinterpreted.
  const Status refused = Tensor<double>::Get(client, "image").status();
  std::cout << refused.ToString() << "\n";
  return refused.Is(StatusCode::kTypeMismatch) ? client.DropName("image") : refused;
}

// Sums up the columns of 64-bit numbers.
Status Summarise(const Table& table) {
  for (size_t i = 0; i < table.columns(); ++i) {
    std::cout << table.schema().name(i) << " (" << table.schema().format(i) << ")";
    if (table.schema().format(i) == "g") {
      double sum = 0;
      for (const Array& chunk : table.column(i).chunks()) {
        VY_ASSIGN_OR_RETURN(const std::span<const double> values, chunk.Values<double>());
        for (size_t row = 0; row < values.size(); ++row) {
          if (!chunk.IsNull(static_cast<int64_t>(row))) sum += values[row];
        }
      }
      std::cout << ", sum " << sum;
    }
    std::cout << "\n";
  }
  return {};
}

Status UseTables(Client& client) {
  const std::vector<std::string> names{"Berlin", "Tokyo", "Lagos"};
  VY_ASSIGN_OR_RETURN(Array cities, Array::Of(names));
  VY_ASSIGN_OR_RETURN(const Table made,
                      Table::Make({{"city", std::move(cities)},
                                   {"degrees", Array::Of<double>({21.5, 24.0, 29.5})}}));
  VY_RETURN_IF_ERROR(made.Put(client, {.name = "weather"}).status());

  VY_ASSIGN_OR_RETURN(const Table got, Table::Get(client, "weather"));
  VY_RETURN_IF_ERROR(Summarise(got));

  // Any library that speaks the Arrow C data interface takes it from here, without a copy …
  ArrowArrayStream stream;
  VY_RETURN_IF_ERROR(got.Export(&stream));
  // … and gives back what it made. (Here, we are the library.)
  VY_ASSIGN_OR_RETURN(const Table again, Table::Import(&stream));
  if (again.rows() != 3) return Status::Internal("rows were lost");
  return client.DropName("weather");
}

Status Run(const std::string& socket, const char* table) {
  VY_ASSIGN_OR_RETURN(Client client,
                      Client::Connect({.socket = socket, .wait_for_instance = Timeout(10'000)}));
  if (table != nullptr) {
    VY_ASSIGN_OR_RETURN(const Table got, Table::Get(client, table));
    return Summarise(got);
  }
  VY_RETURN_IF_ERROR(UseTensors(client));
  return UseTables(client);
}

int main(int argc, char** argv) {
  Result<std::string> socket = argc > 1 ? argv[1] : FindSocket();
  Status status = socket.ok() ? Run(*socket, argc > 2 ? argv[2] : nullptr) : socket.status();
  if (!status.ok()) std::cerr << status.ToString() << "\n";
  return status.ok() ? 0 : 1;
}
