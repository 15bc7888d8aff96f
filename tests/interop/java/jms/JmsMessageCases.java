// SPDX-License-Identifier: Apache-2.0
// Qpid JMS: messages of every kind, their order, and what a producer may ask for them.

import jakarta.jms.BytesMessage;
import jakarta.jms.CompletionListener;
import jakarta.jms.Connection;
import jakarta.jms.DeliveryMode;
import jakarta.jms.InvalidDestinationException;
import jakarta.jms.JMSContext;
import jakarta.jms.MapMessage;
import jakarta.jms.Message;
import jakarta.jms.MessageConsumer;
import jakarta.jms.MessageProducer;
import jakarta.jms.ObjectMessage;
import jakarta.jms.Queue;
import jakarta.jms.Session;
import jakarta.jms.StreamMessage;
import jakarta.jms.TextMessage;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.TreeMap;
import org.apache.qpid.jms.JmsConnectionFactory;

final class JmsMessageCases {
  static final List<Interop.Case> CASES = List.of(
      new Interop.Case("text, bytes, map, stream, object and bare messages",
          JmsMessageCases::kinds),
      new Interop.Case("headers and properties of every type", JmsMessageCases::headers),
      new Interop.Case("1,000 messages come in order", JmsMessageCases::order),
      new Interop.Case("1,000 asynchronous sends are all completed",
          JmsMessageCases::completions),
      new Interop.Case("a message listener gets 1,000 messages", JmsMessageCases::listener),
      new Interop.Case("a bytes message of 5 MB", JmsMessageCases::large),
      new Interop.Case("an anonymous producer, and what it is told of a wrong queue",
          JmsMessageCases::anonymous),
      new Interop.Case("receiveNoWait finds what is there and ends when nothing is",
          JmsMessageCases::noWait),
      new Interop.Case("recover brings messages again, with their count", JmsMessageCases::recover),
      new Interop.Case("two consumers share a queue", JmsMessageCases::sharing),
      new Interop.Case("time to live", JmsMessageCases::timeToLive),
      new Interop.Case("delivery delay", JmsMessageCases::delay),
      new Interop.Case("priorities, on a queue that has them", JmsMessageCases::priorities),
      new Interop.Case("the JMSContext of JMS 2", JmsMessageCases::context));

  private static void kinds(Interop.Env env) throws Exception {
    Session session = Jms.session(Jms.connect(env, "jms.deserializationPolicy.allowList=java.util,"
        + "java.lang", null));
    Queue queue = session.createQueue("jms-kinds");
    BytesMessage bytes = session.createBytesMessage();
    bytes.writeBytes(new byte[] {0, 1, (byte) 255});
    MapMessage map = session.createMapMessage();
    map.setLong("long", Long.MIN_VALUE);
    map.setString("string", "größer");
    map.setBytes("bytes", new byte[] {7});
    map.setDouble("double", 0.5);
    StreamMessage stream = session.createStreamMessage();
    stream.writeInt(42);
    stream.writeString("x");
    stream.writeBoolean(true);
    List<String> object = new ArrayList<>(Arrays.asList("a", "b"));
    try (MessageProducer to = session.createProducer(queue)) {
      to.send(session.createTextMessage("größer \uD83D\uDC26"));
      to.send(bytes);
      to.send(map);
      to.send(stream);
      to.send(session.createObjectMessage((java.io.Serializable) object));
      to.send(session.createMessage());
      to.send(session.createTextMessage(null));
    }
    MessageConsumer from = session.createConsumer(queue);
    Interop.checkEqual(Jms.text(from), "größer \uD83D\uDC26", "text");
    BytesMessage gotBytes = (BytesMessage) Jms.receive(from);
    byte[] octets = new byte[(int) gotBytes.getBodyLength()];
    gotBytes.readBytes(octets);
    Interop.checkEqual(octets, new byte[] {0, 1, (byte) 255}, "bytes");
    MapMessage gotMap = (MapMessage) Jms.receive(from);
    Interop.checkEqual(gotMap.getLong("long"), Long.MIN_VALUE, "long");
    Interop.checkEqual(gotMap.getString("string"), "größer", "string");
    Interop.checkEqual(gotMap.getBytes("bytes"), new byte[] {7}, "bytes in a map");
    Interop.checkEqual(gotMap.getDouble("double"), 0.5, "double");
    StreamMessage gotStream = (StreamMessage) Jms.receive(from);
    Interop.checkEqual(gotStream.readInt(), 42, "int of a stream");
    Interop.checkEqual(gotStream.readString(), "x", "string of a stream");
    Interop.checkEqual(gotStream.readBoolean(), true, "boolean of a stream");
    Interop.checkEqual(((ObjectMessage) Jms.receive(from)).getObject(), object, "object");
    Message bare = Jms.receive(from);
    boolean is = bare instanceof TextMessage || bare instanceof BytesMessage;
    Interop.check(!is, "a bare message came as " + bare.getClass());
    Interop.checkEqual(Jms.text(from), null, "a text message without text");
    Jms.expectNone(from, "what is left");
  }

