// SPDX-License-Identifier: Apache-2.0
// proton_load: an independent AMQP 1.0 load generator on Qpid Proton's C proactor.
//
// It drives any AMQP 1.0 broker with a sender and/or a receiver, each on a connection and a
// thread of its own, and prints one JSON line: messages, seconds, rate, latency percentiles,
// the clients' own CPU and, given --pid, the CPU and peak memory of the broker's process tree.
//
//   c++ -O2 -std=c++17 proton_load.cpp -o proton_load -lqpid-proton -lpthread
//   proton_load --port 5672 --address q1 --count 500000 --size 100 --credit 1000 --pid 1234
//
// --mode both|send|recv|direct (direct: no broker, the sender connects straight to the receiver)
// --durable 0|1   --presettled 0|1   --rate N (per second, 0 = flat out)
// --pairs N (N senders and N receivers, each pair on ADDRESS-i when --spread 1)
// --fanout N (N receivers for each sender, every one expecting every message)
// latency_us runs from the sender's clock in the body to the receiver's, both CLOCK_MONOTONIC; accepted_us from send to outcome.
// Both count from when the message was due when --rate paces it, so a stall is not hidden.
#include <proton/codec.h>
#include <proton/condition.h>
#include <proton/connection.h>
#include <proton/delivery.h>
#include <proton/link.h>
#include <proton/listener.h>
#include <proton/message.h>
#include <proton/proactor.h>
#include <proton/sasl.h>
#include <proton/session.h>
#include <proton/terminus.h>
#include <proton/transport.h>

#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <thread>
#include <vector>
#include <dirent.h>

namespace {

int64_t now_ns() {
    timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return int64_t(t.tv_sec) * 1000000000 + t.tv_nsec;
}

uint32_t micros(int64_t ns) { return uint32_t(std::min<int64_t>(std::max<int64_t>(ns / 1000, 0), UINT32_MAX)); }

struct Options {
    std::string host = "127.0.0.1", port = "5672", address = "bench", mode = "both", user, password;
    uint64_t count = 100000;
    size_t size = 100;
    int credit = 1000;
    bool durable = false, presettled = false, spread = false;
    double rate = 0;
    int pairs = 1, fanout = 1, timeout_s = 120, warm_ms = 300;
    std::vector<int> pids;
};

struct Result {
    uint64_t sent = 0, acked = 0, refused = 0, received = 0;
    int64_t first_ns = 0, last_ns = 0;
    std::vector<uint32_t> latency_us;   // receivers: sender's clock to receiver's
    std::vector<uint32_t> accepted_us;  // senders: send to the outcome's arrival
    std::string error;
};

std::atomic<bool> go{false};
std::atomic<int> receivers_ready{0};

// One connection with one link, driven by its own proactor on the calling thread.
class Peer {
public:
    Peer(const Options& o, bool sender, std::string address)
        : o_(o), sender_(sender), address_(std::move(address)) {}

    Result run() {
        proactor_ = pn_proactor();
        char addr[PN_MAX_ADDR];
        pn_proactor_addr(addr, sizeof addr, o_.host.c_str(), o_.port.c_str());
        if (o_.mode == "direct" && !sender_) pn_proactor_listen(proactor_, pn_listener(), addr, 16);
        else connect(addr);
        encode();
        if (!sender_) r_.latency_us.reserve(o_.count);
        std::thread pacer;
        if (sender_ && o_.rate > 0) pacer = std::thread([this] { pace(); });
        bool running = true;
        while (running) {
            pn_event_batch_t* batch = pn_proactor_wait(proactor_);
            for (pn_event_t* e; running && (e = pn_event_batch_next(batch));) running = handle(e);
            pn_proactor_done(proactor_, batch);
        }
        stopped_ = true;
        if (pacer.joinable()) pacer.join();
        pn_proactor_free(proactor_);
        return std::move(r_);
    }

private:
    void pace() const {
        while (!stopped_ && !go) usleep(1000);
        for (int64_t next = now_ns(); !stopped_ && !closing_; next += int64_t(1e9 / o_.rate)) {
            timespec t{time_t(next / 1000000000), long(next % 1000000000)};
            clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr);
            pn_connection_wake(connection_);
        }
    }

