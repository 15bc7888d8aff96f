// SPDX-License-Identifier: Apache-2.0
#include "storage/sqlite/sqlite_store.hpp"

#include <atomic>
#include <optional>
#include <utility>

#include <boost/system/system_error.hpp>

#include "storage/check.hpp"
#include "storage/sqlite/directory.hpp"
#include "storage/sqlite/reader.hpp"
#include "storage/sqlite/recovery.hpp"
#include "storage/sqlite/schema.hpp"
#include "storage/sqlite/writer.hpp"

namespace whimbrel::storage {
namespace sqlite {
namespace {

constexpr int writer_busy_ms = 250;

class sqlite_store final : public store {
 public:
  sqlite_store(sqlite_options options, completion_sink& sink)
      : options_(std::move(options)),
        sink_(sink),
        directory_(options_.directory),
        db_(open_options{directory_.database_path(), options_.vfs, false, writer_busy_ms}) {
    try {
      prepare_schema(db_);
      configure_writer(db_);
    } catch (const boost::system::system_error& e) {
      throw_code(code{e.code().value()},
                 "cannot use " + directory_.database_path() + ": " + e.what());
    }
  }

  ~sqlite_store() override { close(); }

  void recover(recovery_visitor& visitor) override {
    check(!reader_, "recover() is called once");
    next_group_ = sqlite::recover(db_, index_, visitor, options_.log);
    start_log_anew();
    writer_.emplace(options_, db_, index_, sink_);
    reader_.emplace(options_,
                    open_options{directory_.database_path(), options_.vfs, true, writer_busy_ms},
                    index_, writer_->moving(), sink_);
    writer_->start(next_group_);
    reader_->start();
    is_open_ = true;
  }

  void submit(worker_id worker, batch changes, token done) override {
    if (is_open()) writer_->submit({worker, done}, std::move(changes));
  }

  void withdraw(worker_id worker, std::vector<entry_key> puts, token done) override {
    if (is_open()) writer_->withdraw({worker, done}, std::move(puts));
  }

  void read(worker_id worker, queue_id queue, sequence from, std::size_t octets_max,
            token done) override {
    if (is_open()) reader_->enqueue(reader::range{worker, done, queue, from, octets_max});
  }

  void read_body(worker_id worker, body_id body, std::uint64_t offset, std::size_t octets_max,
                 token done) override {
    if (is_open()) reader_->enqueue(reader::piece{worker, done, body, offset, octets_max});
  }

  void close() override {
    if (!is_open_) return;
    writer_->close();
    reader_->close();
  }

  [[nodiscard]] store_statistics statistics() const override {
    return is_open_ ? writer_->statistics() : store_statistics{};
  }

 private:
  [[nodiscard]] bool is_open() const {
    check(is_open_, "recover() comes before any other call");
    return true;
  }

  /// An earlier process may have died of a failed sync: then part of the log is in the kernel's
  /// memory only, and counts as clean there. Appending to such a log would put commits behind a
  /// hole. Writing everything over into the file makes it dirty once more, and the next commit
  /// begins the log again from its start.
  void start_log_anew() {
    const auto done = db_.checkpoint_passive();
    if (done.result == code::ok) return;
    if (judge(done.result, false) == verdict::in_doubt) {
      throw_code(done.result, "cannot write the log over into " + directory_.database_path());
    }
    if (options_.log) {
      options_.log("the log is kept, as the file takes nothing: " +
                   std::string(describe(done.result)));
    }
  }

  const sqlite_options options_;
  completion_sink& sink_;
  data_directory directory_;
  database db_;
  live_index index_;
  group_id next_group_ = 1;
  std::optional<writer> writer_;
  std::optional<reader> reader_;
  bool is_open_ = false;
};

}  // namespace
}  // namespace sqlite

std::unique_ptr<store> open_sqlite_store(sqlite_options options, completion_sink& sink) {
  return std::make_unique<sqlite::sqlite_store>(std::move(options), sink);
}

}  // namespace whimbrel::storage
