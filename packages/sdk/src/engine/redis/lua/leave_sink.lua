--- name:   leave_sink
--- caller: member
--- keys:   stream
--- args:   now sink consumer counter|""
--- reply:  1 | 0 (its counter moved)
--- A consumer's pending events would go with it: first they pass to nobody (a consumer of the name "-"), as if held since 1970.
local stream, sink, consumer, counter = KEYS[1], ARGV[2], ARGV[3], ARGV[4]
local log, counters = stream .. "l", stream .. "c:" .. sink
if counter ~= "" and call("HGET", counters, consumer) ~= counter then return 0 end
call("HDEL", counters, consumer)
call("HDEL", stream .. "r:" .. sink, consumer)
local groups = redis.pcall("XINFO", "GROUPS", log)
for _, group in ipairs(groups.err and {} or groups) do
  if group[2] == sink then
    while true do
      local held = call("XPENDING", log, sink, "-", "+", 500, consumer)
      if #held == 0 then break end
      for _, event in ipairs(held) do
        local claimed = call("XCLAIM", log, sink, "-", 0, event[1], "TIME", 1, "JUSTID")
        if #claimed == 0 then call("XACK", log, sink, event[1]) end
      end
    end
    call("XGROUP", "DELCONSUMER", log, sink, consumer)
  end
end
return 1
