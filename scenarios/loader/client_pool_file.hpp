#pragma once
#include <filesystem>
#include <memory>

#include "models/serving/client_pool.hpp"

namespace foretoken::scenarios::loader {

// A folder as ServeGen publishes it: chunk-N-trace.csv (window start s, requests/s, CV of the gaps,
// Gamma or Weibull, its two parameters) and chunk-N-dataset.json (shares of input and output
// lengths by window) for each client N. Or the packed form of such a folder: one CSV file, plain or
// gzip, with the header `client,kind,start_s,a,b,c`:
//   rate rows     a = requests/s, b = gamma or weibull, c = its shape
//   input, output a = tokens, b = share; c is empty
// Throws InputError with the file and line of every problem.
std::shared_ptr<const models::serving::ClientPool> read_client_pool(
    const std::filesystem::path& path);

// Whether `path` is a client pool rather than a trace: a folder, or a file with that header.
bool is_client_pool(const std::filesystem::path& path);

// The packed form, gzip where the name ends in .gz.
void write_client_pool(const models::serving::ClientPool& pool, const std::filesystem::path& file);

}  // namespace foretoken::scenarios::loader