    void connect(const char* addr) {
        connection_ = pn_connection();
        static std::atomic<int> serial{0};
        std::string id = "proton-load-" + std::to_string(getpid()) + "-" + std::to_string(serial++);
        pn_connection_set_container(connection_, id.c_str());
        pn_connection_set_hostname(connection_, o_.host.c_str());
        pn_transport_t* transport = pn_transport();
        pn_sasl_t* sasl = pn_sasl(transport);
        if (!o_.user.empty()) {
            pn_connection_set_user(connection_, o_.user.c_str());
            pn_connection_set_password(connection_, o_.password.c_str());
            pn_sasl_set_allow_insecure_mechs(sasl, true);
            pn_sasl_allowed_mechs(sasl, "PLAIN");
        } else {
            pn_sasl_allowed_mechs(sasl, "ANONYMOUS");
        }
        pn_proactor_connect2(proactor_, connection_, transport, addr);
    }

    // The message is encoded once; its body is a binary whose first 8 bytes are rewritten per send.
    void encode() {
        pn_message_t* m = pn_message();
        pn_message_set_durable(m, o_.durable);
        std::string body(std::max<size_t>(o_.size, 8), 'x');
        memcpy(body.data(), "\x01\x02\x03\x04\x05\x06\x07\x08", 8);
        pn_data_put_binary(pn_message_body(m), pn_bytes(body.size(), body.data()));
        pn_message_set_inferred(m, true);
        bytes_.resize(body.size() + 512);
        size_t n = bytes_.size();
        pn_message_encode(m, bytes_.data(), &n);
        bytes_.resize(n);
        pn_message_free(m);
        stamp_ = size_t(memmem(bytes_.data(), n, "\x01\x02\x03\x04\x05\x06\x07\x08", 8) ?
            (char*)memmem(bytes_.data(), n, "\x01\x02\x03\x04\x05\x06\x07\x08", 8) - bytes_.data() : 0);
    }

    bool fail(const char* what, pn_condition_t* c) {
        r_.error = what;
        if (c && pn_condition_is_set(c)) {
            r_.error += std::string(": ") + (pn_condition_get_name(c) ? pn_condition_get_name(c) : "") + " " +
                        (pn_condition_get_description(c) ? pn_condition_get_description(c) : "");
        }
        return false;
    }

    void pump(pn_link_t* l) {
        if (!go.load(std::memory_order_acquire)) return;
        if (!r_.first_ns) r_.first_ns = now_ns();
        while (r_.sent < o_.count && pn_link_credit(l) > 0) {
            int64_t t = now_ns();
            if (o_.rate > 0) {
                int64_t due = r_.first_ns + int64_t(double(r_.sent) * 1e9 / o_.rate);
                if (t < due) return;  // the pacer wakes the connection when the next one is due
                t = due;  // latency counts from when the message was due: no coordinated omission
            }
            uint64_t tag = r_.sent;
            pn_delivery(l, pn_dtag(reinterpret_cast<char*>(&tag), sizeof tag));
            memcpy(bytes_.data() + stamp_, &t, 8);
            pn_link_send(l, bytes_.data(), bytes_.size());
            pn_delivery_t* d = pn_link_current(l);
            if (d && !o_.presettled) {
                sent_at_.push_back(t);
                pn_delivery_set_context(d, reinterpret_cast<void*>(sent_at_.size()));
            }
            if (o_.presettled && d) pn_delivery_settle(d);
            pn_link_advance(l);
            ++r_.sent;
            if (o_.presettled) ++r_.acked;
        }
    }

    bool finished() const { return sender_ ? r_.acked + r_.refused >= o_.count : r_.received >= o_.count; }

