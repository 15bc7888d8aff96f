// SPDX-License-Identifier: Apache-2.0
//! fe2o3-amqp against the broker: `interop SUITE PORT` runs the cases of one suite and prints one
//! line for each, as run.py reads them. See build.sh for how it is built.

use std::fmt::Debug;
use std::future::Future;
use std::time::{Duration, Instant};

use fe2o3_amqp::connection::ConnectionHandle;
use fe2o3_amqp::link::{ReceiverAttachError, ReceiverAttachExchange, SenderAttachError};
use fe2o3_amqp::sasl_profile::{SaslProfile, SaslScramSha1, SaslScramSha256, SaslScramSha512};
use fe2o3_amqp::session::SessionHandle;
use fe2o3_amqp::types::definitions::{AmqpError, ErrorCondition, ReceiverSettleMode};
use fe2o3_amqp::types::messaging::{
    Header, Message, MessageId, Modified, Outcome, Properties, Source,
};
use fe2o3_amqp::types::primitives::Binary;
use fe2o3_amqp::{Connection, Receiver, Sender, Session};
use tokio::net::TcpStream;

type Done<T = ()> = Result<T, String>;

trait Why<T> {
    fn why(self, what: &str) -> Done<T>;
}

impl<T, E: Debug> Why<T> for Result<T, E> {
    fn why(self, what: &str) -> Done<T> {
        self.map_err(|error| format!("{what}: {error:?}"))
    }
}

fn check(condition: bool, what: impl Into<String>) -> Done {
    if condition { Ok(()) } else { Err(what.into()) }
}

fn check_equal<T: PartialEq + Debug>(got: T, expected: T, what: &str) -> Done {
    check(got == expected, format!("{what}: got {got:?}, expected {expected:?}"))
}

/// One connection with one session.
struct Peer {
    session: SessionHandle<()>,
    connection: ConnectionHandle<()>,
    links: u32,
}

impl Peer {
    /// On a socket of our own: on those that fe2o3-amqp makes, Nagle's algorithm costs 40 ms
    /// wherever it writes two frames one after the other.
    async fn open(port: &str, sasl: Option<SaslProfile>) -> Done<Peer> {
        let stream = TcpStream::connect(format!("127.0.0.1:{port}")).await.why("connect")?;
        stream.set_nodelay(true).why("TCP_NODELAY")?;
        let mut builder = Connection::builder().container_id("rust-peer");
        if let Some(profile) = sasl {
            builder = builder.sasl_profile(profile);
        }
        Peer::begin(builder.open_with_stream(stream).await.why("open")?).await
    }

    async fn begin(mut connection: ConnectionHandle<()>) -> Done<Peer> {
        let session = Session::begin(&mut connection).await.why("begin")?;
        Ok(Peer { session, connection, links: 0 })
    }

    fn name(&mut self) -> String {
        self.links += 1;
        format!("link-{}", self.links)
    }

    async fn sender(&mut self, address: &str) -> Done<Sender> {
        let name = self.name();
        Sender::attach(&mut self.session, name, address).await.why("a sender")
    }

    async fn receiver(&mut self, address: &str) -> Done<Receiver> {
        let name = self.name();
        Receiver::attach(&mut self.session, name, address).await.why("a receiver")
    }

    /// A queue is empty if a message that is put into it is the first to come out.
    async fn expect_empty(&mut self, address: &str) -> Done {
        let mut to = self.sender(address).await?;
        accepted(to.send("the marker").await.why("send")?)?;
        let mut from = self.receiver(address).await?;
        let got = from.recv::<String>().await.why("what is left")?;
        check_equal(got.body().as_str(), "the marker", "what is left")?;
        from.accept(&got).await.why("accept")?;
        from.close().await.why("close")?;
        to.close().await.why("close")
    }

    async fn close(mut self) -> Done {
        self.session.end().await.why("end")?;
        self.connection.close().await.why("close")
    }
}

