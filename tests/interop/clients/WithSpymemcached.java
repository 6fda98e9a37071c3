// spymemcached over the binary protocol: its surface against the server at args[0].

import java.net.InetSocketAddress;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import net.spy.memcached.AddrUtil;
import net.spy.memcached.BinaryConnectionFactory;
import net.spy.memcached.CASResponse;
import net.spy.memcached.CASValue;
import net.spy.memcached.MemcachedClient;

public class WithSpymemcached {
    interface Test {
        void with(MemcachedClient client) throws Exception;
    }

    static int failed = 0;
    static List<InetSocketAddress> addresses;

    static void check(boolean isSo, String what) {
        if (!isSo) throw new AssertionError(what);
    }

    static void test(String name, Test test) throws Exception {
        MemcachedClient client = new MemcachedClient(new BinaryConnectionFactory(), addresses);
        try {
            test.with(client);
            System.out.println("ok spymemcached: " + name);
        } catch (Throwable reason) {
            failed = 1;
            System.out.println("FAIL spymemcached: " + name + ": " + reason);
        }
        client.shutdown(1, TimeUnit.SECONDS);
    }

    public static void main(String[] args) throws Exception {
        System.setProperty("net.spy.log.LoggerImpl", "net.spy.memcached.compat.log.SunLogger");
        java.util.logging.LogManager.getLogManager().reset();
        addresses = AddrUtil.getAddresses(args[0]);
        test("storing", c -> {
            check(c.set("a", 100, "1").get() && "1".equals(c.get("a")), "set and get");
            check(!c.add("a", 100, "2").get(), "add of a key that is there");
            check(c.replace("a", 100, "3").get() && !c.replace("missing", 100, "x").get(), "replace");
            check(c.append("a", "4").get() && c.prepend("a", "2").get() && "234".equals(c.get("a")), "append and prepend");
            check(c.get("missing") == null && c.delete("a").get() && !c.delete("a").get(), "delete");
        });
        test("compare and swap", c -> {
            check(c.set("a", 100, "1").get(), "set");
            CASValue<Object> got = c.gets("a");
            check(c.cas("a", got.getCas(), "2") == CASResponse.OK, "cas");
            check(c.cas("a", got.getCas(), "3") == CASResponse.EXISTS, "cas with an old version");
            check(c.cas("missing", got.getCas(), "3") == CASResponse.NOT_FOUND, "cas of a missing key");
        });
        test("many", c -> {
            List<String> keys = new ArrayList<>();
            for (int i = 0; i < 200; i++) {
                keys.add("m" + i);
                c.set("m" + i, 100, Integer.toString(i));
            }
            keys.add("missing");
            Map<String, Object> found = c.getBulk(keys);
            check(found.size() == 200 && "17".equals(found.get("m17")), "getBulk");
        });
        test("counting", c -> {
            c.delete("n").get();
            check(c.incr("n", 5) == -1 && c.incr("n", 5, 10, 100) == 10, "a first number");
            check(c.incr("n", 5) == 15 && c.decr("n", 6) == 9 && c.decr("n", 100) == 0, "counting");
        });
        test("expiring", c -> {
            check(c.set("t", 1, "x").get() && c.set("u", 1, "x").get(), "set");
            check(c.touch("u", 100).get() && "x".equals(c.getAndTouch("u", 100).getValue()), "touch");
            long end = System.nanoTime() + 5_000_000_000L;
            while (c.get("t") != null) check(System.nanoTime() < end, "does not expire");
            check("x".equals(c.get("u")), "a touched key");
        });
        test("values", c -> {
            for (int length : new int[] {0, 16_384, 16_385, 300_000}) {
                byte[] bytes = new byte[length];
                new java.util.Random(1).nextBytes(bytes);
                check(c.set("big", 100, bytes).get(), "set of " + length + " bytes");
                check(java.util.Arrays.equals(bytes, (byte[]) c.get("big")), length + " bytes");
            }
        });
        test("administration", c -> {
            check(c.getVersions().values().iterator().next().startsWith("1.6."), "version");
            check(c.getStats().values().iterator().next().containsKey("pid"), "stats");
            check(c.getStats("settings").values().iterator().next().containsKey("maxbytes"), "settings");
            check(c.set("a", 100, "1").get() && c.flush().get() && c.get("a") == null, "flush");
        });
        System.exit(failed);
    }
}
