// Predictions of what a trace ran, from hand-worked shapes and the shipped trace.
#include "validation/importers/predict.hpp"

#include <algorithm>
#include <catch2/catch.hpp>
#include <filesystem>

#include "scenarios/loader/cards.hpp"
#include "scenarios/loader/model_config.hpp"
#include "scenarios/loader/scenario.hpp"
#include "validation/importers/validate_trace.hpp"

namespace fs = std::filesystem;
using namespace foretoken::validation::importers;
using foretoken::models::hardware::DType;
using foretoken::models::hardware::GpuSpec;
using foretoken::models::kernels::Calibration;
namespace loader = foretoken::scenarios::loader;

namespace {

const fs::path kHome = FORETOKEN_SOURCE_DIR;

GpuSpec gpu(const std::string& name) {
  return loader::load_gpu(name, loader::Catalogue(kHome)).card.spec;
}

FrameworkOp op(const std::string& name, std::vector<std::vector<std::int64_t>> dims) {
  return {name, std::move(dims), std::vector<std::string>(3, "float")};
}

}  // namespace

TEST_CASE("Product of recorded dimensions") {
  const auto mm = product_of(op("aten::mm", {{4, 8}, {8, 16}}));
  REQUIRE(mm);
  CHECK(mm->batch == 1);
  CHECK(mm->m == 4);
  CHECK(mm->n == 16);
  CHECK(mm->k == 8);
  // addmm: the bias stands first.
  const auto addmm = product_of(op("aten::addmm", {{16}, {4, 8}, {8, 16}, {}, {}}));
  REQUIRE(addmm);
  CHECK(addmm->n == 16);
  const auto bmm = product_of(op("aten::bmm", {{3, 4, 8}, {3, 8, 16}}));
  REQUIRE(bmm);
  CHECK(bmm->batch == 3);
  CHECK(bmm->m == 4);
  CHECK_FALSE(product_of(op("aten::mm", {{4, 8}, {9, 16}})));  // inner dimensions differ
  CHECK_FALSE(product_of(op("aten::mm", {{4, 8}})));
  CHECK_FALSE(product_of(op("aten::mm", {{0, 8}, {8, 16}})));
  CHECK_FALSE(product_of(op("aten::softmax", {{4, 8}, {8, 16}})));
}

