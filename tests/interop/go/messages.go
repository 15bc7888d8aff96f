// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"math/rand"
	"sync"
	"time"

	amqp "github.com/Azure/go-amqp"
)

var messageCases = []testCase{
	{"open without SASL and by ANONYMOUS", opened},
	{"1,000 messages come in order", inOrder},
	{"1,000 messages that are settled when sent come in order", settledInOrder},
	{"every section and type arrives as it was sent", everySection},
	{"bodies: data in several sections, sequences, null", everyBody},
	{"a message of 5 MB comes as it was sent", large},
	{"a frame size of 512: messages of 100 kB both ways", smallFrames},
	{"eight producers at once: the order of each is kept", manyProducers},
	{"time to live: a message whose time is up does not come", expired},
}

func opened(e *env) {
	for _, options := range []*amqp.ConnOptions{nil, {SASLType: amqp.SASLTypeAnonymous()}} {
		conn := must(e.dial(options))
		checkEqual(conn.Properties()["product"], "Whimbrel", "product")
		session := must(conn.NewSession(e.ctx, nil))
		e.put(e.sender(session, "go-open", nil), text("hello"))
		ok(session.Close(e.ctx), "end")
		ok(conn.Close(), "close")
	}
	session := e.session()
	from := e.receiver(session, "go-open", nil)
	for range 2 {
		got := e.receive(from)
		checkEqual(got.Value, "hello", "body")
		ok(from.AcceptMessage(e.ctx, got), "accept")
	}
	e.closeAndExpectEmpty(session, from)
}

func inOrder(e *env) {
	const total = 1000
	session := e.session()
	to := e.sender(session, "go-order", nil)
	from := e.receiver(session, "go-order", &amqp.ReceiverOptions{Credit: 100})
	failed := make(chan error, 1)
	go func() {
		var receipts []amqp.SendReceipt
		for i := range total {
			receipt, err := to.SendWithReceipt(e.ctx, number(i), nil)
			if err != nil {
				failed <- err
				return
			}
			receipts = append(receipts, receipt)
		}
		for i := range receipts {
			state, err := receipts[i].Wait(e.ctx)
			if _, accepted := state.(*amqp.StateAccepted); err != nil || !accepted {
				failed <- fmt.Errorf("message %d: %T, %v", i, state, err)
				return
			}
		}
		failed <- nil
	}()
	e.expectNumbers(from, total)
	ok(<-failed, "sending")
	e.closeAndExpectEmpty(session, from)
}

func (e *env) expectNumbers(from *amqp.Receiver, total int) {
	for i := range total {
		got := e.receive(from)
		checkEqual(got.Value, int64(i), "the next message")
		ok(from.AcceptMessage(e.ctx, got), "accept")
	}
}

func settledInOrder(e *env) {
	session := e.session()
	settled := amqp.SenderSettleModeSettled
	to := e.sender(session, "go-settled", &amqp.SenderOptions{SettlementMode: &settled})
	from := e.receiver(session, "go-settled", &amqp.ReceiverOptions{
		Credit: 50, RequestedSenderSettleMode: &settled})
	for i := range 1000 {
		ok(to.Send(e.ctx, number(i), nil), "send")
	}
	e.expectNumbers(from, 1000)
	e.closeAndExpectEmpty(session, from)
}

func everySection(e *env) {
	session := e.session()
	when := time.UnixMilli(1_700_000_000_123)
	sent := &amqp.Message{
		Header:      &amqp.MessageHeader{Durable: true, Priority: 7},
		Annotations: amqp.Annotations{"x-opt-mine": "kept", "x-opt-list": []any{int64(1), "two"}},
		Properties: &amqp.MessageProperties{
			MessageID: amqp.UUID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16},
			UserID:    []byte("guest"), To: ptr("go-sections"), Subject: ptr("subject"),
			ReplyTo: ptr("elsewhere"), CorrelationID: uint64(1) << 63,
			ContentType: ptr("text/plain"), ContentEncoding: ptr("identity"),
			AbsoluteExpiryTime: ptr(when.Add(100 * 365 * 24 * time.Hour)), CreationTime: &when,
			GroupID: ptr("group"), GroupSequence: ptr(uint32(4294967295)),
			ReplyToGroupID: ptr("reply-group"),
		},
		ApplicationProperties: map[string]any{
			"null": nil, "boolean": true, "ubyte": uint8(255), "ushort": uint16(65535),
			"uint": uint32(4294967295), "ulong": uint64(18446744073709551615), "byte": int8(-128),
			"short": int16(-32768), "int": int32(-2147483648), "long": int64(-9223372036854775808),
			"float": float32(1.5), "double": float64(-2.25), "timestamp": when,
			"uuid": amqp.UUID{15: 1}, "binary": []byte{0, 255}, "string": "größer",
			"symbol": amqp.Symbol("a-symbol"),
		},
		Value:  map[string]any{"key": []any{uint32(1), map[any]any{true: "deep"}}},
		Footer: amqp.Annotations{"x-opt-sum": int64(42)},
	}
	e.put(e.sender(session, "go-sections", nil), sent)
	from := e.receiver(session, "go-sections", nil)
	got := e.receive(from)
	checkEqual(got.Header.Durable, true, "durable")
	checkEqual(got.Header.Priority, uint8(7), "priority")
	checkEqual(got.Header.FirstAcquirer, true, "first-acquirer")
	checkEqual(got.Annotations, sent.Annotations, "message-annotations")
	checkEqual(got.Properties, sent.Properties, "properties")
	sent.ApplicationProperties["symbol"] = "a-symbol" // go-amqp reads symbols as strings
	checkEqual(got.ApplicationProperties, sent.ApplicationProperties, "application-properties")
	checkEqual(got.Value, sent.Value, "body")
	checkEqual(got.Footer, sent.Footer, "footer")
	ok(from.AcceptMessage(e.ctx, got), "accept")
}

