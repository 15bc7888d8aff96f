// SPDX-License-Identifier: Apache-2.0
// The last step of loading: what was left open is filled in from the machine, and what makes no
// sense together is refused.
#pragma once

#include <string>
#include <vector>

#include "broker/config/machine.hpp"
#include "broker/config/settings.hpp"

namespace whimbrel::broker::config {

/// Afterwards there is at least one listener, each says whether it is anonymous and how it uses
/// TLS, with files that can be used; `workers` and `memory` are not 0. Returns lines that the log
/// should open with. Throws `invalid`.
std::vector<std::string> complete(settings& what, const machine& here);

/// Of a listener that has been completed and speaks TLS.
security::tls_files tls_files_of(const listener& which);

}  // namespace whimbrel::broker::config
