// C[m,n] = A[m,k] B[k,n] with weights B held as [n,k], through cuBLASLt: bf16, fp8 (one scale a
// tensor), int8 with int32 sums (the arithmetic of W8A8, table format "sq").
#include <cublasLt.h>

#include <chrono>
#include <memory>
#include <random>

#include "benchmarks.cuh"

namespace collect {
namespace {

constexpr std::size_t kWorkspace = std::size_t{64} << 20;

struct Format {
  const char* name;  // in the tables
  cudaDataType_t in, out;
  cublasComputeType_t compute;
  cudaDataType_t scale;
  std::size_t bytes;
  bool tensor_scales;
};
const Format kFormats[] = {
    {"bfloat16", CUDA_R_16BF, CUDA_R_16BF, CUBLAS_COMPUTE_32F, CUDA_R_32F, 2, false},
    {"fp8", CUDA_R_8F_E4M3, CUDA_R_16BF, CUBLAS_COMPUTE_32F, CUDA_R_32F, 1, true},
    {"sq", CUDA_R_8I, CUDA_R_32I, CUBLAS_COMPUTE_32I, CUDA_R_32I, 1, false}};

class Product {
 public:
  Product(cublasLtHandle_t handle, const Format& format, std::int64_t m, std::int64_t n,
          std::int64_t k, void* workspace, const float* ones)
      : handle_(handle), format_(format), workspace_(workspace), ones_(ones) {
    const auto rows = static_cast<std::uint64_t>(k);
    ok_ = cublasLtMatmulDescCreate(&op_, format.compute, format.scale) == CUBLAS_STATUS_SUCCESS;
    const cublasOperation_t yes = CUBLAS_OP_T, no = CUBLAS_OP_N;
    set(CUBLASLT_MATMUL_DESC_TRANSA, yes);
    set(CUBLASLT_MATMUL_DESC_TRANSB, no);
    if (format.tensor_scales) {
      set(CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, ones);
      set(CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, ones);
    }
    // Column by column: C^T[n,m] = (B as [k,n])^T A^T[k,m].
    layout(&b_, format.in, rows, static_cast<std::uint64_t>(n), k);
    layout(&a_, format.in, rows, static_cast<std::uint64_t>(m), k);
    layout(&c_, format.out, static_cast<std::uint64_t>(n), static_cast<std::uint64_t>(m), n);
    choose();
  }
  ~Product() {
    cublasLtMatrixLayoutDestroy(a_);
    cublasLtMatrixLayoutDestroy(b_);
    cublasLtMatrixLayoutDestroy(c_);
    cublasLtMatmulDescDestroy(op_);
  }
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  // cuBLASLt has a kernel for it on this GPU.
  [[nodiscard]] bool possible() const { return ok_; }

  void run(const void* a, const void* b, void* c, cudaStream_t stream) const {
    const float one = 1.0F, zero = 0.0F;
    const std::int32_t one_i = 1, zero_i = 0;
    const bool whole = format_.scale == CUDA_R_32I;
    const cublasStatus_t status =
        cublasLtMatmul(handle_, op_, whole ? static_cast<const void*>(&one_i) : &one, b, b_, a, a_,
                       whole ? static_cast<const void*>(&zero_i) : &zero, c, c_, c, c_,
                       &algorithm_.algo, workspace_, kWorkspace, stream);
    if (status != CUBLAS_STATUS_SUCCESS) {
      std::fprintf(stderr, "collect: cublasLtMatmul failed: %s\n", cublasLtGetStatusString(status));
      std::exit(1);
    }
  }

 private:
  template <class T>
  void set(cublasLtMatmulDescAttributes_t attribute, const T& value) {
    ok_ = ok_ && cublasLtMatmulDescSetAttribute(op_, attribute, &value, sizeof value) ==
                     CUBLAS_STATUS_SUCCESS;
  }
  void layout(cublasLtMatrixLayout_t* out, cudaDataType_t type, std::uint64_t rows,
              std::uint64_t columns, std::int64_t stride) {
    ok_ = ok_ &&
          cublasLtMatrixLayoutCreate(out, type, rows, columns, stride) == CUBLAS_STATUS_SUCCESS;
  }
  void choose() {
    if (!ok_) return;
    cublasLtMatmulPreference_t preference;
    cublasLtMatmulPreferenceCreate(&preference);
    cublasLtMatmulPreferenceSetAttribute(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES,
                                         &kWorkspace, sizeof kWorkspace);
    int found = 0;
    ok_ = cublasLtMatmulAlgoGetHeuristic(handle_, op_, b_, a_, c_, c_, preference, 1, &algorithm_,
                                         &found) == CUBLAS_STATUS_SUCCESS &&
          found > 0;
    cublasLtMatmulPreferenceDestroy(preference);
  }