TEST_CASE("A product is never faster than arithmetic or memory allow") {
  const GpuSpec a100 = gpu("a100-40gb-sxm");
  const Predictor predictor(a100, 1, {"vllm", ""}, std::make_shared<Calibration>());
  const Product square{1, 8192, 8192, 8192, "float"};
  // 2 x 8192^3 = 1.0995e12 FLOP: at 156 TFLOP/s (TF32) 7048 us, at 312 (bf16) 3524 us, at 19.5
  // (FP32) 56,385 us.
  CHECK(predictor.product_us(square, Arithmetic::bf16) > 3524);
  CHECK(predictor.product_us(square, Arithmetic::tf32) > 7048);
  CHECK(predictor.product_us(square, Arithmetic::fp32) > 56'385);
  CHECK(predictor.product_us(square, Arithmetic::tf32) < 2 * 7048);
  // Rows of 8191 floats do not begin at multiples of 16 bytes.
  const Product odd{1, 8192, 8192, 8191, "float"};
  CHECK(predictor.product_us(odd, Arithmetic::tf32) >
        1.5 * predictor.product_us(square, Arithmetic::tf32));
  // 1,024 products of 64 x 64 x 64 read and write 1,024 x 3 x 16 KiB = 50.3 MB: 32 us at 1555 GB/s.
  CHECK(predictor.product_us({1024, 64, 64, 64, "float"}, Arithmetic::tf32) > 32);
}

TEST_CASE("Launches of a DeepSeek-V3 training chunk, counted from the model card") {
  TrainingChunk chunk;
  chunk.model = loader::read_model_config(kHome / "scenarios/models/deepseek-v3.json");
  chunk.layers = 4;
  chunk.tokens = 4096;
  chunk.expert_parallel = 64;
  chunk.recomputed = {"q_b", "kv_b"};
  chunk.communication_sms = 20;
  std::map<std::string, Expected> by_class;
  for (const Expected& expected :
       expect_training_chunk(chunk, gpu("h800-sxm"), std::make_shared<Calibration>()))
    by_class[expected.kernel_class] = expected;
  // A layer: 7 dense matrices (q_a, q_b, kv_a, kv_b, o, shared gate+up, shared down), each forward
  // and for the gradient of its input, 2 of them twice: 16. Weights: 7, and 2 of each of 256/64 = 4
  // experts: 15. Experts: 2 matrices, forward and backward: 4.
  CHECK(by_class["gemm fp8"].n == 64);
  CHECK(by_class["gemm fp8 weight gradient"].n == 60);
  CHECK(by_class["grouped gemm fp8"].n == 16);
  CHECK(by_class["gemm bf16"].n == 12);
  CHECK(by_class["attention forward"].n == 4);
  CHECK(by_class["attention backward"].n == 4);
  // Heads of 192 and 128: backward 2 (3 x 192 + 2 x 128) over forward 2 (192 + 128) = 2.6.
  CHECK(by_class["attention backward"].us / by_class["attention forward"].us == Approx(2.6));
  // Grouped products: 4 layers x 2 x (2 x 32768 x 7168 x (4096 + 2048)) = 2.309e13 FLOP on 112 of
  // 132 SMs of 1978.9 TFLOP/s: at least 13,751 us.
  CHECK(by_class["grouped gemm fp8"].us > 13'751);
  CHECK(by_class["grouped gemm fp8"].us < 3 * 13'751);
}

TEST_CASE("DeepSeek-V3 training trace: every matrix and attention class within 15 %") {
  const loader::Catalogue catalogue(kHome);
  const auto report =
      validate_trace(kHome / "validation/measurements/traces/deepseek-v3-train-h800.csv.gz", "", "",
                     catalogue, kHome / "validation/calibrate/calibration.h5");
  CHECK(report.gpu == "h800-sxm");
  CHECK(report.span_us == Approx(129'012));
  int predicted = 0;
  for (const ClassRow& row : report.classes) {
    if (!row.predicted_us) continue;
    ++predicted;
    INFO(row.kernel_class << ": " << *row.predicted_us << " against " << row.measured_us);
    const double ratio = *row.predicted_us / row.measured_us;
    if (row.kernel_class == "dispatch" || row.kernel_class == "combine") {
      CHECK(ratio < 1.0);  // measured with the waiting for peers
      CHECK(ratio > 0.5);
    } else if (row.expected_n) {
      CHECK(row.expected_n == row.n);
      CHECK(ratio == Approx(1.0).margin(0.15));
    } else {
      CHECK(ratio == Approx(1.0).margin(0.20));
    }
  }
  CHECK(predicted == 14);
  REQUIRE(report.predicted_span_us);
  CHECK(*report.predicted_span_us / report.span_us == Approx(1.0).margin(0.08));
  CHECK(*report.predicted_compute_us / 118'200 == Approx(1.0).margin(0.10));
  CHECK(report.notes.empty());
  // Two streams of expert weight gradients: shorter together than added up.
  for (const ClassRow& row : report.classes)
    if (row.kernel_class == "gemm fp8 weight gradient") {
      CHECK(row.summed_us == Approx(32'756));
      CHECK(row.measured_us == Approx(27'494));
    }
  const Overlap& overlap = report.overlap;
  CHECK(overlap.overlapped_us + overlap.exposed_communication_us ==
        Approx(overlap.communication_busy_us));
  CHECK(overlap.compute_busy_us <= report.span_us);
}

TEST_CASE("Card of a device: the chip's name and the nearest memory") {
  const loader::Catalogue catalogue(kHome);
  CHECK(card_of_device("NVIDIA A100-PG509-200", 42297524224.0, catalogue) == "a100-40gb-sxm");
  CHECK(card_of_device("NVIDIA A100-SXM4-80GB", 85e9, catalogue) == "a100-80gb-sxm");
  CHECK(card_of_device("NVIDIA H800", 85e9, catalogue) == "h800-sxm");
  CHECK(card_of_device("AMD Radeon Graphics", 85e9, catalogue).empty());
  CHECK(card_of_device("", 85e9, catalogue).empty());
}

TEST_CASE("Attention of recorded shape: fields, masks, and what is refused") {
  FrameworkOp op{"aten::_scaled_dot_product_flash_attention",
                 {{2, 32, 1024, 128}, {2, 8, 4096, 128}, {2, 8, 4096, 128}},
                 {},
                 {"", "", "", "0.", "True", "False"}};
  const auto causal = attention_of(op);
  REQUIRE(causal);
  CHECK(causal->batch == 2);
  CHECK(causal->heads == 32);
  CHECK(causal->kv_heads == 8);
  CHECK(causal->tokens == 1024);
  CHECK(causal->keys == 4096);
  CHECK(causal->head_dim == 128);
  CHECK(causal->causal);
  op.values[4] = "False";
  CHECK_FALSE(attention_of(op)->causal);
  op.values.clear();
  CHECK(attention_of(op)->causal);
  op.dims[0][3] = 64;
  CHECK_FALSE(attention_of(op));
  op.dims[0] = {2, 32, 0, 128};
  CHECK_FALSE(attention_of(op));
  op.dims[0] = {2, 32, 5'000'000'000, 128};
  CHECK_FALSE(attention_of(op));
}

TEST_CASE("A100 training trace with shapes: the summed products within 25 %") {
  const loader::Catalogue catalogue(kHome);
  const auto report =
      validate_trace(kHome / "validation/measurements/traces" /
                         "a100-training-8-ranks-rank3-shapes.kineto.json.gz",
                     "", "", catalogue, kHome / "validation/calibrate/calibration.h5");
  CHECK(report.gpu.starts_with("a100"));
  double measured = 0, predicted = 0;
  int n = 0;
  for (const ShapeRow& row : report.products) {
    REQUIRE(row.predicted_us);
    measured += row.measured_us;
    predicted += *row.predicted_us;
    n += row.n;
  }
  CHECK(n == 1776);
  CHECK(predicted / measured == Approx(1.0).margin(0.25));
}

TEST_CASE("NCCL trace: calls of one size together, the shortest beside the prediction") {
  const loader::Catalogue catalogue(kHome);
  const auto file = kHome / "validation/measurements/traces/a100-nccl-2-ranks-rank0.kineto.json.gz";
  const auto report =
      validate_trace(file, "", "", catalogue, kHome / "validation/calibrate/calibration.h5");
  CHECK(report.gpu == "a100-40gb-sxm");
  REQUIRE(report.collectives.size() == 7);  // two broadcasts, five all-reduces
  for (const ShapeRow& row : report.collectives) {
    INFO(row.name << " " << row.shape);
    CHECK(row.n == 3);
    CHECK(row.measured_us <= row.longest_us);
    REQUIRE(row.predicted_us);
    // Waiting only adds: no call is shorter than what the wire needs.
    CHECK(*row.predicted_us < 1.2 * row.measured_us);
  }
  CHECK(report.collectives[2].measured_us == Approx(2520.607));
  CHECK(report.collectives[2].longest_us == Approx(5993.392));
  CHECK(std::any_of(report.notes.begin(), report.notes.end(), [](const std::string& note) {
    return note.find("slowest rank") != std::string::npos;
  }));
  // The same GPUs joined by PCIe alone take longer.
  const auto slow =
      validate_trace(file, "", "l40s-x8", catalogue, kHome / "validation/calibrate/calibration.h5");
  CHECK(slow.gpu == "l40s");
  CHECK(*slow.collectives[3].predicted_us > 2 * *report.collectives[3].predicted_us);
}

TEST_CASE("Every shipped trace imports, also those of other makers and without a GPU's name") {
  const loader::Catalogue catalogue(kHome);
  const auto calibration = kHome / "validation/calibrate/calibration.h5";
  const auto traces = kHome / "validation/measurements/traces";
  const auto amd =
      validate_trace(traces / "mi250-small-train.kineto.json.gz", "", "", catalogue, calibration);
  CHECK_FALSE(amd.classes.empty());
  const auto alexnet =
      validate_trace(traces / "a100-alexnet.kineto.json.gz", "", "", catalogue, calibration);
  CHECK_FALSE(alexnet.classes.empty());
  const auto unnamed = traces / "training-128-ranks-rank0-shapes.kineto.json.gz";
  CHECK(validate_trace(unnamed, "", "", catalogue, calibration).gpu.empty());
  const auto named = validate_trace(unnamed, "a100-40gb-sxm", "", catalogue, calibration);
  CHECK_FALSE(named.products.empty());
  for (const ShapeRow& row : named.products) CHECK(row.predicted_us.value_or(0) > 0);
}