  private static void headers(Interop.Env env) throws Exception {
    Session session = Jms.session(env);
    Queue queue = session.createQueue("jms-headers");
    Message sent = session.createTextMessage("x");
    sent.setJMSCorrelationID("correlation");
    sent.setJMSType("type");
    sent.setJMSReplyTo(session.createTopic("jms-elsewhere"));
    Map<String, Object> properties = new TreeMap<>(Map.of("boolean", true, "byte", (byte) -1,
        "short", (short) -2, "int", -3, "long", -4L, "float", 0.5f, "double", -0.25,
        "string", "größer", "JMSXGroupID", "group", "JMSXGroupSeq", 7));
    for (Map.Entry<String, Object> each : properties.entrySet()) {
      sent.setObjectProperty(each.getKey(), each.getValue());
    }
    long before = System.currentTimeMillis();
    session.createProducer(queue).send(sent, DeliveryMode.PERSISTENT, 7, 3_600_000);
    Message got = Jms.receive(session.createConsumer(queue));
    Interop.checkEqual(got.getJMSMessageID(), sent.getJMSMessageID(), "JMSMessageID");
    Interop.checkEqual(got.getJMSCorrelationID(), "correlation", "JMSCorrelationID");
    Interop.checkEqual(got.getJMSType(), "type", "JMSType");
    Interop.checkEqual(got.getJMSReplyTo(), session.createTopic("jms-elsewhere"), "JMSReplyTo");
    Interop.checkEqual(got.getJMSDestination(), queue, "JMSDestination");
    Interop.checkEqual(got.getJMSDeliveryMode(), DeliveryMode.PERSISTENT, "JMSDeliveryMode");
    Interop.checkEqual(got.getJMSPriority(), 7, "JMSPriority");
    Interop.checkEqual(got.getJMSRedelivered(), false, "JMSRedelivered");
    Interop.checkEqual(got.getJMSTimestamp(), sent.getJMSTimestamp(), "JMSTimestamp");
    Interop.checkEqual(got.getJMSExpiration(), sent.getJMSExpiration(), "JMSExpiration");
    Interop.check(got.getJMSExpiration() >= before + 3_600_000, "JMSExpiration is too early");
    for (Map.Entry<String, Object> each : properties.entrySet()) {
      Interop.checkEqual(got.getObjectProperty(each.getKey()), each.getValue(), each.getKey());
    }
  }

  private static void order(Interop.Env env) throws Exception {
    Session session = Jms.session(env);
    Queue queue = session.createQueue("jms-order");
    MessageProducer to = session.createProducer(queue);
    MessageConsumer from = Jms.session(env).createConsumer(queue);
    for (int i = 0; i < 1000; i++) {
      to.setDeliveryMode(i % 2 == 0 ? DeliveryMode.PERSISTENT : DeliveryMode.NON_PERSISTENT);
      to.send(session.createTextMessage("" + i));
    }
    for (int i = 0; i < 1000; i++) {
      Message got = Jms.receive(from);
      Interop.checkEqual(((TextMessage) got).getText(), "" + i, "the next message");
      Interop.checkEqual(got.getJMSRedelivered(), false, "JMSRedelivered");
    }
    Jms.expectNone(from, "what is left");
  }

