// Traces in the forms that others publish.
#include <catch2/catch.hpp>

#include "scenarios/loader/client_pool_file.hpp"
#include "scenarios/loader/trace.hpp"
#include "sim/core/error.hpp"
#include "temporary_folder.hpp"

namespace foretoken::scenarios::loader {
namespace {

using sim::core::InputError;
constexpr std::int64_t kSecond = 1'000'000'000'000;

std::string problem(const std::filesystem::path& file) {
  try {
    (void)read_trace_file(file);
  } catch (const InputError& error) {
    const auto& d = error.diagnostics().front();
    return std::to_string(d.line) + ": " + d.message;
  }
  return "none";
}

TEST_CASE("BurstGPT: seconds, and failures without a response left out") {
  const TemporaryFolder folder;
  const Trace trace = read_trace_file(
      folder.write("b.csv",
                   "Timestamp,Model,Request tokens,Response tokens,Total tokens,Log Type\n"
                   "5,ChatGPT,472,18,490,Conversation log\n"
                   "45,ChatGPT,1087,0,1087,Conversation log\n"
                   "118,GPT-4,417,276,693,Conversation log\n"));
  CHECK(trace.format == "BurstGPT");
  REQUIRE(trace.requests->size() == 2);
  CHECK(trace.requests->at(1).arrival_ps == 113 * kSecond);
  CHECK(trace.requests->at(1).output_tokens == 276);
  CHECK(trace.left_out == 1);
  CHECK(trace.notes.front() == "1 failed request left out");
}

TEST_CASE("Vidur: with arrival times, or lengths only") {
  const TemporaryFolder folder;
  const Trace timed = read_trace_file(
      folder.write("v.csv",
                   "arrived_at,num_prefill_tokens,num_decode_tokens\n0.0,374,44\n4.314579,"
                   "396,109\n"));
  CHECK(timed.format == "Vidur");
  CHECK(timed.requests->at(1).arrival_ps == 4'314'579'000'000);
  const auto lengths = folder.write(
      "l.csv",
      "num_prefill_tokens,num_decode_tokens,num_total_tokens,pd_ratio\n2588,291,2879,8.9\n");
  CHECK_FALSE(read_trace_file(lengths).timed);
  CHECK_THROWS_WITH(read_trace(lengths), Catch::Contains("lengths only, no arrival times"));
}

TEST_CASE("Columns for tenant, priority, session and deadline") {
  const TemporaryFolder folder;
  const Trace trace = read_trace_file(
      folder.write("t.csv",
                   "arrival_s,input_tokens,output_tokens,tenant,priority,session,deadline_s\n"
                   "0,10,2,3,1,7,2.5\n1,10,2,0,0,,\n"));
  const auto& a = trace.requests->at(0);
  CHECK(a.tenant == 3);
  CHECK(a.priority == 1);
  CHECK(a.session == 7);
  CHECK(a.deadline_ps == 2'500'000'000'000);
  CHECK(trace.requests->at(1).deadline_ps == -1);
  CHECK(trace.requests->at(1).session == -1);
  CHECK(problem(folder.write("u.csv",
                             "arrival_s,input_tokens,output_tokens,priority\n0,10,2,high\n")) ==
        "2: priority 'high' is not a whole number");
}

TEST_CASE("Mooncake: prefix blocks kept, time stamps on a grid of 3 s spread inside each step") {
  const TemporaryFolder folder;
  const auto file = folder.write(
      "m.jsonl", R"({"timestamp": 0, "input_length": 600, "output_length": 5, "hash_ids": [0, 1]})"
                 "\n"
                 R"({"timestamp": 0, "input_length": 512, "output_length": 6, "hash_ids": [0]})"
                 "\n"
                 R"({"timestamp": 3000, "input_length": 10, "output_length": 7, "hash_ids": [2]})"
                 "\n"
                 R"({"timestamp": 6000, "input_length": 10, "output_length": 7, "hash_ids": [2]})"
                 "\n");
  const Trace trace = read_trace_file(file);
  CHECK(trace.format == "Mooncake");
  REQUIRE(trace.prefix);
  CHECK(trace.prefix->block_tokens == 512);
  CHECK(trace.prefix->offset == std::vector<std::uint32_t>{0, 2, 3, 4, 5});
  CHECK(trace.prefix->ids == std::vector<std::uint32_t>{0, 1, 0, 2, 2});
  const auto& r = *trace.requests;
  CHECK(r[0].arrival_ps == 0);
  CHECK(r[1].arrival_ps < 3 * kSecond);
  CHECK(r[2].arrival_ps > r[1].arrival_ps);
  CHECK(r[3].arrival_ps - r[2].arrival_ps < 6 * kSecond);
  CHECK(trace.spread_s == Approx(3.0));
  CHECK(read_trace_file(file).requests->at(1).arrival_ps == r[1].arrival_ps);  // always the same
}

TEST_CASE("LLMServingSim lines and a vLLM benchmark result") {
  const TemporaryFolder folder;
  const Trace lines = read_trace_file(folder.write(
      "s.jsonl", R"({"input_toks": 857, "output_toks": 652, "arrival_time_ns": 100000000})"
                 "\n"
                 R"({"input_toks": 20, "output_toks": 3, "arrival_time_ns": 350000000})"
                 "\n"));
  CHECK(lines.requests->at(1).arrival_ps == kSecond / 4);
  CHECK_FALSE(lines.prefix);
  const Trace bench = read_trace_file(folder.write(
      "r.json",
      R"({"input_lens": [5, 6, 7], "output_lens": [2, 0, 4], "start_times": [9.5, 9.0, 8.5]})"));
  CHECK(bench.requests->size() == 2);  // one failed
  CHECK(bench.requests->at(0).input_tokens == 7);
  CHECK(bench.requests->at(1).arrival_ps == kSecond);
  CHECK_FALSE(
      read_trace_file(folder.write("q.json", R"({"input_lens": [5], "output_lens": [2]})")).timed);
}

TEST_CASE("Bad traces are refused with the line") {
  const TemporaryFolder folder;
  CHECK(problem(folder.write("a.jsonl", R"({"timestamp": 5, "input_length": 6, "output_length": 5})"
                                        "\n"
                                        R"({"timestamp": 2, "input_length": 6, "output_length": 5})"
                                        "\n")) == "2: earlier than the row before; sort the trace");
  CHECK(problem(folder.write("b.jsonl", "{\"timestamp\": 5, \"input_le")) ==
        "1: is no JSON object; is the file cut short?");
  CHECK(problem(folder.write("c.jsonl", R"({"prompt": "hello"})")).find("has not the keys") !=
        std::string::npos);
  CHECK(problem(folder.write("d.jsonl",
                             R"({"timestamp": 5, "input_length": 0, "output_length": 5})")) ==
        "1: input length 0 is outside 1 .. 100000000");
  CHECK(
      problem(folder.write(
                  "e.jsonl",
                  R"({"timestamp": 0, "input_length": 5, "output_length": 5, "hash_ids": [1, 2]})"))
          .find("at most one id for each 512 tokens") != std::string::npos);
  CHECK(problem(folder.write("f.jsonl", "")) == "0: holds no request, only a header");
  CHECK(problem(folder.write("g.json", "{}")).find("--save-detailed") != std::string::npos);
  CHECK(problem(folder.write("h.csv", "arrival_s,input_tokens,output_tokens\n")) ==
        "0: holds no request, only a header");
}

TEST_CASE("A ServeGen folder packs into one file that reads back the same") {
  const TemporaryFolder folder;
  folder.write("chunk-0-trace.csv",
               "0,0,0,,0,0\n600,2.5,1.5,Gamma,0.4444,0.9\n1200,1,1.2,Weibull,0.8,0.88\n");
  folder.write(
      "chunk-0-dataset.json",
      R"({"0": {"input_tokens": "{10: 0.25, 20: 0.75}", "output_tokens": "{7: 1.0}", "reason_ratio": "{}"},)"
      R"( "1200": {"input_tokens": "{}", "output_tokens": "{}", "reason_ratio": "{}"}})");
  REQUIRE(is_client_pool(folder.path()));
  const auto pool = read_client_pool(folder.path());
  REQUIRE(pool->clients.size() == 1);
  const auto& client = pool->clients[0];
  CHECK(pool->span_s == 1800.0);
  CHECK(mean_rate(*pool) == Approx((600 * 2.5 + 600 * 1.0) / 1800.0));
  CHECK(client.windows[1].shape == 0.4444);
  CHECK(client.windows[2].weibull);
  REQUIRE(client.input.size() == 1);  // an empty histogram says nothing
  CHECK(client.input[0].tokens == std::vector<std::int32_t>{10, 20});
  for (const char* name : {"p.csv", "p.csv.gz"}) {
    const auto file = folder.path() / name;
    write_client_pool(*pool, file);
    REQUIRE(is_client_pool(file));
    const auto again = read_client_pool(file);
    CHECK(again->span_s == pool->span_s);
    CHECK(mean_rate(*again) == Approx(mean_rate(*pool)));
    CHECK(again->clients[0].input[0].weights == client.input[0].weights);
    CHECK(again->clients[0].windows[2].weibull);
  }
}

TEST_CASE("Client pools that cannot be read say where") {
  const TemporaryFolder folder;
  const auto why = [](const std::filesystem::path& file) {
    try {
      (void)read_client_pool(file);
    } catch (const InputError& error) {
      return std::to_string(error.diagnostics()[0].line) + ": " + error.diagnostics()[0].message;
    }
    return std::string("none");
  };
  CHECK(why(folder.path()) == "0: holds no chunk-N-trace.csv of a ServeGen pool");
  const std::string head = "client,kind,start_s,a,b,c\n";
  CHECK(why(folder.write("a.csv", head + "0,rate,0,1,cauchy,1\n")) ==
        "2: gaps are neither gamma nor weibull");
  CHECK(why(folder.write("b.csv", head + "0,rate,0,1\n")).find("is the file cut short?") !=
        std::string::npos);
  CHECK(why(folder.write("c.csv", head + "0,rate,0,x,gamma,1\n")) ==
        "2: 'x' is not a number within 0 .. 1e+07");
  CHECK(why(folder.write("d.csv", head)) == "0: holds no client that asks");
  CHECK(
      why(folder.write("e.csv", "arrival_s,input_tokens,output_tokens\n")).find("unknown header") !=
      std::string::npos);
}

TEST_CASE("The packed pool of the catalogue has the published rate") {
  // Counted elsewhere: 73 clients, 1.384 million requests a day, 16.01/s.
  const auto pool = read_client_pool(std::filesystem::path(FORETOKEN_SOURCE_DIR) / "scenarios" /
                                     "workloads" / "servegen-deepseek-r1.csv.gz");
  CHECK(pool->clients.size() == 73);
  CHECK(pool->span_s == 86'400.0);
  CHECK(mean_rate(*pool) == Approx(16.01).epsilon(0.002));
}

}  // namespace
}  // namespace foretoken::scenarios::loader