    bool handle(pn_event_t* e) {
        switch (pn_event_type(e)) {
        case PN_LISTENER_OPEN: receivers_ready.fetch_add(1); break;
        case PN_LISTENER_ACCEPT: {
            connection_ = pn_connection();
            pn_transport_t* t = pn_transport();
            pn_transport_set_server(t);
            pn_sasl_allowed_mechs(pn_sasl(t), "ANONYMOUS");
            pn_listener_accept2(pn_event_listener(e), connection_, t);
            deadline_ = now_ns() + int64_t(o_.timeout_s) * 1000000000;
            break;
        }
        case PN_SESSION_REMOTE_OPEN:
            if (o_.mode == "direct" && !sender_) pn_session_open(pn_event_session(e));
            break;
        case PN_CONNECTION_INIT: {
            if (o_.mode == "direct" && !sender_) { pn_connection_open(connection_); break; }
            pn_connection_open(connection_);
            pn_session_t* s = pn_session(connection_);
            pn_session_open(s);
            link_ = sender_ ? pn_sender(s, "s") : pn_receiver(s, "r");
            if (sender_) {
                pn_terminus_set_address(pn_link_target(link_), address_.c_str());
                pn_terminus_set_address(pn_link_source(link_), "proton-load");
                pn_link_set_snd_settle_mode(link_, o_.presettled ? PN_SND_SETTLED : PN_SND_UNSETTLED);
            } else {
                pn_terminus_set_address(pn_link_source(link_), address_.c_str());
                pn_terminus_set_address(pn_link_target(link_), "proton-load");
            }
            pn_link_open(link_);
            if (!sender_) pn_link_flow(link_, o_.credit);
            pn_proactor_set_timeout(proactor_, 5);
            deadline_ = now_ns() + int64_t(o_.timeout_s) * 1000000000;
            break;
        }
        case PN_LINK_REMOTE_OPEN:
            if (o_.mode == "direct" && !sender_) {
                link_ = pn_event_link(e);
                pn_terminus_copy(pn_link_source(link_), pn_link_remote_source(link_));
                pn_terminus_copy(pn_link_target(link_), pn_link_remote_target(link_));
                pn_link_open(link_);
                pn_link_flow(link_, o_.credit);
            } else if (!sender_) {
                receivers_ready.fetch_add(1);
            }
            break;
        case PN_LINK_FLOW:
            if (sender_) pump(link_);
            break;
        case PN_PROACTOR_TIMEOUT:
            if (now_ns() > deadline_) return fail("timed out", nullptr);
            if (closing_) return false;
            pn_proactor_set_timeout(proactor_, 5);
            if (sender_ && connection_ && o_.rate == 0) pn_connection_wake(connection_);
            break;
        case PN_CONNECTION_WAKE:
            if (sender_) pump(link_);
            break;
        case PN_DELIVERY: {
            pn_delivery_t* d = pn_event_delivery(e);
            if (sender_) {
                if (!pn_delivery_updated(d)) break;
                uint64_t state = pn_delivery_remote_state(d);
                if (!o_.presettled) {
                    (state == PN_ACCEPTED ? r_.acked : r_.refused) += 1;
                    if (size_t at = reinterpret_cast<size_t>(pn_delivery_get_context(d)))
                        r_.accepted_us.push_back(micros(now_ns() - sent_at_[at - 1]));
                }
                pn_delivery_settle(d);
                if (finished()) done();
                else pump(link_);
            } else {
                if (!pn_delivery_readable(d) || pn_delivery_partial(d)) break;
                size_t n = pn_delivery_pending(d);
                if (in_.size() < n) in_.resize(n);
                ssize_t got = pn_link_recv(link_, in_.data(), n);
                int64_t t = now_ns(), sent = 0;
                if (got > 0) {
                    if (!where_) where_ = find_stamp(size_t(got));
                    if (where_ && where_ + 8 <= size_t(got)) memcpy(&sent, in_.data() + where_, 8);
                }
                if (!r_.first_ns) r_.first_ns = t;
                r_.latency_us.push_back(micros(t - sent));
                ++r_.received;
                pn_delivery_update(d, PN_ACCEPTED);
                pn_delivery_settle(d);
                int held = pn_link_credit(link_);
                if (held <= o_.credit / 2) pn_link_flow(link_, o_.credit - held);
                if (finished()) done();
            }
            break;
        }
        case PN_TRANSPORT_ERROR: return fail("transport", pn_transport_condition(pn_event_transport(e)));
        case PN_LINK_REMOTE_CLOSE: if (!closing_) return fail("link closed", pn_link_remote_condition(pn_event_link(e))); break;
        case PN_SESSION_REMOTE_CLOSE: if (!closing_) return fail("session ended", pn_session_remote_condition(pn_event_session(e))); break;
        case PN_CONNECTION_REMOTE_CLOSE:
            if (!closing_) return fail("connection closed", pn_connection_remote_condition(connection_));
            break;
        case PN_TRANSPORT_CLOSED:
        case PN_PROACTOR_INACTIVE: return false;
        default: break;
        }
        return true;
    }