func everyBody(e *env) {
	session := e.session()
	to := e.sender(session, "go-bodies", nil)
	from := e.receiver(session, "go-bodies", nil)
	data := [][]byte{[]byte("one"), {}, []byte("three")}
	sequence := [][]any{{int64(1), "two"}, {true}}
	e.put(to, &amqp.Message{Data: data}, &amqp.Message{Sequence: sequence},
		&amqp.Message{Value: amqp.Null{}})
	got := e.receive(from)
	checkEqual(len(got.Data), 3, "data sections")
	for i := range data {
		check(bytes.Equal(got.Data[i], data[i]), "data section %d: %q", i, got.Data[i])
	}
	ok(from.AcceptMessage(e.ctx, got), "accept")
	got = e.receive(from)
	checkEqual(got.Sequence, sequence, "sequences")
	ok(from.AcceptMessage(e.ctx, got), "accept")
	got = e.receive(from)
	check(got.Value == nil || got.Value == amqp.Null{}, "null came as %#v", got.Value)
	ok(from.AcceptMessage(e.ctx, got), "accept")
}

func octets(size int) []byte {
	out := make([]byte, size)
	rand.New(rand.NewSource(int64(size))).Read(out)
	return out
}

func (e *env) there(session *amqp.Session, address string, body []byte) {
	message := amqp.NewMessage(body)
	message.Header = &amqp.MessageHeader{Durable: true}
	e.put(e.sender(session, address, nil), message)
	from := e.receiver(session, address, nil)
	got := e.receive(from)
	check(bytes.Equal(got.GetData(), body), "%d octets came, not those sent", len(got.GetData()))
	ok(from.AcceptMessage(e.ctx, got), "accept")
	e.closeAndExpectEmpty(session, from)
}

func large(e *env) { e.there(e.session(), "go-large", octets(5<<20)) }

func smallFrames(e *env) {
	conn := must(e.dial(&amqp.ConnOptions{MaxFrameSize: 512}))
	e.there(must(conn.NewSession(e.ctx, nil)), "go-frames", octets(100_000))
}

func manyProducers(e *env) {
	const producers, each = 8, 500
	session := e.session()
	var all sync.WaitGroup
	failed := make(chan error, producers)
	for p := range producers {
		own := must(e.dial(nil))
		to := e.sender(must(own.NewSession(e.ctx, nil)), "go-producers", nil)
		all.Go(func() {
			for i := range each {
				message := number(i)
				message.ApplicationProperties = map[string]any{"producer": int64(p)}
				if err := to.Send(e.ctx, message, nil); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	from := e.receiver(session, "go-producers", &amqp.ReceiverOptions{Credit: 200})
	next := map[any]int64{}
	for range producers * each {
		got := e.receive(from)
		producer := got.ApplicationProperties["producer"]
		checkEqual(got.Value, next[producer], "the next of a producer")
		next[producer]++
		ok(from.AcceptMessage(e.ctx, got), "accept")
	}
	all.Wait()
	check(len(failed) == 0, "a send failed")
	checkEqual(len(next), producers, "producers seen")
}

func expired(e *env) {
	session := e.session()
	to := e.sender(session, "go-ttl", nil)
	short, long := text("short"), text("long")
	short.Header = &amqp.MessageHeader{TTL: time.Millisecond}
	long.Header = &amqp.MessageHeader{TTL: time.Hour}
	e.put(to, short, long)
	time.Sleep(20 * time.Millisecond)
	got := e.receive(e.receiver(session, "go-ttl", nil))
	checkEqual(got.Value, "long", "the first that comes")
	check(got.Header.TTL > 59*time.Minute && got.Header.TTL < time.Hour,
		"the ttl that is left: %v", got.Header.TTL)
}
