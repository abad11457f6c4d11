#pragma once
// The table of commands. Each command is one file with one function.
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace foretoken::analysis::app {

struct PageList;  // options.hpp

struct Invocation {
  std::string command;            // as typed
  std::vector<std::string> args;  // what follows it
  std::filesystem::path home;     // holds scenarios/ and validation/
  std::vector<std::string> argv;  // the whole command line, for the manifest
  // Set: the command only says what its page is, and does nothing (see parse).
  PageList* pages = nullptr;
};

struct Command {
  std::string_view name;
  std::string_view group;    // heading in --help
  std::string_view summary;  // one line
  int (*run)(const Invocation&);
};

const std::vector<Command>& commands();

int bench_command(const Invocation&);
int calibrate_command(const Invocation&);
int capacity_command(const Invocation&);
int check_command(const Invocation&);
int compare_command(const Invocation&);
int completion_command(const Invocation&);
int cost_command(const Invocation&);
int doctor_command(const Invocation&);
int emit_command(const Invocation&);
int estimate_command(const Invocation&);
int export_command(const Invocation&);
int explain_command(const Invocation&);
int help_command(const Invocation&);
int import_command(const Invocation&);
int list_command(const Invocation&);
int plan_command(const Invocation&);
int report_command(const Invocation&);
int run_command(const Invocation&);
int schema_command(const Invocation&);
int serve_command(const Invocation&);
int sweep_command(const Invocation&);
int validate_command(const Invocation&);

// The page of `foretoken --help`: at most 40 lines.
std::string overview();
std::string version_line();

}  // namespace foretoken::analysis::app
