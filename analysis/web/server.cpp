#include "analysis/web/server.hpp"

#include <fmt/format.h>
#include <httplib.h>

#include <atomic>
#include <fstream>
#include <nlohmann/json.hpp>
#include <random>
#include <sstream>

#include "analysis/report/assets.hpp"
#include "analysis/results_store.hpp"
#include "analysis/web/folder_view.hpp"
#include "analysis/web/run_job.hpp"
#include "scenarios/loader/scenario_text.hpp"
#include "sim/core/error.hpp"

namespace foretoken::analysis::web {
namespace {

namespace fs = std::filesystem;
using httplib::Request;
using httplib::Response;
using Json = nlohmann::ordered_json;
using sim::core::Diagnostic;
using sim::core::InputError;

enum Status : int {
  kForbidden = 403,
  kNotFound = 404,
  kConflict = 409,
  kUnprocessable = 422,
};

std::string dumped(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void answer(Response& response, const Json& json) {
  response.set_content(dumped(json), "application/json");
}

void refuse(Response& response, int status, const std::string& why) {
  response.status = status;
  answer(response, {{"error", why}});
}

std::string content_of(const fs::path& file) {
  std::ifstream stream(file, std::ios::binary);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

Json diagnostics_json(const std::vector<Diagnostic>& list, const fs::path& root) {
  Json out = Json::array();
  for (const Diagnostic& d : list) {
    std::string text = sim::core::to_string(d);
    const std::string folder = root.string() + "/";
    for (std::size_t at; (at = text.find(folder)) != std::string::npos;)
      text.erase(at, folder.size());
    out.push_back({{"line", d.line},
                   {"column", d.column},
                   {"message", d.message},
                   {"warning", d.warning},
                   {"text", text}});
  }
  return out;
}

// Replaces @NAME@ marks; the page's own text has no others.
std::string filled(std::string page, const std::string& mark, std::string_view value) {
  const std::string name = "@" + mark + "@";
  for (std::size_t at = page.find(name); at != std::string::npos;
       at = page.find(name, at + value.size()))
    page.replace(at, name.size(), value);
  return page;
}

}  // namespace

std::string random_token() {
  std::random_device device;
  std::string token;
  for (int i = 0; i < 4; ++i) token += fmt::format("{:08x}", device());
  return token;
}

bool same_secret(const std::string& a, const std::string& b) {
  if (a.size() != b.size()) return false;
  unsigned different = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    different |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  return different == 0;
}

class Server::Impl {
 public:
  explicit Impl(ServerOptions options)
      : options_(std::move(options)), view_(options_.folder), token_(random_token()) {
    http_.set_payload_max_length(options_.most_body_bytes);
    http_.set_keep_alive_max_count(64);
    routes();
    port_ = options_.port == 0                               ? http_.bind_to_any_port("127.0.0.1")
            : http_.bind_to_port("127.0.0.1", options_.port) ? options_.port
                                                             : -1;
    if (port_ <= 0)
      throw InputError(
          fmt::format("cannot listen on port {} of 127.0.0.1; choose another --port, or 0 for any",
                      options_.port));
  }

  [[nodiscard]] int port() const { return port_; }
  [[nodiscard]] const std::string& token() const { return token_; }
  void serve() { http_.listen_after_bind(); }
  void stop() {
    stopping_ = true;
    http_.stop();
  }

 private:
  using Handler = std::function<void(const Request&, Response&)>;

  // Nothing is said to who does not know the token, or reached us under another site's name.
  Handler guarded(Handler handler) {
    return [this, handler = std::move(handler)](const Request& request, Response& response) {
      response.set_header("X-Content-Type-Options", "nosniff");
      response.set_header("Referrer-Policy", "no-referrer");
      response.set_header("Cache-Control", "no-store");
      if (!here(request.get_header_value("Host")))
        return refuse(response, kForbidden, "this server answers to 127.0.0.1 only");
      const std::string given = request.has_param("token")
                                    ? request.get_param_value("token")
                                    : request.get_header_value("X-Foretoken-Token");
      if (!same_secret(given, token_))
        return refuse(response, kForbidden, "the token is missing or wrong");
      try {
        handler(request, response);
      } catch (const InputError& error) {
        response.status = kUnprocessable;
        answer(response, {{"error", error.what()},
                          {"diagnostics", diagnostics_json(error.diagnostics(), view_.root())}});
      }
    };
  }
  [[nodiscard]] bool here(const std::string& host) const {
    const std::string port = ":" + std::to_string(port_);
    return host == "127.0.0.1" + port || host == "localhost" + port;
  }
  Handler writing(Handler handler) {
    return guarded(
        [this, handler = std::move(handler)](const Request& request, Response& response) {
          if (!options_.allow_run)
            return refuse(response, kForbidden, "read-only: start the server with --allow-run");
          handler(request, response);
        });
  }

  void routes() {
    const auto get = [this](const char* path, void (Impl::*handler)(const Request&, Response&)) {
      http_.Get(path, guarded([this, handler](const Request& request, Response& response) {
                  (this->*handler)(request, response);
                }));
    };
    get("/", &Impl::page);
    get("/api/v1/runs", &Impl::list_runs);
    get("/api/v1/scenarios", &Impl::list_scenarios);
    get("/api/v1/scenario", &Impl::read_scenario);
    get("/api/v1/events", &Impl::events);
    get("/report", &Impl::report);
    http_.Post("/api/v1/check", guarded([this](const Request& request, Response& response) {
                 check(request, response);
               }));
    http_.Put("/api/v1/scenario", writing([this](const Request& request, Response& response) {
                save(request, response);
              }));
    http_.Post("/api/v1/run", writing([this](const Request& request, Response& response) {
                 run(request, response);
               }));
    http_.Post("/api/v1/interrupt", writing([this](const Request&, Response& response) {
                 if (const auto current = job()) current->interrupt();
                 answer(response, {{"interrupted", true}});
               }));
    http_.set_error_handler([](const Request&, Response& response) {
      if (!response.body.empty()) return;
      refuse(response, response.status,
             response.status == kNotFound ? "no such address" : "the request was not accepted");
    });
  }

  void page(const Request&, Response& response) {
    const ReportAssets assets = report_assets();
    std::string html = filled(std::string(assets.serve_page), "STYLE_HASH", assets.style_hash);
    html = filled(std::move(html), "SCRIPT_HASH", assets.serve_script_hash);
    html = filled(std::move(html), "ALLOW_RUN", options_.allow_run ? "yes" : "no");
    html = filled(std::move(html), "STYLE", assets.style);
    html = filled(std::move(html), "SCRIPT", assets.serve_script);
    response.set_content(html, "text/html; charset=utf-8");
  }

  void list_runs(const Request&, Response& response) {
    Json list = Json::array();
    for (const RunEntry& run : view_.runs())
      list.push_back({{"path", run.path},
                      {"name", run.name},
                      {"kind", run.kind},
                      {"verdict", run.verdict},
                      {"written_s", run.written_s}});
    answer(response, {{"folder", view_.root().string()}, {"runs", std::move(list)}});
  }
  void list_scenarios(const Request&, Response& response) {
    answer(response, {{"scenarios", view_.scenarios()}});
  }

  void report(const Request& request, Response& response) {
    const auto file = view_.file(request.get_param_value("run") + "/report.html");
    if (!file) return refuse(response, kNotFound, "no report there");
    response.set_content(content_of(*file), "text/html; charset=utf-8");
  }

  void read_scenario(const Request& request, Response& response) {
    const std::string path = request.get_param_value("path");
    const auto allowed = view_.scenarios();
    const auto file = view_.file(path);
    if (!file || std::find(allowed.begin(), allowed.end(), path) == allowed.end())
      return refuse(response, kNotFound, "no scenario file there");
    answer(response, {{"path", path}, {"text", content_of(*file)}});
  }

  // 422 with every problem, or what the file describes.
  void check(const Request& request, Response& response) {
    const auto file = view_.writable_scenario(request.get_param_value("path"));
    if (!file) return refuse(response, kNotFound, "no place for a scenario file");
    const auto scenario = scenarios::loader::load_scenario_text(
        request.body, *file, scenarios::loader::Catalogue(options_.home));
    answer(response, {{"name", scenario.name},
                      {"diagnostics", diagnostics_json(scenario.warnings, view_.root())}});
  }

  void save(const Request& request, Response& response) {
    const auto file = view_.writable_scenario(request.get_param_value("path"));
    if (!file) return refuse(response, kNotFound, "no place for a scenario file");
    write_file_atomically(*file, request.body);
    answer(response, {{"saved", request.get_param_value("path")}});
  }

  void run(const Request& request, Response& response) {
    const std::string path = request.get_param_value("path");
    const auto file = view_.file(path);
    if (!file || !view_.writable_scenario(path))
      return refuse(response, kNotFound, "no scenario file there");
    const auto scenario = scenarios::loader::load_scenario(
        *file, scenarios::loader::Catalogue(options_.home));  // problems before a process is made
    const fs::path out = view_.root() / default_run_directory(scenario);
    const std::lock_guard lock(mutex_);
    if (job_ && !job_->ended())
      return refuse(response, kConflict, "a run is in progress; wait for it or interrupt it");
    std::vector<std::string> command = options_.program;
    for (const std::string& word : {file->string(), std::string("--out"), out.string(),
                                    std::string("--progress"), std::string("json")})
      command.push_back(word);
    job_ = std::make_shared<RunJob>(std::move(command));
    answer(response, {{"run", out.lexically_relative(view_.root()).generic_string()}});
  }

  [[nodiscard]] std::shared_ptr<RunJob> job() {
    const std::lock_guard lock(mutex_);
    return job_;
  }

  // Server-sent events of the latest run, from its first on.
  void events(const Request&, Response& response) {
    auto current = job();
    if (!current) return refuse(response, kNotFound, "nothing has been run");
    response.set_chunked_content_provider(
        "text/event-stream",
        [this, current, seen = std::size_t{0}](std::size_t, httplib::DataSink& sink) mutable {
          const auto event = current->next(seen);
          if (stopping_) return false;
          if (!event) {  // a comment keeps the connection, and finds out that nobody listens
            const std::string_view quiet = ":\n\n";
            return sink.write(quiet.data(), quiet.size());
          }
          ++seen;
          const std::string text = fmt::format("event: {}\ndata: {}\n\n", event->name, event->data);
          const bool written = sink.write(text.data(), text.size());
          if (event->name == "end") sink.done();
          return written;
        });
  }

  ServerOptions options_;
  FolderView view_;
  std::string token_;
  int port_ = 0;
  std::atomic<bool> stopping_{false};
  std::mutex mutex_;
  std::shared_ptr<RunJob> job_;
  httplib::Server http_;
};

Server::Server(ServerOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Server::~Server() = default;
int Server::port() const { return impl_->port(); }
const std::string& Server::token() const { return impl_->token(); }
std::string Server::url() const {
  return fmt::format("http://127.0.0.1:{}/?token={}", port(), token());
}
void Server::serve() { impl_->serve(); }
void Server::stop() { impl_->stop(); }

}  // namespace foretoken::analysis::web