  private static void completions(Interop.Env env) throws Exception {
    Session session = Jms.session(env);
    Queue queue = session.createQueue("jms-completions");
    MessageProducer to = session.createProducer(queue);
    List<String> completed = Collections.synchronizedList(new ArrayList<>());
    List<String> failed = Collections.synchronizedList(new ArrayList<>());
    CompletionListener listener = new CompletionListener() {
      @Override
      public void onCompletion(Message message) {
        completed.add("");
      }

      @Override
      public void onException(Message message, Exception why) {
        failed.add(why.toString());
      }
    };
    for (int i = 0; i < 1000; i++) to.send(session.createTextMessage("" + i), listener);
    Interop.await(() -> completed.size() + failed.size() == 1000, "1,000 completions");
    Interop.checkEqual(failed, List.of(), "failures");
    MessageConsumer from = session.createConsumer(queue);
    for (int i = 0; i < 1000; i++) Jms.expect(from, "" + i);
    Jms.expectNone(from, "what is left");
  }

  private static void listener(Interop.Env env) throws Exception {
    Session session = Jms.session(env);
    Queue queue = session.createQueue("jms-listener");
    List<String> seen = Collections.synchronizedList(new ArrayList<>());
    Jms.session(env).createConsumer(queue).setMessageListener(message -> {
      try {
        seen.add(((TextMessage) message).getText());
      } catch (Exception failed) {
        seen.add(failed.toString());
      }
    });
    MessageProducer to = session.createProducer(queue);
    List<String> sent = new ArrayList<>();
    for (int i = 0; i < 1000; i++) {
      sent.add("" + i);
      to.send(session.createTextMessage("" + i));
    }
    Interop.await(() -> seen.size() >= 1000, "1,000 messages");
    Interop.checkEqual(seen, sent, "what was seen");
  }

  private static void large(Interop.Env env) throws Exception {
    Session session = Jms.session(env);
    Queue queue = session.createQueue("jms-large");
    byte[] body = new byte[5 << 20];
    new Random(5).nextBytes(body);
    BytesMessage sent = session.createBytesMessage();
    sent.writeBytes(body);
    session.createProducer(queue).send(sent);
    byte[] got = Jms.receive(session.createConsumer(queue)).getBody(byte[].class);
    Interop.check(Arrays.equals(got, body), "not the octets that were sent");
  }

  private static void anonymous(Interop.Env env) throws Exception {
    Session session = Jms.session(env);
    MessageProducer to = session.createProducer(null);
    for (int i = 0; i < 20; i++) {
      to.send(session.createQueue("jms-anonymous-" + i % 2), session.createTextMessage("" + i));
    }
    for (int queue = 0; queue < 2; queue++) {
      MessageConsumer from = session.createConsumer(session.createQueue("jms-anonymous-" + queue));
      for (int i = queue; i < 20; i += 2) Jms.expect(from, "" + i);
      from.close();
    }
    Queue wrong = session.createQueue("/queues/jms-not-there");
    Interop.expect(InvalidDestinationException.class, () -> session.createProducer(wrong),
        "a producer for a queue that is not there");
    Interop.expect(InvalidDestinationException.class, () -> session.createConsumer(wrong),
        "a consumer of a queue that is not there");
    Interop.expect(jakarta.jms.JMSException.class,
        () -> to.send(wrong, session.createTextMessage("x")), "a message for it");
    to.send(session.createQueue("jms-anonymous-0"), session.createTextMessage("after"));
    Jms.expect(session.createConsumer(session.createQueue("jms-anonymous-0")), "after");
  }

  private static void noWait(Interop.Env env) throws Exception {
    // Without prefetching each receive grants one credit, and takes it back by a drain.
    for (String options : List.of("", "jms.prefetchPolicy.all=0")) {
      Session session = Jms.session(Jms.connect(env, options, null));
      Queue queue = session.createQueue("jms-no-wait");
      MessageConsumer from = session.createConsumer(queue);
      for (int i = 0; i < 20; i++) {
        Jms.expectNone(from, "an empty queue");
        Jms.send(session, queue, "a" + i, "b" + i);
        for (String each : List.of("a", "b")) {
          Message got = from.receiveNoWait();
          Interop.check(got != null, "nothing came although it was there");
          Interop.checkEqual(((TextMessage) got).getText(), each + i, "what came");
        }
      }
      Interop.check(from.receive(50) == null, "something came");
      from.close();
    }
  }

