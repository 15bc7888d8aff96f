// SPDX-License-Identifier: Apache-2.0
// What a message keeps, how many and how large, through rhea.
'use strict';

const {rhea, message, check, check_equal, connect, event, put, receive, receiver, run, sender,
    within, outcome} = require('./harness.js');

const types = rhea.types;

async function in_order(port, address, durable) {
    const total = 100000;
    const connection = await connect(port);
    const other = await connect(port);
    const link = other.open_receiver({source: address, credit_window: 1000});
    let next = 0;
    const all = new Promise((resolve, reject) => link.on('message', (context) => {
        if (context.message.body !== next) {
            reject(new Error(`message ${context.message.body} came in place of ${next}`));
        }
        if (++next === total) resolve();
    }));
    const to = connection.open_sender({target: address});
    let sent = 0;
    let accepted = 0;
    const confirmed = new Promise((resolve) => {
        to.on('sendable', () => {
            while (to.sendable() && sent < total) to.send({body: sent++, durable});
        });
        to.on('accepted', () => {
            if (++accepted === total) resolve();
        });
    });
    await within(Promise.all([all, confirmed]), '100,000 messages', 180000);
}

/** One value of every type that rhea can write. */
function every_value() {
    const simple = {
        null: null, true: true, false: false,
        ubyte: types.wrap_ubyte(255), ushort: types.wrap_ushort(65535),
        uint: types.wrap_uint(4294967295), uint0: types.wrap_uint(0), smalluint: types.wrap_uint(7),
        ulong: types.wrap_ulong(9007199254740991), ulong0: types.wrap_ulong(0),
        byte: types.wrap_byte(-128), short: types.wrap_short(-32768),
        int: types.wrap_int(-2147483648), smallint: types.wrap_int(-1),
        long: types.wrap_long(-9007199254740991), smalllong: types.wrap_long(-1),
        float: types.wrap_float(3.5), double: types.wrap_double(-2.25),
        timestamp: types.wrap_timestamp(1700000000000), char: types.wrap_char(0x1f600),
        uuid: types.wrap_uuid(Buffer.from('00112233445566778899aabbccddeeff', 'hex')),
        binary: types.wrap_binary(Buffer.from([0, 255, 128])),
        long_binary: types.wrap_binary(Buffer.alloc(300, 1)),
        string: 'h\u00e9', long_string: 'x'.repeat(300), symbol: types.wrap_symbol('sym'),
    };
    const compound = {
        list: types.wrap_list([1, 'two', types.wrap_symbol('three')]),
        map: types.wrap_map({a: 1, b: types.wrap_symbol('c')}),
        described: types.wrap_described('inside', 'a:type'),
        array_symbol: types.wrap_array(['a', 'b'], 0xa3),
        array_uint: types.wrap_array([1, 2], 0x70),
        array_string: types.wrap_array(['a', 'b'], 0xa1),
    };
    return {simple, compound};
}

/** The broker may write the header; rhea's is an empty list, ours to others a list8. */
function without_header(octets) {
    if (octets[2] !== 0x70) return octets;
    return octets.subarray(octets[3] === 0x45 ? 4 : 5 + octets[4]);
}

function difference(sent, came) {
    let at = 0;
    while (at < sent.length && sent[at] === came[at]) at++;
    const around = (octets) => octets.subarray(Math.max(0, at - 8), at + 8).toString('hex');
    return `${sent.length} and ${came.length} octets, from ${at} on ${around(sent)} and ` +
        around(came);
}

async function every_type(port) {
    const {simple, compound} = every_value();
    const all = Object.assign({}, simple, compound);
    const annotations = {};
    for (const key of Object.keys(all)) annotations['x-opt-' + key] = all[key];
    const bodies = Object.values(all).concat([
        message.data_section(Buffer.from('data')),
        message.data_sections([Buffer.from('a'), Buffer.from('b')]),
        message.sequence_section(Object.values(simple)),
    ]);
    const connection = await connect(port);
    const to = await sender(connection, 'rhea-types');
    const link = await receiver(connection, 'rhea-types');
    link.add_credit(bodies.length);
    for (const body of bodies) {
        // No footer: rhea writes it in front of the body, where the standard has none. [3.2]
        const octets = message.encode({
            message_annotations: annotations, application_properties: simple, body,
            message_id: types.wrap_uuid(Buffer.alloc(16, 7)), user_id: Buffer.from('u'),
            correlation_id: 7, subject: 's', reply_to: 'r', content_type: 'text/plain',
            absolute_expiry_time: 4102444800000, creation_time: 1700000000000, group_id: 'g',
            group_sequence: 1, reply_to_group_id: 'h'});
        check_equal(await outcome(to, to.send(octets, undefined, 0)), 'accepted', 'outcome');
        const got = await receive(link);
        const [sent, came] = [octets, got.message.octets].map(without_header);
        check(sent.equals(came), `body ${JSON.stringify(body)}: ${difference(sent, came)}`);
        got.delivery.accept();
    }
    return `${bodies.length} bodies`;
}

