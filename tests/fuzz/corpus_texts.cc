// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <string>
#include <string_view>

#include "corpus.h"
#include "daemon/flags.h"

namespace vineyard::fuzz {

namespace {

void AddConfigurations(Corpus& corpus) {
  for (const char* text :
       {"",
        "--help\n",
        "--version\n",
        "--print-config\n--output=json\n",
        "--size=8Gi\n",
        "--config=file\nsize = 1G\n# a comment\nsocket_mode = 0600\n",
        "--config=file\nno line of it\n",
        "--config=file\n= 3\n",
        "--config=none\n",
        "--config=file\nsize=1Gi\nsize=2Gi\n",
        "--config=file\nsise=1Gi\n",
        "VINEYARD_SIZE=50%\n--socket=a/b\n",
        "VINEYARD_SIZE=\nHOME\n",
        "HOME\nXDG_RUNTIME_DIR\n",
        "XDG_RUNTIME_DIR\n",
        "XDG_RUNTIME_DIR\n--size=1Gi\n",
        "HOME\n--size=4Gi\n",
        "USER\n",
        "--size\n+8Gi\n",
        "--reserve_memory\n+true\n",
        "VINEYARD_SIZE= 8Gi\n",
        "--guaranteed=2Gi\n--size=1Gi\n",
        "XDG_RUNTIME_DIR\n--size=50%\n",
        "HOME\nCGROUP\n--size=50%\n",
        "--size=1\n",
        "--reserve_memory\n--size=1Pi\n",
        "--nosandbox\n",
        "--sandbox=maybe\n",
        "--spill_path=disk\n--spill_limit=1Gi\n--spill_lower_rate=0.5\n--spill_upper_rate=0.4\n",
        "--spill_path=disk\n--spill_lower_rate=50%\n--spill_upper_rate=90%\n",
        "--spill_limit=1Gi\n--spill_upper_rate=0.9\n--spill_lower_rate=2\n",
        "--read_only_socket=/a\n--socket=/a\n",
        "--read_only_socket=/a\n",
        "--read_only_socket_mode=0640\n--socket_mode=9\n",
        "--socket_mode=0177\n",
        "--rpc\n",
        "--rpc=false\n--rpc_socket_port=9600\n",
        "--rpc_socket_port=9600\n",
        "--rdma_endpoint=x\n",
        "--meta=etcd\n",
        "--meta=redis\n",
        "--meta=x\n",
        "--log_level=debug\n--log_format=json\n",
        "--log_level=loud\n",
        "--log_format=x\n",
        "--huge_pages=on\n",
        "--huge_pages=off\n",
        "--huge_pages=1\n",
        "--output=xml\n",
        "--deployment=a\tb\n",
        "--exit_with_parent=12\n",
        "--exit_with_parent=me\n",
        "--self_test\n",
        "--coredump\n",
        "--coredump\ntrue\n",
        "-size\n",
        "--\n",
        "-o\n",
        "--socket=\n",
        "--no-such-flag\n",
        "stray\n",
        "--socket=/.vineyard//x/../y.sock\n"}) {
    corpus.Add("config_fuzz", std::string_view(text));
  }
  corpus.Add("config_fuzz", "--socket=/" + std::string(300, 'a') + "\n");
  for (const daemon::Flag& flag : daemon::AllFlags()) {
    for (const char* value : {"=1", "=", "=true", "=/a/b", "=0.5", "=x", ""}) {
      corpus.Add("config_fuzz", "--" + std::string(flag.name) + value + "\n");
    }
    corpus.Add("config_fuzz", "--config=file\n" + std::string(flag.name) + " = 1\n");
  }
}

}  // namespace

void AddTexts(Corpus& corpus) {
  using namespace std::string_view_literals;
  AddConfigurations(corpus);
  for (const std::string_view text :
       {"8Gi"sv,
        "1.5G"sv,
        "50%"sv,
        "120%"sv,
        "%"sv,
        "5 x%"sv,
        "7 kb"sv,
        "1e3"sv,
        "16EiB"sv,
        "99999999999999999999"sv,
        "1.."sv,
        "-1"sv,
        "0"sv,
        "512"sv,
        "1.7976931348623157Ei"sv,
        "3Zi"sv,
        "250ms"sv,
        "1.5h"sv,
        "3"sv,
        "9e9d"sv,
        "293y"sv,
        "106752d"sv,
        "1us"sv,
        "1ns"sv,
        "2m"sv,
        "5 s"sv,
        "o0000000000000001"sv,
        "oFFFFFFFFFFFFFFFF"sv,
        "o00000000000000g1"sv,
        "o1"sv,
        "a*b?[c-e]\0axxbycd"sv,
        "[!a-c]*\0zed"sv,
        "\\*\\\0*\\"sv,
        "[]a]\0]"sv,
        "[a\0[a"sv,
        "*\xc3\xa9?\0x\xc3\xa9\xff"sv,
        "[\xc3\xa9-\xc3\xaf]\0\xc3\xaa"sv,
        "[^a]**b\0ccb"sv,
        "\xe2\x82\xac\xf0\x9f\x98\x80*[z-a]\0\xe2\x82\xac\xf0\x9f\x98\x80"sv}) {
    corpus.Add("text_fuzz", text);
  }
  for (
      const std::string_view head :
      {"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"sv,
       "HEAD /api/v1/why?volume=a%20b&id=o1 HTTP/1.0\r\nHost: localhost:80\r\nConnection: close\r\n\r\n"sv,
       "GET /metrics HTTP/1.1\r\nhost:[::1]:80\r\nAuthorization: Bearer 0123456789abcdef\r\n"
       "Origin: http://[::1]:80\r\nSec-Fetch-Site: same-origin\r\n\r\n"sv,
       "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\nx"sv}) {
    corpus.Add("http_request_fuzz", head);
  }
}

}  // namespace vineyard::fuzz
