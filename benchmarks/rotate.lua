-- Sends the requests of a file in turn, and prints what wrk measured as one line of JSON.

local requests, last = {}, 0

function init(arguments)
   local file = assert(io.open(arguments[1], "rb"))
   for request in file:read("*a"):gmatch("[^%z]+") do
      requests[#requests + 1] = request
   end
   file:close()
   -- A run that always began with the same tokens would find them warm in the database.
   math.randomseed(tonumber(arguments[2]))
   last = math.random(#requests) - 1
end

function request()
   last = last % #requests + 1
   return requests[last]
end

function done(summary, latency, _)
   local errors = summary.errors
   local form = '{"requests": %d, "microseconds": %d, "p50": %.1f, "p99": %.1f,'
      .. ' "refused": %d, "broken": %d, "late": %d}\n'
   io.write(string.format(form, summary.requests, summary.duration,
      latency:percentile(50), latency:percentile(99),
      errors.status, errors.connect + errors.read + errors.write, errors.timeout))
end
