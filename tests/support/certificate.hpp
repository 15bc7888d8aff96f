// SPDX-License-Identifier: Apache-2.0
// A certificate that has signed itself, and its key, for tests that read such files.
#pragma once

#include <filesystem>
#include <string>

namespace whimbrel::tests {

/// Writes NAME.pem and NAME.key below `folder`, valid for localhost and 127.0.0.1 for an hour.
/// Each call has a new key. Throws std::runtime_error.
void write_certificate(const std::filesystem::path& folder, const std::string& name);

}  // namespace whimbrel::tests
