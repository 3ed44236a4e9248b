// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
//
// fmt's functions, compiled once from its headers. Distributions ship them only as a shared library,
// which a wheel could not take along; compiling them into every file that formats a string would
// cost two seconds each. The instantiations are the ones that <fmt/format.h> of fmt 9 declares
// extern; for other versions CMake takes the header-only form (cmake/dependencies.cmake).
#include <fmt/format-inl.h>

FMT_BEGIN_NAMESPACE
namespace detail {

template FMT_API dragonbox::decimal_fp<float> dragonbox::to_decimal(float);
template FMT_API dragonbox::decimal_fp<double> dragonbox::to_decimal(double);
template FMT_API std::locale locale_ref::get<std::locale>() const;
template FMT_API locale_ref::locale_ref(const std::locale&);
template FMT_API thousands_sep_result<char> thousands_sep_impl(locale_ref);
template FMT_API char decimal_point_impl(locale_ref);
template FMT_API void buffer<char>::append(const char*, const char*);
template FMT_API void vformat_to(buffer<char>&, string_view,
                                 basic_format_args<FMT_BUFFER_CONTEXT(char)>, locale_ref);

}  // namespace detail
FMT_END_NAMESPACE
