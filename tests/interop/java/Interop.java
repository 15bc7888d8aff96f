// SPDX-License-Identifier: Apache-2.0
// What the programs in Java share: one line a case, as run.py reads them; `java Main SUITE PORT`
// runs the cases of one suite. See build.sh for how they are built.

import java.io.OutputStream;
import java.io.PrintStream;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.stream.Collectors;

final class Interop {
  /** How long any single wait may take, in milliseconds. */
  static final long PATIENCE = 20_000;

  interface Body {
    void run(Env env) throws Exception;
  }

  record Case(String name, Body body) {}

  /** What one case has: the broker's port, and what is to be closed after it, the last first. */
  static final class Env {
    final int port;
    private final Deque<AutoCloseable> opened = new ArrayDeque<>();

    Env(int port) {
      this.port = port;
    }

    synchronized <T extends AutoCloseable> T keep(T it) {
      opened.push(it);
      return it;
    }

    synchronized void close() {
      for (AutoCloseable it : opened) {
        try {
          it.close();
        } catch (Exception ignored) {
          // A case may have closed it, or its connection; that is for the case to check.
        }
      }
    }
  }

  static final class Failed extends RuntimeException {
    private static final long serialVersionUID = 1;

    Failed(String what) {
      super(what);
    }
  }

  interface Throwing {
    void run() throws Exception;
  }

  interface Asking {
    boolean ask() throws Exception;
  }

  static void check(boolean condition, String what) {
    if (!condition) throw new Failed(what);
  }

  static void checkEqual(Object got, Object expected, String what) {
    if (!Objects.deepEquals(got, expected)) {
      throw new Failed(what + ": got " + got + ", expected " + expected);
    }
  }

  /** What a client has complained of: slf4j-simple writes warnings to System.err. */
  private static final StringBuffer complaints = new StringBuffer();

  /** Lines of the client's log that are no complaints in this case, whenever they come. */
  private static volatile String expected = "";

  static void expectComplaints(String pattern) {
    expected = pattern;
  }

  private static final class Listening extends OutputStream {
    @Override
    public void write(int octet) {
      complaints.append((char) (octet & 0xff));
    }
  }

  /** To be called where the broker was killed: what the client says of that is in order. */
  static void overlookComplaints() {
    complaints.setLength(0);
  }

  /** The exception of `type` that `run` must end with. Complaints about it are in order. */
  static <T extends Exception> T expect(Class<T> type, Throwing run, String what) {
    int before = complaints.length();
    try {
      run.run();
    } catch (Exception thrown) {
      complaints.setLength(before);
      if (type.isInstance(thrown)) return type.cast(thrown);
      throw new Failed(what + ": " + thrown + " in place of " + type.getSimpleName());
    }
    throw new Failed(what + ": nothing was thrown");
  }

  static void await(Asking condition, String what) throws Exception {
    long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(PATIENCE);
    while (!condition.ask()) {
      check(System.nanoTime() < end, "waited " + PATIENCE / 1000 + " s for " + what);
      Thread.sleep(2);
    }
  }

  /** Runs `body` on a thread of its own and returns why it failed, or an empty text. */
  private static String run(ExecutorService threads, Throwing body, long seconds) {
    Future<?> done = threads.submit(() -> {
      body.run();
      return null;
    });
    try {
      done.get(seconds, TimeUnit.SECONDS);
      return "";
    } catch (TimeoutException late) {
      done.cancel(true);
      return "not done after " + seconds + " s";
    } catch (ExecutionException failed) {
      Throwable cause = failed.getCause();
      StackTraceElement at = null;
      for (StackTraceElement each : cause.getStackTrace()) {
        boolean ours = each.getFileName() != null && each.getFileName().endsWith("Cases.java");
        if (at == null && ours) at = each;
      }
      String text = cause instanceof Failed ? cause.getMessage() : cause.toString();
      return text + (at == null ? "" : " [" + at.getFileName() + ":" + at.getLineNumber() + "]");
    } catch (InterruptedException stopped) {
      return "interrupted";
    }
  }

  private static boolean report(ExecutorService threads, Case one, int port, String tolerated) {
    Env env = new Env(port);
    long began = System.nanoTime();
    complaints.setLength(0);
    expected = "";
    String why = run(threads, () -> one.body.run(env), 60);
    String closing = run(threads, env::close, 20);
    String said = complaints.toString().lines()
        .filter(line -> !line.matches(tolerated) && !line.matches(expected))
        .collect(Collectors.joining(" ")).strip();
    if (why.isEmpty()) why = closing;
    if (!said.isEmpty()) why = (why + " the client complains: " + said).strip();  // is a failure
    boolean ok = why.isEmpty();
    String note = ok ? "" : " | " + why.replaceAll("\\s+", " ");
    System.out.printf(Locale.ROOT, "case %s %.2f %s%s%n", ok ? "ok" : "FAIL",
        (System.nanoTime() - began) / 1e9, one.name, note);
    return ok;
  }

  /** What a program does with its arguments, SUITE and PORT. Lines of the client's log that match
      `tolerated` are not failures. */
  static void main(Map<String, List<Case>> suites, String tolerated, String[] arguments) {
    System.setProperty("org.slf4j.simpleLogger.defaultLogLevel", "warn");
    List<Case> cases = arguments.length == 2 ? suites.get(arguments[0]) : null;
    if (cases == null) {
      System.err.println("usage: Main SUITE PORT; suites: " + suites.keySet());
      System.exit(2);
    }
    System.setErr(new PrintStream(new Listening(), true));
    ExecutorService threads = Executors.newCachedThreadPool();
    boolean ok = true;
    int port = Integer.parseInt(arguments[1]);
    for (Case one : cases) ok &= report(threads, one, port, tolerated);
    System.out.flush();
    System.exit(ok ? 0 : 1);
  }

  private Interop() {}
}