fn accepted(outcome: Outcome) -> Done {
    check(matches!(outcome, Outcome::Accepted(_)), format!("the outcome of a send: {outcome:?}"))
}

async fn opened(port: String) -> Done {
    let url = format!("amqp://127.0.0.1:{port}");
    let connection = Connection::open("rust-url", url.as_str()).await.why("open by URL")?;
    for mut peer in [Peer::begin(connection).await?,
        Peer::open(&port, Some(SaslProfile::Anonymous)).await?]
    {
        peer.expect_empty("rust-open").await?;
        peer.close().await?;
    }
    Ok(())
}

async fn in_order(port: String) -> Done {
    let mut peer = Peer::open(&port, None).await?;
    let mut to = peer.sender("rust-order").await?;
    let mut outcomes = Vec::new();
    for i in 0..1000i64 {
        outcomes.push(to.send_batchable(i).await.why("send")?);
    }
    for outcome in outcomes {
        accepted(outcome.await.why("outcome")?)?;
    }
    let mut from = peer.receiver("rust-order").await?;
    for i in 0..1000i64 {
        let got = from.recv::<i64>().await.why("receive")?;
        check_equal(*got.body(), i, "the next message")?;
        from.accept(&got).await.why("accept")?;
    }
    from.close().await.why("close")?;
    peer.expect_empty("rust-order").await?;
    peer.close().await
}

async fn large(port: String) -> Done {
    let mut peer = Peer::open(&port, None).await?;
    let body: Vec<u8> = (0..5u32 << 20).map(|i| (i.wrapping_mul(2654435761) >> 24) as u8).collect();
    let message = Message::builder()
        .header(Header { durable: true, ..Default::default() })
        .data(Binary::from(body.clone()))
        .build();
    accepted(peer.sender("rust-large").await?.send(message).await.why("send")?)?;
    let mut from = peer.receiver("rust-large").await?;
    let got = from.recv::<fe2o3_amqp::types::messaging::Data>().await.why("receive")?;
    check(got.body().0.as_ref() == body.as_slice(), "not the octets that were sent")?;
    check(got.message().header.as_ref().is_some_and(|h| h.durable), "durable")?;
    from.accept(&got).await.why("accept")?;
    from.close().await.why("close")?;
    peer.expect_empty("rust-large").await?;
    peer.close().await
}

fn count<T>(message: &Message<T>) -> u32 {
    message.header.as_ref().map_or(0, |header| header.delivery_count)
}

async fn outcomes(port: String) -> Done {
    for mode in [ReceiverSettleMode::First, ReceiverSettleMode::Second] {
        let mut peer = Peer::open(&port, None).await?;
        let mut to = peer.sender("rust-outcomes").await?;
        let mut from = Receiver::builder()
            .name("outcomes")
            .source("rust-outcomes")
            .receiver_settle_mode(mode)
            .attach(&mut peer.session)
            .await
            .why("a receiver")?;
        accepted(to.send("accepted").await.why("send")?)?;
        let got = from.recv::<String>().await.why("receive")?;
        from.accept(&got).await.why("accept")?;
        accepted(to.send("rejected").await.why("send")?)?;
        let got = from.recv::<String>().await.why("receive")?;
        check_equal(got.body().as_str(), "rejected", "after an accepted one")?;
        from.reject(&got, None).await.why("reject")?;
        accepted(to.send("back").await.why("send")?)?;
        let got = from.recv::<String>().await.why("receive")?;
        check_equal(got.body().as_str(), "back", "after a rejected one")?;
        from.release(&got).await.why("release")?;
        let got = from.recv::<String>().await.why("receive")?;
        check_equal(count(got.message()), 0, "delivery-count after released")?;
        let failed = Modified { delivery_failed: Some(true), undeliverable_here: None,
            message_annotations: None };
        from.modify(&got, failed).await.why("modify")?;
        let got = from.recv::<String>().await.why("receive")?;
        check_equal(got.body().as_str(), "back", "after modified")?;
        check_equal(count(got.message()), 1, "delivery-count after modified")?;
        from.accept(&got).await.why("accept")?;
        from.close().await.why("close")?;
        peer.expect_empty("rust-outcomes").await?;
        peer.close().await?;
    }
    Ok(())
}

