# Writes a C++ file that holds files of text:
#   cmake -DFOLDER=… -DFILES=index.html;vendor/b.js -DOUTPUT=page.cc -P embed_page.cmake
set(types "html|text/html" "css|text/css" "js|text/javascript" "svg|image/svg+xml")
set(entries "")
foreach(file IN LISTS FILES)
  set(name "${file}")
  get_filename_component(extension "${file}" LAST_EXT)
  foreach(pair IN LISTS types)
    string(REGEX REPLACE "^(.*)\\|(.*)$" "\\1;\\2" pair "${pair}")
    list(GET pair 0 known)
    if(extension STREQUAL ".${known}")
      list(GET pair 1 type)
    endif()
  endforeach()
  if(name STREQUAL "index.html")
    set(name "")
  endif()
  file(READ "${FOLDER}/${file}" text)
  if(text MATCHES "\\)vineyard_page\"")
    message(FATAL_ERROR "${file} holds what ends a file here")
  endif()
  string(APPEND entries "      PageFile{\"/${name}\", \"${type}; charset=utf-8\",\n"
         "               std::make_shared<const std::string>(R\"vineyard_page(${text})vineyard_page\")},\n")
endforeach()
file(WRITE "${OUTPUT}" "// Made by cmake/embed_page.cmake.
#include \"http/page.h\"

#include <memory>
#include <string>
#include <vector>

namespace vineyard::http {

std::span<const PageFile> PageFiles() {
  static const std::vector<PageFile> files = {
${entries}  };
  return files;
}

}  // namespace vineyard::http
")
