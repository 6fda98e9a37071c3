// node's `memcached`: its whole surface against the server at argv[2].
'use strict';

const assert = require('assert');
const Memcached = require('memcached');

const address = process.argv[2];

// A client whose methods return promises; the library's own take callbacks.
function start() {
  const client = new Memcached(address, { timeout: 10000, retries: 1, maxValue: 2 << 20 });
  return new Proxy(client, {
    get: (target, name) => (...words) =>
      new Promise((resolve, reject) =>
        target[name](...words, (error, answer) => (error ? reject(error) : resolve(answer)))),
  });
}

async function refused(promise) {
  try {
    return (await promise) === false;
  } catch (error) {
    return true;
  }
}

const tests = {
  async storing(c) {
    assert(await c.set('a', '1', 100));
    assert.strictEqual(await c.get('a'), '1');
    assert(await refused(c.add('a', '2', 100)));
    assert(await c.replace('a', '3', 100));
    assert(await refused(c.replace('missing', 'x', 100)));
    assert(await c.append('a', '4'));
    assert(await c.prepend('a', '2'));
    assert.strictEqual(await c.get('a'), '234');
    assert.strictEqual(await c.get('missing'), undefined);
  },
  async compareAndSwap(c) {
    await c.set('a', '1', 100);
    const { cas } = await c.gets('a');
    assert(await c.cas('a', '2', cas, 100));
    assert(await refused(c.cas('a', '3', cas, 100)));
    assert.strictEqual(await c.get('a'), '2');
  },
  async many(c) {
    const keys = Array.from({ length: 200 }, (_, i) => `m${i}`);
    await Promise.all(keys.map((key, i) => c.set(key, i, 100)));
    const found = await c.getMulti([...keys, 'missing']);
    assert.strictEqual(Object.keys(found).length, 200);
    keys.forEach((key, i) => assert.strictEqual(found[key], i));
  },
  async counting(c) {
    await c.set('n', 10, 100);
    assert.strictEqual(await c.incr('n', 5), 15);
    assert.strictEqual(await c.decr('n', 6), 9);
    assert.strictEqual(await c.decr('n', 100), 0);
    assert.strictEqual(await c.incr('missing', 1), false);
  },
  async expiring(c) {
    await c.set('t', 'x', 1);
    await c.set('u', 'x', 1);
    assert(await c.touch('u', 100));
    assert(await refused(c.touch('missing', 1)));
    const end = Date.now() + 5000;
    while ((await c.get('t')) !== undefined) assert(Date.now() < end, 'does not expire');
    assert.strictEqual(await c.get('u'), 'x');
  },
  async deleting(c) {
    await c.set('a', '1', 100);
    assert(await c.del('a'));
    assert.strictEqual(await c.del('a'), false);
    await c.set('a', '1', 100);
    await c.flush();
    assert.strictEqual(await c.get('a'), undefined);
  },
  async values(c) {
    const object = { a: [1, { b: null }], text: 'café ☃\r\n' };
    await c.set('o', object, 100);
    assert.deepStrictEqual(await c.get('o'), object);
    for (const bytes of [Buffer.alloc(900000, 'x'), Buffer.alloc(20000, '\0\r\n\x7f'), Buffer.alloc(0)]) {
      assert(await c.set('big', bytes, 100));
      assert(String(await c.get('big')) === String(bytes));
    }
    await c.set('k'.repeat(250), 'y', 100);
    assert.strictEqual(await c.get('k'.repeat(250)), 'y');
  },
  async tooLarge(c) {
    // The library takes a server error for the server's failure and leaves it alone for a while.
    assert(await refused(c.set('big', 'x'.repeat(1100000), 100)));
    assert.strictEqual(await start().get('big'), undefined);
  },
  async administration(c) {
    // The library takes the three numbers the version's text ends with, and throws when it does not end so.
    const [version] = await c.version();
    const [stats] = await c.stats();
    assert(/^1\.6\.\d+/.test(stats.version) && stats.version.endsWith(version.version), version.version);
    assert(Number(stats.pid) > 0);
    const [settings] = await c.settings();
    assert(Number(settings.maxbytes) > 0);
    await c.set('a', 'x'.repeat(50), 100);
    assert(await c.slabs());
    const items = await c.items();
    assert(items[0]);
  },
};

async function main() {
  let failed = 0;
  for (const [name, test] of Object.entries(tests)) {
    const client = start();
    try {
      await test(client);
      console.log(`ok node-memcached: ${name}`);
    } catch (error) {
      failed += 1;
      console.log(`FAIL node-memcached: ${name}: ${String(error.message || error).split('\n')[0]}`);
    }
  }
  process.exit(failed ? 1 : 0);
}

main();
