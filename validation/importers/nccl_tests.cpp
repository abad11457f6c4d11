#include "validation/importers/nccl_tests.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdlib>
#include <istream>
#include <iterator>
#include <nlohmann/json.hpp>
#include <optional>
#include <regex>
#include <set>

#include "sim/core/error.hpp"
#include "validation/importers/gzip_stream.hpp"

namespace foretoken::validation::importers {
namespace {

using nlohmann::json;
using sim::core::Diagnostic;
using sim::core::InputError;

// Programs of nccl-tests and what they do; longer names first, since they hold shorter ones.
constexpr std::array<std::pair<std::string_view, std::string_view>, 9> kPrograms{
    {{"reduce_scatter_perf", "reduce_scatter"},
     {"all_reduce_perf", "all_reduce"},
     {"all_gather_perf", "all_gather"},
     {"alltoall_perf", "alltoall"},
     {"broadcast_perf", "broadcast"},
     {"sendrecv_perf", "sendrecv"},
     {"hypercube_perf", "hypercube"},
     {"gather_perf", "gather"},
     {"reduce_perf", "reduce"}}};

std::string operation_in(std::string_view text) {
  for (const auto& [program, operation] : kPrograms)
    if (text.find(program) != std::string_view::npos) return std::string(operation);
  return {};
}

// all_reduce_h100.txt: names that users give.
std::string operation_of_name(const std::filesystem::path& file) {
  std::string name = file.filename().string();
  std::replace(name.begin(), name.end(), '-', '_');
  if (auto found = operation_in(name); !found.empty()) return found;
  for (const char* word : {"reduce_scatter", "all_reduce", "all_gather", "alltoall"}) {
    std::string joined(word);
    joined.erase(std::remove(joined.begin(), joined.end(), '_'), joined.end());
    if (name.find(word) != std::string::npos || name.find(joined) != std::string::npos) return word;
  }
  return {};
}

std::string read_all(const std::filesystem::path& file) {
  GzipBuffer buffer(file);
  std::istream stream(&buffer);
  std::string text{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  if (buffer.damaged())
    throw InputError(file.string() + ": the compressed file is damaged or cut short");
  return text;
}

// 22703 -> 2.27.3 (NCCL_VERSION_CODE since 2.9).
std::string version_of_code(int code) {
  return std::to_string(code / 10000) + "." + std::to_string(code / 100 % 100) + "." +
         std::to_string(code % 100);
}

std::optional<double> number_of(const std::string& word) {
  char* end = nullptr;
  const double value = std::strtod(word.c_str(), &end);
  if (word.empty() || end != word.c_str() + word.size()) return std::nullopt;
  return value;
}

std::vector<std::string> words_of(const std::string& line) {
  std::vector<std::string> words;
  for (std::size_t i = 0; i < line.size();) {
    const auto space = [&] { return std::isspace(static_cast<unsigned char>(line[i])) != 0; };
    while (i < line.size() && space()) ++i;
    const std::size_t begin = i;
    while (i < line.size() && !space()) ++i;
    if (i > begin) words.push_back(line.substr(begin, i - begin));
  }
  return words;
}

class TextReader {
 public:
  explicit TextReader(const std::filesystem::path& file) : file_(file) {}

  NcclTests read(const std::string& text) {
    int number = 0;
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find('\n', begin), text.size());
      line(text.substr(begin, end - begin), ++number);
      begin = end + 1;
    }
    tests_.gpus = std::max(static_cast<int>(ranks_.size()), tests_.gpus);
    tests_.hosts = static_cast<int>(hosts_.size());
    return std::move(tests_);
  }

 private:
  void line(const std::string& raw, int number) {
    // mpirun --tag-output, srun --label.
    static const std::regex kTag(R"(^(\[\d+,\d+\]<std(out|err)>:\s*|\s*\d+:\s))");
    const std::string text = std::regex_replace(raw, kTag, "");
    if (text.find('#') != std::string::npos || text.find("NCCL version") != std::string::npos)
      header(text);
    if (text.find('#') == std::string::npos) row(text, number);
  }

  void header(const std::string& text) {
    static const std::regex kRank(
        R"(Rank\s+(\d+)\s+(?:Group\s+\d+\s+)?Pid\s+\d+\s+on\s+(\S+)\s+device\s+\d+\s+\[[^\]]*\]\s+(.*\S))");
    static const std::regex kSize(R"(nThread\s+(\d+)\s+nGpus\s+(\d+))");
    static const std::regex kLibrary(R"(nccl-library=(\d+))");
    static const std::regex kVersion(R"(NCCL version (\d+\.\d+\.\d+))");
    std::smatch found;
    if (std::regex_search(text, found, kRank)) {
      ranks_.insert(found[1]);
      hosts_.insert(found[2]);
      if (tests_.device.empty()) tests_.device = found[3];
    }
    if (std::regex_search(text, found, kSize) && found[1].length() < 6 && found[2].length() < 6)
      tests_.gpus = std::stoi(found[1]) * std::stoi(found[2]);
    if (std::regex_search(text, found, kLibrary) && found[1].length() < 9)
      tests_.version = version_of_code(std::stoi(found[1]));
    if (std::regex_search(text, found, kVersion)) tests_.version = found[1];
    if (auto operation = operation_in(text); !operation.empty()) tests_.operation = operation;
  }

