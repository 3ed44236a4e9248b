// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include "vineyard/tensor.h"

#include <cmath>

#include <gtest/gtest.h>

#include "base/testing.h"
#include "types/test_objects.h"

namespace vineyard {
namespace {

using types::ObjectOf;

std::string Tensors(const std::string& dtype, const std::string& layout) {
  return R"({"codec":"tensor","version":1,"value_type_meta_":")" + dtype + R"(","buffer":0,)" +
         layout + "}";
}

std::string Numbers(int64_t count) {
  std::vector<int16_t> numbers;
  for (int64_t i = 0; i < count; ++i) numbers.push_back(static_cast<int16_t>(i));
  return types::Bytes(numbers);
}

TEST(Tensor, KnowsHowItsElementsLie) {
  const auto get = [](const std::string& layout) {
    return AnyTensor::FromObject(ObjectOf(Tensors("<i2", layout), {Numbers(6)}))
        .value()
        .As<int16_t>()
        .value();
  };
  const Tensor<int16_t> rows = get(R"("order_":"C","shape_":[2,3])");
  EXPECT_TRUE(rows.is_contiguous());
  EXPECT_EQ(rows(1, 0), 3);
  EXPECT_EQ(rows.values()[5], 5);
  const Tensor<int16_t> columns = get(R"("order_":"F","shape_":[2,3])");
  EXPECT_FALSE(columns.is_contiguous());
  EXPECT_EQ(columns(1, 0), 1);
  EXPECT_EQ(columns(0, 2), 4);
  const Tensor<int16_t> backwards =
      get(R"("order_":"K","shape_":[2,3,4],"axes_":[2,0,1],"repeated_":[2],"flipped_":[1])");
  EXPECT_EQ(backwards.size(), 24);
  EXPECT_EQ(backwards.strides()[1], -1);
  EXPECT_EQ(backwards.strides()[2], 0);
  EXPECT_EQ(backwards(0, 0, 3), 2);
  EXPECT_EQ(backwards(1, 2, 0), 3);
  EXPECT_EQ(&backwards(0, 2, 1), backwards.blob().bytes().data() == nullptr
                                     ? nullptr
                                     : reinterpret_cast<const int16_t*>(backwards.blob().data()));
}

TEST(Tensor, ElementsThatAreNotAlignedAreCopied) {
  const Object object = ObjectOf(Tensors("<i2", R"("order_":"C","shape_":[3])"), {Numbers(3)}, 1);
  ASSERT_OK_AND_ASSIGN(const AnyTensor any, AnyTensor::FromObject(object));
  EXPECT_EQ(any.data(), object.buffers()[0].data());
  ASSERT_OK_AND_ASSIGN(const Tensor<int16_t> tensor, any.As<int16_t>());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.data()) % 2, 0U);
  EXPECT_EQ(tensor(2), 2);
}

TEST(Tensor, OfAnotherTypeIsRefusedAndTheMessageSaysBoth) {
  const auto get = [](const std::string& dtype) {
    const auto object = ObjectOf(Tensors(dtype, R"("order_":"C","shape_":[1])"), {Numbers(4)});
    return AnyTensor::FromObject(object).value().As<double>().status();
  };
  EXPECT_OK(get("<f8"));
  EXPECT_CODE(kTypeMismatch, get("<i8"));
  EXPECT_NE(get("<i8").message().find("'<i8' asked for as one of '<f8'"), std::string::npos);
  EXPECT_CODE(kTypeMismatch, get(">f8"));
  EXPECT_NE(get(">f8").message().find("big-endian"), std::string::npos);
}

struct BadTensor {
  const char* name;
  std::string metadata;
  StatusCode code = StatusCode::kCorrupted;

  friend void PrintTo(const BadTensor& tensor, std::ostream* out) { *out << tensor.name; }
};

class HostileTensor : public ::testing::TestWithParam<BadTensor> {};

TEST_P(HostileTensor, IsATypedError) {
  const Object object = ObjectOf(GetParam().metadata, {Numbers(4)});
  const Status status = AnyTensor::FromObject(object).status();
  EXPECT_EQ(status.code(), GetParam().code) << status.ToString();
}

