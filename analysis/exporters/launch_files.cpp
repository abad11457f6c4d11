#include "analysis/exporters/launch_files.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

namespace foretoken::analysis::exporters {
namespace {

using models::serving::DeploymentSpec;
using models::serving::PoolRole;

constexpr int kFirstPort = 8000;

// Names come from users: nothing of them may end a comment.
std::string one_line(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  return text;
}

// A name as Kubernetes wants it: lower-case letters, digits and dashes, at most 50.
std::string resource_name(const std::string& text) {
  std::string name;
  for (const char c : text) {
    const auto u = static_cast<unsigned char>(c);
    if (u < 0x80 && std::isalnum(u) != 0)
      name += static_cast<char>(std::tolower(u));
    else if (!name.empty() && name.back() != '-')
      name += '-';
    if (name.size() == 50) break;
  }
  while (!name.empty() && name.back() == '-') name.pop_back();
  return name.empty() || std::isdigit(static_cast<unsigned char>(name.front())) != 0
             ? "foretoken-" + name
             : name;
}

std::vector<const DeploymentSpec*> pools_of(const Emission& e) {
  std::vector<const DeploymentSpec*> pools{&e.scenario->serving.deployment};
  for (const auto& pool : e.scenario->serving.pools) pools.push_back(&pool);
  return pools;
}

const char* role_of(const DeploymentSpec& pool) {
  return pool.role == PoolRole::prefill  ? "prefill"
         : pool.role == PoolRole::decode ? "decode"
                                         : "serve";
}

std::string model_line(const Emission& e) {
  return e.model.empty() ? fmt::format(": \"${{MODEL:?path or Hugging Face id of {}}}\"\n",
                                       one_line(e.scenario->serving.deployment.model.name))
                         : fmt::format("MODEL=${{MODEL:-{}}}\n", e.model);
}

std::string header(const Emission& e, const char* what) {
  return fmt::format("# {}\n# {} for {}.\n", one_line(e.scenario->name), what,
                     one_line(e.scenario->serving.deployment.engine.name));
}

std::string notes_of(const Launch& launch, const char* indent = "") {
  std::string out;
  for (const std::string& note : launch.notes)
    out += fmt::format("{}# note: {}\n", indent, one_line(note));
  return out;
}

std::string program(const Launch& launch) {
  if (launch.engine == "vllm") return "vllm serve \"$MODEL\"";
  if (launch.engine == "sglang") return "python3 -m sglang.launch_server --model-path \"$MODEL\"";
  return "trtllm-serve serve \"$MODEL\"";
}

// Flags that tie the nodes of one replica together; $RANK and $HEAD are the job's to set.
std::vector<std::string> node_flags(const Launch& launch, int nodes) {
  if (nodes == 1) return {};
  if (launch.engine == "vllm")
    return {fmt::format("--nnodes {}", nodes), "--node-rank \"$RANK\"", "--master-addr \"$HEAD\""};
  if (launch.engine == "sglang")
    return {fmt::format("--nnodes {}", nodes), "--node-rank \"$RANK\"",
            "--dist-init-addr \"$HEAD:20000\""};
  return {};  // TensorRT-LLM: one process a GPU, started by mpirun or srun
}

std::string command(const DeploymentSpec& pool, const Launch& launch, const std::string& port,
                    const std::string& indent) {
  std::string out = program(launch);
  std::vector<std::string> flags = launch.flags;
  for (const std::string& flag : node_flags(launch, nodes_a_replica(pool))) flags.push_back(flag);
  if (!launch.options.empty()) flags.emplace_back("--extra_llm_api_options \"$OPTIONS\"");
  flags.emplace_back("--host 0.0.0.0");
  flags.push_back("--port " + port);
  for (const std::string& flag : flags) out += " \\\n" + indent + "  " + flag;
  return out + "\n";
}

std::string options_file(const Launch& launch) {
  if (launch.options.empty()) return {};
  std::string out = "OPTIONS=$(mktemp)\ncat > \"$OPTIONS\" <<'END'\n";
  for (const std::string& line : launch.options) out += line + "\n";
  return out + "END\n";
}

// Image of an engine's release, as its project publishes them.
std::string image_of(const Launch& launch, const std::string& version) {
  if (launch.engine == "vllm") return "vllm/vllm-openai:v" + version;
  if (launch.engine == "sglang") return "lmsysorg/sglang:v" + version;
  return "nvcr.io/nvidia/tensorrt-llm/release:" + version;
}

bool amd(const DeploymentSpec& pool) {
  return pool.node.gpu.name.find("MI3") != std::string::npos ||
         pool.node.gpu.name.find("mi3") != std::string::npos;
}

std::string container_script(const DeploymentSpec& pool, const Launch& launch,
                             const std::string& indent) {
  std::string text;
  if (!launch.options.empty()) text = options_file(launch);
  if (nodes_a_replica(pool) > 1) text += "HEAD=$LWS_LEADER_ADDRESS  # set by LeaderWorkerSet\n";
  text += "exec " + command(pool, launch, std::to_string(kFirstPort), "");
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = text.find('\n', at);
    out += indent + text.substr(at, end - at) + "\n";
    at = end + 1;
  }
  return out;
}

std::string container(const Emission& e, const DeploymentSpec& pool, const Launch& launch,
                      const std::string& indent) {
  const int gpus = std::min(pool.layout.gpus(), pool.node.gpus);
  const std::string model = e.model.empty() ? "SET-ME" : e.model;
  std::string out;
  const auto line = [&](const std::string& text) { out += indent + text + "\n"; };
  line("- name: engine");
  line("  image: " + image_of(launch, pool.engine.tables.version));
  line("  command: [bash, -ec]");
  line("  args:");
  line("    - |");
  out += container_script(pool, launch, indent + "      ");
  line("  env:");
  line("    - {name: MODEL, value: \"" + model + "\"}");
  if (nodes_a_replica(pool) > 1) {
    line(
        "    - {name: RANK, valueFrom: {fieldRef: {fieldPath: "
        "\"metadata.labels['leaderworkerset.sigs.k8s.io/worker-index']\"}}}");
  }
  line(fmt::format("  ports: [{{containerPort: {}}}]", kFirstPort));
  line(fmt::format("  resources: {{limits: {{{}: {}}}}}",
                   amd(pool) ? "amd.com/gpu" : "nvidia.com/gpu", gpus));
  line(
      fmt::format("  readinessProbe: {{httpGet: {{path: /health, port: {}}}, periodSeconds: 10, "
                  "failureThreshold: 360}}",
                  kFirstPort));
  line("  volumeMounts: [{name: shm, mountPath: /dev/shm}]");
  return out;
}

std::string pod_spec(const Emission& e, const DeploymentSpec& pool, const Launch& launch,
                     const std::string& indent) {
  return indent + "containers:\n" + container(e, pool, launch, indent + "  ") + indent +
         "volumes: [{name: shm, emptyDir: {medium: Memory}}]\n";
}

std::string workload_resource(const Emission& e, const DeploymentSpec& pool, const Launch& launch,
                              const std::string& name) {
  const int nodes = nodes_a_replica(pool);
  std::string out = notes_of(launch);
  const std::string label = fmt::format("labels: {{app: {}}}", name);
  if (nodes == 1)
    return out +
           fmt::format(
               "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {0}}}\nspec:\n  replicas: "
               "{1}\n  selector: {{matchLabels: {{app: {0}}}}}\n  template:\n    metadata: "
               "{{{2}}}\n"
               "    spec:\n",
               name, pool.replicas, label) +
           pod_spec(e, pool, launch, "      ");
  return out +
         fmt::format(
             "# A replica takes {3} nodes: LeaderWorkerSet (sigs.k8s.io/lws) keeps them together.\n"
             "apiVersion: leaderworkerset.x-k8s.io/v1\nkind: LeaderWorkerSet\nmetadata: {{name: "
             "{0}}}\nspec:\n  replicas: {1}\n  leaderWorkerTemplate:\n    size: {3}\n    "
             "workerTemplate:\n      metadata: {{{2}}}\n      spec:\n",
             name, pool.replicas, label, nodes) +
         pod_spec(e, pool, launch, "        ");
}

}  // namespace

