// SPDX-License-Identifier: Apache-2.0
// Copyright The Vineyard Authors.
#include <algorithm>
#include <charconv>
#include <filesystem>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "base/size.h"
#include "cli/nouns.h"
#include "cli/verbs.h"

namespace vineyard::cli {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFolder = "volumes";  // beside the instance's socket

nlohmann::json VolumeJson(const VolumeInfo& info) {
  return {{"name", info.name},
          {"socket", info.socket},
          {"read_only_socket", info.read_only_socket},
          {"quota", info.quota},
          {"guaranteed", info.guaranteed},
          {"memory_usage", info.memory_usage},
          {"memory_held", info.memory_held},
          {"objects", info.objects},
          {"names", info.names},
          {"connections", info.connections},
          {"durable", info.durable}};
}

std::vector<std::string> VolumeCells(const VolumeInfo& info) {
  return {info.name,
          FormatBytes(info.memory_usage),
          info.quota == 0 ? "none" : FormatBytes(info.quota),
          info.guaranteed == 0 ? "none" : FormatBytes(info.guaranteed),
          fmt::to_string(info.objects),
          fmt::to_string(info.names),
          fmt::to_string(info.connections),
          info.socket};
}

Result<fs::path> Absolute(const fs::path& path) {
  std::error_code error;
  fs::path absolute = fs::absolute(path, error);
  if (error) {
    return Status::IOError(
        fmt::format("cannot tell where '{}' is: {}", path.string(), error.message()));
  }
  return absolute.lexically_normal();
}

struct SocketArguments {
  std::string mode = "0660";
  std::string owner;
};

struct CreateArguments {
  std::string name;
  std::string size = "0";
  std::string guaranteed = "0";
  std::string directory;
  SocketArguments socket;
  std::string read_only_socket;
  SocketArguments read_only;
  std::string durability = "memory";
};

Result<uint32_t> ParseNumber(std::string_view text, int base, const char* what) {
  uint32_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number, base);
  if (error != std::errc() || stop != text.data() + text.size()) {
    return Status::Invalid(fmt::format("'{}' is no {}", text, what));
  }
  return number;
}

// "1000", "1000:100", ":100"
Result<SocketRights> ParseRights(const SocketArguments& arguments) {
  SocketRights rights;
  VY_ASSIGN_OR_RETURN(rights.mode,
                      ParseNumber(arguments.mode, 8, "mode; write octal digits such as 0660"));
  const std::string_view text = arguments.owner;
  const size_t colon = text.find(':');
  if (!text.substr(0, colon).empty()) {
    VY_ASSIGN_OR_RETURN(rights.owner, ParseNumber(text.substr(0, colon), 10, "number of a user"));
  }
  if (colon != std::string_view::npos) {
    VY_ASSIGN_OR_RETURN(rights.group, ParseNumber(text.substr(colon + 1), 10, "number of a group"));
  }
  return rights;
}

Result<VolumeOptions> ParseVolume(const CreateArguments& arguments) {
  VolumeOptions volume;
  auto quota = ParseSize(arguments.size);
  if (!quota.ok()) return quota.status().WithContext("--size");
  volume.quota = *quota;
  auto guaranteed = ParseSize(arguments.guaranteed);
  if (!guaranteed.ok()) return guaranteed.status().WithContext("--guaranteed");
  volume.guaranteed = *guaranteed;
  auto rights = ParseRights(arguments.socket);
  if (!rights.ok()) return rights.status().WithContext("--mode, --owner");
  volume.rights = *rights;
  rights = ParseRights(arguments.read_only);
  if (!rights.ok()) return rights.status().WithContext("--read-only-mode, --read-only-owner");
  volume.read_only_rights = *rights;
  volume.read_only_socket = arguments.read_only_socket;
  VY_ASSIGN_OR_RETURN(volume.durability, ParseDurability(arguments.durability));
  return volume;
}