INSTANTIATE_TEST_SUITE_P(
    Lies, HostileTensor,
    ::testing::Values(
        BadTensor{"TooLarge", Tensors("<i2", R"("order_":"C","shape_":[5])")},
        BadTensor{"TooSmall", Tensors("<i2", R"("order_":"C","shape_":[3])")},
        BadTensor{"NegativeShape", Tensors("<i2", R"("order_":"C","shape_":[-4])")},
        BadTensor{"ShapeThatOverflows",
                  Tensors("<i2", R"("order_":"C","shape_":[4294967296,4294967296,4])")},
        BadTensor{"EmptyShapeThatOverflows",
                  Tensors("<i2", R"("order_":"C","shape_":[4294967296,4294967296,0])")},
        BadTensor{"ShapeOf64Bits",
                  Tensors("<i2", R"("order_":"C","shape_":[18446744073709551615])")},
        BadTensor{"ShapeAsText", Tensors("<i2", R"("order_":"C","shape_":["4"])")},
        BadTensor{"NoShape", Tensors("<i2", R"("order_":"C")")},
        BadTensor{"NoOrder", Tensors("<i2", R"("shape_":[4])")},
        BadTensor{"UnknownOrder", Tensors("<i2", R"("order_":"Z","shape_":[4])")},
        BadTensor{
            "AxesTwice",
            Tensors("<i2",
                    R"("order_":"K","shape_":[2,2],"axes_":[0,0],"repeated_":[],"flipped_":[])")},
        BadTensor{
            "AxesBeyond",
            Tensors("<i2",
                    R"("order_":"K","shape_":[2,2],"axes_":[0,2],"repeated_":[],"flipped_":[])")},
        BadTensor{
            "FlippedBeyond",
            Tensors("<i2",
                    R"("order_":"K","shape_":[2,2],"axes_":[0,1],"repeated_":[],"flipped_":[2])")},
        BadTensor{"RepeatedWithoutEnd",
                  Tensors("<i2", R"("order_":"K","shape_":[4,4611686018427387904,4],"axes_":[0,1,2],
                          "repeated_":[1],"flipped_":[])")},
        BadTensor{"NoDtype", Tensors("<x2", R"("order_":"C","shape_":[4])")},
        BadTensor{"DtypeOfNoSize", Tensors("<i3", R"("order_":"C","shape_":[4])")},
        BadTensor{"VoidDtype", Tensors("|V2", R"("order_":"C","shape_":[4])")},
        BadTensor{"LongDouble", Tensors("<f16", R"("order_":"C","shape_":[0])")},
        BadTensor{"BoolThatIsNone", Tensors("|b1", R"("order_":"C","shape_":[8])")},
        BadTensor{
            "NoBuffer",
            R"({"codec":"tensor","version":1,"value_type_meta_":"<i2","order_":"C","shape_":[4]})"},
        BadTensor{
            "AnotherBuffer",
            R"({"codec":"tensor","version":1,"value_type_meta_":"<i2","order_":"C","shape_":[4],
                  "buffer":1})"},
        BadTensor{"TheFuture", R"({"codec":"tensor","version":2})", StatusCode::kNotSupported},
        BadTensor{"Objects", R"({"codec":"tensor.object","version":1})", StatusCode::kNotSupported},
        BadTensor{"AnotherCodec", R"({"codec":"list","version":1})", StatusCode::kTypeMismatch}),
    [](const auto& one) { return std::string(one.param.name); });

TEST(CountElements, RefusesShapesThatMakeNoSense) {
  EXPECT_EQ(internal::CountElements(std::vector<int64_t>{}, 8).value(), 1);
  EXPECT_EQ(internal::CountElements(std::vector<int64_t>{3, 0}, 8).value(), 0);
  EXPECT_EQ(internal::CountElements(std::vector<int64_t>{3, 4}, 8).value(), 12);
  EXPECT_CODE(kInvalid, internal::CountElements(std::vector<int64_t>{-1}, 8));
  EXPECT_CODE(kInvalid, internal::CountElements(std::vector<int64_t>{1LL << 40, 1LL << 40}, 8));
  EXPECT_CODE(kInvalid, internal::CountElements(std::vector<int64_t>(65, 1), 8));
}

TEST(Float16, EveryNumberIsKept) {
  for (uint32_t bits = 0; bits <= 0xFFFF; ++bits) {
    const Float16 half{static_cast<uint16_t>(bits)};
    const float value = half.ToFloat();
    if (std::isnan(value)) {
      EXPECT_TRUE(std::isnan(Float16::From(value).ToFloat()));
    } else {
      EXPECT_EQ(Float16::From(value), half) << bits;
    }
  }
}

TEST(Float16, IsRoundedToTheNearest) {
  EXPECT_EQ(Float16::From(1.0F).bits, 0x3C00);
  EXPECT_EQ(Float16::From(65504.0F).bits, 0x7BFF);
  EXPECT_EQ(Float16::From(65519.0F).bits, 0x7BFF);
  EXPECT_EQ(Float16::From(65520.0F).bits, 0x7C00);
  EXPECT_EQ(Float16::From(-1e9F).bits, 0xFC00);
  EXPECT_EQ(Float16::From(0x1p-24F).bits, 0x0001);
  EXPECT_EQ(Float16::From(0x1p-25F).bits, 0x0000);  // halfway, to even
  EXPECT_EQ(Float16::From(0x1.000002p-25F).bits, 0x0001);
  EXPECT_EQ(Float16::From(0x1.8p-24F).bits, 0x0002);  // halfway, to even
  EXPECT_EQ(Float16::From(0x1.002p0F).bits, 0x3C00);  // halfway, to even
  EXPECT_EQ(Float16::From(0x1.006p0F).bits, 0x3C02);
  EXPECT_EQ(Float16::From(0x1.FFFp-15F).bits, 0x0400);  // carries into the normal ones
}

}  // namespace
}  // namespace vineyard