  private static void recover(Interop.Env env) throws Exception {
    Connection connection = Jms.connect(env);
    Session session = connection.createSession(false, Session.CLIENT_ACKNOWLEDGE);
    Queue queue = session.createQueue("jms-recover");
    Jms.send(session, queue, "a", "b");
    MessageConsumer from = session.createConsumer(queue);
    for (int count = 1; count <= 3; count++) {
      for (String body : List.of("a", "b")) {
        Message got = Jms.receive(from);
        Interop.checkEqual(((TextMessage) got).getText(), body, "body");
        Interop.checkEqual(got.getIntProperty("JMSXDeliveryCount"), count, "JMSXDeliveryCount");
        Interop.checkEqual(got.getJMSRedelivered(), count > 1, "JMSRedelivered");
        if (count == 3) got.acknowledge();
      }
      if (count < 3) session.recover();
    }
    connection.close();
    Session other = Jms.session(env);
    Jms.expectNone(other.createConsumer(queue), "what was acknowledged");
  }

  private static void sharing(Interop.Env env) throws Exception {
    Session session = Jms.session(env);
    Queue queue = session.createQueue("jms-sharing");
    String one = "jms.prefetchPolicy.all=1";
    MessageConsumer[] from = {Jms.session(Jms.connect(env, one, null)).createConsumer(queue),
        Jms.session(Jms.connect(env, one, null)).createConsumer(queue)};
    for (int i = 0; i < 40; i++) Jms.send(session, queue, "" + i);
    TreeMap<Integer, Integer> all = new TreeMap<>();
    int[] count = {0, 0};
    Interop.await(() -> {
      for (int i = 0; i < 2; i++) {
        Message got = from[i].receive(1);
        if (got == null) continue;
        count[i]++;
        all.merge(Integer.parseInt(((TextMessage) got).getText()), 1, Integer::sum);
      }
      return count[0] + count[1] == 40;
    }, "40 messages");
    Interop.checkEqual(all.size(), 40, "different messages");
    Interop.check(count[0] > 0 && count[1] > 0, "one consumer got everything");
  }

  private static void timeToLive(Interop.Env env) throws Exception {
    Session session = Jms.session(env);
    Queue queue = session.createQueue("jms-ttl");
    MessageProducer to = session.createProducer(queue);
    to.setTimeToLive(10);
    to.send(session.createTextMessage("short"));
    to.setTimeToLive(3_600_000);
    to.send(session.createTextMessage("long"));
    Thread.sleep(30);
    // By the broker alone: the client's own look at the expiry is off.
    Session other = Jms.session(Jms.connect(env, "jms.localMessageExpiry=false", null));
    Jms.expect(other.createConsumer(queue), "long");
  }

  private static void delay(Interop.Env env) throws Exception {
    Session session = Jms.session(env);
    Queue queue = session.createQueue("jms-delay");
    MessageConsumer from = Jms.session(env).createConsumer(queue);
    MessageProducer to = session.createProducer(queue);
    to.setDeliveryDelay(500);
    long before = System.currentTimeMillis();
    to.send(session.createTextMessage("late"));
    to.setDeliveryDelay(0);
    to.send(session.createTextMessage("soon"));
    Jms.expect(from, "soon");
    Message late = Jms.receive(from);
    Interop.checkEqual(((TextMessage) late).getText(), "late", "the second");
    Interop.check(System.currentTimeMillis() >= before + 500, "it came before its time");
    Interop.check(late.getJMSDeliveryTime() >= before + 500, "JMSDeliveryTime");
  }

  private static void priorities(Interop.Env env) throws Exception {
    Session session = Jms.session(env);
    Queue queue = session.createQueue("jms-levels");
    MessageProducer to = session.createProducer(queue);
    for (int priority : new int[] {1, 9, 4, 0, 9}) {
      to.setPriority(priority);
      to.send(session.createTextMessage("" + priority));
    }
    Jms.expect(session.createConsumer(queue), "9", "9", "4", "1", "0");
  }

  private static void context(Interop.Env env) throws Exception {
    try (JMSContext context =
             new JmsConnectionFactory("amqp://127.0.0.1:" + env.port).createContext()) {
      Queue queue = context.createQueue("jms-context");
      context.createProducer().setProperty("n", 1).setJMSCorrelationID("c").send(queue, "hello");
      Message got = context.createConsumer(queue).receive(Interop.PATIENCE);
      Interop.checkEqual(got.getBody(String.class), "hello", "body");
      Interop.checkEqual(got.getIntProperty("n"), 1, "property");
      Interop.checkEqual(got.getJMSCorrelationID(), "c", "JMSCorrelationID");
    }
  }

  private JmsMessageCases() {}
}