// The folder that is to be the volume; the client makes it.
Result<fs::path> VolumeFolder(const CreateArguments& arguments, const std::string& socket) {
  fs::path folder = arguments.directory;
  if (arguments.directory.empty()) {
    const std::string& name = arguments.name;
    if (name.empty() || name == "." || name == ".." || name.find('/') != std::string::npos) {
      return Status::Invalid(
          fmt::format("'{}' is no name for a folder; choose another, or say --dir", name));
    }
    VY_ASSIGN_OR_RETURN(const fs::path instance, Absolute(socket));
    folder = instance.parent_path() / kFolder / name;
  }
  VY_ASSIGN_OR_RETURN(folder, Absolute(folder));
  if (!folder.has_filename()) folder = folder.parent_path();  // "a/b/" is "a/b"
  return folder;
}

Status Create(Session& session, const CreateArguments& arguments) {
  VY_ASSIGN_OR_RETURN(const VolumeOptions volume, ParseVolume(arguments));
  VY_ASSIGN_OR_RETURN(Client client, session.Connect());
  VY_ASSIGN_OR_RETURN(const fs::path folder, VolumeFolder(arguments, client.socket()));
  std::error_code error;
  const bool was_there = fs::exists(folder, error);
  const Result<VolumeInfo> info = client.CreateVolume(arguments.name, folder.string(), volume);
  if (!info.ok()) {
    // The client may have made it. One that is not empty stays.
    if (!was_there) fs::remove(folder, error);
    return info.status();
  }
  if (session.wants_json()) {
    nlohmann::json document = VolumeJson(*info);
    document["directory"] = folder.string();
    session.PrintJson(document);
  } else {
    session.Print(folder.string() + "\n");
  }
  return Status::OK();
}

struct LsOptions {};

Status Ls(Session& session, const LsOptions&) {
  VY_ASSIGN_OR_RETURN(Client client, session.Connect());
  VY_ASSIGN_OR_RETURN(const std::vector<VolumeInfo> volumes, client.ListVolumes());
  const ListForm<VolumeInfo> form = {.things = "volumes",
                                     .columns = {{"NAME"},
                                                 {"USED", Align::kRight},
                                                 {"QUOTA", Align::kRight},
                                                 {"GUARANTEED", Align::kRight},
                                                 {"OBJECTS", Align::kRight},
                                                 {"NAMES", Align::kRight},
                                                 {"CONNECTIONS", Align::kRight},
                                                 {"SOCKET"}},
                                     .json = VolumeJson,
                                     .cells = VolumeCells};
  PrintList(session, form, std::span(volumes));
  return Status::OK();
}

// Takes away a folder that `create` made at the usual place, if nothing else is in it.
void RemoveFolder(const std::string& volume_socket, const std::string& instance_socket) {
  const fs::path folder = fs::path(volume_socket).parent_path();
  std::error_code error;
  const fs::path usual = fs::path(instance_socket).parent_path() / kFolder;
  if (!fs::equivalent(folder.parent_path(), usual, error)) return;
  fs::remove(folder, error);  // one that is not empty stays
}

Status Rm(Session& session, const std::vector<std::string>& names) {
  VY_ASSIGN_OR_RETURN(Client client, session.Connect());
  VY_ASSIGN_OR_RETURN(const std::vector<VolumeInfo> volumes, client.ListVolumes());
  const Done removed = DoToEach(names, [&](const std::string& name) -> Status {
    VY_RETURN_IF_ERROR(client.RemoveVolume(name));
    const auto info = std::ranges::find(volumes, name, &VolumeInfo::name);
    if (info == volumes.end()) return Status::OK();  // made since they were listed
    RemoveFolder(info->socket, client.socket());
    if (!session.wants_json()) {
      Session::Say(fmt::format("removed volume '{}' with {} and {}", name,
                               Count(info->objects, "object"), Count(info->names, "name")));
    }
    return Status::OK();
  });
  if (session.wants_json()) session.PrintJson({{"removed", removed.names}});
  return removed.failure;
}

