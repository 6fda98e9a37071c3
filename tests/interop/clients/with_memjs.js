// node's `memjs` (binary protocol alone): its whole surface against the server at argv[2].
'use strict';

const assert = require('assert');
const { Client } = require('memjs');

const address = process.argv[2];

const tests = {
  async storing(c) {
    assert(await c.set('a', '1', { expires: 100 }));
    assert.strictEqual(String((await c.get('a')).value), '1');
    assert(!(await c.add('a', '2', { expires: 100 })));
    assert(await c.replace('a', '3', { expires: 100 }));
    assert(!(await c.replace('missing', 'x', { expires: 100 })));
    assert(await c.append('a', '4'));
    assert(await c.prepend('a', '2'));
    await assert.rejects(c.append('missing', 'x'));
    // Some of its releases take one for the other.
    assert.match(String((await c.get('a')).value), /^(234|342|432|324)$/);
    assert.strictEqual((await c.get('missing')).value, null);
  },
  async many(c) {
    const keys = Array.from({ length: 200 }, (_, i) => `m${i}`);
    await Promise.all(keys.map((key, i) => c.set(key, String(i), { expires: 100 })));
    const found = await Promise.all([...keys, 'missing'].map((key) => c.get(key)));
    found.slice(0, 200).forEach(({ value }, i) => assert.strictEqual(String(value), String(i)));
    assert.strictEqual(found[200].value, null);
  },
  async counting(c) {
    await c.delete('n');
    assert.strictEqual((await c.increment('n', 5, { initial: 10, expires: 100 })).value, 10);
    assert.strictEqual((await c.increment('n', 5, { initial: 10, expires: 100 })).value, 15);
    assert.strictEqual((await c.decrement('n', 6, { expires: 100 })).value, 9);
    assert.strictEqual((await c.decrement('n', 100, { expires: 100 })).value, 0);
  },
  async expiring(c) {
    await c.set('t', 'x', { expires: 1 });
    await c.set('u', 'x', { expires: 1 });
    assert(await c.touch('u', 100));
    assert(!(await c.touch('missing', 1)));
    const end = Date.now() + 5000;
    while ((await c.get('t')).value !== null) assert(Date.now() < end, 'does not expire');
    assert.strictEqual(String((await c.get('u')).value), 'x');
  },
  async deleting(c) {
    await c.set('a', '1', { expires: 100 });
    assert(await c.delete('a'));
    assert(!(await c.delete('a')));
    await c.set('a', '1', { expires: 100 });
    await c.flush();
    assert.strictEqual((await c.get('a')).value, null);
  },
  async values(c) {
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(20000, '\0\r\n\x7f'), Buffer.alloc(900000, 'x')]) {
      assert(await c.set('big', bytes, { expires: 100 }));
      assert((await c.get('big')).value.equals(bytes));
    }
    await assert.rejects(async () => {
      assert(await c.set('big', Buffer.alloc(1100000), { expires: 100 }));
    });
    await c.set('k'.repeat(250), 'y', { expires: 100 });
    assert.strictEqual(String((await c.get('k'.repeat(250))).value), 'y');
  },
  async administration(c) {
    const stats = await new Promise((resolve, reject) =>
      c.stats((error, server, figures) => (error ? reject(error) : resolve(figures))));
    assert(Number(stats.pid) > 0 && stats.version.startsWith('1.6.'));
  },
};

async function main() {
  let failed = 0;
  for (const [name, test] of Object.entries(tests)) {
    const client = Client.create(address, { retries: 1, timeout: 10 });
    try {
      await test(client);
      console.log(`ok memjs: ${name}`);
    } catch (reason) {
      failed += 1;
      console.error(reason);
      console.log(`FAIL memjs: ${name}: ${reason}`);
    }
    client.close();
  }
  process.exit(failed ? 1 : 0);
}

main();
