// SPDX-License-Identifier: Apache-2.0
// rhea over TLS, against a listener that takes plain AMQP too; certificates as certificates.py
// makes them.
'use strict';

const fs = require('fs');
const path = require('path');

const {rhea, message, check, check_equal, connect, drain, event, put, receive, receiver, run,
    sender} = require('./harness.js');

const certificate = (name) => fs.readFileSync(path.join(process.env.INTEROP_CERTIFICATES, name));
const secure = (ca) => ({transport: 'tls', host: 'localhost', servername: 'localhost', ca: [ca]});

run([
    ['messages go over TLS, and from plain to TLS on one port', async (port) => {
        const address = 'rhea-tls-' + process.pid;
        const over = await connect(port, secure(certificate('ca.pem')));
        const plain = await connect(port);
        check(over.is_open() && plain.is_open(), 'one of them is not open');
        await put(await sender(plain, address), {body: 'plain'});
        await put(await sender(over, address), {body: 'secure'});
        const found = await drain(await receiver(over, address));
        check_equal(found.map((one) => one.message.body), ['plain', 'secure'], 'what came');
        for (const one of found) one.delivery.accept();
    }],
    ['5 MB go both ways over TLS', async (port) => {
        const address = 'rhea-tls-large-' + process.pid;
        const over = await connect(port, secure(certificate('ca.pem')));
        const body = Buffer.alloc(5 << 20, 'whimbrel');
        await put(await sender(over, address), {body: message.data_section(body)});
        const from = await receiver(over, address);
        from.add_credit(1);
        const got = await receive(from);
        check(got.message.body.content.equals(body), 'the octets differ');
        got.delivery.accept();
    }],
    ['a certificate from another root is refused by rhea', async (port) => {
        const container = rhea.create_container();
        const options = Object.assign({port, reconnect: false},
            secure(certificate('other-ca.pem')));
        const connection = container.connect(options);
        const lost = await event(connection, 'disconnected', 'the refusal');
        check(lost.error && /certificate/.test(lost.error.message), `${lost.error}`);
    }],
]);