std::string launch_script(const Emission& e) {
  std::string out = "#!/usr/bin/env bash\n" + header(e, "Launch line");
  out += "set -euo pipefail\n" + model_line(e);
  int port = kFirstPort;
  for (const DeploymentSpec* pool : pools_of(e)) {
    const Launch launch = launch_of(*pool, e.engine);
    const int nodes = nodes_a_replica(*pool);
    out += fmt::format("\n# {}: {} replica{} of {} GPU{}, on {} x {}\n", role_of(*pool),
                       pool->replicas, pool->replicas == 1 ? "" : "s", pool->layout.gpus(),
                       pool->layout.gpus() == 1 ? "" : "s", pool->nodes, one_line(pool->node.name));
    out += notes_of(launch);
    if (nodes > 1)
      out += fmt::format(
          "# On each of the {} nodes of a replica: RANK=0.. and HEAD=address of rank 0.\n"
          ": \"${{RANK:?number of this node, from 0}}\" \"${{HEAD:?address of node 0}}\"\n",
          nodes);
    out += options_file(launch);
    const int side = std::max(1, pool->node.gpus / std::max(1, pool->layout.gpus()));
    const int here = nodes > 1 ? 1 : std::min(side, pool->replicas);
    for (int i = 0; i < here; ++i, ++port) {
      if (here > 1)
        out += fmt::format("CUDA_VISIBLE_DEVICES=$(seq -s, {} {}) ", i * pool->layout.gpus(),
                           (i + 1) * pool->layout.gpus() - 1);
      std::string line = command(*pool, launch, std::to_string(port), "");
      if (here > 1) line.insert(line.size() - 1, " &");
      out += line;
    }
    if (here > 1) out += "wait\n";
    if (pool->replicas > here)
      out += fmt::format(
          "# ... and the same on the nodes of the other {} replicas, behind a {} "
          "router\n",
          pool->replicas - here, pool->router);
  }
  return out;
}

