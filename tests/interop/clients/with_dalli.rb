# ruby-dalli: its whole surface over the binary protocol, its default, against the server at ARGV[0].
require "dalli"

SERVER = ARGV[0]

def check(is_so, what)
  raise what unless is_so
end

def until_it(what)
  deadline = Time.now + 5
  sleep 0.05 until yield || Time.now > deadline
  check(Time.now <= deadline, what)
end

TESTS = {
  "storing" => lambda do |c|
    check(c.set("a", "1") && c.get("a") == "1", "set and get")
    check(!c.add("a", "2"), "add of a key that is there")
    check(c.replace("a", "3") && [false, 0].include?(c.replace("missing", "x")), "replace")
    c.set("r", "b", 0, raw: true)
    check(c.append("r", "c") && c.prepend("r", "a") && c.get("r", raw: true) == "abc", "append and prepend")
    check(!c.append("missing", "x") && c.get("missing").nil?, "a key that is missing")
    check(c.fetch("made", 100) { "by block" } == "by block" && c.get("made") == "by block", "fetch")
  end,
  "compare and swap" => lambda do |c|
    c.set("a", 1)
    check(c.cas("a") { |value| value + 1 } && c.get("a") == 2, "cas")
    value, cas = c.get_cas("a")
    check(value == 2 && c.set_cas("a", 3, cas) && !c.set_cas("a", 4, cas), "set_cas")
    check(!c.replace_cas("a", 5, cas) && !c.delete_cas("a", cas), "an old version")
  end,
  "many" => lambda do |c|
    200.times { |i| c.set("m#{i}", i) }
    found = c.get_multi(*(0...200).map { |i| "m#{i}" }, "missing")
    check(found.size == 200 && found["m17"] == 17, "get_multi")
    c.multi { 200.times { |i| c.set("q#{i}", i) } }
    check(c.get("q199") == 199, "quiet sets")
    c.multi { 100.times { |i| c.delete("q#{i}") } }
    check(c.get_multi(*(0...200).map { |i| "q#{i}" }).size == 100, "quiet deletes")
  end,
  "counting" => lambda do |c|
    c.delete("n")
    check(c.incr("n", 5).nil? && c.incr("n", 5, 100, 10) == 10, "a first number")
    check(c.incr("n", 5) == 15 && c.decr("n", 6) == 9 && c.decr("n", 100).zero?, "counting")
  end,
  "expiring" => lambda do |c|
    c.set("t", "x", 1)
    c.set("u", "x", 1)
    check(c.touch("u", 100) && !c.touch("missing", 1), "touch")
    check(c.gat("u", 100) == "x", "gat")
    until_it("does not expire") { c.get("t").nil? }
    check(c.get("u") == "x", "a touched key")
  end,
  "values" => lambda do |c|
    ["café", 7, 1.5, nil, { "a" => [1, { "b" => nil }] }, ""].each do |value|
      c.set("o", value)
      check(c.get("o") == value, "a value #{value.inspect}")
    end
    [16_384, 16_385, 900_000].each do |length|
      data = Random.new(1).bytes(length)
      c.set("big", data, 0, raw: true)
      check(c.get("big", raw: true) == data, "#{length} bytes")
    end
    check(c.set("k" * 250, "y") && c.get("k" * 250) == "y", "a long key")
  end,
  "administration" => lambda do |c|
    stats = c.stats[SERVER]
    check(stats["pid"].to_i.positive? && c.version[SERVER].start_with?("1.6."), "stats and version")
    check(c.stats(:settings)[SERVER].any? && c.stats(:items), "reports")
    c.reset_stats
    c.set("a", 1)
    c.flush_all
    check(c.get("a").nil? && c.alive!, "flush")
    c.close
    check(c.set("a", 1), "closed and on")
  end,
}.freeze

failed = 0
TESTS.each do |name, test|
  test.call(Dalli::Client.new(SERVER, serializer: Marshal, value_max_bytes: 2 << 20))
  puts "ok ruby-dalli: #{name}"
rescue StandardError => e
  failed = 1
  puts "FAIL ruby-dalli: #{name}: #{e.class} #{e.message}"
end
exit failed
