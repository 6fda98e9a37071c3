# ruby-dalli with a user and a password: ARGV is HOST:PORT, the user and the password.
require "dalli"

address, username, password = ARGV
client = Dalli::Client.new(address, username: username, password: password)
raise "not stored" unless client.set("sasl", "value") && client.get("sasl") == "value" && client.delete("sasl")