std::string kubernetes_manifest(const Emission& e) {
  std::string out = header(e, "Kubernetes manifest");
  if (e.model.empty()) out += "# Set MODEL below to a path or a Hugging Face id.\n";
  const std::string base = resource_name(e.scenario->name);
  for (const DeploymentSpec* pool : pools_of(e)) {
    const std::string name =
        pool->role == PoolRole::whole ? base : base + "-" + std::string(role_of(*pool));
    out += workload_resource(e, *pool, launch_of(*pool, e.engine), name);
    out += fmt::format(
        "---\napiVersion: v1\nkind: Service\nmetadata: {{name: {0}}}\nspec:\n  selector: {{app: "
        "{0}}}\n  ports: [{{port: {1}, targetPort: {1}}}]\n",
        name, kFirstPort);
    if (pool != pools_of(e).back()) out += "---\n";
  }
  return out;
}

std::string slurm_script(const Emission& e) {
  const auto pools = pools_of(e);
  int nodes = 0;
  for (const DeploymentSpec* pool : pools) nodes += pool->nodes;
  std::string out = fmt::format(
      "#!/usr/bin/env bash\n#SBATCH --job-name={}\n#SBATCH --nodes={}\n#SBATCH "
      "--ntasks-per-node=1\n#SBATCH --gpus-per-node={}\n#SBATCH --exclusive\n",
      resource_name(e.scenario->name), nodes, pools.front()->node.gpus);
  out += header(e, "Slurm job") + "set -euo pipefail\n" + model_line(e);
  out += "export MODEL\nmapfile -t HOSTS < <(scontrol show hostnames \"$SLURM_JOB_NODELIST\")\n";
  int first = 0;
  for (const DeploymentSpec* pool : pools) {
    const Launch launch = launch_of(*pool, e.engine);
    const int size = nodes_a_replica(*pool);
    const int together =
        size > 1 ? 1 : std::max(1, pool->node.gpus / std::max(1, pool->layout.gpus()));
    out += fmt::format("\n# {}: {} replicas, {} node{} each\n", role_of(*pool), pool->replicas,
                       size, size == 1 ? "" : "s");
    out += notes_of(launch) + options_file(launch);
    out += fmt::format(
        "for ((i = 0; i < {0}; ++i)); do\n  at=$(({1} + i / {2} * {3}))\n  export "
        "HEAD=${{HOSTS[$at]}} PORT=$(({4} + i % {2}))\n  list=$(IFS=,; echo "
        "\"${{HOSTS[*]:$at:{3}}}\")\n  srun --overlap --nodes={3} --ntasks={5} "
        "--gpus-per-node={6} --nodelist=\"$list\" bash -c '\n    RANK=$SLURM_NODEID\n    {7}'",
        pool->replicas, first, together, size, kFirstPort,
        e.engine == "trtllm" ? pool->layout.gpus() : size,
        std::min(pool->layout.gpus(), pool->node.gpus),
        command(*pool, launch, "\"$PORT\"", "    "));
    out += " &\ndone\n";
    if (!launch.options.empty())
      out.insert(out.rfind("for ((i"), "export OPTIONS  # on a file system that all nodes see\n");
    first += pool->nodes;
  }
  return out + "wait\n";
}

}  // namespace foretoken::analysis::exporters
