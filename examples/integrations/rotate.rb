# Shows what an API key may do, and replaces it. Reads COUNTERFOIL_URL, and the key from the file that
# KEY_FILE names, to which the new one is written. It needs nothing but Ruby.
require "json"
require "net/http"

URL = ENV.fetch("COUNTERFOIL_URL")
KEY_FILE = ENV.fetch("KEY_FILE")

# The answer, once there is one: after 429 and 503 the service says when to ask again.
def call(kind, path, attempts = 3)
  uri = URI(URL + path)
  request = kind.new(uri, "X-API-Key" => File.read(KEY_FILE))
  options = { use_ssl: uri.scheme == "https", open_timeout: 10, read_timeout: 10 }
  answer = Net::HTTP.start(uri.host, uri.port, **options) { |http| http.request(request) }
  return JSON.parse(answer.body) if answer.is_a?(Net::HTTPSuccess)

  abort "#{answer.code}: #{answer.body}" if !%w[429 503].include?(answer.code) || attempts == 1
  sleep answer["Retry-After"].to_i
  call(kind, path, attempts - 1)
end

current = call(Net::HTTP::Get, "/api-keys/current")
puts "#{current["name"]}, expires: #{(current["expires_at"] || "never")[0, 10]}"
new = call(Net::HTTP::Post, "/api-keys/current/rotate")["key"]
# Written beside and moved, so that the file never holds half of a key.
File.write("#{KEY_FILE}.new", new, perm: 0o600)
File.rename("#{KEY_FILE}.new", KEY_FILE)
