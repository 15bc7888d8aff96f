// SPDX-License-Identifier: Apache-2.0
// Selectors as rhea sends them, on a queue and on a browser.
'use strict';

const {rhea, check, check_equal, connect, drain, event, put, receiver, run, sender} =
    require('./harness.js');

async function fill(port, address) {
    const connection = await connect(port);
    const to = await sender(connection, address);
    for (let i = 0; i < 6; i++) {
        await put(to, {body: i, application_properties: {color: i % 2 ? 'blue' : 'red', size: i}});
    }
    return connection;
}

function selecting(address, text, more = {}) {
    return Object.assign({address, filter: rhea.filter.selector(text)}, more);
}

const bodies = (contexts) => contexts.map((one) => one.message.body);

run([
    ['a selector chooses what a browser sees and a consumer takes', async (port) => {
        const address = 'rhea-filter-' + process.pid;
        const connection = await fill(port, address);
        const browser = await receiver(connection,
            selecting(address, "color = 'red' AND size > 0", {distribution_mode: 'copy'}));
        check('jms-selector' in (browser.source.filter || {}), 'the selector is not echoed');
        check_equal(bodies(await drain(browser)), [2, 4], 'browsed');
        const consumer = await receiver(connection, selecting(address, "color = 'blue'"));
        const taken = await drain(consumer);
        check_equal(bodies(taken), [1, 3, 5], 'taken');
        for (const one of taken) one.delivery.accept();
        const rest = await receiver(connection, address);
        check_equal(bodies(await drain(rest)), [0, 2, 4], 'the rest');
    }],
    ['a selector that is wrong refuses the link', async (port) => {
        const connection = await connect(port);
        const link = connection.open_receiver({
            source: selecting('rhea-filter-wrong-' + process.pid, 'color = ')});
        await event(link, 'receiver_error', 'the refusal');
        check_equal(link.error.condition, 'amqp:invalid-field', 'why');
        check(link.error.description.includes('character 9'), link.error.description);
    }],
]);
