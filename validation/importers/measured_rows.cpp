#include "validation/importers/measured_rows.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <optional>
#include <tuple>

#include "sim/core/error.hpp"
#include "validation/importers/predict.hpp"

namespace foretoken::validation::importers {
namespace {

constexpr const char* kGemm = "op_name,kernel_source,gemm_dtype,m,n,k,latency";
constexpr const char* kAttention =
    "op_name,kernel_source,batch_size,isl,num_heads,num_key_value_heads,head_dim,beam_width,"
    "attn_dtype,kv_cache_dtype,step,window_size,latency";
constexpr const char* kNccl = "op_name,kernel_source,nccl_dtype,num_gpus,message_size,latency";

// Rows of one operator, and a count of what was left out by reason.
struct Collector {
  std::map<std::string, MeasuredTable> tables;  // by operator
  std::map<std::string, int> left_out;

  void add(const std::string& op, const models::kernels::EngineVersion& engine, const char* header,
           std::string row) {
    MeasuredTable& table = tables[op];
    table.op = op;
    table.engine = engine.engine;
    table.version = engine.version;
    table.header = header;
    table.rows.push_back(std::move(row));
  }

  MeasuredRows take() {
    MeasuredRows result;
    for (auto& [op, table] : tables) {
      std::sort(table.rows.begin(), table.rows.end());
      result.tables.push_back(std::move(table));
    }
    for (const auto& [reason, n] : left_out)
      result.notes.push_back(fmt::format("{} left out: {}", n, reason));
    return result;
  }
};

void add_product(Collector& out, const Launched& op, const models::kernels::EngineVersion& engine) {
  const Product& p = *op.product;
  const Arithmetic arithmetic = arithmetic_of(op);
  if (arithmetic == Arithmetic::tf32 || arithmetic == Arithmetic::fp32) {
    ++out.left_out["products of 32-bit floats: the tables hold formats of 16 bits and less"];
  } else if (p.batch > 1) {
    ++out.left_out["batched products: the tables hold single ones"];
  } else {
    out.add("gemm", engine, kGemm,
            fmt::format("gemm,trace,{},{},{},{},{:.6g}",
                        arithmetic == Arithmetic::fp8 ? "fp8" : "bfloat16", p.m, p.n, p.k,
                        op.measured_us * 1e-3));
  }
}

void add_attention(Collector& out, const Launched& op,
                   const models::kernels::EngineVersion& engine) {
  const Attention& a = *op.attention;
  if (!a.causal) {
    ++out.left_out["attention without a causal mask"];
    return;
  }
  out.add("context_attention", engine, kAttention,
          fmt::format("context_attention,trace,{},{},{},{},{},1,bfloat16,bfloat16,{},0,{:.6g}",
                      a.batch, a.tokens, a.heads, a.kv_heads, a.head_dim, a.keys - a.tokens,
                      op.measured_us * 1e-3));
}

// Bytes of an element, by the names that NCCL and PyTorch print.
std::optional<double> element_bytes(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  static const std::map<std::string, double> kBytes{
      {"float", 4},    {"float32", 4},  {"int32", 4},    {"uint32", 4}, {"int", 4},
      {"double", 8},   {"int64", 8},    {"uint64", 8},   {"long", 8},   {"half", 2},
      {"bfloat16", 2}, {"float16", 2},  {"int8", 1},     {"uint8", 1},  {"char", 1},
      {"byte", 1},     {"fp8_e4m3", 1}, {"fp8_e5m2", 1}, {"f8e4m3", 1}, {"f8e5m2", 1}};
  const auto found = kBytes.find(name);
  if (found == kBytes.end()) return std::nullopt;
  return found->second;
}

// The tables keep 16-bit and 8-bit messages apart, since summing is slower in 8 bits. Wider floats
// move and sum their bytes at the rate of 16-bit ones.
void add_collective(Collector& out, const std::string& operation, const std::string& dtype,
                    double bytes, int gpus, double seconds,
                    const models::kernels::EngineVersion& engine) {
  static const std::vector<std::string> kKnown{"all_reduce", "all_gather", "reduce_scatter",
                                               "alltoall"};
  if (std::find(kKnown.begin(), kKnown.end(), operation) == kKnown.end()) {
    ++out.left_out["collectives of kind " + operation + ": the tables hold none"];
    return;
  }
  const auto size = element_bytes(dtype);
  if (!size) {
    ++out.left_out["collectives of type '" + dtype + "', whose size is not known"];
    return;
  }
  const bool narrow = *size == 1;
  const double elements = bytes / (narrow ? 1 : 2);
  if (elements < 1) return;
  out.add("nccl", engine, kNccl,
          fmt::format("{},NCCL,{},{},{:.0f},{:.6g}", operation, narrow ? "int8" : "half", gpus,
                      elements, seconds * 1e3));
}

std::string table_name_of(const std::string& collective) {
  if (collective == "allreduce" || collective == "allreduce_coalesced") return "all_reduce";
  if (collective == "_allgather_base" || collective == "allgather" || collective == "all_gather")
    return "all_gather";
  if (collective == "_reduce_scatter_base" || collective == "reduce_scatter")
    return "reduce_scatter";
  if (collective == "all_to_all" || collective == "all_to_allv" || collective == "alltoall_base")
    return "alltoall";
  return collective;
}

void add_messages(Collector& out, const Trace& trace) {
  std::map<std::tuple<std::string, std::string, std::int64_t, int>, double> shortest;
  for (const Kernel& kernel : trace.kernels) {
    if (!kernel.message) continue;
    const Message& m = *kernel.message;
    const auto [entry, fresh] =
        shortest.try_emplace({m.collective, m.dtype, m.elements, m.group}, kernel.duration_us);
    if (!fresh) entry->second = std::min(entry->second, kernel.duration_us);
  }
  for (const auto& [key, us] : shortest) {
    const auto& [collective, dtype, elements, group] = key;
    const std::string operation = table_name_of(collective);
    double bytes = static_cast<double>(elements) * element_bytes(dtype).value_or(4);
    if (operation == "all_gather") bytes *= group;  // recorded: what one rank puts in
    if (group < 2) continue;
    add_collective(out, operation, dtype, bytes, group, us * 1e-6, {"nccl", "trace"});
  }
  if (!shortest.empty())
    ++out.left_out["all but the shortest collective of each size: the others waited for a rank"];
}

}  // namespace

std::size_t MeasuredRows::size() const {
  std::size_t n = 0;
  for (const MeasuredTable& table : tables) n += table.rows.size();
  return n;
}

MeasuredRows rows_of(const Trace& trace, const models::kernels::EngineVersion& engine) {
  Collector out;
  for (const Launched& op : launched_operators(trace)) {
    if (!op.found || op.measured_us <= 0) continue;
    if (op.product) add_product(out, op, engine);
    if (op.attention) add_attention(out, op, engine);
  }
  add_messages(out, trace);
  return out.take();
}

MeasuredRows rows_of(const NcclTests& tests) {
  Collector out;
  if (tests.hosts > 1) {
    out.left_out[fmt::format("collectives among {} hosts: the tables hold those of one node",
                             tests.hosts)] = static_cast<int>(tests.rows.size());
    return out.take();
  }
  const models::kernels::EngineVersion engine{"nccl",
                                              tests.version.empty() ? "user" : tests.version};
  for (const CollectiveRow& row : tests.rows)
    add_collective(out, tests.operation, row.dtype, row.bytes, tests.gpus, row.seconds, engine);
  return out.take();
}

void write_rows(const MeasuredRows& rows, const std::string& gpu,
                const std::filesystem::path& folder) {
  namespace fs = std::filesystem;
  std::error_code status;
  fs::create_directories(folder / gpu, status);
  for (const MeasuredTable& table : rows.tables) {
    const fs::path file =
        folder / gpu / fmt::format("{}.{}-{}.csv", table.op, table.engine, table.version);
    const bool fresh = !fs::exists(file, status);
    std::ofstream out(file, std::ios::app | std::ios::binary);
    if (fresh) out << table.header << '\n';
    for (const std::string& row : table.rows) out << row << '\n';
    if (!out.flush()) throw sim::core::InputError(file.string() + ": cannot be written");
  }
}

}  // namespace foretoken::validation::importers
