#include "scenarios/loader/model_config.hpp"

#include <algorithm>
#include <array>
#include <fstream>
#include <iterator>

#include "scenarios/loader/json_object.hpp"
#include "scenarios/loader/model_quantization.hpp"

namespace foretoken::scenarios::loader {
namespace {

using models::llm::ModelSpec;

constexpr int kMaxLayers = 10'000;
constexpr int kMaxExperts = 65'536;
constexpr int kMaxWidth = 1 << 24;
constexpr int kMaxPositions = 1 << 30;

// Keys that change neither shapes nor the work done: ids, training settings, position scaling,
// routing details (which experts, not how many), bookkeeping.
constexpr std::array kNotStructural = {"architectures",
                                       "model_type",
                                       "name_or_path",
                                       "auto_map",
                                       "transformers_version",
                                       "use_cache",
                                       "bos_token_id",
                                       "eos_token_id",
                                       "pad_token_id",
                                       "unk_token_id",
                                       "sep_token_id",
                                       "decoder_start_token_id",
                                       "attention_dropout",
                                       "hidden_dropout",
                                       "embd_pdrop",
                                       "attn_pdrop",
                                       "resid_pdrop",
                                       "emb_pdrop",
                                       "summary_first_dropout",
                                       "summary_type",
                                       "summary_use_proj",
                                       "summary_activation",
                                       "summary_proj_to_labels",
                                       "initializer_range",
                                       "initializer_cutoff_factor",
                                       "init_std",
                                       "init_device",
                                       "init_config",
                                       "rms_norm_eps",
                                       "layer_norm_epsilon",
                                       "layer_norm_eps",
                                       "norm_type",
                                       "hidden_act",
                                       "activation_function",
                                       "rope_theta",
                                       "rope_scaling",
                                       "rope_parameters",
                                       "rope_interleave",
                                       "partial_rotary_factor",
                                       "original_max_position_embeddings",
                                       "initial_context_length",
                                       "pretraining_tp",
                                       "ep_size",
                                       "aux_loss_alpha",
                                       "seq_aux",
                                       "router_aux_loss_coef",
                                       "router_jitter_noise",
                                       "output_router_logits",
                                       "output_attentions",
                                       "output_hidden_states",
                                       "norm_topk_prob",
                                       "routed_scaling_factor",
                                       "scoring_func",
                                       "topk_method",
                                       "n_group",
                                       "topk_group",
                                       "reorder_and_upcast_attn",
                                       "scale_attn_weights",
                                       "scale_attn_by_inverse_layer_idx",
                                       "task_specific_params",
                                       "torchscript",
                                       "use_bfloat16",
                                       "gradient_checkpointing",
                                       "swiglu_limit",
                                       "logit_scale",
                                       "embedding_fraction",
                                       "use_pad_tok_in_ffn",
                                       "verbose",
                                       "tokenizer_name",
                                       "use_mla",
                                       "tokenizer_class",
                                       "fc_type",
                                       "return_dict",
                                       "id2label",
                                       "label2id",
                                       "problem_type",
                                       "use_mrope",
                                       "output_past",
                                       "n_ctx"};

void attention_dimensions(JsonObject& c, ModelSpec& m) {
  auto& a = m.attention;
  a.heads = c.integer("num_attention_heads", 1, kMaxWidth);
  a.kv_heads = c.integer_or("num_key_value_heads", 1, kMaxWidth, a.heads);
  if (!c.has("head_dim") && m.hidden % a.heads != 0)
    c.conflict("num_attention_heads", std::to_string(a.heads) +
                                          " heads do not divide hidden_size " +
                                          std::to_string(m.hidden) + " and there is no head_dim");
  a.head_dim = c.integer_or("head_dim", 1, kMaxWidth, std::max(1, m.hidden / a.heads));
  if (a.heads % a.kv_heads != 0)
    c.conflict("num_key_value_heads", std::to_string(a.kv_heads) + " KV heads do not divide " +
                                          std::to_string(a.heads) + " attention heads");
}

void common_dimensions(JsonObject& c, ModelSpec& m) {
  m.layers = c.integer("num_hidden_layers", 1, kMaxLayers);
  m.hidden = c.integer("hidden_size", 1, kMaxWidth);
  m.vocab = c.integer("vocab_size", 1, kMaxWidth);
  m.max_positions = c.integer_or("max_position_embeddings", 1, kMaxPositions, 0);
  m.tied_embeddings = c.boolean_or("tie_word_embeddings", false);
  if (m.max_positions == 0)
    c.error("max_position_embeddings",
            "'max_position_embeddings' is missing; the longest context "
            "the model accepts must be known");
}

// One full layer in how many? Only a regular mix can be told by one number.
void mixed_windows(JsonObject& c, ModelSpec& m, int full) {
  auto& a = m.attention;
  if (full == m.layers) {
    a.sliding_window = 0;
    return;
  }
  a.full_attention_every = full == 0 ? 0 : m.layers / full;
  if (models::llm::full_attention_layers(m) != full)
    c.error(c.has("layer_types") ? "layer_types" : "max_window_layers",
            std::to_string(full) + " of " + std::to_string(m.layers) +
                " layers attend fully; only one in every so many is supported");
}

void sliding_window(JsonObject& c, ModelSpec& m) {
  const bool off_by_default = m.architecture.rfind("Qwen", 0) == 0;
  const bool enabled = c.boolean_or("use_sliding_window", !off_by_default);
  const int first = c.integer_or("max_window_layers", 0, kMaxLayers, 0);
  const int window = c.integer_or("sliding_window", 0, kMaxPositions, 0);
  m.attention.sliding_window = enabled ? window : 0;
  if (const auto* types = c.find("layer_types")) {
    int full = 0;
    bool known = types->is_array() && types->size() == static_cast<std::size_t>(m.layers);
    for (const auto& type : *types) {
      known = known && (type == "full_attention" || type == "sliding_attention");
      full += type == "full_attention" ? 1 : 0;
    }
    if (!known)
      c.error("layer_types", "expected one of full_attention, sliding_attention for each of the " +
                                 std::to_string(m.layers) + " layers");
    else if (full < m.layers && m.attention.sliding_window == 0)
      c.error("layer_types", "there are sliding_attention layers but no sliding_window");
    else
      mixed_windows(c, m, full);
  } else if (m.attention.sliding_window > 0) {
    // Qwen: the first max_window_layers attend fully. Elsewhere the key is absent and none does.
    mixed_windows(c, m, std::min(first, m.layers));
  }
}

void dense_mlp(JsonObject& c, ModelSpec& m) {
  m.intermediate = c.integer("intermediate_size", 1, kMaxWidth);
  m.mlp_bias = c.boolean_or("mlp_bias", false);
}

void llama_like(JsonObject& c, ModelSpec& m) {
  common_dimensions(c, m);
  attention_dimensions(c, m);
  dense_mlp(c, m);
  sliding_window(c, m);
  const bool bias = c.boolean_or("attention_bias", false);
  m.attention.qkv_bias = bias || m.architecture == "Qwen2ForCausalLM";
  m.attention.output_bias = bias;
  m.attention.qk_norm = m.architecture == "Qwen3ForCausalLM";
}

void check_top_k(JsonObject& c, const ModelSpec& m, const char* key) {
  if (m.moe->top_k > m.moe->experts)
    c.conflict(key, "a token goes to " + std::to_string(m.moe->top_k) + " experts but there are " +
                        std::to_string(m.moe->experts));
}

// Mixture layers must start at one layer and go on to the last: nothing else is described.
void require_value(JsonObject& c, const char* key, int value) {
  if (c.integer_or(key, 0, kMaxLayers, value) != value)
    c.error(key, std::string("'") + key + "' must be " + std::to_string(value) +
                     "; other mixes of dense and expert layers are not supported");
}

void deepseek_moe(JsonObject& c, ModelSpec& m) {
  dense_mlp(c, m);
  m.moe.emplace();
  m.moe->experts = c.integer("n_routed_experts", 1, kMaxExperts);
  m.moe->shared_experts = c.integer_or("n_shared_experts", 0, kMaxExperts, 0);
  m.moe->top_k = c.integer("num_experts_per_tok", 1, kMaxExperts);
  m.moe->intermediate = c.integer("moe_intermediate_size", 1, kMaxWidth);
  m.moe->first_dense_layers = c.integer_or("first_k_dense_replace", 0, kMaxLayers, 0);
  // The correction bias of V3's auxiliary-loss-free routing, one number an expert.
  m.moe->router_bias = c.string_or("topk_method", "") == "noaux_tc";
  require_value(c, "moe_layer_freq", 1);
  check_top_k(c, m, "num_experts_per_tok");
  if (m.moe->first_dense_layers > m.layers)
    c.conflict("first_k_dense_replace", "more dense layers than layers");
  if (m.moe->first_dense_layers == 0) m.intermediate = 0;
}

void deepseek_v1(JsonObject& c, ModelSpec& m) {
  common_dimensions(c, m);
  attention_dimensions(c, m);
  m.attention.qkv_bias = m.attention.output_bias = c.boolean_or("attention_bias", false);
  deepseek_moe(c, m);
}

void deepseek_mla(JsonObject& c, ModelSpec& m) {
  common_dimensions(c, m);
  auto& a = m.attention;
  a.heads = c.integer("num_attention_heads", 1, kMaxWidth);
  c.use("num_key_value_heads");  // equals the heads and says nothing: all share one latent
  c.use("head_dim");             // of the rotated part, repeated by later transformers versions
  c.use("qk_head_dim");          // the sum of the two below
  a.kv_heads = a.heads;
  a.mla.emplace();
  a.mla->q_lora_rank = c.integer_or("q_lora_rank", 0, kMaxWidth, 0);
  a.mla->kv_lora_rank = c.integer("kv_lora_rank", 1, kMaxWidth);
  a.mla->qk_nope_head_dim = c.integer("qk_nope_head_dim", 1, kMaxWidth);
  a.mla->qk_rope_head_dim = c.integer("qk_rope_head_dim", 1, kMaxWidth);
  a.mla->v_head_dim = c.integer("v_head_dim", 1, kMaxWidth);
  a.head_dim = a.mla->qk_nope_head_dim + a.mla->qk_rope_head_dim;
  if (c.boolean_or("attention_bias", false))
    c.error("attention_bias", "biases in latent attention are not supported");
  if (m.architecture == "DeepseekV32ForCausalLM") {
    a.sparse.emplace();
    a.sparse->heads = c.integer("index_n_heads", 1, kMaxWidth);
    a.sparse->head_dim = c.integer("index_head_dim", 1, kMaxWidth);
    a.sparse->top_k = c.integer("index_topk", 1, kMaxPositions);
  }
  deepseek_moe(c, m);
  m.mtp_layers = c.integer_or("num_nextn_predict_layers", 0, kMaxLayers, 0);
}

void qwen3_moe(JsonObject& c, ModelSpec& m) {
  common_dimensions(c, m);
  attention_dimensions(c, m);
  sliding_window(c, m);
  const bool bias = c.boolean_or("attention_bias", false);
  m.attention.qkv_bias = m.attention.output_bias = bias;
  m.attention.qk_norm = c.boolean_or("use_qk_norm", true);
  if (c.boolean_or("qkv_bias", false)) m.attention.qkv_bias = true;
  if (c.integer_or("shared_expert_intermediate_size", 0, kMaxWidth, 0) > 0)
    c.error("shared_expert_intermediate_size",
            "shared experts of their own width are not supported");
  c.use("intermediate_size");  // of dense layers, of which there are none
  require_value(c, "decoder_sparse_step", 1);
  if (const auto* dense = c.find("mlp_only_layers"); dense != nullptr && !dense->empty())
    c.error("mlp_only_layers", "expert models with some dense layers are not supported");
  m.moe.emplace();
  m.moe->experts = c.integer("num_experts", 1, kMaxExperts);
  m.moe->top_k = c.integer("num_experts_per_tok", 1, kMaxExperts);
  m.moe->intermediate = c.integer("moe_intermediate_size", 1, kMaxWidth);
  check_top_k(c, m, "num_experts_per_tok");
}

void mixtral(JsonObject& c, ModelSpec& m) {
  common_dimensions(c, m);
  attention_dimensions(c, m);
  sliding_window(c, m);
  m.moe.emplace();
  m.moe->experts = c.integer("num_local_experts", 1, kMaxExperts);
  m.moe->top_k = c.integer("num_experts_per_tok", 1, kMaxExperts);
  m.moe->intermediate = c.integer("intermediate_size", 1, kMaxWidth);
  check_top_k(c, m, "num_experts_per_tok");
}

void gpt_oss(JsonObject& c, ModelSpec& m) {
  mixtral(c, m);
  c.use("experts_per_token");  // repeats num_experts_per_tok
  m.attention.qkv_bias = m.attention.output_bias = c.boolean_or("attention_bias", true);
  m.attention.sinks = true;
  m.moe->router_bias = m.moe->expert_bias = true;
}

// The settings of MPT's attention, nested under attn_config.
void mpt_attention(JsonObject& c, ModelSpec& m) {
  auto& a = m.attention;
  a.kv_heads = a.heads;
  const auto* config = c.find("attn_config");
  if (config == nullptr) return;
  if (!config->is_object()) {
    c.error("attn_config", "'attn_config' must be an object");
    return;
  }
  const auto type = config->find("attn_type");
  if (type != config->end() && *type == "multiquery_attention") a.kv_heads = 1;
  const auto groups = config->find("kv_n_heads");
  if (groups != config->end() && groups->is_number_unsigned() && *groups > 0 && *groups <= a.heads)
    a.kv_heads = groups->get<int>();
  const auto window = config->find("sliding_window_size");
  if (window != config->end() && window->is_number_integer() && *window > 0)
    c.error("attn_config", "a sliding window in MPT is not supported");
  const auto is_true = [&](const char* key) {
    const auto it = config->find(key);
    return it != config->end() && *it == true;
  };
  if (is_true("alibi") || is_true("rope")) m.learned_positions = false;
}

void mpt(JsonObject& c, ModelSpec& m) {
  m.layers = c.integer("n_layers", 1, kMaxLayers);
  m.hidden = c.integer("d_model", 1, kMaxWidth);
  m.vocab = c.integer("vocab_size", 1, kMaxWidth);
  m.max_positions = c.integer("max_seq_len", 1, kMaxPositions);
  m.attention.heads = c.integer("n_heads", 1, kMaxWidth);
  m.attention.head_dim = std::max(1, m.hidden / m.attention.heads);
  const int ratio = c.integer_or("expansion_ratio", 1, 64, 4);
  m.intermediate = std::min(kMaxWidth, m.hidden) * ratio;
  m.gated_mlp = false;
  m.tied_embeddings = c.boolean_or("tie_word_embeddings", true);
  m.learned_positions = c.boolean_or("learned_pos_emb", true);
  const bool bias = !c.boolean_or("no_bias", false);
  m.mlp_bias = m.attention.qkv_bias = m.attention.output_bias = bias;
  c.use("ffn_config");
  mpt_attention(c, m);
  if (m.hidden % m.attention.heads != 0)
    c.conflict("n_heads", "the heads do not divide d_model " + std::to_string(m.hidden));
}

void gpt2(JsonObject& c, ModelSpec& m) {
  m.layers = c.integer("n_layer", 1, kMaxLayers);
  m.hidden = c.integer("n_embd", 1, kMaxWidth);
  m.vocab = c.integer("vocab_size", 1, kMaxWidth);
  m.max_positions = c.integer("n_positions", 1, kMaxPositions);
  m.attention.heads = m.attention.kv_heads = c.integer("n_head", 1, kMaxWidth);
  m.attention.head_dim = std::max(1, m.hidden / m.attention.heads);
  m.intermediate = c.integer_or("n_inner", 1, kMaxWidth, 4 * m.hidden);
  m.gated_mlp = false;
  m.mlp_bias = m.attention.qkv_bias = m.attention.output_bias = true;
  m.learned_positions = true;
  m.tied_embeddings = c.boolean_or("tie_word_embeddings", true);
  if (m.hidden % m.attention.heads != 0)
    c.conflict("n_head", "the heads do not divide n_embd " + std::to_string(m.hidden));
}

struct Architecture {
  const char* name;
  void (*read)(JsonObject&, ModelSpec&);
};

constexpr std::array<Architecture, 13> kArchitectures{{
    {"LlamaForCausalLM", llama_like},
    {"MistralForCausalLM", llama_like},
    {"Qwen2ForCausalLM", llama_like},
    {"Qwen3ForCausalLM", llama_like},
    {"DeepseekForCausalLM", deepseek_v1},
    {"DeepseekV2ForCausalLM", deepseek_mla},
    {"DeepseekV3ForCausalLM", deepseek_mla},
    {"DeepseekV32ForCausalLM", deepseek_mla},
    {"Qwen3MoeForCausalLM", qwen3_moe},
    {"MixtralForCausalLM", mixtral},
    {"GptOssForCausalLM", gpt_oss},
    {"MPTForCausalLM", mpt},
    {"GPT2LMHeadModel", gpt2},
}};

std::string joined(const std::vector<std::string>& names) {
  std::string out;
  for (const auto& name : names) out += (out.empty() ? "" : ", ") + name;
  return out;
}

std::string architecture_of(JsonObject& c) {
  const auto* list = c.find("architectures");
  if (list != nullptr && list->is_array() && list->size() == 1 && (*list)[0].is_string())
    return (*list)[0].get<std::string>();
  c.error("architectures",
          "'architectures' must be a list of one name, e.g. [\"LlamaForCausalLM\"]");
  c.throw_if_problems();
  return {};
}

// A model of an unknown kind: say so, and which of its keys nothing here understands.
[[noreturn]] void refuse_architecture(JsonObject& c, const std::string& name) {
  for (const auto& known : kArchitectures) {
    JsonObject trial = c;
    ModelSpec ignored;
    ignored.architecture = known.name;
    known.read(trial, ignored);
    checkpoint_format(trial);
    for (const auto& key : trial.keys())
      if (const auto left = trial.unused(); std::find(left.begin(), left.end(), key) == left.end())
        c.use(key);
  }
  const auto unknown = c.unused();
  c.error("architectures", "architecture '" + name +
                               "' is not supported; known: " + joined(supported_architectures()));
  if (!unknown.empty())
    c.error(unknown.front(), "keys that no supported architecture has: " + joined(unknown));
  c.throw_if_problems();
  throw sim::core::InputError("unreachable: a refusal without a reason");
}

std::string name_from(std::string_view file_name) {
  const std::filesystem::path path{std::string(file_name)};
  std::string name = path.stem().string();
  if (name == "config" && path.has_parent_path()) name = path.parent_path().filename().string();
  constexpr std::string_view suffix = "_config";
  if (name.size() > suffix.size() && name.ends_with(suffix))
    name.resize(name.size() - suffix.size());
  if (const auto org = name.find("--"); org != std::string::npos) name.erase(0, org + 2);
  return name;
}

// Dimensions that pass one by one can still describe nothing that exists; counts stay exact in
// 64 bits and in double below this.
void check_size(JsonObject& c, const ModelSpec& m) {
  const double width = m.hidden;
  double layer = 4 * width * m.attention.heads * m.attention.head_dim + 3 * width * m.intermediate;
  if (m.moe) layer += 3 * width * m.moe->intermediate * (m.moe->experts + m.moe->shared_experts);
  if (layer * m.layers + 2 * width * m.vocab > 1e15)
    c.conflict("architectures", "these dimensions describe more than 10^15 parameters; check them");
}

}  // namespace

std::vector<std::string> supported_architectures() {
  std::vector<std::string> names;
  for (const auto& known : kArchitectures) names.emplace_back(known.name);
  return names;
}

ModelSpec parse_model_config(std::string_view json, std::string_view file_name) {
  JsonObject config(json, file_name);
  for (const char* key : kNotStructural) config.use(key);
  ModelSpec model;
  model.name = name_from(file_name);
  model.architecture = architecture_of(config);
  const auto known = std::find_if(kArchitectures.begin(), kArchitectures.end(),
                                  [&](const auto& a) { return a.name == model.architecture; });
  if (known == kArchitectures.end()) refuse_architecture(config, model.architecture);
  known->read(config, model);
  model.checkpoint = checkpoint_format(config);
  check_size(config, model);
  const auto unknown = config.unused();
  if (!unknown.empty())
    config.error(unknown.front(), "keys that " + model.architecture +
                                      " is not known to have (they may change its arithmetic): " +
                                      joined(unknown) + "; remove them if they do not");
  config.throw_if_problems();
  return model;
}

ModelSpec read_model_config(const std::filesystem::path& file) {
  std::error_code status;
  if (std::filesystem::is_directory(file, status))
    throw sim::core::InputError(file.string() + " is a directory; name its config.json");
  std::ifstream in(file, std::ios::binary);
  if (!in) throw sim::core::InputError("cannot read the model card " + file.string());
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  return parse_model_config(text, file.string());
}

}  // namespace foretoken::scenarios::loader