async function large(port, size, options = {}) {
    const connection = await connect(port, options);
    const body = Buffer.alloc(size, 'whimbrel');
    const address = `rhea-large-${size}`;
    const to = await sender(connection, address);
    const link = await receiver(connection, address);
    link.add_credit(1);
    const delivery = to.send({body: message.data_section(body), durable: true});
    const got = within(receive(link), 'the message', 180000);
    check_equal(await within(outcome(to, delivery), 'the outcome', 180000), 'accepted', 'outcome');
    check((await got).message.body.content.equals(body), 'the octets differ');
    (await got).delivery.accept();
}

async function small_frames(port) {
    for (const size of [0, 1, 400, 460, 512, 5000, 50000]) {
        await large(port, size, {max_frame_size: 512});
    }
}

async function request_reply(port) {
    const server = await connect(port);
    const client = await connect(port);
    const requests = server.open_receiver({source: 'rhea-requests'});
    const replies = await sender(server, {});
    requests.on('message', (context) => replies.send({to: context.message.reply_to,
        correlation_id: context.message.message_id, body: context.message.body.toUpperCase()}));
    const back = await receiver(client, {dynamic: true});
    const reply_to = back.source.address;
    check(reply_to, 'a dynamic node without an address');
    back.add_credit(50);
    const ask = await sender(client, 'rhea-requests');
    for (let i = 0; i < 50; i++) {
        ask.send({body: 'request', message_id: i, reply_to});
        const answer = await receive(back);
        check_equal([answer.message.body, answer.message.correlation_id], ['REQUEST', i], 'answer');
        answer.delivery.accept();
    }
    back.close();
    await event(back, 'receiver_close', 'the answer to detach');
    const delivery = replies.send({to: reply_to, body: 'too late'});
    check_equal(await outcome(replies, delivery), 'rejected', 'a message to a queue that has gone');
}

async function many_links(port) {
    const connection = await connect(port, {channel_max: 255});
    const sessions = [];
    for (let i = 0; i < 200; i++) {
        sessions.push(connection.create_session());
        sessions[i].open();
    }
    let received = 0;
    const all = new Promise((resolve, reject) => {
        for (let i = 0; i < 500; i++) {
            const address = `rhea-many-${i}`;
            const link = sessions[(i * 7) % 200].open_receiver(address);
            link.on('message', (context) => {
                if (context.message.body !== address) reject(new Error('another queue\'s message'));
                if (++received === 500) resolve();
            });
            const to = sessions[i % 200].open_sender(address);
            to.once('sendable', () => to.send({body: address}));
        }
    });
    await within(all, '500 messages', 120000);
}

async function time_to_live(port) {
    const connection = await connect(port);
    const to = await sender(connection, 'rhea-ttl');
    await put(to, {body: 'short', ttl: 100, durable: true}, {body: 'long', ttl: 60000});
    await new Promise((resolve) => setTimeout(resolve, 400));
    const link = await receiver(connection, 'rhea-ttl');
    link.add_credit(2);
    const got = await receive(link);
    check_equal(got.message.body, 'long', 'what was delivered');
    check(got.message.ttl <= 59700 && got.message.ttl > 50000, `ttl ${got.message.ttl}`);
}

run([
    ['100,000 durable messages in order', (port) => in_order(port, 'rhea-durable', true)],
    ['100,000 transient messages in order', (port) => in_order(port, 'rhea-transient', false)],
    ['every type in every section, octet by octet', every_type],
    ['a 5 MB message', (port) => large(port, 5 << 20)],
    ['a 64 MB message', (port) => large(port, 64 << 20)],
    ['max-frame-size 512', small_frames],
    ['request and reply over a dynamic node, which then goes', request_reply],
    ['200 sessions and 1,000 links on one connection', many_links],
    ['time to live: expired ones are not delivered, the rest is sent on', time_to_live],
]);
