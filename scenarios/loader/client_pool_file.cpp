#include "scenarios/loader/client_pool_file.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

#include "scenarios/loader/line_reader.hpp"
#include "sim/core/error.hpp"

namespace foretoken::scenarios::loader {
namespace {

namespace fs = std::filesystem;
using models::serving::ClientPool;
using sim::core::Diagnostic;
using sim::core::InputError;
using Json = nlohmann::json;

constexpr std::string_view kHeader = "client,kind,start_s,a,b,c";

[[noreturn]] void fail(const fs::path& file, int line, const std::string& message) {
  throw InputError({Diagnostic{file.string(), line, line > 0 ? 1 : 0, message, {}, false}});
}

std::vector<std::string_view> split(std::string_view line) {
  std::vector<std::string_view> fields;
  while (true) {
    const std::size_t comma = line.find(',');
    fields.push_back(line.substr(0, comma));
    if (comma == std::string_view::npos) return fields;
    line.remove_prefix(comma + 1);
  }
}

std::optional<double> number(std::string_view text) {
  double value = 0.0;
  const char* const end = text.data() + text.size();
  const auto read = std::from_chars(text.data(), end, value);
  if (text.empty() || read.ec != std::errc{} || read.ptr != end || !std::isfinite(value))
    return std::nullopt;
  return value;
}

double number_at(const fs::path& file, int line, std::string_view text, double least, double most) {
  const auto value = number(text);
  if (!value || *value < least || *value > most)
    fail(file, line, fmt::format("'{}' is not a number within {:g} .. {:g}", text, least, most));
  return *value;
}

constexpr double kLastStart = 9e6, kMostRate = 1e7, kMostTokens = 1e8, kMostShape = 1e4;

std::optional<bool> is_weibull(std::string_view name) {
  if (name == "Gamma" || name == "gamma") return false;
  if (name == "Weibull" || name == "weibull") return true;
  return std::nullopt;
}

// One row of a ServeGen trace: start, rate, CV, pattern, two parameters. Windows without requests
// have no pattern.
ClientPool::Window read_window(const fs::path& file, int line, std::string_view text) {
  const auto fields = split(text);
  if (fields.size() != 6)
    fail(file, line, fmt::format("{} fields where a window has 6", fields.size()));
  ClientPool::Window window;
  window.start_s = number_at(file, line, fields[0], 0.0, kLastStart);
  window.requests_per_s = number_at(file, line, fields[1], 0.0, kMostRate);
  if (window.requests_per_s <= 0.0 || fields[3].empty()) {
    window.requests_per_s = 0.0;
    return window;
  }
  const auto weibull = is_weibull(fields[3]);
  if (!weibull) fail(file, line, fmt::format("gaps '{}' are neither Gamma nor Weibull", fields[3]));
  window.weibull = *weibull;
  window.shape = number_at(file, line, fields[4], 1e-4, kMostShape);
  return window;
}

// "{45: 0.0097, 46: 0.0117}", as Python prints a dictionary.
void read_shares(const fs::path& file, std::string_view text, ClientPool::Lengths& lengths) {
  const char* at = text.data();
  const char* const end = at + text.size();
  const auto skip = [&](std::string_view characters) {
    while (at != end && characters.find(*at) != std::string_view::npos) ++at;
  };
  skip(" {");
  while (at != end && *at != '}') {
    double tokens = 0.0, share = 0.0;
    auto read = std::from_chars(at, end, tokens);
    if (read.ec != std::errc{}) fail(file, 0, "a histogram that cannot be read");
    at = read.ptr;
    skip(" :");
    read = std::from_chars(at, end, share);
    if (read.ec != std::errc{} || tokens > kMostTokens || !(share >= 0.0))
      fail(file, 0, "a histogram that cannot be read");
    at = read.ptr;
    skip(" ,");
    if (share <= 0.0 || tokens < 1.0) continue;
    lengths.tokens.push_back(static_cast<std::int32_t>(tokens));
    lengths.weights.push_back(share);
  }
}

void read_dataset(const fs::path& file, ClientPool::Client& client) {
  const Json json = Json::parse(read_text(file, std::size_t{64} << 20), nullptr, false);
  if (!json.is_object()) fail(file, 0, "is no JSON object; is the file cut short?");
  for (const auto& [start, window] : json.items()) {
    for (const auto& [key, side] :
         {std::pair{"input_tokens", &client.input}, std::pair{"output_tokens", &client.output}}) {
      if (!window.contains(key) || !window[key].is_string())
        fail(file, 0, fmt::format("window {} has no {}", start, key));
      ClientPool::Lengths lengths;
      lengths.start_s = number_at(file, 0, start, 0.0, kLastStart);
      read_shares(file, window[key].get_ref<const std::string&>(), lengths);
      if (!lengths.tokens.empty()) side->push_back(std::move(lengths));
    }
  }
}

ClientPool read_folder(const fs::path& folder) {
  ClientPool pool;
  std::map<std::int32_t, fs::path> traces;
  for (const auto& item : fs::directory_iterator(folder)) {
    const std::string name = item.path().filename().string();
    constexpr std::string_view kHead = "chunk-", kTail = "-trace.csv";
    if (!name.starts_with(kHead) || !name.ends_with(kTail)) continue;
    const auto middle = number(
        std::string_view(name).substr(kHead.size(), name.size() - kHead.size() - kTail.size()));
    if (middle) traces[static_cast<std::int32_t>(*middle)] = item.path();
  }
  if (traces.empty()) fail(folder, 0, "holds no chunk-N-trace.csv of a ServeGen pool");
  for (const auto& [client_number, file] : traces) {
    ClientPool::Client client;
    client.number = client_number;
    LineReader lines(file);
    std::string_view line;
    while (lines.next(line)) client.windows.push_back(read_window(file, lines.line_number(), line));
    read_dataset(folder / fmt::format("chunk-{}-dataset.json", client_number), client);
    pool.clients.push_back(std::move(client));
  }
  return pool;
}

ClientPool read_packed(const fs::path& file) {
  ClientPool pool;
  LineReader lines(file);
  std::string_view line;
  if (!lines.next(line) || line != kHeader)
    fail(file, 1, fmt::format("unknown header; expected {}", kHeader));
  while (lines.next(line)) {
    const int at = lines.line_number();
    const auto fields = split(line);
    if (fields.size() != 6)
      fail(file, at,
           fmt::format("{} fields where the header has 6; is the file cut short?", fields.size()));
    const auto client_number = static_cast<std::int32_t>(number_at(file, at, fields[0], 0.0, 1e9));
    const double start_s = number_at(file, at, fields[2], 0.0, kLastStart);
    if (pool.clients.empty() || pool.clients.back().number != client_number)
      pool.clients.push_back({client_number, {}, {}, {}});
    ClientPool::Client& client = pool.clients.back();
    if (fields[1] == "rate") {
      ClientPool::Window window;
      window.start_s = start_s;
      window.requests_per_s = number_at(file, at, fields[3], 0.0, kMostRate);
      const auto weibull = is_weibull(fields[4]);
      if (!weibull) fail(file, at, "gaps are neither gamma nor weibull");
      window.weibull = *weibull;
      window.shape = number_at(file, at, fields[5], 1e-4, kMostShape);
      client.windows.push_back(window);
      continue;
    }
    if (fields[1] != "input" && fields[1] != "output")
      fail(file, at, fmt::format("kind '{}' is not rate, input or output", fields[1]));
    auto& side = fields[1] == "input" ? client.input : client.output;
    if (side.empty() || side.back().start_s != start_s) side.push_back({start_s, {}, {}});
    side.back().tokens.push_back(
        static_cast<std::int32_t>(number_at(file, at, fields[3], 1.0, kMostTokens)));
    side.back().weights.push_back(number_at(file, at, fields[4], 0.0, 1e12));
  }
  return pool;
}

void sort_by_start(auto& windows) {
  std::sort(windows.begin(), windows.end(),
            [](const auto& a, const auto& b) { return a.start_s < b.start_s; });
}

// All windows are as long as the first; the day ends with the last of them.
void finish(const fs::path& path, ClientPool& pool) {
  double last_s = 0.0, step_s = 0.0;
  for (auto& client : pool.clients) {
    sort_by_start(client.windows);
    sort_by_start(client.input);
    sort_by_start(client.output);
    if (client.windows.empty()) fail(path, 0, fmt::format("client {} has no rate", client.number));
    for (std::size_t i = 1; i < client.windows.size(); ++i) {
      const double step = client.windows[i].start_s - client.windows[i - 1].start_s;
      if (step <= 0.0)
        fail(path, 0,
             fmt::format("client {} has two windows that start at {:g} s", client.number,
                         client.windows[i].start_s));
      step_s = step_s > 0.0 ? std::min(step_s, step) : step;
    }
    last_s = std::max(last_s, client.windows.back().start_s);
    if (client.windows.front().start_s > 0.0)
      client.windows.insert(client.windows.begin(), ClientPool::Window{});
  }
  pool.span_s = last_s + (step_s > 0.0 ? step_s : 600.0);
  if (pool.clients.empty() || mean_rate(pool) <= 0.0) fail(path, 0, "holds no client that asks");
}

}  // namespace

std::shared_ptr<const ClientPool> read_client_pool(const fs::path& path) {
  std::error_code code;
  auto pool = std::make_shared<ClientPool>(fs::is_directory(path, code) ? read_folder(path)
                                                                        : read_packed(path));
  finish(path, *pool);
  return pool;
}

bool is_client_pool(const fs::path& path) {
  std::error_code code;
  if (fs::is_directory(path, code)) return true;
  if (!fs::is_regular_file(path, code)) return false;
  LineReader lines(path, std::size_t{16} << 20);
  std::string_view line;
  return lines.next(line) && line == kHeader;
}

void write_client_pool(const ClientPool& pool, const fs::path& file) {
  std::string text(kHeader);
  text += '\n';
  for (const auto& client : pool.clients) {
    for (const auto& w : client.windows)
      text += fmt::format("{},rate,{:g},{:.7g},{},{:.7g}\n", client.number, w.start_s,
                          w.requests_per_s, w.weibull ? "weibull" : "gamma", w.shape);
    for (const auto& [kind, side] :
         {std::pair{"input", &client.input}, std::pair{"output", &client.output}})
      for (const auto& window : *side)
        for (std::size_t i = 0; i < window.tokens.size(); ++i)
          text += fmt::format("{},{},{:g},{},{:.6g},\n", client.number, kind, window.start_s,
                              window.tokens[i], window.weights[i]);
  }
  const bool packed = file.extension() == ".gz";
  const gzFile out = gzopen(file.c_str(), packed ? "wb9" : "wbT");
  if (out == nullptr) throw InputError(file.string() + ": cannot be written");
  const auto written = gzwrite(out, text.data(), static_cast<unsigned>(text.size()));
  const bool closed = gzclose(out) == Z_OK;
  if (written != static_cast<int>(text.size()) || !closed)
    throw InputError(file.string() + ": cannot be written whole; is the disk full?");
}

}  // namespace foretoken::scenarios::loader
