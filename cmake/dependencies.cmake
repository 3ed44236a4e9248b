# The libraries we use. What a program of ours needs at run time is libc alone when VINEYARD_STATIC
# is on: fmt is compiled in, the others are headers.
find_package(Threads REQUIRED)
find_package(Flatbuffers CONFIG QUIET)
if(NOT Flatbuffers_FOUND)
  find_package(FlatBuffers CONFIG REQUIRED)
endif()
find_package(fmt CONFIG REQUIRED)
find_package(spdlog CONFIG REQUIRED)
find_package(CLI11 CONFIG REQUIRED)
find_package(nlohmann_json CONFIG REQUIRED)
find_path(ASIO_INCLUDE_DIR asio.hpp REQUIRED)
find_path(BEAST_INCLUDE_DIR boost/beast/http/parser.hpp REQUIRED)

# vineyard_fmt: link this, not fmt::fmt (a shared library).
if(fmt_VERSION VERSION_GREATER_EQUAL 9 AND fmt_VERSION VERSION_LESS 10)
  add_library(vineyard_fmt STATIC ${CMAKE_CURRENT_LIST_DIR}/fmt.cc)
  target_include_directories(vineyard_fmt SYSTEM PUBLIC
    $<BUILD_INTERFACE:$<TARGET_PROPERTY:fmt::fmt-header-only,INTERFACE_INCLUDE_DIRECTORIES>>)
  if(VINEYARD_SANITIZER)
    target_compile_options(vineyard_fmt PRIVATE -fsanitize=${VINEYARD_SANITIZER})
  endif()
else()
  add_library(vineyard_fmt INTERFACE)
  target_link_libraries(vineyard_fmt INTERFACE fmt::fmt-header-only)
endif()

# vineyard_spdlog: link this, not spdlog::spdlog (a shared library). Header-only, on our fmt.
add_library(vineyard_spdlog INTERFACE)
target_compile_definitions(vineyard_spdlog INTERFACE SPDLOG_FMT_EXTERNAL)
target_include_directories(vineyard_spdlog SYSTEM INTERFACE
  $<BUILD_INTERFACE:$<TARGET_PROPERTY:spdlog::spdlog_header_only,INTERFACE_INCLUDE_DIRECTORIES>>)
target_link_libraries(vineyard_spdlog INTERFACE vineyard_fmt)

# vineyard_asio: link this. Whether asio 1.22 finds aligned_alloc depends on what was included before
# it, so that one file would free what another has allocated otherwise: none uses it.
add_library(vineyard_asio INTERFACE)
target_include_directories(vineyard_asio SYSTEM INTERFACE ${ASIO_INCLUDE_DIR})
target_compile_definitions(vineyard_asio INTERFACE ASIO_STANDALONE= ASIO_DISABLE_STD_ALIGNED_ALLOC)

# vineyard_beast: link this where heads of HTTP are read. Headers of Boost, of which nothing is linked.
add_library(vineyard_beast INTERFACE)
target_include_directories(vineyard_beast SYSTEM INTERFACE ${BEAST_INCLUDE_DIR})
