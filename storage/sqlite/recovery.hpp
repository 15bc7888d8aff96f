// SPDX-License-Identifier: Apache-2.0
// Reads a database back at start: into the index, and to whoever wants to know what there is.
#pragma once

#include "storage/sqlite/committer.hpp"
#include "storage/sqlite/database.hpp"
#include "storage/sqlite/index.hpp"

namespace whimbrel::storage::sqlite {

/// Records, groups and their states are read, bodies are not. What fails its checksum is
/// reported to `log`, left in the file and skipped; a state that fails it counts as "nobody has
/// left", since to deliver twice is better than to lose. Chunks without a message are deleted.
/// Returns the id that the next group is to have. Throws system_error when the file as such
/// cannot be read.
[[nodiscard]] group_id recover(database& db, live_index& index, recovery_visitor& visitor,
                               const log_function& log);

}  // namespace whimbrel::storage::sqlite