async fn request_reply(port: String) -> Done {
    let mut client = Peer::open(&port, None).await?;
    let mut service = Peer::open(&port, None).await?;
    let mut answers = Receiver::builder()
        .name("answers")
        .source(Source::builder().dynamic(true).build())
        .attach(&mut client.session)
        .await
        .why("a dynamic receiver")?;
    let address = answers.source().as_ref().and_then(|source| source.address.clone());
    let address = address.ok_or("a dynamic receiver has no address")?;
    let mut to = client.sender("rust-service").await?;
    let mut ask = service.receiver("rust-service").await?;
    let mut reply = service.sender(&address).await?;
    for i in 0..20i64 {
        let question = Message::builder()
            .properties(
                Properties::builder().message_id(i as u64).reply_to(address.clone()).build(),
            )
            .value(i)
            .build();
        accepted(to.send(question).await.why("ask")?)?;
        let got = ask.recv::<i64>().await.why("the question")?;
        let asked = got.message().properties.clone().ok_or("a question without properties")?;
        check_equal(asked.reply_to.as_ref(), Some(&address), "reply-to")?;
        let id = asked.message_id.ok_or("a question without message-id")?;
        ask.accept(&got).await.why("accept")?;
        let answer = Message::builder()
            .properties(Properties::builder().correlation_id(id).build())
            .value(2 * *got.body())
            .build();
        accepted(reply.send(answer).await.why("answer")?)?;
        let got = answers.recv::<i64>().await.why("the answer")?;
        check_equal(*got.body(), 2 * i, "the answer")?;
        let id = got.message().properties.as_ref().and_then(|p| p.correlation_id.clone());
        check_equal(id, Some(MessageId::Ulong(i as u64)), "correlation-id")?;
        answers.accept(&got).await.why("accept")?;
    }
    client.close().await?;
    service.close().await
}

/// A session for each: when the broker's detach comes before fe2o3-amqp looks at the attach, it
/// sends two detaches; the second refers to a handle that is free, which ends the session [2.8.17].
async fn refused(port: String) -> Done {
    let not_found = ErrorCondition::AmqpError(AmqpError::NotFound);
    let mut peer = Peer::open(&port, None).await?;
    match Receiver::attach(&mut peer.session, "a", "/queues/rust-not-there").await {
        Err(ReceiverAttachError::RemoteClosedWithError(error)) => {
            check_equal(error.condition, not_found.clone(), "why")?;
        }
        other => return Err(format!("a receiver: {:?}", other.map(|_| "attached"))),
    }
    let mut peer = Peer::open(&port, None).await?;
    match Sender::attach(&mut peer.session, "b", "/queues/rust-not-there").await {
        Err(SenderAttachError::RemoteClosedWithError(error)) => {
            check_equal(error.condition, not_found, "why")?;
        }
        other => return Err(format!("a sender: {:?}", other.map(|_| "attached"))),
    }
    let mut peer = Peer::open(&port, None).await?;
    peer.expect_empty("rust-refused").await?;
    peer.close().await
}

async fn detached(port: String) -> Done {
    let mut peer = Peer::open(&port, None).await?;
    let mut to = peer.sender("rust-detach").await?;
    let mut from = peer.receiver("rust-detach").await?;
    for i in 0..10i64 {
        accepted(to.send(i).await.why("send")?)?;
        let got = from.recv::<i64>().await.why("receive")?;
        check_equal(*got.body(), i, "body")?;
        from.accept(&got).await.why("accept")?;
        to.detach_then_resume_on_session(&peer.session).await.why("resuming the sender")?;
        let how = from.detach_then_resume_on_session(&peer.session).await;
        let how = how.why("resuming the receiver")?;
        check(matches!(how, ReceiverAttachExchange::Complete), format!("resumed: {how:?}"))?;
    }
    from.close().await.why("close")?;
    peer.expect_empty("rust-detach").await?;
    peer.close().await
}

