#include "validation/importers/kernel_class.hpp"

#include <catch2/catch.hpp>

using namespace foretoken::validation::importers;

namespace {

std::string named(const char* name) {
  Kernel kernel;
  kernel.name = name;
  return class_of(kernel);
}

}  // namespace

TEST_CASE("Kernels of the libraries that PyTorch 2.11 calls on Hopper are told apart") {
  // cuDNN's attention carries no other word for it than SDPA and its pass; its convolutions share
  // the pass's name.
  CHECK(named("cudnn_generated_fort_native_sdpa_sm90_flash_fprop_wgmma_f16_knob_7_64x128x128") ==
        "attention forward");
  CHECK(named("cudnn_generated_fort_native_sdpa_sm90_flash_bprop_wgmma_f16_knob_7_64x128x128") ==
        "attention backward");
  CHECK(named("sm80_xmma_fprop_implicit_gemm_indexed_tf32f32_tf32f32_f32_nhwckrsc") == "gemm tf32");
  CHECK(named("void cudnn::cnn::im2col4d_kernel<float, long>") == "convolution");
  CHECK(named("nvjet_sm90_tst_320x128_64x3_1x2_h_bz_coopB_TNT") == "gemm");
  CHECK(named("void pytorch_flash::flash_fwd_splitkv_kernel<Flash_fwd_kernel_traits<128>>") ==
        "attention forward");
}