  // size count type [redop] [root] time algbw busbw wrong [time algbw busbw wrong]
  void row(const std::string& text, int number) {
    const auto words = words_of(text);
    if (words.size() < 7) return;
    const auto bytes = number_of(words[0]), count = number_of(words[1]);
    if (!bytes || !count || number_of(words[2]) || *bytes < 0 || *bytes != std::floor(*bytes) ||
        *count != std::floor(*count))
      return;
    std::size_t at = 3;
    if (!number_of(words[at]) && words[at] != "N/A") ++at;
    const std::size_t rest = words.size() - at;
    if (rest == 5 || rest == 9) ++at;  // the root
    if (rest != 4 && rest != 5 && rest != 8 && rest != 9)
      fail(number, "a row of " + std::to_string(words.size()) + " columns; the file is cut short",
           text);
    const auto time = number_of(words[at]);
    if (*bytes == 0) return;  // below one element a rank: nothing was sent
    if (!time || !std::isfinite(*time) || *time <= 0)
      fail(number, "the time '" + words[at] + "' is not a positive number of microseconds", text);
    tests_.rows.push_back({words[2], *bytes, *time * 1e-6});
  }

  [[noreturn]] void fail(int number, std::string message, std::string text) const {
    Diagnostic d;
    d.file = file_.string();
    d.line = number;
    d.column = 1;
    d.message = std::move(message);
    d.source_line = std::move(text);
    throw InputError(std::vector<Diagnostic>{d});
  }

  const std::filesystem::path& file_;
  NcclTests tests_;
  std::set<std::string> ranks_, hosts_;
};

// Every string of a document, at any depth.
template <class Visit>
void each_string(const json& value, const Visit& visit) {
  if (value.is_string()) visit(value.get_ref<const std::string&>());
  if (value.is_structured())
    for (const json& item : value) each_string(item, visit);
}

double number_at(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_number() ? found->get<double>() : 0.0;
}

std::string string_at(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

void add_ranks(const json& document, NcclTests& tests) {
  std::set<std::string> hosts;
  const auto ranks = document.find("ranks");
  if (ranks != document.end() && ranks->is_array()) {
    tests.gpus = static_cast<int>(ranks->size());
    for (const json& rank : *ranks) {
      if (!rank.is_object()) continue;
      for (const char* key : {"device_name", "deviceName", "gpu", "name"})
        if (tests.device.empty()) tests.device = string_at(rank, key);
      for (const char* key : {"host", "hostname"})
        if (auto host = string_at(rank, key); !host.empty()) hosts.insert(host);
    }
  }
  tests.hosts = static_cast<int>(hosts.size());
}

NcclTests read_json(const std::filesystem::path& file, const std::string& text) {
  json document;
  try {
    document = json::parse(text);
  } catch (const json::exception& error) {
    throw InputError(file.string() + ": no complete JSON: " + error.what());
  }
  NcclTests tests;
  const auto results = document.is_object() ? document.find("results") : document.end();
  if (results == document.end() || !results->is_array())
    throw InputError(file.string() + ": no 'results' list; write it with nccl-tests --json");
  each_string(document, [&](const std::string& word) {
    if (tests.operation.empty()) tests.operation = operation_in(word);
  });
  add_ranks(document, tests);
  for (const json& result : *results) {
    const auto outer = result.is_object() ? result.find("out_of_place") : result.end();
    const double seconds =
        outer != result.end() && outer->is_object() ? number_at(*outer, "time") * 1e-6 : 0.0;
    const double bytes = result.is_object() ? number_at(result, "size") : 0.0;
    if (bytes <= 0) continue;
    if (seconds <= 0)
      throw InputError(file.string() + ": the result of " +
                       std::to_string(static_cast<long long>(bytes)) +
                       " bytes has no positive out_of_place time");
    tests.rows.push_back({string_at(result, "type"), bytes, seconds});
  }
  return tests;
}

}  // namespace

NcclTests read_nccl_tests(const std::filesystem::path& file, const std::string& operation) {
  const std::string text = read_all(file);
  const auto first = text.find_first_not_of(" \t\r\n");
  NcclTests tests = first != std::string::npos && text[first] == '{' ? read_json(file, text)
                                                                     : TextReader(file).read(text);
  if (!operation.empty()) tests.operation = operation;
  if (tests.operation.empty()) tests.operation = operation_of_name(file);
  if (tests.rows.empty()) throw InputError(file.string() + ": no result of nccl-tests in the file");
  if (tests.operation.empty())
    throw InputError(file.string() +
                     ": does not say which test it is; name it with --operation, such as "
                     "--operation all_reduce");
  if (tests.gpus < 2)
    throw InputError(file.string() + ": does not say how many GPUs took part, or one alone did");
  return tests;
}

bool is_nccl_tests(const std::filesystem::path& file) {
  const std::string name = file.filename().string();
  for (const char* other : {".csv", ".csv.gz", ".sqlite"})
    if (name.ends_with(other)) return false;
  try {
    GzipBuffer buffer(file);
    std::istream stream(&buffer);
    std::string head(1 << 16, '\0');
    stream.read(head.data(), static_cast<std::streamsize>(head.size()));
    head.resize(static_cast<std::size_t>(stream.gcount()));
    return head.find("traceEvents") == std::string::npos &&
           (head.find("busbw") != std::string::npos || head.find("bus_bw") != std::string::npos ||
            !operation_in(head).empty());
  } catch (const InputError&) {
    return false;
  }
}

}  // namespace foretoken::validation::importers
