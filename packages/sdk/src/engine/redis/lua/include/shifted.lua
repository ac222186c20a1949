--- Redis measures how long an event is held by its own clock. Under a test's clock (E4) deliveries are dated by that one, and the difference
--- of the two is added where Redis compares.
--- include "now"
local function shift()
  if ARGV[1] == "" then return 0 end
  local time = call("TIME")
  return time[1] * 1000 + math.floor(time[2] / 1000) - now()
end
local function date_deliveries(log, sink, consumer, events)
  if ARGV[1] == "" then return end
  for _, event in ipairs(events) do
    call("XCLAIM", log, sink, consumer, 0, event[1], "TIME", format("%.0f", now()), "JUSTID")
  end
end