fn plain(user: &str, password: &str) -> Option<SaslProfile> {
    Some(SaslProfile::Plain { username: user.into(), password: password.into() })
}

/// By each SCRAM mechanism. fe2o3-amqp checks the server's signature.
fn scram(user: &str, password: &str) -> [SaslProfile; 3] {
    [
        SaslScramSha1::new(user, password).into(),
        SaslScramSha256::new(user, password).into(),
        SaslScramSha512::new(user, password).into(),
    ]
}

async fn good_scram(port: String) -> Done {
    for profile in scram("alice", "wonder land") {
        let mut peer = Peer::open(&port, Some(profile)).await?;
        peer.expect_empty("rust-login").await?;
        peer.close().await?;
    }
    Ok(())
}

async fn bad_scram(port: String) -> Done {
    for (user, password) in [("alice", "wonder lane"), ("nobody", "wonder land")] {
        for profile in scram(user, password) {
            let name = format!("{profile:?}");
            check(Peer::open(&port, Some(profile)).await.is_err(), name + " came in")?;
        }
    }
    Ok(())
}

async fn good_login(port: String) -> Done {
    let mut peer = Peer::open(&port, plain("alice", "wonder land")).await?;
    peer.expect_empty("rust-login").await?;
    peer.close().await
}

async fn bad_login(port: String) -> Done {
    for profile in [plain("alice", "wonder lane"), Some(SaslProfile::Anonymous), None] {
        check(Peer::open(&port, profile).await.is_err(), "somebody came in without a password")?;
    }
    Ok(())
}

/// Runs one case, no longer than half a minute.
async fn run(name: &str, body: impl Future<Output = Done> + Send + 'static) -> bool {
    let began = Instant::now();
    let task = tokio::spawn(tokio::time::timeout(Duration::from_secs(30), body));
    let done = match task.await {
        Ok(Ok(done)) => done,
        Ok(Err(_)) => Err("not done after 30 s".into()),
        Err(panicked) => Err(panicked.to_string()),
    };
    let (verdict, note) = match &done {
        Ok(()) => ("ok", String::new()),
        Err(why) => ("FAIL", format!(" | {}", why.replace('\n', " "))),
    };
    println!("case {verdict} {:.2} {name}{note}", began.elapsed().as_secs_f64());
    done.is_ok()
}

#[tokio::main]
async fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [suite, port] = arguments.as_slice() else {
        eprintln!("usage: interop messages|login PORT");
        std::process::exit(2);
    };
    let port = || port.clone();
    let mut ok = true;
    if suite == "messages" {
        ok &= run("open without SASL and by ANONYMOUS", opened(port())).await;
        ok &= run("1,000 messages come in order", in_order(port())).await;
        ok &= run("a message of 5 MB comes as it was sent", large(port())).await;
        ok &= run("all four outcomes, in both receiver settle modes", outcomes(port())).await;
        ok &= run("request and reply by a dynamic receiver", request_reply(port())).await;
        ok &= run("a refused link ends with its condition", refused(port())).await;
        ok &= run("links are detached and resumed, nothing unsettled", detached(port())).await;
    } else {
        ok &= run("PLAIN: a good password comes in", good_login(port())).await;
        ok &= run("SCRAM-SHA-1, -256, -512: a good password comes in", good_scram(port())).await;
        ok &= run("SCRAM: a bad password, an unknown user are refused", bad_scram(port())).await;
        ok &= run("a bad password, ANONYMOUS, no SASL are refused", bad_login(port())).await;
    }
    std::process::exit(if ok { 0 } else { 1 });
}
