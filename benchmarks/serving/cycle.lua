-- Sends the bodies of a file in turn, one a line, and says at the end what was measured: wrk … -- PATH FILE [KEY]
function init(args)
  local headers = {["Content-Type"] = "application/json"}
  if args[3] and args[3] ~= "" then
    headers["Authorization"] = "Bearer " .. args[3]
  end
  requests, count, at = {}, 0, 0
  for body in io.lines(args[2]) do
    count = count + 1
    requests[count] = wrk.format("POST", args[1], headers, body)
  end
end

function request()
  at = at % count + 1
  return requests[at]
end

function done(summary, latency)
  local e = summary.errors
  print(string.format(
    'measured: {"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "refused": %d, "broken": %d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
    e.status, e.connect + e.read + e.write + e.timeout))
end