    // The body's payload is all 'x' after its eight stamp bytes.
    size_t find_stamp(size_t n) const {
        size_t body = std::max<size_t>(o_.size, 8);
        return n >= body ? n - body : 0;
    }

    void done() {
        r_.last_ns = now_ns();
        closing_ = true;
        pn_connection_close(connection_);
        pn_proactor_set_timeout(proactor_, 500);
    }

    const Options& o_;
    bool sender_;
    std::atomic<bool> closing_{false}, stopped_{false};
    std::string address_;
    Result r_;
    pn_proactor_t* proactor_ = nullptr;
    pn_connection_t* connection_ = nullptr;
    pn_link_t* link_ = nullptr;
    std::vector<char> bytes_, in_;
    std::vector<int64_t> sent_at_;
    size_t stamp_ = 0, where_ = 0;
    int64_t deadline_ = 0;
};

// CPU seconds and peak RSS of a process and all its descendants.
struct Usage { double cpu = 0; long peak_kb = 0; };
Usage usage_of(const std::vector<int>& roots) {
    std::map<int, std::pair<int, double>> all;
    if (DIR* d = opendir("/proc")) {
        while (dirent* e = readdir(d)) {
            int pid = atoi(e->d_name);
            if (!pid) continue;
            std::ifstream f("/proc/" + std::string(e->d_name) + "/stat");
            std::string line;
            if (!std::getline(f, line)) continue;
            std::istringstream s(line.substr(line.rfind(')') + 2));
            std::string w[20];
            for (auto& x : w) s >> x;
            all[pid] = {atoi(w[1].c_str()), (atof(w[11].c_str()) + atof(w[12].c_str())) / double(sysconf(_SC_CLK_TCK))};
        }
        closedir(d);
    }
    Usage u;
    for (auto& [pid, v] : all) {
        int p = pid;
        bool mine = false;
        for (int hops = 0; p > 1 && hops < 32; ++hops) {
            if (std::find(roots.begin(), roots.end(), p) != roots.end()) { mine = true; break; }
            auto it = all.find(p);
            if (it == all.end()) break;
            p = it->second.first;
        }
        if (!mine) continue;
        u.cpu += v.second;
        std::ifstream f("/proc/" + std::to_string(pid) + "/status");
        for (std::string l; std::getline(f, l);)
            if (l.rfind("VmHWM:", 0) == 0) u.peak_kb += atol(l.c_str() + 6);
    }
    return u;
}

}  // namespace

