// foretoken completion: what a shell offers after the tabulator key, from the pages of the
// commands.
#include <fmt/format.h>

#include <iostream>

#include "analysis/app/command.hpp"
#include "analysis/app/exit_code.hpp"
#include "analysis/app/options.hpp"

namespace foretoken::analysis::app {
namespace {

std::vector<std::string> option_words(const CommandPage& page) {
  std::vector<std::string> words;
  for (const Option& option : page.options) {
    const std::size_t comma = option.name.find(',');
    words.push_back("--" + option.name.substr(0, comma));
    if (comma != std::string::npos) words.push_back("-" + option.name.substr(comma + 1));
  }
  return words;
}

// Commands of a command: "validate" -> kernels, serving, ...
std::vector<std::string> below(const PageList& list, const std::string& name) {
  std::vector<std::string> words;
  for (const auto& entry : list.entries)
    if (entry.name.starts_with(name + " ")) words.push_back(entry.name.substr(name.size() + 1));
  return words;
}

std::vector<std::string> top_level(const PageList& list) {
  std::vector<std::string> words;
  for (const auto& entry : list.entries)
    if (entry.name.find(' ') == std::string::npos) words.push_back(entry.name);
  return words;
}

// Words of an argument that is one of a few.
std::vector<std::string> argument_words(const PageList& list, const std::string& name) {
  if (name == "help") {
    auto words = top_level(list);
    for (const char* topic : {"units", "metrics", "exit-codes"}) words.emplace_back(topic);
    return words;
  }
  if (name == "list") return {"models", "hardware", "engines", "policies", "workloads"};
  if (name == "emit") return {"vllm", "sglang", "trtllm", "k8s", "slurm", "bench"};
  if (name == "completion") return {"bash", "zsh", "fish"};
  return below(list, name);
}

std::vector<std::string> value_words(const std::string& option) {
  if (option == "--to") return {"csv", "jsonl", "vllm-json", "perfetto"};
  if (option == "--table") return {"requests", "iterations", "timeseries"};
  if (option == "--executor") return {"auto", "serial", "threads"};
  if (option == "--progress") return {"auto", "json", "none"};
  if (option == "--lang") return {"en", "zh"};
  return {};
}

std::string bash(const PageList& list) {
  std::string out =
      "# foretoken completion bash > /etc/bash_completion.d/foretoken, or: source <(foretoken "
      "completion bash)\n_foretoken() {\n  local word=${COMP_WORDS[COMP_CWORD]} "
      "before=${COMP_WORDS[COMP_CWORD-1]}\n  local name=${COMP_WORDS[1]} sub=${COMP_WORDS[2]} "
      "words=\n  COMPREPLY=()\n  case $before in\n";
  for (const char* option : {"--to", "--table", "--executor", "--progress", "--lang"})
    out += fmt::format("    {}) COMPREPLY=($(compgen -W '{}' -- \"$word\")); return ;;\n", option,
                       fmt::join(value_words(option), " "));
  out += fmt::format(
      "  esac\n  if ((COMP_CWORD == 1)); then\n    COMPREPLY=($(compgen -W '{} --help --version' "
      "-- "
      "\"$word\"))\n    return\n  fi\n  case \"$name $sub\" in\n",
      fmt::join(top_level(list), " "));
  for (const auto& entry : list.entries)
    if (entry.name.find(' ') != std::string::npos)
      out += fmt::format("    '{}') words='{}' ;;\n", entry.name,
                         fmt::join(option_words(entry.page), " "));
  for (const std::string& name : top_level(list)) {
    std::vector<std::string> words = argument_words(list, name);
    for (const auto& entry : list.entries)
      if (entry.name == name)
        for (const std::string& option : option_words(entry.page)) words.push_back(option);
    out += fmt::format("    {}\\ *) words='{}' ;;\n", name, fmt::join(words, " "));
  }
  return out +
         "  esac\n  COMPREPLY=($(compgen -W \"$words\" -- \"$word\"))\n  [[ $word == -* ]] || "
         "COMPREPLY+=($(compgen -f -- \"$word\"))\n}\ncomplete -o filenames -F _foretoken "
         "foretoken ./foretoken\n";
}

std::string quoted(const std::string& text) {  // for single quotes of a shell
  std::string out;
  for (const char c : text) out += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return out;
}

// For zsh's _arguments: brackets and colons have a meaning there.
std::string zsh_help(const std::string& text) {
  std::string out;
  for (const char c : quoted(text)) {
    if (c == '[' || c == ']' || c == ':') out += '\\';
    out += c;
  }
  return out;
}

std::string zsh(const PageList& list) {
  std::string out =
      "#compdef foretoken ./foretoken\n# foretoken completion zsh > "
      "\"${fpath[1]}/_foretoken\"\n_foretoken() {\n  local -a commands words\n  commands=(\n";
  for (const Command& command : commands())
    out += fmt::format("    '{}:{}'\n", command.name, quoted(std::string(command.summary)));
  out +=
      "  )\n  if ((CURRENT == 2)); then\n    _describe command commands\n    return\n  fi\n  "
      "case \"$words[2] $words[3]\" in\n";
  const auto options = [](const CommandPage& page) {
    std::string text;
    for (const Option& option : page.options) {
      const std::string name = option.name.substr(0, option.name.find(','));
      text += fmt::format(
          " '{}--{}[{}]{}'", option.repeated ? "*" : "", name, zsh_help(option.help),
          option.value.empty()
              ? ""
              : fmt::format(":{}:{}", zsh_help(option.value),
                            value_words("--" + name).empty()
                                ? "_files"
                                : fmt::format("({})", fmt::join(value_words("--" + name), " "))));
    }
    return text;
  };
  for (const auto& entry : list.entries)
    if (entry.name.find(' ') != std::string::npos)
      out += fmt::format("    '{}') _arguments{} '*:file:_files' ;;\n", entry.name,
                         options(entry.page));
  for (const auto& entry : list.entries) {
    if (entry.name.find(' ') != std::string::npos) continue;
    const auto words = argument_words(list, entry.name);
    out += fmt::format("    {}\\ *) _arguments{} '*: :{}' ;;\n", entry.name, options(entry.page),
                       words.empty() ? "_files" : fmt::format("({})", fmt::join(words, " ")));
  }
  return out + "  esac\n}\n_foretoken \"$@\"\n";
}

std::string fish(const PageList& list) {
  std::string out =
      "# foretoken completion fish > ~/.config/fish/completions/foretoken.fish\n"
      "complete -c foretoken -n __fish_use_subcommand -f\n";
  for (const Command& command : commands())
    out += fmt::format("complete -c foretoken -n __fish_use_subcommand -a {} -d '{}'\n",
                       command.name, quoted(std::string(command.summary)));
  for (const auto& entry : list.entries) {
    std::string condition;
    for (std::size_t at = 0; at <= entry.name.size();) {
      const std::size_t end = std::min(entry.name.find(' ', at), entry.name.size());
      condition += fmt::format("{}__fish_seen_subcommand_from {}",
                               condition.empty() ? "" : "; and ", entry.name.substr(at, end - at));
      at = end + 1;
    }
    for (const Option& option : entry.page.options) {
      const std::size_t comma = option.name.find(',');
      const std::string name = option.name.substr(0, comma);
      out += fmt::format("complete -c foretoken -n '{}' -l {}{} -d '{}'", condition, name,
                         comma == std::string::npos ? "" : " -s " + option.name.substr(comma + 1),
                         quoted(option.help));
      if (!option.value.empty()) out += " -r";
      if (!value_words("--" + name).empty())
        out += fmt::format(" -f -a '{}'", fmt::join(value_words("--" + name), " "));
      out += "\n";
    }
    if (entry.name.find(' ') == std::string::npos)
      if (const auto words = argument_words(list, entry.name); !words.empty())
        out += fmt::format("complete -c foretoken -n '{}' -a '{}'\n", condition,
                           fmt::join(words, " "));
  }
  return out;
}

}  // namespace

int completion_command(const Invocation& invocation) {
  CommandPage page;
  page.synopsis = "completion bash|zsh|fish";
  page.about = "Prints what makes the shell complete commands, options and file names.\n";
  page.examples =
      "  source <(foretoken completion bash)\n"
      "  foretoken completion fish > ~/.config/fish/completions/foretoken.fish\n";
  page.min_arguments = page.max_arguments = 1;
  const auto line = parse(page, invocation);
  if (!line) return kOk;
  const std::string& shell = line->arguments[0];
  const std::vector<std::string> shells = {"bash", "zsh", "fish"};
  if (shell != "bash" && shell != "zsh" && shell != "fish")
    throw UsageError(
        fmt::format("'{}': completion knows bash, zsh, fish{}", shell, suggestion(shell, shells)));
  const PageList list = all_pages();
  std::cout << (shell == "bash" ? bash(list) : shell == "zsh" ? zsh(list) : fish(list));
  return kOk;
}

}  // namespace foretoken::analysis::app