  cublasLtHandle_t handle_;
  const Format& format_;
  void* workspace_;
  const float* ones_;
  bool ok_ = false;
  cublasLtMatmulDesc_t op_ = nullptr;
  cublasLtMatrixLayout_t a_ = nullptr, b_ = nullptr, c_ = nullptr;
  cublasLtMatmulHeuristicResult_t algorithm_{};
};

struct Operands {
  std::unique_ptr<Memory> a, b;
};
Operands make_operands(const Format& format, std::int64_t rows, std::int64_t widest) {
  const auto a = static_cast<std::size_t>(rows * widest);
  const auto b = static_cast<std::size_t>(widest * widest);
  Operands made{std::make_unique<Memory>(a * format.bytes),
                std::make_unique<Memory>(b * format.bytes)};
  randomise(*made.a, format.in, a);
  randomise(*made.b, format.in, b);
  return made;
}

struct Shape {
  const Format* format;
  std::int64_t m, n, k;
};

// In an order of chance, always the same: what was measured by a limit covers the whole grid.
std::vector<Shape> shuffled(const std::vector<std::int64_t>& widths,
                            const std::vector<std::int64_t>& rows) {
  std::vector<Shape> shapes;
  for (const Format& format : kFormats)
    for (const std::int64_t n : widths)
      for (const std::int64_t k : widths)
        for (const std::int64_t m : rows) shapes.push_back({&format, m, n, k});
  std::mt19937 draw;
  for (std::size_t left = shapes.size(); left > 1; --left)
    std::swap(shapes[left - 1], shapes[draw() % left]);
  return shapes;
}

}  // namespace

void gemm(const Options& options) {
  const std::vector<std::int64_t> widths =
      options.quick ? std::vector<std::int64_t>{1024, 4096, 8192}
                    : std::vector<std::int64_t>{128,  512,  1024, 1536,  2048,  4096,
                                                5120, 7168, 8192, 14336, 16384, 28672};
  std::vector<std::int64_t> rows;
  for (std::int64_t m = 1; m <= 8192; m *= options.quick ? 8 : 2) rows.push_back(m);
  const std::int64_t widest = widths.back(), most = rows.back();
  const Memory c(static_cast<std::size_t>(most * widest) * 4), workspace(kWorkspace);
  const Memory ones(256);
  const float one = 1.0F;
  COLLECT_CUDA(cudaMemcpy(ones.data, &one, sizeof one, cudaMemcpyHostToDevice));
  std::vector<Operands> operands;
  for (const Format& format : kFormats) operands.push_back(make_operands(format, most, widest));
  cublasLtHandle_t handle;
  if (cublasLtCreate(&handle) != CUBLAS_STATUS_SUCCESS) {
    std::fprintf(stderr, "collect: cuBLASLt cannot start\n");
    std::exit(1);
  }
  {
    Csv csv(options, "gemm", options.engine, "op_name,kernel_source,gemm_dtype,m,n,k,latency");
    const auto begin = std::chrono::steady_clock::now();
    for (const Shape& shape : shuffled(widths, rows)) {
      const std::chrono::duration<double> spent = std::chrono::steady_clock::now() - begin;
      if (options.minutes > 0 && spent.count() > options.minutes * 60) break;
      const Product product(handle, *shape.format, shape.m, shape.n, shape.k, workspace.data,
                            static_cast<const float*>(ones.data));
      if (!product.possible()) continue;
      const Operands& of = operands[static_cast<std::size_t>(shape.format - kFormats)];
      const double ms = milliseconds(
          [&](cudaStream_t stream) { product.run(of.a->data, of.b->data, c.data, stream); });
      std::fprintf(csv.file(), "gemm,cublaslt,%s,%lld,%lld,%lld,%.6g\n", shape.format->name,
                   static_cast<long long>(shape.m), static_cast<long long>(shape.n),
                   static_cast<long long>(shape.k), ms);
      csv.row_written();
    }
  }
  cublasLtDestroy(handle);
}

}  // namespace collect