int main(int argc, char** argv) {
    Options o;
    for (int i = 1; i + 1 < argc; i += 2) {
        std::string k = argv[i], v = argv[i + 1];
        if (k == "--host") o.host = v;
        else if (k == "--port") o.port = v;
        else if (k == "--address") o.address = v;
        else if (k == "--mode") o.mode = v;
        else if (k == "--user") o.user = v;
        else if (k == "--password") o.password = v;
        else if (k == "--count") o.count = strtoull(v.c_str(), nullptr, 10);
        else if (k == "--size") o.size = strtoull(v.c_str(), nullptr, 10);
        else if (k == "--credit") o.credit = atoi(v.c_str());
        else if (k == "--durable") o.durable = v == "1";
        else if (k == "--presettled") o.presettled = v == "1";
        else if (k == "--spread") o.spread = v == "1";
        else if (k == "--rate") o.rate = atof(v.c_str());
        else if (k == "--pairs") o.pairs = atoi(v.c_str());
        else if (k == "--fanout") o.fanout = atoi(v.c_str());
        else if (k == "--timeout") o.timeout_s = atoi(v.c_str());
        else if (k == "--pid") o.pids.push_back(atoi(v.c_str()));
        else { fprintf(stderr, "proton_load: unknown option %s\n", k.c_str()); return 2; }
    }
    int senders = o.mode == "recv" ? 0 : o.pairs, receivers = o.mode == "send" ? 0 : o.pairs * o.fanout;
    std::vector<Result> results(size_t(senders + receivers));
    std::vector<std::thread> threads;
    Usage before = usage_of(o.pids);
    for (int i = 0; i < receivers; ++i)
        threads.emplace_back([&, i] {
            results[size_t(senders + i)] = Peer(o, false, o.address + (o.spread ? "-" + std::to_string(i / o.fanout) : "")).run();
        });
    for (int i = 0; o.mode == "direct" && i < 2000 && receivers_ready.load() < receivers; ++i) usleep(1000);
    for (int i = 0; i < senders; ++i)
        threads.emplace_back([&, i] { results[size_t(i)] = Peer(o, true, o.address + (o.spread ? "-" + std::to_string(i) : "")).run(); });
    for (int i = 0; i < 4000 && receivers_ready.load() < receivers; ++i) usleep(1000);
    usleep(useconds_t(o.warm_ms) * 1000);
    int64_t start = now_ns();
    go.store(true, std::memory_order_release);
    for (auto& t : threads) t.join();
    Usage after = usage_of(o.pids);

    Result sum;
    int64_t end = start;
    std::vector<uint32_t> lat, acc;
    if (!senders)  // a backlog is drained from its first message, not from our signal
        for (auto& r : results) start = start < r.first_ns || !r.first_ns ? start : r.first_ns;
    for (auto& r : results) {
        sum.sent += r.sent; sum.acked += r.acked; sum.refused += r.refused; sum.received += r.received;
        end = std::max(end, r.last_ns);
        lat.insert(lat.end(), r.latency_us.begin(), r.latency_us.end());
        acc.insert(acc.end(), r.accepted_us.begin(), r.accepted_us.end());
        if (!r.error.empty()) sum.error = r.error;
    }
    std::sort(lat.begin(), lat.end());
    std::sort(acc.begin(), acc.end());
    auto pct = [](const std::vector<uint32_t>& v, double q) { return v.empty() ? 0u : v[std::min(v.size() - 1, size_t(double(v.size()) * q))]; };
    double s = double(end - start) / 1e9;
    uint64_t moved = receivers ? sum.received : sum.acked;
    rusage ru;
    getrusage(RUSAGE_SELF, &ru);
    double own = double(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) + double(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6;
    printf("{\"sent\":%llu,\"acked\":%llu,\"refused\":%llu,\"received\":%llu,\"seconds\":%.3f,\"rate\":%.0f,"
           "\"latency_us\":{\"p50\":%u,\"p99\":%u,\"p999\":%u,\"max\":%u},"
           "\"accepted_us\":{\"p50\":%u,\"p99\":%u,\"p999\":%u,\"max\":%u},\"client_cpu_s\":%.2f,\"broker_cpu_s\":%.2f,"
           "\"broker_cpu_us_per_message\":%.2f,\"broker_peak_mb\":%.1f,\"error\":\"%s\"}\n",
           (unsigned long long)sum.sent, (unsigned long long)sum.acked, (unsigned long long)sum.refused,
           (unsigned long long)sum.received, s, s > 0 ? double(moved) / s : 0.0, pct(lat, .5), pct(lat, .99), pct(lat, .999), pct(lat, 1),
           pct(acc, .5), pct(acc, .99), pct(acc, .999), pct(acc, 1), own, after.cpu - before.cpu,
           moved ? (after.cpu - before.cpu) * 1e6 / double(moved) : 0.0, double(after.peak_kb) / 1024, sum.error.c_str());
    return sum.error.empty() && (receivers == 0 || sum.received == o.count * uint64_t(receivers)) ? 0 : 1;
}