void AddCreate(CLI::App& volume, Session& session) {
  CLI::App& create = AddCommand(
      volume,
      {.name = "create",
       .description = "Makes a folder that is a volume, and prints its path.\n"
                      "Programs write below it with vineyard.csi, or connect to its socket.",
       .json =
           R"({"name", "directory", "socket", "read_only_socket", "quota", "guaranteed", "memory_usage",
  "memory_held", "objects", "names", "connections", "durable"}, quota in bytes, 0 where only the
  instance's size bounds it)",
       .example = R"ex(a volume of 4 GiB, and a value in it
  data=$(vineyardctl volume create data --size 4Gi)
  python3 -c "import vineyard.csi as csi, sys; csi.write(42, sys.argv[1] + '/answer')" "$data"
  vineyardctl volume create shown --read-only-socket /srv/shown/vineyard.sock --read-only-mode 0666)ex"});
  CreateArguments& arguments = RunWhenChosen(create, session, Create);
  create.add_option("NAME", arguments.name, "of the volume, and of its folder")->required();
  create
      .add_option("--size", arguments.size,
                  "what it may hold, such as 4Gi; the instance's size by default")
      ->type_name("SIZE");
  create
      .add_option("--guaranteed", arguments.guaranteed,
                  "memory that others always leave to it, such as 1Gi; none by default")
      ->type_name("SIZE");
  create
      .add_option("--dir", arguments.directory,
                  "the folder; volumes/NAME beside the instance's socket by default")
      ->type_name("DIR");
  const auto add_rights = [&](SocketArguments& to, const std::string& mode,
                              const std::string& owner, const std::string& whose) {
    create.add_option(mode, to.mode, "who may open " + whose + ": octal, 0660 by default")
        ->type_name("MODE");
    create.add_option(owner, to.owner, "numbers of the user and the group that own " + whose)
        ->type_name("UID[:GID]");
  };
  add_rights(arguments.socket, "--mode", "--owner", "the volume's socket");
  create
      .add_option("--read-only-socket", arguments.read_only_socket,
                  "a second socket: who comes through it reads, and changes nothing")
      ->type_name("PATH");
  create
      .add_option("--durability", arguments.durability,
                  "memory, or disk: it and all that is put there outlive the instance")
      ->type_name("memory|disk");
  add_rights(arguments.read_only, "--read-only-mode", "--read-only-owner", "the second socket");
}

void AddLs(CLI::App& volume, Session& session) {
  CLI::App& ls = AddCommand(
      volume,
      {.name = "ls",
       .description = "Lists the volumes of the instance.",
       .json =
           R"({"volumes": [{"name", "socket", "read_only_socket", "quota", "guaranteed", "memory_usage",
  "memory_held", "objects", "names", "connections", "durable"}, ...]}, quota in bytes, 0 where only
  the instance's size bounds it)",
       .example = R"(the volumes, and where the socket of one is
  vineyardctl volume ls
  vineyardctl volume ls -o json | jq -r '.volumes[] | select(.name == "data").socket')"});
  ls.alias("list");
  RunWhenChosen(ls, session, Ls);
}

void AddRm(CLI::App& volume, Session& session) {
  CLI::App& rm =
      AddCommand(volume, {.name = "rm",
                          .description = "Removes volumes with all their objects and names.\n"
                                         "What readers have mapped stays readable for them.",
                          .json = R"({"removed": [NAME, ...]})",
                          .example = R"(a volume
  vineyardctl volume rm data)"});
  rm.alias("delete");
  std::vector<std::string>& names = RunWhenChosen(rm, session, Rm);
  rm.add_option("NAME", names, "as 'vineyardctl volume ls' shows it")->required();
}

}  // namespace

void AddVolume(CLI::App& root, Session& session) {
  CLI::App& volume = AddCommand(
      root, {.name = "volume",
             .description = "Volumes: isolated spaces of objects and names, each with a folder.",
             .json = {},
             .example = R"(make a volume, see it, and remove it
  vineyardctl volume create data --size 4Gi
  vineyardctl volume ls
  vineyardctl volume rm data)"});
  volume.alias("volumes");
  AddCreate(volume, session);
  AddLs(volume, session);
  AddRm(volume, session);
}

}  // namespace vineyard::cli
