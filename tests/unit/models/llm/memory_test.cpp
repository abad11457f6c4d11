#include "models/llm/memory.hpp"

#include <catch2/catch.hpp>
#include <cmath>
#include <optional>
#include <vector>

#include "tests/unit/models/llm/models.hpp"

using namespace foretoken::models::llm;
using namespace foretoken::models::llm::testing;
using foretoken::models::hardware::Bytes;

namespace {

constexpr double kGiB = 1024.0 * 1024 * 1024;
constexpr double kOom = 0;

// DeepSeek-LLM README, section 6: peak memory ("GB", which are GiB: 7B weighs 12.87 GiB) of
// Hugging Face transformers on A100-PCIE-40GB; columns 256, 512, 1024, 2048, 4096 tokens.
struct Row {
  int batch;
  double peak[5];
};
constexpr Row k7B[] = {{1, {13.29, 13.63, 14.47, 16.37, 21.25}},
                       {2, {13.63, 14.39, 15.98, 19.82, 29.59}},
                       {4, {14.47, 15.82, 19.04, 26.65, kOom}},
                       {8, {15.99, 18.71, 25.14, 35.19, kOom}},
                       {16, {19.06, 24.52, 37.28, kOom, kOom}}};
constexpr Row k67B[] = {{1, {16.92, 17.11, 17.66, 20.01, 33.23}},
                        {2, {17.04, 17.28, 18.55, 25.27, kOom}},
                        {4, {17.20, 17.80, 21.28, 33.71, kOom}},
                        {8, {17.59, 19.25, 25.69, kOom, kOom}},
                        {16, {18.17, 21.69, 34.54, kOom, kOom}}};

// Mean relative error over the rows that ran; those that did not must not fit either.
double mean_error(const ModelSpec& model, int gpus, const Row* rows, double& worst) {
  constexpr double usable = 39.4 * kGiB;  // of a 40 GB card, as its driver reports it
  double sum = 0;
  int n = 0;
  worst = 0;
  for (int r = 0; r < 5; ++r)
    for (int s = 0; s < 5; ++s) {
      const double predicted =
          eager_peak_bytes(model, gpus, rows[r].batch, 256 << s, Bytes(0.1 * kGiB)).value();
      INFO("batch " << rows[r].batch << ", sequence " << (256 << s) << ": " << predicted / kGiB);
      CHECK((predicted > usable) == (rows[r].peak[s] == kOom));
      if (rows[r].peak[s] == kOom) continue;
      const double error = std::abs(predicted / kGiB / rows[r].peak[s] - 1);
      worst = std::max(worst, error);
      sum += error;
      ++n;
    }
  return sum / n;
}

}  // namespace

TEST_CASE("peak memory of DeepSeek-LLM under an eager framework, against the published table") {
  double worst = 0;
  CHECK(mean_error(dense(30, 4096, 32, 32, 11008, 102400), 1, k7B, worst) < 0.02);
  CHECK(worst < 0.085);
  CHECK(mean_error(dense(95, 8192, 64, 8, 22016, 102400), 8, k67B, worst) < 0.025);
  CHECK(worst < 0.085);
}

TEST_CASE("activations of Llama-8B, by hand and beside a measured engine") {
  // 8192 tokens x 2 B x (2 x 4096 + 3 x 14336) = 8192 x 2 x 51,200 = 838,860,800
  const double tp1 = activation_bytes_per_gpu(llama_8b(), Layout{}, Precision{}, 8192).value();
  CHECK(tp1 == 838'860'800);
  // An engine's measured coefficient in units of 2 x tokens x hidden: 11 at tensor 1, 6.5 at 2
  const double unit = 2.0 * 8192 * 4096;
  CHECK(tp1 / unit == Approx(11).epsilon(0.15));
  Layout two;
  two.tensor = 2;
  CHECK(activation_bytes_per_gpu(llama_8b(), two, Precision{}, 8192).value() / unit ==
        Approx(6.5).epsilon(0.15));
}

TEST_CASE("activations of DeepSeek-V3 under tensor 8, beside a measured engine") {
  // Engine: 10 x 2 x tokens x hidden. Here 2 x 7168 + 8 x (7168 + 256) + 7168 + 2 x 256 = 81,408
  // elements a token = 11.36 x 7168.
  Layout eight;
  eight.tensor = 8;
  const double c = activation_bytes_per_gpu(deepseek_v3(), eight, Precision{}, 4096).value() /
                   (2.0 * 4096 * 7168);
  CHECK(c == Approx(81'408.0 / 7168));
  CHECK(c == Approx(10).epsilon(0.15));
}

TEST_CASE("logits can outweigh the layers") {
  // 256 rows x 128,256 x 10 B = 328,335,360, and the hidden states 2048 x 4096 x 2
  CHECK(activation_bytes_per_gpu(llama_8b(), Layout{}, Precision{}, 2048, 256).value() ==
        328'335'360.0 + 16'777'216);
}

TEST_CASE("KV blocks of a vLLM 0.19 server with Llama-3.1-8B on an RTX 4090: 2,588 of 16 tokens") {
  // The log states: memory 25,250,627,584 B, utilisation 0.9, 2,048 tokens a step, 256 sequences.
  // 0.9 x memory - weights 16,060,522,496 - activations 345,112,576 - reserve, in blocks of
  // 16 x 131,072 = 2,097,152 B. The reserve (CUDA context, libraries, graphs) is not logged; 2,588
  // blocks leave 892 MB for it, and engines of this kind hold 0.5 to 1.2 GB.
  const double budget = 0.9 * 25'250'627'584.0;
  const double weights = weight_bytes_per_gpu(llama_8b(), Layout{}, Precision{}).value();
  CHECK(weights == 16'060'522'496.0);
  const double activations =
      activation_bytes_per_gpu(llama_8b(), Layout{}, Precision{}, 2048, 256).value();
  const double block = 16 * kv_bytes_per_token_per_gpu(llama_8b(), Layout{}, Precision{});
  const double left = budget - weights - activations - 2588 * block;
  CHECK(left > 0.5e9);
  CHECK(left < 1.2e9);
  const double blocks = std::floor((budget - weights - activations - 0.85e9) / block);
  CHECK(blocks == Approx(2588).epsilon(0.02));
}
